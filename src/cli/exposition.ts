/**
 * Families of series as text for programs that collect metrics: in Prometheus' format 0.0.4
 * (what its text parser, promtool and node_exporter's textfile collector read) or in OpenMetrics 1.0.
 * Pure.
 */

export type ExpositionFormat = 'prometheus' | 'openmetrics';

/** Name -> value, in the order in which they are written. A value may be any text. */
export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  /** One object for all series of an interface or a peer, so that it is written as text once. */
  readonly labels: Labels;
  /** Those of this series alone, after them. */
  readonly more?: Labels;
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
  const texts = new Map<Labels, string>();
  const lines = families
    .filter(({ samples }) => samples.length > 0)
    .flatMap((family) => [
      ...(format === 'openmetrics' ? openMetricsHead(family) : prometheusHead(family)),
      ...formatSamples(family, texts),
    ]);
  if (format === 'openmetrics') lines.push('# EOF');
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
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

/** @param texts of labels that were written before: each peer has the same ones in many families */
function formatSamples(family: Family, texts: Map<Labels, string>): string[] {
  const name = seriesName(family);
  return family.samples.map(({ labels, more, value }) => {
    const text = texts.get(labels) ?? formatLabels(labels);
    texts.set(labels, text);
    const all = more === undefined ? text : [text, formatLabels(more)].filter(Boolean).join(',');
    return `${name}{${all}} ${value}`;
  });
}

function formatLabels(labels: Labels): string {
  return Object.entries(labels)
    .map(([label, text]) => `${label}="${quoted(text)}"`)
    .join(',');
}

/** Control characters have no escape in either format, and would steer the terminal of a reader. */
const CONTROLS = /(?!\n)\p{Cc}/gu;

function quoted(text: string): string {
  return escaped(text.replace(CONTROLS, '?'), /[\\\n"]/g);
}

function escaped(text: string, special: RegExp): string {
  return text.replace(special, (one) => (one === '\n' ? '\\n' : `\\${one}`));
}
