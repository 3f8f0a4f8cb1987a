/**
 * Every sample of a run, and what they come to: one outcome a row. Pure.
 */

import { ROWS, type Row, type Target } from './rows.ts';
import { compare, type Spread, spread } from './statistics.ts';

/** The sides of comparisons; variants of tswg have rows of their own. */
export type Side = 'wireguard-go' | 'tswg' | 'tswg, observed' | 'tswg, before';

/** Who is compared with whom, and in which rows. */
export interface Contest {
  readonly baseline: Side;
  readonly subject: Side;
  readonly rows: readonly Row[];
}

export const SPEED: Contest = { baseline: 'wireguard-go', subject: 'tswg', rows: ROWS };
/** What has been promised of tswg beside wireguard-go is no promise beside itself. */
const OF_ITSELF = ROWS.map(({ target, ...row }) =>
  target?.of === 'value' ? { ...row, target } : row,
);
export const OBSERVED: Contest = {
  ...{ baseline: 'tswg', subject: 'tswg, observed' },
  rows: OF_ITSELF,
};
/** Each row beside the same one, the variants too. */
export const BEFORE: Contest = {
  ...{ baseline: 'tswg, before', subject: 'tswg' },
  rows: OF_ITSELF.map(({ baseline: _, ...row }) => row),
};

/** `aim`: even the aim is met; `met`: at least what was promised. */
export type Verdict = 'aim' | 'met' | 'missed';

export interface Outcome {
  readonly row: Row;
  /** null where only the subject is measured. */
  readonly baseline: Spread | null;
  readonly subject: Spread | null;
  /** Of the medians, with the extremes of the rounds; null without a baseline. */
  readonly ratio: Spread | null;
  /** null without a target. */
  readonly verdict: Verdict | null;
  /** Samples of the side that has fewer. */
  readonly samples: number;
}

export class Samples {
  readonly contest: Contest;
  readonly #values = new Map<string, number[]>();

  constructor(contest: Contest = SPEED) {
    this.contest = contest;
  }

  record(row: string, side: Side, sample: number): void {
    if (!Number.isFinite(sample)) throw new Error(`${row} of ${side}: no number was measured`);
    const key = `${row} ${side}`;
    const values = this.#values.get(key);
    if (values === undefined) this.#values.set(key, [sample]);
    else values.push(sample);
  }

  /** In the order of the rounds. */
  of(row: string, side: Side): readonly number[] {
    return this.#values.get(`${row} ${side}`) ?? [];
  }

  /** Of the rows of which anything was measured, in their order. */
  outcomes(): Outcome[] {
    return this.contest.rows
      .map((row) => this.#outcome(row))
      .filter((outcome) => outcome.baseline !== null || outcome.subject !== null);
  }

  #outcome(row: Row): Outcome {
    const { contest } = this;
    const subject = this.of(row.id, contest.subject);
    const isVariant = row.baseline !== undefined;
    // A variant that was not measured is no row, though its baseline was.
    const baseline =
      isVariant && subject.length === 0 ? [] : this.of(row.baseline ?? row.id, contest.baseline);
    const isComparable = baseline.length > 0 && subject.length > 0;
    const ratio = isComparable ? compare(baseline, subject) : null;
    const subjectSpread = subject.length > 0 ? spread(subject) : null;
    return {
      row,
      baseline: baseline.length > 0 ? spread(baseline) : null,
      subject: subjectSpread,
      ratio,
      verdict: judge(row, ratio?.median, subjectSpread?.median),
      samples: isComparable ? Math.min(baseline.length, subject.length) : subject.length,
    };
  }
}

function judge(row: Row, ratio?: number, value?: number): Verdict | null {
  const { target } = row;
  if (target === undefined) return null;
  const figure = target.of === 'ratio' ? ratio : value;
  if (figure === undefined) return null;
  if (reaches(row, figure, target.aim)) return 'aim';
  return reaches(row, figure, target.atLeast) ? 'met' : 'missed';
}

function reaches(row: Row, figure: number, bound: Target['aim']): boolean {
  return row.better === 'more' ? figure >= bound : figure <= bound;
}
