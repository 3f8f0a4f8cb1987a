/**
 * A ping(8) that goes on for the whole soak and writes every answer into a file of its host. Owns
 * the reading of that file: which requests were answered, how soon, and when the others were sent.
 */

import type { Child } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { machineMs } from './clock.ts';
import { Sequence } from './sequence.ts';

export interface PingReport {
  readonly name: string;
  /** 0 when ping ended by itself, and did not tell. */
  readonly sent: number;
  /** Of each answered request, in their order: when it was sent, and the round trip. */
  readonly sentMs: readonly number[];
  readonly roundTripMs: readonly number[];
  readonly lostMs: readonly number[];
}

const INTERVAL_MS = 20;
const MS_PER_S = 1_000;
/** Of the numbers that ping shows. */
const NUMBERS = 65_536;
const READ_TIMEOUT_MS = 60_000;
const ANSWER = /^\[(\d+\.\d+)\] .* icmp_seq=(\d+) .*time=([\d.]+) ms/gm;

export class Pings {
  readonly #host: Host;
  readonly #name: string;
  readonly #file: string;
  readonly #child: Child;
  readonly #beginMs = machineMs();

  constructor(host: Host, name: string, address: string) {
    this.#host = host;
    this.#name = name;
    this.#file = `/run/soak-ping-${address}.txt`;
    const words = `exec ping -n -D -i ${INTERVAL_MS / MS_PER_S} "$1" >"$2" 2>&1`;
    this.#child = host.spawn('sh', ['-c', words, 'sh', address, this.#file]);
  }

  async stop(): Promise<PingReport> {
    await this.#child.stop('SIGINT');
    const text = await this.#host.run('cat', [this.#file], { timeoutMs: READ_TIMEOUT_MS });
    const machineToWallMs = Date.now() - machineMs();
    return parsePings(this.#name, text, this.#beginMs, machineMs(), machineToWallMs);
  }
}

/**
 * @param text of `ping -D`, which writes the moment of every answer, seconds since 1970
 * @param machineToWallMs what has to be added to the machine's clock to have that of `text`
 */
export function parsePings(
  name: string,
  text: string,
  beginMs: number,
  endMs: number,
  machineToWallMs: number,
): PingReport {
  const sequence = new Sequence(1, beginMs);
  const sentMs: number[] = [];
  const roundTripMs: number[] = [];
  let last = 0;
  for (const [, seconds, shown, time] of text.matchAll(ANSWER)) {
    // The numbers begin again at 0; answers may overtake each other by less than half of them.
    const ahead = (((Number(shown) - last) % NUMBERS) + NUMBERS) % NUMBERS;
    const number = last + (ahead < NUMBERS / 2 ? ahead : ahead - NUMBERS);
    last = Math.max(last, number);
    const roundTrip = Number(time);
    const sent = Number(seconds) * MS_PER_S - machineToWallMs - roundTrip;
    sequence.arrived(number, sent);
    sentMs.push(sent);
    roundTripMs.push(roundTrip);
  }
  const sent = Number(/^(\d+) packets transmitted/m.exec(text)?.[1] ?? 0);
  // The last request may have been on its way when ping was stopped.
  sequence.end(Math.max(sent, last + 1), endMs);
  return { name, sent, sentMs, roundTripMs, lostMs: sequence.lostMs };
}
