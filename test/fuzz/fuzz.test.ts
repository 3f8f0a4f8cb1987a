/**
 * Every target for a short while, and proof that each kind of fault would be found: a target that
 * throws, breaks a promise, needs a state, takes too long, holds on to memory, or loses count.
 */

import { describe, expect, it } from 'vitest';
import { Coverage } from './coverage.ts';
import { minimise } from './minimise.ts';
import { mutateBytes, mutateInPlace, mutateText, mutateWords } from './mutator.ts';
import { formatFailure, formatOutcomes, formatTable } from './report.ts';
import { diceOf, type FuzzOptions, fuzz, type Report } from './run.ts';
import {
  formatInput,
  holds,
  holdsEqual,
  type Input,
  parseInput,
  type RunningTarget,
  type Target,
} from './target.ts';
import { TARGETS } from './targets.ts';

/** For each target: almost half a million together. */
const INPUTS: Readonly<Record<string, number>> = {
  ...{ messages: 60_000, frames: 30_000, packets: 20_000, netlink: 100_000 },
  ...{ requests: 40_000, responses: 20_000, words: 50_000, daemonwords: 60_000, values: 80_000 },
};
const TIMEOUT_MS = 300_000;
const freshSeed = crypto.getRandomValues(new Uint32Array(1))[0];

// First, before the code of the target is compiled.
describe('coverage', () => {
  it('knows the share of the code that was reached, and what was not', async () => {
    const netlink = TARGETS.find(({ name }) => name === 'netlink')!;
    const coverage = new Coverage();
    await run(netlink, { inputs: 10 });
    const early = coverage.take(netlink.sources);
    const report = await run(netlink, { inputs: 20_000 });
    const late = coverage.take(netlink.sources);
    coverage.close();
    expect(early.share).toBeGreaterThan(0.3);
    expect(late.share).toBeGreaterThan(early.share);
    expect(late.share).toBeGreaterThan(0.95);
    expect(late.unreached.length).toBeLessThan(early.unreached.length);
    expect(formatOutcomes(report)).toMatch(/ % {2}nothing$/m);
  });
});

describe('no input makes the shipping code fail, tarry or grow', () => {
  it.each(TARGETS)('$name', { timeout: TIMEOUT_MS }, async (target) => {
    const report = await fuzz(target, { seed: freshSeed, inputs: INPUTS[target.name] });
    const { failure } = report;
    expect(failure === null ? '' : formatFailure(report, failure)).toBe('');
    expect(report.inputs).toBe(INPUTS[target.name]);
  });

  it('and what is hoped for is reached', { timeout: TIMEOUT_MS }, async () => {
    const run = (name: string, inputs: number) =>
      fuzz(TARGETS.find((target) => target.name === name)!, { seed: 1, inputs });
    const { outcomes } = await run('messages', 40_000);
    expect([...outcomes.keys()]).toEqual(
      expect.arrayContaining([
        ...['delivered', 'keepalive', 'cookie', 'badMac1', 'badPacket', 'badCookie'],
        ...['replayedPacket', 'expiredKey', 'disallowedSource', 'ecnViolation', 'unknownIndex'],
        ...['handled: initiation', 'handled: unknownPeer', 'handled: cookieRequired'],
        ...['handled: badHandshake', 'handled: replayedInitiation', 'malformedPacket'],
        ...[
          'run: delivered',
          'run: expiredKey',
          'run: replayedPacket',
          'run: delivered and badPacket',
        ],
        ...['run: delivered and replayedPacket', 'run: delivered and unknownIndex'],
        'run: delivered and disallowedSource',
      ]),
    );
    const cut = await run('frames', 3_000);
    expect([...cut.outcomes.keys()].join('\n')).toMatch(/many packets, staged/);
  });
});

/** A target of bytes with a fault put into it. */
function planted(
  run: RunningTarget['run'],
  more: Partial<RunningTarget> = {},
  target: Partial<Target> = {},
): Target {
  const generate: RunningTarget['generate'] = (dice) => Uint8Array.from(dice.bytes(16));
  const create = () => ({ generate, run, ...more });
  return { name: 'planted', sources: [], create, ...target };
}

function run(target: Target, options: Partial<FuzzOptions> = {}): Promise<Report> {
  return fuzz(target, { seed: 7, inputs: 20_000, ...options });
}

const bytesOf = (input: Input) => input as Uint8Array;

