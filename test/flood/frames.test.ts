import { expect, it } from 'vitest';
import { pseudoHeaderSum, sum } from '../../src/packet/checksum.ts';
import { buildFrame, forgeSource, framesIn, joinFrames } from './frames.ts';
import { createRandom, randomSource } from './sources.ts';

const SEED = 1 + Math.floor(Math.random() * 2 ** 31);
const FORGERIES = 2_000;
const WAY = { sourceMac: new Uint8Array(6), destinationMac: new Uint8Array(6) };
const ETHERNET_BYTES = 14;
const WHOLE = 0xffff;
const random = createRandom(SEED);

function frameOf(family: 4 | 6, payload: Uint8Array): Uint8Array {
  const source = randomSource(family, random);
  const destination = randomSource(family, random);
  return buildFrame(WAY, {
    source: source.address,
    destination: destination.address,
    sourcePort: source.port,
    destinationPort: 51_820,
    payload,
  });
}

it.each([4, 6] as const)('a forged IPv%d source leaves a frame that is right', (family) => {
  const frame = frameOf(family, Uint8Array.of(1, 2, 3));
  const bytes = joinFrames([Uint8Array.of(9), frame]);
  const view = new DataView(bytes.buffer);
  const at = [...framesIn(bytes)][1].offset;
  const ipAt = at + ETHERNET_BYTES;
  const addressAt = ipAt + (family === 4 ? 12 : 8);
  const addressBytes = family === 4 ? 4 : 16;
  const seen = new Set<string>();
  const ends = new Set<number>();
  for (let i = 0; i < FORGERIES; i++) {
    forgeSource(view, at, random);
    seen.add(bytes.subarray(addressAt, addressAt + addressBytes).join('.'));
    ends.add(view.getUint16(addressAt + addressBytes - 2));
    if (family === 4) {
      expect(sum(bytes, ipAt, 20), `seed ${SEED}`).toBe(WHOLE);
      continue;
    }
    const udpLength = frame.length - ETHERNET_BYTES - 40;
    const pseudo = pseudoHeaderSum(bytes, ipAt, 17, udpLength);
    expect(sum(bytes, ipAt + 40, udpLength, pseudo), `seed ${SEED}`).toBe(WHOLE);
    expect(view.getUint16(ipAt + 46), `seed ${SEED}`).not.toBe(0);
  }
  expect(ends.size).toBeGreaterThan(0.9 * FORGERIES);
  // Two may be alike by chance.
  expect(seen.size).toBeGreaterThan(0.99 * FORGERIES);
  // Nothing but the address and the checksum has changed.
  expect(bytes.subarray(at, at + ETHERNET_BYTES)).toEqual(frame.subarray(0, ETHERNET_BYTES));
  expect(bytes.subarray(at + frame.length - 3)).toEqual(Uint8Array.of(1, 2, 3));
});
