import { describe, expect, it } from 'vitest';
import { AllowedIps } from '../../src/device/allowedips.ts';
import type { Prefix } from '../../src/packet/address.ts';
import { maskAddress, parseAddress, parsePrefix } from '../../src/packet/address.ts';

/** The slow, obvious table: a list searched from end to end. */
class Oracle {
  entries: { prefix: Prefix; owner: string }[] = [];
  insert(prefix: Prefix, owner: string): void {
    const entry = this.entries.find((e) => same(e.prefix, prefix));
    if (entry?.owner === owner) return;
    this.entries = this.entries.filter((e) => e !== entry);
    this.entries.push({ prefix, owner });
  }
  remove(prefix: Prefix, owner: string): boolean {
    const before = this.entries.length;
    this.entries = this.entries.filter((e) => !(same(e.prefix, prefix) && e.owner === owner));
    return this.entries.length < before;
  }
  removeOwner(owner: string): void {
    this.entries = this.entries.filter((e) => e.owner !== owner);
  }
  lookup(address: Uint8Array): string | null {
    let best: { prefix: Prefix; owner: string } | null = null;
    for (const e of this.entries)
      if (holds(e.prefix, address) && (best === null || e.prefix.length > best.prefix.length))
        best = e;
    return best?.owner ?? null;
  }
  ownersWithin(prefix: Prefix): Set<string> {
    const around = this.entries
      .filter((e) => e.prefix.length < prefix.length && holds(e.prefix, prefix.address))
      .sort((a, b) => b.prefix.length - a.prefix.length);
    const inside = this.entries.filter(
      (e) => e.prefix.length >= prefix.length && holds(prefix, e.prefix.address),
    );
    return new Set([...around.slice(0, 1), ...inside].map(({ owner }) => owner));
  }
}

const same = (a: Prefix, b: Prefix) =>
  a.length === b.length &&
  a.address.length === b.address.length &&
  a.address.every((byte, i) => byte === b.address[i]);

function holds(prefix: Prefix, address: Uint8Array): boolean {
  if (prefix.address.length !== address.length) return false;
  for (let bit = 0; bit < prefix.length; bit++) {
    const mask = 128 >> (bit & 7);
    if ((prefix.address[bit >> 3] & mask) !== (address[bit >> 3] & mask)) return false;
  }
  return true;
}

function lookup(table: AllowedIps<string>, address: Uint8Array): string | null {
  return address.length === 4 ? table.lookup4(address, 0) : table.lookup6(address, 0);
}

/** A copy, made in its many steps. */
function copyOf(table: AllowedIps<string>): AllowedIps<string> {
  const copying = table.copy();
  for (;;) {
    const { done, value } = copying.next();
    if (done) return value;
  }
}

describe('allowed IPs', () => {
  it.each([
    ['10.1.2.3', 'host'],
    ['10.1.2.4', 'net'],
    ['10.1.3.4', 'wide'],
    ['11.0.0.1', 'default'],
    ['fd00::1', 'host6'],
    ['fd00::2', 'net6'],
    ['2001:db8::1', null],
  ])('%s goes to the longest prefix: %s', (address, owner) => {
    const table = new AllowedIps<string>();
    table.insert(parsePrefix('0.0.0.0/0')!, 'default');
    table.insert(parsePrefix('10.0.0.0/8')!, 'wide');
    table.insert(parsePrefix('10.1.2.0/24')!, 'net');
    table.insert(parsePrefix('10.1.2.3/32')!, 'host');
    table.insert(parsePrefix('fd00::/64')!, 'net6');
    table.insert(parsePrefix('fd00::1/128')!, 'host6');
    expect(lookup(table, parseAddress(address)!)).toBe(owner);
  });

  it('a prefix given to another owner is taken from the first', () => {
    const table = new AllowedIps<string>();
    const prefix = parsePrefix('10.0.0.0/24')!;
    table.insert(prefix, 'a');
    table.insert(prefix, 'b');
    expect(table.prefixesOf('a')).toEqual([]);
    expect(table.prefixesOf('b')).toEqual([prefix]);
    expect(table.remove(prefix, 'a')).toBe(false);
    expect(table.size).toBe(1);
  });

  it.each([1, 2, 3, 4, 5, 6])('agrees with a list under random operations, seed %i', (seed) => {
    let state = seed * 2654435761;
    const random = (n: number) => {
      state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
      return ((state ^ (state >>> 13)) >>> 0) % n;
    };
    let table = new AllowedIps<string>();
    const oracle = new Oracle();
    const owners = ['a', 'b', 'c', 'd'];
    const address = () => {
      // Few distinct bytes, so that prefixes nest and collide.
      const bytes = new Uint8Array(random(2) === 0 ? 4 : 16);
      for (let i = 0; i < bytes.length; i++) bytes[i] = [0, 1, 128, 255][random(4)];
      return bytes;
    };
    const prefix = (): Prefix => {
      const bytes = address();
      const length = random(8 * bytes.length + 1);
      return { address: maskAddress(bytes, length), length };
    };
    for (let step = 0; step < 3_000; step++) {
      if (step % 500 === 499) {
        const before = table;
        table = copyOf(before);
        for (const owner of owners) before.removeOwner(owner);
      }
      const owner = owners[random(owners.length)];
      const known = oracle.entries.length > 0 && random(2) === 0;
      const target = known ? oracle.entries[random(oracle.entries.length)].prefix : prefix();
      const action = random(100);
      if (action < 60) {
        table.insert(target, owner);
        oracle.insert(target, owner);
      } else if (action < 98) {
        expect(table.remove(target, owner)).toBe(oracle.remove(target, owner));
      } else {
        table.removeOwner(owner);
        oracle.removeOwner(owner);
      }
      expect(table.size).toBe(oracle.entries.length);
      const own = table.prefixesOf(owner);
      expect(table.hasJust(owner, own)).toBe(true);
      expect(table.hasJust(owner, own.slice(1))).toBe(own.length === 0);
      expect(table.hasJust(owner, [...own, prefix()])).toBe(false);
      const last = own.at(-1);
      const other = prefix();
      if (last !== undefined)
        expect(table.hasJust(owner, own.with(-1, other))).toBe(same(last, other));
      for (let probe = 0; probe < 4; probe++) {
        const where = probe === 0 && oracle.entries.length > 0 ? target.address : address();
        expect(lookup(table, where)).toBe(oracle.lookup(where));
      }
      const within = prefix();
      expect(table.ownersWithin(within)).toEqual(oracle.ownersWithin(within));
    }
    for (const owner of owners) {
      const given = oracle.entries.filter((e) => e.owner === owner).map(({ prefix }) => prefix);
      expect(table.prefixesOf(owner)).toEqual([
        ...given.filter(({ address }) => address.length === 4),
        ...given.filter(({ address }) => address.length === 16),
      ]);
    }
  });
});