describe('a fault is found', () => {
  it('when the code throws, with the least input that makes it', async () => {
    const { failure, inputs } = await run(
      planted((input) => {
        if (bytesOf(input).includes(0xbd)) throw new TypeError('of null');
        return 'fine';
      }),
    );
    expect(failure!.what).toMatch(/^TypeError: of null \(.*fuzz\.test/);
    expect(failure!.number).toBe(inputs);
    expect(failure!.minimised).toEqual([Uint8Array.of(0xbd)]);
  });

  it('when the code rejects', async () => {
    const { failure } = await run(planted(async () => Promise.reject(new Error('later'))));
    expect(failure!.what).toMatch(/^Error: later/);
  });

  it('when something does not hold', async () => {
    const { failure } = await run(
      planted((input) => {
        holdsEqual({ bytes: bytesOf(input).slice(0, 1) }, { bytes: Uint8Array.of(3) }, 'one');
        return 'fine';
      }),
    );
    expect(failure!.what).toContain('one: {"bytes":"');
  });

  it('when it takes several inputs, with no more of them than it takes', async () => {
    const create = (): RunningTarget => {
      let isArmed = false;
      return {
        begin: () => {
          isArmed = false;
        },
        generate: (dice) => Uint8Array.from(dice.bytes(2)),
        run: (input) => {
          holds(!isArmed || bytesOf(input)[0] !== 0x22, 'the second shot');
          isArmed ||= bytesOf(input)[0] === 0x11;
          return 'fine';
        },
      };
    };
    const { failure } = await run(planted(() => '', {}, { create, epoch: 4_096 }));
    expect(failure!.minimised!.map((input) => bytesOf(input)[0])).toEqual([0x11, 0x22]);
  });

  it('when an input takes long, but not when the processor was elsewhere', async () => {
    const slow = planted((input) => {
      const end = performance.now() + (bytesOf(input)[0] === 0x11 ? 400 : 0);
      while (performance.now() < end);
      return 'fine';
    });
    expect((await run(slow)).failure!.what).toMatch(/^slow: /);
    let isFirst = true;
    const once = planted(() => {
      const end = performance.now() + (isFirst ? 40 : 0);
      isFirst = false;
      while (performance.now() < end);
      return 'fine';
    });
    expect((await run(once)).failure).toBeNull();
  });

  it('when memory is held on to', async () => {
    const held: Uint8Array[] = [];
    const leak = planted(() => {
      held.push(new Uint8Array(1024));
      return 'fine';
    });
    expect((await run(leak)).failure!.what).toMatch(/^growth: \d+ KiB/);
    // What was slow by chance is run again.
    expect(held.length).toBeGreaterThanOrEqual(20_000);
  });

  it('when the totals do not agree', async () => {
    const finish = () => holds(false, 'one is missing');
    const { failure } = await run(planted(() => 'fine', { finish }));
    expect(failure!.what).toMatch(/^Error: one is missing/);
  });

  it('and is told with all that it takes to see it again', async () => {
    const nine = planted((input) => {
      holds(!bytesOf(input).includes(9), 'nine');
      return 'fine';
    });
    const report = await run(nine);
    const text = formatFailure(report, report.failure!);
    expect(text).toContain(`seed 7, input ${report.failure!.number}: `);
    expect(text).toMatch(/--target planted --input '09'$/);
    expect(formatTable([report])).toMatch(/planted .* FAILED\nall /);
  });
});

describe('inputs', () => {
  const others = [Uint8Array.of(1, 2, 3), new Uint8Array(64)];

  it('follow from seed and number alone', () => {
    const inputOf = (seed: number, number: number) => {
      const dice = diceOf(seed, number);
      const bytes = mutateBytes(others[1], others, dice, 4_096);
      const text = mutateText('set=1\npublic_key=00\n\n', ['get=1\n\n'], dice);
      return formatInput([
        Buffer.from(bytes).toString('hex'),
        text,
        ...mutateWords([], [['b']], ['a'], dice),
      ]);
    };
    const all = new Set<string>();
    for (let number = 0; number < 500; number++) {
      expect(inputOf(5, number)).toBe(inputOf(5, number));
      all.add(inputOf(5, number)).add(inputOf(6, number));
    }
    expect(all.size).toBeGreaterThan(900);
  });

  it('leave what they are made of as it was, and keep to their length', () => {
    const base = Uint8Array.from({ length: 40 }, (_, i) => i);
    for (let number = 0; number < 5_000; number++) {
      const dice = diceOf(1, number);
      expect(mutateBytes(base, others, dice, 100).length).toBeLessThanOrEqual(100);
      expect(mutateInPlace(base, others, dice).length).toBe(40);
      mutateBytes(new Uint8Array(0), others, dice, 100);
    }
    expect(base).toEqual(Uint8Array.from({ length: 40 }, (_, i) => i));
    expect(others[0]).toEqual(Uint8Array.of(1, 2, 3));
  });

  it.each<[Input]>([[Uint8Array.of(0, 255)], ['a\n"\0'], [['wg0', '', 'é']], [new Uint8Array(0)]])(
    'are written so that they can be given back: %j',
    (input) => {
      expect(parseInput(formatInput(input))).toEqual(input);
    },
  );

  it('are cut down in words and within words', async () => {
    const fails = async (input: Input) => (input as string[]).some((word) => word.includes('!'));
    expect(await minimise(['a', 'bc!d', 'e'], fails)).toEqual(['!']);
  });
});
