import { expect, it } from 'vitest';
import { createRandom, randomAddress4, randomPrefix6, randomSource } from './sources.ts';

const SEED = 1 + Math.floor(Math.random() * 2 ** 31);
const DRAWS = 100_000;

/** Draws one after the other, and then always another that is nobody's. */
function drawing(...numbers: number[]) {
  return () => numbers.shift() ?? 0x0801_0203;
}

it('draws from all of 1.0.0.0 to 223.255.255.255', () => {
  const random = createRandom(SEED);
  const octets = new Set<number>();
  for (let i = 0; i < DRAWS; i++) octets.add(Math.floor(randomAddress4(random) / 2 ** 24));
  const expected = Array.from({ length: 223 }, (_, i) => i + 1).filter(
    (o) => o !== 10 && o !== 127,
  );
  expect(
    [...octets].sort((a, b) => a - b),
    `seed ${SEED}`,
  ).toEqual(expected);
});

it.each([
  ['loopback', 0x7e_00_00_01],
  ['the tunnel', 0x09_00_00_01],
  ['192.0.2.1', 0xbf_00_02_01],
  ['198.51.100.1', 0xc5_33_64_01],
  ['203.0.113.1', 0xca_00_71_01],
])('never draws an address of the site: %s', (_, drawn) => {
  expect(randomAddress4(drawing(drawn))).toBe(0x0901_0203);
});

it('draws from all of 2000::/3 but the site', () => {
  const random = createRandom(SEED);
  const heads = new Set<number>();
  for (let i = 0; i < DRAWS; i++) heads.add(randomPrefix6(random) >>> 24);
  const expected = Array.from({ length: 32 }, (_, i) => 0x20 + i);
  expect(
    [...heads].sort((a, b) => a - b),
    `seed ${SEED}`,
  ).toEqual(expected);
  expect(randomPrefix6(drawing(0x0001_0db8, 5))).toBe(0x2000_0005);
});

it('gives a whole source: address and an unprivileged port', () => {
  const random = createRandom(SEED);
  for (const family of [4, 6] as const) {
    const { address, port } = randomSource(family, random);
    expect(address.length).toBe(family === 4 ? 4 : 16);
    expect(port).toBeGreaterThanOrEqual(1_024);
    expect(port).toBeLessThan(65_536);
  }
});
