/** An invariant that does not hold: its name, and a sentence with the two sides that differ. */
export class Violation extends Error {
  readonly invariant: string;

  constructor(invariant: string, sentence: string) {
    super(sentence);
    this.invariant = invariant;
  }
}

/** Fails as `invariant` unless `holds`; the sentence is made only when it is needed. */
export function hold(invariant: string, holds: boolean, sentence: () => string): void {
  if (!holds) throw new Violation(invariant, sentence());
}
