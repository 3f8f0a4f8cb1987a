/**
 * What a metric is: a number or a text that can be read at any moment from what it describes, with
 * all that somebody who has never read the code needs to make sense of it. Tables of them are
 * device/metrics.ts and daemon/metrics.ts; `stats`, `--json` and docs/metrics.md are views of those.
 */

/** counter: only rises as long as its subject lives. gauge: rises and falls. info: a text. */
type MetricKind = 'counter' | 'gauge' | 'info';

interface Described {
  readonly kind: MetricKind;
  /** Of the characters a-z, 0-9 and _; no other metric of its table has it. */
  readonly name: string;
  /** What it tells, for somebody who reads a dashboard. Starts in lower case, without a full stop. */
  readonly help: string;
  /** `get` tells it, too, and `tswg IF` shows it: people are not told again by `tswg IF stats`. */
  readonly isOfGet?: true;
}

/** What counters and gauges count: a plural, such as `bytes` or `seconds`. */
export type Unit = string;

/** One number for each subject. */
export interface NumberMetric<Subject> extends Described {
  readonly kind: 'counter' | 'gauge';
  readonly unit: Unit;
  readonly read: (subject: Subject) => number;
}

/** One text for each subject; null when there is nothing to be told. */
export interface InfoMetric<Subject> extends Described {
  readonly kind: 'info';
  readonly read: (subject: Subject) => string | null;
}

/** As many numbers as the label has values. A value that has not occurred may be left out. */
export interface LabelledNumbers<Subject> extends Described {
  readonly kind: 'counter' | 'gauge';
  readonly unit: Unit;
  /** What the values of the label are, in one word, such as `reason`. */
  readonly label: string;
  readonly readEach: (subject: Subject) => Iterable<readonly [labelValue: string, number]>;
}

/** As many texts as the label has values; the one of the empty value is of them all. */
export interface LabelledInfos<Subject> extends Described {
  readonly kind: 'info';
  readonly label: string;
  readonly readEach: (subject: Subject) => Iterable<readonly [labelValue: string, string]>;
}

export type Metric<Subject> =
  | NumberMetric<Subject>
  | InfoMetric<Subject>
  | LabelledNumbers<Subject>
  | LabelledInfos<Subject>;

/** A counter, for a table. */
export function counter<Subject>(
  name: string,
  unit: Unit,
  help: string,
  read: (subject: Subject) => number,
): NumberMetric<Subject> {
  return { kind: 'counter', name, unit, help, read };
}

/** A gauge, for a table. */
export function gauge<Subject>(
  name: string,
  unit: Unit,
  help: string,
  read: (subject: Subject) => number,
): NumberMetric<Subject> {
  return { kind: 'gauge', name, unit, help, read };
}

/** An info, for a table. */
export function info<Subject>(
  name: string,
  help: string,
  read: (subject: Subject) => string | null,
): InfoMetric<Subject> {
  return { kind: 'info', name, help, read };
}

/** The same metric, of which people are not told again what `get` has told them. */
export function ofGet<Subject>(metric: Metric<Subject>): Metric<Subject> {
  return { ...metric, isOfGet: true };
}

/** What a table says of a subject at one moment. Both in the order of the table. */
export interface Measured {
  /** Infos by name. */
  readonly facts: Readonly<Record<string, string>>;
  /** Counters and gauges by name; finite, not negative. */
  readonly counters: Counters;
}

export type Counters = Readonly<Record<string, number>>;

/**
 * Reads every metric of the table. One with a label stands there as `name_value` for each value,
 * and as `name` for the empty one.
 */
export function measure<Subject>(table: readonly Metric<Subject>[], subject: Subject): Measured {
  const facts: Record<string, string> = {};
  const counters: Record<string, number> = {};
  for (const metric of table) {
    const readings = 'readEach' in metric ? metric.readEach(subject) : [['', metric.read(subject)]];
    for (const [labelValue, value] of readings as Iterable<[string, number | string | null]>) {
      const name = labelValue === '' ? metric.name : `${metric.name}_${labelValue}`;
      if (typeof value === 'number') counters[name] = value;
      else if (value !== null) facts[name] = value;
    }
  }
  return { facts, counters };
}
