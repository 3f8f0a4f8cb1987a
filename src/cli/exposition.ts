/**
 * Families of series as text for programs that collect metrics: in Prometheus' format 0.0.4
 * (what its text parser, promtool and node_exporter's textfile collector read) or in OpenMetrics 1.0.
 * Pure.
 */

export type ExpositionFormat = 'prometheus' | 'openmetrics';

export interface Sample {
  /** Name -> value, in the order in which they are written. A value may be any text. */
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Series of one name. */
export interface Family {
  /** Without the `_total` of a counter and the `_info` of an info. */
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'info';
  /** Told where the name ends in it; both formats have it in the name. */
  readonly unit: string;
  /** A sentence, or the beginning of one; of one line. */
  readonly help: string;
  readonly samples: readonly Sample[];
}

const SUFFIXES = { counter: '_total', gauge: '', info: '_info' } as const;

/** Lines with their newlines. A family without a sample is left out. */
export function formatExposition(families: readonly Family[], format: ExpositionFormat): string {
  const lines = families
    .filter(({ samples }) => samples.length > 0)
    .flatMap((family) => [
      ...(format === 'openmetrics' ? openMetricsHead(family) : prometheusHead(family)),
      ...family.samples.map((sample) => formatSample(seriesName(family), sample)),
    ]);
  if (format === 'openmetrics') lines.push('# EOF');
  return lines.map((line) => `${line}\n`).join('');
}

/** The name of its series. */
export function seriesName({ name, kind }: Pick<Family, 'name' | 'kind'>): string {
  return `${name}${SUFFIXES[kind]}`;
}

function prometheusHead(family: Family): string[] {
  const { kind, help } = family;
  const name = seriesName(family);
  const type = kind === 'info' ? 'gauge' : kind;
  return [`# HELP ${name} ${escaped(help, /[\\\n]/g)}`, `# TYPE ${name} ${type}`];
}

function openMetricsHead({ name, kind, unit, help }: Family): string[] {
  const hasUnit = unit !== '' && name.endsWith(`_${unit}`);
  return [
    `# TYPE ${name} ${kind}`,
    ...(hasUnit ? [`# UNIT ${name} ${unit}`] : []),
    `# HELP ${name} ${escaped(help, /[\\\n"]/g)}`,
  ];
}

function formatSample(name: string, { labels, value }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${quoted(text)}"`);
  return `${name}{${pairs.join(',')}} ${value}`;
}

/** Control characters have no escape in either format, and would steer the terminal of a reader. */
const CONTROLS = /(?!\n)\p{Cc}/gu;

function quoted(text: string): string {
  return escaped(text.replace(CONTROLS, '?'), /[\\\n"]/g);
}

function escaped(text: string, special: RegExp): string {
  return text.replace(special, (one) => (one === '\n' ? '\\n' : `\\${one}`));
}
