/**
 * What was asked of a boot, and what came: printed as it comes, kept for the report, and counted by
 * scenario for the table at the end.
 */

interface Scenario {
  readonly title: string;
  readonly startMs: number;
  passed: number;
  failed: number;
  readonly notes: string[];
}

export class Checks {
  readonly #scenarios: Scenario[] = [];
  readonly #lines: string[] = [];

  /** What follows is about this. */
  begin(title: string): void {
    this.#scenarios.push({ title, startMs: performance.now(), passed: 0, failed: 0, notes: [] });
    this.say(`\n${title}`);
  }

  /** Beside what fails stands what was seen. */
  that(what: string, holds: boolean, seen: string): void {
    const scenario = this.#scenarios.at(-1)!;
    if (holds) scenario.passed++;
    else scenario.failed++;
    this.say(`  ${holds ? 'ok  ' : 'FAIL'} ${what}`);
    if (!holds) this.show('seen', seen);
  }

  matches(what: string, seen: string, pattern: RegExp): void {
    this.that(`${what}: ${pattern}`, pattern.test(seen), seen);
  }

  /** A scenario broke off. */
  fail(error: unknown): void {
    this.that((error as Error).message.split('\n', 1)[0], false, `${(error as Error).stack}`);
  }

  /** A figure for the scenario's row. */
  note(text: string): void {
    this.#scenarios.at(-1)!.notes.push(text);
    this.say(`  ${text}`);
  }

  /** Text that was captured, for whoever reads along. */
  show(title: string, text: string): void {
    const lines = text.trimEnd().split('\n');
    this.say(`  ${title}:\n${lines.map((line) => `    | ${line}`).join('\n')}`);
  }

  say(text: string): void {
    console.log(text);
    this.#lines.push(text);
  }

  /** A row for each scenario. */
  get table(): string {
    const endsMs = [...this.#scenarios.slice(1).map(({ startMs }) => startMs), performance.now()];
    const rows = this.#scenarios.map(({ title, startMs, passed, failed, notes }, at) => {
      const verdict = failed === 0 ? 'ok' : `${failed} FAILED`;
      const seconds = `${Math.round((endsMs[at] - startMs) / 1000)} s`;
      return `${title.padEnd(52)} ${`${passed}`.padStart(3)}  ${verdict.padEnd(9)} ${seconds.padStart(5)}  ${notes.join('; ')}`.trimEnd();
    });
    return rows.join('\n');
  }

  /** All that was said. */
  get report(): string {
    return `${this.#lines.join('\n')}\n`;
  }

  get failed(): number {
    return this.#scenarios.reduce((sum, { failed }) => sum + failed, 0);
  }

  get summary(): string {
    const passed = this.#scenarios.reduce((sum, one) => sum + one.passed, 0);
    return `${passed} checks passed, ${this.failed} failed`;
  }
}
