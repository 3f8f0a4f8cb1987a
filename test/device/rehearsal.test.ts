import { expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { rehearse } from '../../src/device/rehearsal.ts';
import { liveCiphers } from '../../src/io/ciphers.ts';
import { random } from '../../src/io/clock.ts';
import { chooseSuite } from '../../src/io/suite.ts';

function setUp() {
  const arena = new Arena(6 * 1024 * 1024);
  const suite = chooseSuite(arena, 'auto', () => {});
  let opened = 0;
  const counting = {
    ...suite,
    createOpener: (key: Uint8Array) => {
      const opener = suite.createOpener(key);
      return {
        open: (offset: number, length: number, counter: number) => {
          opened++;
          return opener.open(offset, length, counter);
        },
        wipe: () => opener.wipe(),
      };
    },
  };
  return { arena, rehearsal: rehearse({ arena, suite: counting, random }), opened: () => opened };
}

it('takes thousands of packets through both directions and leaves no key and no room behind', () => {
  const { arena, rehearsal, opened } = setUp();
  const available = arena.available;
  const before = liveCiphers();
  let chunks = 0;
  while (!rehearsal.next().done) {
    chunks++;
    // Between chunks the loop has turns of its own.
    expect(arena.available).toBe(available);
  }
  expect(chunks).toBeGreaterThan(50);
  expect(opened()).toBeGreaterThanOrEqual(8_000);
  expect(liveCiphers()).toBe(before);
});

it('given up half-way, it erases its keys all the same', () => {
  const { rehearsal } = setUp();
  const before = liveCiphers();
  rehearsal.next();
  rehearsal.next();
  expect(liveCiphers()).toBeGreaterThan(before);
  rehearsal.return();
  expect(liveCiphers()).toBe(before);
});
