/**
 * Every packet ever offered to a Device, by a number that it carries: who sent it, to whom, what
 * it looked like, and what became of it. Owns inner addresses; knows nothing of Devices.
 */

import { ipVersion } from '../../src/packet/ip.ts';
import { ipv4, ipv6 } from '../device/world.ts';

/**
 * Ranges of inner addresses of a site: the main one, and a narrower one inside it that may be
 * given to another peer (longest match, whitepaper 2).
 */
export type Range = 'main' | 'inner';

/** A prefix as `parsePrefix` reads it. */
export function prefixText(site: number, range: Range, family: 4 | 6): string {
  if (family === 4) return range === 'main' ? `10.${site}.0.0/16` : `10.${site}.200.0/24`;
  return range === 'main' ? `fd00:${site + 1}::/32` : `fd00:${site + 1}:c8::/48`;
}

function hostText(site: number, range: Range, family: 4 | 6): string {
  if (family === 4) return range === 'main' ? `10.${site}.1.5` : `10.${site}.200.5`;
  return range === 'main' ? `fd00:${site + 1}::5` : `fd00:${site + 1}:c8::5`;
}

export interface Address {
  readonly site: number;
  readonly range: Range;
}

/** What became of a packet, as far as it has come. */
export type Fate = 'offered' | 'waiting' | 'sealed' | 'delivered' | 'dropped' | 'gone';

/** What all packets of a flow have in common. `bytes`: the packet but for its number. */
export interface Template {
  readonly bytes: Uint8Array;
  readonly source: Address;
  readonly destination: Address;
  readonly numberOffset: number;
}

export interface Packet {
  readonly number: number;
  /** The site whose Device it was offered to. */
  readonly from: number;
  readonly template: Template;
  readonly offeredAt: number;
  fate: Fate;
  /** How many times it may arrive beside: sent by a failed successor, and then by its predecessor. */
  copies: number;
  /** It waits on a Device whose successor acts for it, and may come back. */
  isHeld: boolean;
}

/** The least payload: the number of the packet. */
const NUMBER_BYTES = 4;
/** No packet is still under way so long after it left; what arrives later was not sent. */
const REMEMBERED_MS = 3_600_000;

export function createTemplate(
  source: Address,
  destination: Address,
  family: 4 | 6,
  payload: number,
  ecn: number,
): Template {
  const build = family === 4 ? ipv4 : ipv6;
  const from = hostText(source.site, source.range, family);
  const to = hostText(destination.site, destination.range, family);
  const bytes = build(from, to, Math.max(payload, NUMBER_BYTES));
  const numberOffset = family === 4 ? 20 : 40;
  for (let i = numberOffset + NUMBER_BYTES; i < bytes.length; i++) bytes[i] = 31 * i + source.site;
  if (family === 4) bytes[1] |= ecn;
  else bytes[1] |= ecn << 4;
  return { bytes, source, destination, numberOffset };
}

/** The number that a packet carries; anything for bytes that are no packet of ours. */
export function readNumber(bytes: Uint8Array, offset: number): number {
  const at = offset + (ipVersion(bytes, offset) === 4 ? 20 : 40);
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

export class Traffic {
  readonly #packets = new Map<number, Packet>();
  /** In the order in which they were offered, or last found to wait. */
  readonly #oldest: { readonly packet: Packet; readonly since: number }[] = [];
  #oldestAt = 0;
  #last = 0;
  /** Of all packets. */
  offered = 0;
  delivered = 0;

  /** Writes a new packet of the flow into `bytes` at `offset`. */
  create(from: number, template: Template, now: number, bytes: Uint8Array, offset: number): Packet {
    const packet: Packet = {
      number: ++this.#last,
      from,
      template,
      offeredAt: now,
      fate: 'offered',
      copies: 0,
      isHeld: false,
    };
    bytes.set(template.bytes, offset);
    for (let i = 0; i < NUMBER_BYTES; i++)
      bytes[offset + template.numberOffset + i] = packet.number >>> (24 - 8 * i);
    this.#packets.set(packet.number, packet);
    this.#oldest.push({ packet, since: now });
    this.offered++;
    this.#forgetOld(now);
    return packet;
  }

  get(number: number): Packet | undefined {
    return this.#packets.get(number);
  }

  /** Whether the bytes are those of the packet, but for ECN and the checksum that covers it. */
  isSame(packet: Packet, bytes: Uint8Array, offset: number, length: number): boolean {
    const { template } = packet;
    if (length !== template.bytes.length) return false;
    const isIpv4 = template.numberOffset === 20;
    for (let i = 0; i < length; i++) {
      if (i >= template.numberOffset && i < template.numberOffset + NUMBER_BYTES) continue;
      if (i === 1 || (isIpv4 && (i === 10 || i === 11))) continue;
      if (bytes[offset + i] !== template.bytes[i]) return false;
    }
    return true;
  }

  /**
   * What waits is kept: with a persistent keepalive, or with a packet now and then, the attempts
   * are counted anew each time and may go on for as long as the peer is away, as in Linux.
   */
  #forgetOld(now: number): void {
    while (this.#oldestAt < this.#oldest.length) {
      const { packet, since } = this.#oldest[this.#oldestAt];
      if (now - since < REMEMBERED_MS) break;
      if (packet.fate === 'waiting' || packet.isHeld) this.#oldest.push({ packet, since: now });
      else this.#packets.delete(packet.number);
      this.#oldestAt++;
    }
    if (this.#oldestAt > 10_000) {
      this.#oldest.splice(0, this.#oldestAt);
      this.#oldestAt = 0;
    }
  }
}
