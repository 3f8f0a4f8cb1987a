import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { liveCiphers } from '../../src/crypto/openssl/ciphers.ts';
import { chooseSuite } from '../../src/crypto/openssl/suite.ts';
import { openRehearsal, Rehearsal } from '../../src/daemon/rehearsal.ts';
import { createKernels } from '../../src/packet/kernels/fastest.ts';
import { openLoop } from '../../src/sys/loop.ts';
import { describeInNamespace, eventually } from '../lab/namespace.ts';

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

function setUp(moved: () => number = () => 0) {
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
        copyKey: (out: Uint8Array) => opener.copyKey(out),
        wipe: () => opener.wipe(),
      };
    },
  };
  const rethrow = (error: unknown): void => {
    throw error;
  };
  const never = { deadline: () => Number.POSITIVE_INFINITY, onDeadline: () => {} };
  const loop = openLoop({ ...never, onBug: rethrow }, rethrow);
  const kernels = createKernels(arena);
  const before = { ciphers: liveCiphers(), descriptors: openDescriptors() };
  const options = { arena, suite: counting, kernels, loop, offload: true, moved };
  const rehearsal = new Rehearsal(options);
  const expectNothingLeft = (): void => {
    expect(liveCiphers()).toBe(before.ciphers);
    expect(openDescriptors()).toBe(before.descriptors);
    loop.close();
  };
  return { options, rehearsal, opened: () => opened, expectNothingLeft };
}

describeInNamespace('rehearsal', () => {
  it('takes thousands of packets both ways and leaves neither keys nor descriptors', async () => {
    const begun = performance.now();
    const { rehearsal, opened, expectNothingLeft } = setUp();
    expect(opened()).toBe(0);
    rehearsal.begin();
    await eventually(() => rehearsal.isClosed, 'the end of the rehearsal');
    // On a machine that is slow or busy it gives up after two seconds, with whatever it has done.
    const isCutShort = performance.now() - begun > 1_900;
    expect(opened()).toBeGreaterThanOrEqual(isCutShort ? 1 : 8_000);
    expectNothingLeft();
  });

  it('ends when the real path has moved packets enough', async () => {
    const { rehearsal, opened, expectNothingLeft } = setUp(() => (opened() > 100 ? 1_001 : 0));
    rehearsal.begin();
    await eventually(() => rehearsal.isClosed, 'the end of the rehearsal');
    expect(opened()).toBeLessThan(4_000);
    expectNothingLeft();
  });

  it('given up half-way, it erases its keys all the same', async () => {
    const { rehearsal, opened, expectNothingLeft } = setUp();
    rehearsal.begin();
    await eventually(() => opened() > 100, 'some packets');
    rehearsal.close();
    rehearsal.close();
    expectNothingLeft();
  });

  it('is none where it is switched off: over at once, with a word of it', () => {
    const { options, rehearsal, expectNothingLeft } = setUp();
    rehearsal.close();
    rehearsal.begin();
    expect(rehearsal.isClosed).toBe(true);
    const said: string[] = [];
    let ends = 0;
    const off = { ...options, warm: false, onEnd: () => ends++ };
    const none = openRehearsal(off, (line) => said.push(line));
    expect([none, ends, said]).toEqual([
      undefined,
      1,
      ['No rehearsal of the packet path: it is switched off'],
    ]);
    expectNothingLeft();
  });
});
