/**
 * Whether a daemon shut its gate: what a tswgd says in its statistics, asked now and then over its
 * control socket, and in its log. A daemon that knows of no gate says nothing.
 */

import type { Child } from '../lab/command.ts';
import type { TunnelEnd } from '../lab/tunnel.ts';
import { statsOf } from './daemonstats.ts';

export type Gate = 'shut' | 'open' | 'none';

const INTERVAL_MS = 250;

export class GateWatch {
  readonly #end: TunnelEnd;
  readonly #daemon: Child;
  readonly #logged: number;
  readonly #timer: NodeJS.Timeout;
  #wasShut = false;

  /** @param end a tswgd, which may be restarted meanwhile, or null for a daemon without a gate */
  static over(end: TunnelEnd | null): { stop(): Gate } {
    return end === null ? { stop: () => 'none' } : new GateWatch(end);
  }

  private constructor(end: TunnelEnd) {
    this.#end = end;
    this.#daemon = end.daemon;
    this.#logged = logOf(end.daemon).length;
    this.#timer = setInterval(() => void this.#look(), INTERVAL_MS);
  }

  stop(): Gate {
    clearInterval(this.#timer);
    const { daemon } = this.#end;
    const logged = daemon === this.#daemon ? this.#logged : 0;
    return this.#wasShut || wasShutSince(logOf(daemon), logged) ? 'shut' : 'open';
  }

  async #look(): Promise<void> {
    try {
      const { facts } = await statsOf(this.#end);
      if (/\bshut\b/.test(facts.gate ?? '')) this.#wasShut = true;
    } catch {
      // It is being restarted; the log remains.
    }
  }
}

function logOf(daemon: Child): string {
  return daemon.stdout + daemon.stderr;
}

/** Whether a gate was shut when the log was so long, or has been shut since. */
export function wasShutSince(log: string, length: number): boolean {
  const [before, after] = [log.slice(0, length), log.slice(length)].map(floodLines);
  return after.some(tellsOfShutting) || (before.length > 0 && tellsOfShutting(before.at(-1)!));
}

function floodLines(log: string): string[] {
  return log.split('\n').filter((line) => /\bflood\b/.test(line));
}

/** Others tell that it was opened, or that there can be none. */
function tellsOfShutting(line: string): boolean {
  return !/\b(cannot|is over)\b/.test(line);
}
