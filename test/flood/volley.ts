/** Starts the attacker on his host, with frames in a file of their own, and says what came of it. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Child } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { compiledProgram } from '../lab/repository.ts';
import type { Volley } from './attacker.ts';
import { joinFrames, type Way } from './frames.ts';

/** Frames a second; `max`: what one core can send. */
export type Rate = number | 'max';

export interface Orders {
  readonly frames: readonly Uint8Array[];
  readonly seconds: number;
  readonly rate: Rate;
  /** Every frame gets another source address whenever it is sent. */
  readonly isRandom: boolean;
  /** So many frames go at once; evenly, where it is left out. */
  readonly clump?: number | undefined;
}

export class Flood {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  /** Resolves once the first frame is on its way. The flood ends by itself. */
  static async start(attacker: Host, ifname: string, orders: Orders): Promise<Flood> {
    const folder = mkdtempSync(path.join(tmpdir(), 'tswg-flood-'));
    try {
      const file = path.join(folder, 'frames');
      writeFileSync(file, joinFrames(orders.frames));
      const words = [file, ifname, `${orders.seconds}`, `${orders.rate}`];
      const program = compiledProgram('test/flood/attacker.ts');
      const child = attacker.spawn(process.execPath, [
        ...[program, ...words],
        ...[orders.isRandom ? 'random' : 'fixed', `${orders.clump ?? 1}`],
      ]);
      await child.waitForOutput(/flooding/);
      return new Flood(child);
    } finally {
      // It has been read by the time that the attacker begins.
      rmSync(folder, { recursive: true, force: true });
    }
  }

  async finished(): Promise<Volley> {
    const status = await this.#child.exited;
    if (status !== 0) throw new Error(`attacker: ended with ${status}\n${this.#child.stderr}`);
    return JSON.parse(this.#child.stdout.trim().split('\n').at(-1)!) as Volley;
  }

  /** Ends it at once, when nobody waits for its report. */
  async stop(): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
  }
}

/** From one host's interface to another's, which are the ends of one cable. */
export async function wayBetween(
  from: Host,
  fromIfname: string,
  to: Host,
  toIfname: string,
): Promise<Way> {
  const [sourceMac, destinationMac] = await Promise.all([
    macOf(from, fromIfname),
    macOf(to, toIfname),
  ]);
  return { sourceMac, destinationMac };
}

async function macOf(host: Host, ifname: string): Promise<Uint8Array> {
  const text = await host.run('cat', [`/sys/class/net/${ifname}/address`]);
  return Uint8Array.from(text.trim().split(':'), (octet) => Number.parseInt(octet, 16));
}
