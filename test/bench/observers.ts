/**
 * Those who watch a tunnel while it is measured: a follower of its events, a scrape of its metrics
 * each second, doctor every few seconds. Owns their command lines and the count of what they got done,
 * without which a figure beside them means nothing.
 */

import type { Child } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { IFNAME } from './implementation.ts';

export const OBSERVERS = ['events', 'metrics', 'doctor'] as const;
export type Observer = (typeof OBSERVERS)[number];

/** Between two examinations: no longer than a monitor's. */
const DOCTOR_PAUSE_S = 10;

/** Each prints a line for each thing that it got done, and ends only when that fails. */
const SCRIPTS: Readonly<Record<Observer, string>> = {
  events: `exec tswg ${IFNAME} events --follow --json --since 0`,
  metrics: `while tswg metrics ${IFNAME} >/dev/null; do echo scraped; sleep 1; done`,
  // 1 is a finding, which a busy machine may well be worth.
  doctor: `while tswg ${IFNAME} doctor --quick >/dev/null || [ $? -eq 1 ]; do echo examined; sleep ${DOCTOR_PAUSE_S}; done`,
};
const DONE: Readonly<Record<Observer, string>> = {
  events: 'events told',
  metrics: 'scrapes',
  doctor: `examinations, ${DOCTOR_PAUSE_S} s apart`,
};

export class Observers {
  readonly #kinds: readonly Observer[];
  /** How much each has got done on the tunnels that are closed. */
  readonly #done = new Map<Observer, number>();
  readonly #children = new Map<Observer, Child>();

  constructor(kinds: readonly Observer[]) {
    this.#kinds = kinds;
  }

  get isEmpty(): boolean {
    return this.#kinds.length === 0;
  }

  /** On a host whose tunnel is up. They end with `end`, or with the host. */
  begin(host: Host): void {
    for (const kind of this.#kinds)
      this.#children.set(kind, host.spawn('sh', ['-c', SCRIPTS[kind]]));
  }

  /** @throws {Error} when one has ended by itself: then nobody has watched */
  async end(): Promise<void> {
    const children = [...this.#children];
    this.#children.clear();
    const gone = children.find(([, { status }]) => status !== null);
    for (const [, child] of children) child.kill();
    await Promise.all(children.map(([, { exited }]) => exited));
    for (const [kind, { stdout }] of children) {
      this.#done.set(kind, (this.#done.get(kind) ?? 0) + stdout.split('\n').length - 1);
    }
    if (gone === undefined) return;
    const [kind, { status, stderr }] = gone;
    throw new Error(`${kind} was not observed to the end (status ${status}): ${stderr.trim()}`);
  }

  /** One line for people: how much was done beside all that was measured. */
  describe(): string {
    return this.#kinds.map((kind) => `${this.#done.get(kind) ?? 0} ${DONE[kind]}`).join(', ');
  }
}
