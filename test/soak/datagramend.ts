/**
 * One end of a flow of numbered UDP datagrams of changing sizes, from the smallest to such as the
 * interface has to cut into fragments. Each carries the moment of its sending, so that the other end
 * knows when those were sent that it missed.
 */

import type { Socket } from 'node:dgram';
import { Random } from '../simulator/random.ts';
import { machineMs } from './clock.ts';
import { Sequence } from './sequence.ts';

export interface DatagramReport {
  readonly name: string;
  readonly sent: number;
  readonly received: number;
  readonly duplicates: number;
  readonly damaged: number;
  /** When those were sent that did not arrive. */
  readonly lostMs: readonly number[];
}

const NUMBER_AT = 0;
const MOMENT_AT = 4;
const HEADER_BYTES = 12;
/** Behind the number with this bit there is none: how many there were in all. */
const LAST = 0x8000_0000;
const LAST_COPIES = 5;
const PACE_MS = 10;
const PER_PACE = 4;
/** Payload bytes: small ones, some in between, just what fits, and more than that. */
const SIZES = { 12: 6, 120: 3, 600: 2, 1392: 3, 1372: 1, 4000: 1 } as const;

export class DatagramEnd {
  readonly #name: string;
  readonly #socket: Socket;
  readonly #target: { readonly address: string; readonly port: number };
  readonly #random: Random;
  readonly #sequence = new Sequence(0, machineMs());
  readonly #timer: NodeJS.Timeout;
  #sent = 0;
  #damaged = 0;

  constructor(name: string, socket: Socket, target: { address: string; port: number }) {
    this.#name = name;
    this.#socket = socket;
    this.#target = target;
    this.#random = new Random(name);
    socket.on('message', (bytes) => this.#receive(bytes));
    // What the system refuses to send is missed by the other end.
    socket.on('error', () => {});
    this.#timer = setInterval(() => {
      for (let i = 0; i < PER_PACE; i++) this.#send();
    }, PACE_MS);
  }

  /** Sends no more but how many there were; the ones under way are still received. */
  stopSending(): void {
    clearInterval(this.#timer);
    for (let i = 0; i < LAST_COPIES; i++) this.#transmit((this.#sent | LAST) >>> 0, HEADER_BYTES);
  }

  report(): DatagramReport {
    const { received, duplicates, lostMs } = this.#sequence;
    return {
      name: this.#name,
      sent: this.#sent,
      received,
      duplicates,
      damaged: this.#damaged,
      lostMs,
    };
  }

  #send(): void {
    this.#transmit(this.#sent++, Number(this.#random.weighted(SIZES)));
  }

  #transmit(number: number, length: number): void {
    const bytes = Buffer.alloc(length, number & 0xff);
    bytes.writeUInt32LE(number, NUMBER_AT);
    bytes.writeDoubleLE(machineMs(), MOMENT_AT);
    this.#socket.send(bytes, this.#target.port, this.#target.address, () => {});
  }

  #receive(bytes: Buffer): void {
    const number = bytes.readUInt32LE(NUMBER_AT);
    const sentMs = bytes.readDoubleLE(MOMENT_AT);
    if ((number & LAST) !== 0) {
      this.#sequence.end((number & ~LAST) >>> 0, sentMs);
      return;
    }
    const filling = bytes.subarray(HEADER_BYTES);
    if (filling.some((byte) => byte !== (number & 0xff))) this.#damaged++;
    this.#sequence.arrived(number, sentMs);
  }
}
