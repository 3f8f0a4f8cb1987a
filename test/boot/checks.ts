/** What was asked of a boot, and what came: printed as it comes, counted for the end. */

export class Checks {
  #passed = 0;
  #failed = 0;

  /** Beside what fails stands what was seen. */
  that(what: string, holds: boolean, seen: string): void {
    if (holds) this.#passed++;
    else this.#failed++;
    console.log(`  ${holds ? 'ok  ' : 'FAIL'} ${what}`);
    if (!holds) this.show('seen', seen);
  }

  matches(what: string, seen: string, pattern: RegExp): void {
    this.that(`${what}: ${pattern}`, pattern.test(seen), seen);
  }

  /** Text that was captured, for whoever reads along. */
  show(title: string, text: string): void {
    const lines = text.trimEnd().split('\n');
    console.log(`  ${title}:\n${lines.map((line) => `    | ${line}`).join('\n')}`);
  }

  get failed(): number {
    return this.#failed;
  }

  get summary(): string {
    return `${this.#passed} checks passed, ${this.#failed} failed`;
  }
}
