/**
 * The sandbox in a running daemon: planned at the start, since the plan may be a mistake of the
 * operator's, entered when all is open, if at all. What it takes away is sandbox/sandbox.ts'.
 */

import { type SecretMemory, secretMemory } from '../crypto/openssl/secretmemory.ts';
import {
  enterSandbox,
  NO_SANDBOX,
  planSandbox,
  type Sandbox,
  type SandboxOptions,
  type SandboxPlan,
  type StepState,
} from '../sandbox/sandbox.ts';
import { describeShortfall } from '../sandbox/shortfall.ts';
import type { DaemonOptions } from './options.ts';
import type { Subsystem } from './subsystem.ts';
import type { DaemonTrouble } from './troubles.ts';

const NOT_ASKED_FOR: StepState = { word: 'off', text: 'off (the program has not asked for it)' };

export class Confinement implements Subsystem {
  readonly #plan: SandboxPlan | undefined;
  #sandbox: Sandbox = NO_SANDBOX;

  /** @throws Error with one line for the operator */
  constructor({ name, sandbox, environment }: DaemonOptions) {
    if (sandbox) this.#plan = planSandbox(name, environment ?? {});
  }

  /** Gives up every right that is not needed any more; before anything comes from the network. */
  enter(options: SandboxOptions): void {
    this.#sandbox =
      this.#plan === undefined
        ? { steps: new Map([['', NOT_ASKED_FOR]]), gaps: [] }
        : enterSandbox(this.#plan, options);
  }

  /** What the operator is to hear of at the start: one line, or null. */
  get shortfall(): string | null {
    return describeShortfall(this.#sandbox.gaps, secretMemory().refusal);
  }

  /** How it stands with each step of the sandbox, by its name; that there is none, by the empty one. */
  get steps(): ReadonlyMap<string, StepState> {
    return this.#sandbox.steps;
  }

  /** How it stands with the memory for keys. */
  get keyMemory(): SecretMemory {
    return secretMemory();
  }

  troubles(): DaemonTrouble[] {
    const { refusal, ordinaryKeys } = secretMemory();
    if (refusal === '' && ordinaryKeys === 0) return [...this.#sandbox.gaps];
    return [...this.#sandbox.gaps, { code: 'keysSwappable', error: refusal, keys: ordinaryKeys }];
  }
}
