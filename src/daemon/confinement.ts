/**
 * The sandbox in a running daemon: planned at the start, since the plan may be a mistake of the
 * operator's, entered when all is open, if at all. What it takes away is sandbox/sandbox.ts'.
 */

import { secretMemoryFact } from '../crypto/openssl/secretmemory.ts';
import {
  enterSandbox,
  planSandbox,
  type SandboxOptions,
  type SandboxPlan,
} from '../sandbox/sandbox.ts';
import type { DaemonOptions } from './options.ts';
import type { Subsystem } from './subsystem.ts';

export class Confinement implements Subsystem {
  readonly #plan: SandboxPlan | undefined;
  #facts: Readonly<Record<string, string>> = {};

  /** @throws Error with one line for the operator */
  constructor({ name, sandbox, environment }: DaemonOptions) {
    if (sandbox) this.#plan = planSandbox(name, environment ?? {});
  }

  /** Gives up every right that is not needed any more; before anything comes from the network. */
  enter(options: SandboxOptions): void {
    this.#facts =
      this.#plan === undefined
        ? { sandbox: 'off (the program that runs the daemon has not asked for it)' }
        : enterSandbox(this.#plan, options);
  }

  facts(): Readonly<Record<string, string>> {
    return { ...this.#facts, sandbox_key_memory: secretMemoryFact() };
  }
}
