/**
 * What a metric is: a number or a text that can be read at any moment from what it describes, with
 * all that somebody who has never read the code needs to make sense of it. Tables of them are
 * device/metrics.ts and daemon/metrics.ts; `stats`, `--json`, `tswg metrics` and docs/metrics.md are
 * views of those.
 */

/**
 * counter: only rises as long as its subject lives. gauge: rises and falls. info: a text. state: a
 * word out of a few that do not change, and perhaps a text for people.
 */
type MetricKind = 'counter' | 'gauge' | 'info' | 'state';

interface Described {
  readonly kind: MetricKind;
  /** Of the characters a-z, 0-9 and _; no other metric of its table has it. */
  readonly name: string;
  /** What it tells, for somebody who reads a dashboard. Starts in lower case, without a full stop. */
  readonly help: string;
  /** `get` tells it, too, and `tswg IF` shows it: people are not told again by `tswg IF stats`. */
  readonly isOfGet?: true;
  /**
   * What it is called in `tswg metrics`, between `wireguard_` and what follows from its kind, where
   * that is not its scope and its name; null when it is not there.
   */
  readonly series?: string | null;
}

/**
 * What counters and gauges count: a plural, such as `bytes` or `seconds`; empty for a share, from 0
 * to 1, and for what is either 0 or 1.
 */
export type Unit = string;

/** One number for each subject; null when there is none. */
export interface NumberMetric<Subject> extends Described {
  readonly kind: 'counter' | 'gauge';
  readonly unit: Unit;
  readonly read: (subject: Subject) => number | null;
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

/** A word, and what people are told in its place, when that says more. */
export interface State {
  readonly word: string;
  readonly text?: string;
}

/** One state for each subject; null when there is nothing to be told. */
export interface StateMetric<Subject> extends Described {
  readonly kind: 'state';
  /** All words that there may be. */
  readonly states: readonly string[];
  readonly read: (subject: Subject) => State | null;
}

/** As many states as the label has values; the one of the empty value is of them all. */
export interface LabelledStates<Subject> extends Described {
  readonly kind: 'state';
  readonly states: readonly string[];
  readonly label: string;
  readonly readEach: (subject: Subject) => Iterable<readonly [labelValue: string, State]>;
}

export type Metric<Subject> =
  | NumberMetric<Subject>
  | InfoMetric<Subject>
  | StateMetric<Subject>
  | LabelledNumbers<Subject>
  | LabelledStates<Subject>;

/** A counter, for a table. */
export function counter<Subject>(
  name: string,
  unit: Unit,
  help: string,
  read: (subject: Subject) => number | null,
): NumberMetric<Subject> {
  return { kind: 'counter', name, unit, help, read };
}

/** A gauge, for a table. */
export function gauge<Subject>(
  name: string,
  unit: Unit,
  help: string,
  read: (subject: Subject) => number | null,
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

/** A state, for a table. */
export function state<Subject>(
  name: string,
  states: readonly string[],
  help: string,
  read: (subject: Subject) => State | null,
): StateMetric<Subject> {
  return { kind: 'state', name, states, help, read };
}

/** The same metric, under another name in `tswg metrics`; or not there, when that is null. */
export function asSeries<Subject>(series: string | null, metric: Metric<Subject>): Metric<Subject> {
  return { ...metric, series };
}

/** The same metric, of which people are not told again what `get` has told them. */
export function ofGet<Subject>(metric: Metric<Subject>): Metric<Subject> {
  return { ...metric, isOfGet: true };
}

/** What a table says of a subject at one moment. Both in the order of the table. */
export interface Measured {
  /** Infos and states by name; what people are told in place of a state, under `name_text`. */
  readonly facts: Readonly<Record<string, string>>;
  /** Counters and gauges by name; finite, not negative. */
  readonly counters: Counters;
}

export type Counters = Readonly<Record<string, number>>;

/** What follows the name of a state, where people are told something else. */
export const TEXT_SUFFIX = '_text';

/**
 * Reads every metric of the table. One with a label stands there as `name_value` for each value,
 * and as `name` for the empty one.
 */
export function measure<Subject>(table: readonly Metric<Subject>[], subject: Subject): Measured {
  const facts: Record<string, string> = {};
  const counters: Record<string, number> = {};
  for (const metric of table) {
    const readings = 'readEach' in metric ? metric.readEach(subject) : [['', metric.read(subject)]];
    for (const [labelValue, value] of readings as Iterable<[string, Reading]>) {
      const name = labelValue === '' ? metric.name : `${metric.name}_${labelValue}`;
      if (typeof value === 'number') counters[name] = value;
      else if (typeof value === 'string') facts[name] = value;
      else if (value !== null) {
        facts[name] = value.word;
        if (value.text !== undefined) facts[`${name}${TEXT_SUFFIX}`] = value.text;
      }
    }
  }
  return { facts, counters };
}

type Reading = number | string | State | null;
