/**
 * Whose addresses the attacker writes into his frames. Owns what "any address" means: all that a
 * router would forward, but for those of the site itself, which nobody could forge by chance. Pure,
 * with the randomness handed in.
 */

/** In the order of the tables. `own`: those of the victim's peers, with their ports. */
export const SOURCES = ['random', 'pool', 'own'] as const;
export type Sources = (typeof SOURCES)[number];
export type Family = 4 | 6;

export interface Source {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
}

/** A whole number below 2^32, each as likely as any other. */
export type Random = () => number;

export const POOL_SIZE = 8_192;
const FIRST_OCTETS = 223;
const PORT_MIN = 1_024;
/** Loopback, and the tunnel's inside. */
const FOREIGN_OCTETS: ReadonlySet<number> = new Set([127, 10]);
/** 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24: where the site's cables are (RFC 5737). */
const FOREIGN_NETS: ReadonlySet<number> = new Set([0xc0_00_02, 0xc6_33_64, 0xcb_00_71]);
/** 2001:db8::/32, the same for IPv6 (RFC 3849). */
const FOREIGN_NET_6 = 0x2001_0db8;

/** Any unicast address from 1.0.0.0 to 223.255.255.255 that is none of the site's, as a number. */
export function randomAddress4(random: Random): number {
  for (;;) {
    const drawn = random();
    const octet = 1 + (Math.floor(drawn / 2 ** 24) % FIRST_OCTETS);
    const address = octet * 2 ** 24 + (drawn % 2 ** 24);
    if (FOREIGN_OCTETS.has(octet) || FOREIGN_NETS.has(Math.floor(address / 2 ** 8))) continue;
    return address;
  }
}

/** The first of the four words of any address within 2000::/3 that is none of the site's. */
export function randomPrefix6(random: Random): number {
  for (;;) {
    const word = 0x2000_0000 + (random() % 0x2000_0000);
    if (word !== FOREIGN_NET_6) return word;
  }
}

export function randomSource(family: Family, random: Random): Source {
  const address = new Uint8Array(family === 4 ? 4 : 16);
  const view = new DataView(address.buffer);
  view.setUint32(0, family === 4 ? randomAddress4(random) : randomPrefix6(random));
  for (let at = 4; at < address.length; at += 4) view.setUint32(at, random());
  return { address, port: PORT_MIN + (random() % (65_536 - PORT_MIN)) };
}

/** Fast and far from secure (Marsaglia's xorshift): an attacker needs no more. `seed`: not 0. */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
