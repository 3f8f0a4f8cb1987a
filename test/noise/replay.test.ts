import { describe, expect, it } from 'vitest';
import { REJECT_AFTER_MESSAGES } from '../../src/noise/constants.ts';
import {
  REPLAY_WINDOW_BYTES,
  REPLAY_WINDOW_PACKETS,
  ReplayWindow,
} from '../../src/noise/replay.ts';
import { seeded } from './parties.ts';

const W = 8_192;
const LIMIT = REJECT_AFTER_MESSAGES;

it('the window is 8,192 packets', () => {
  expect(REPLAY_WINDOW_PACKETS).toBe(W);
});

/** Each row is one step on the same window: the counter, and whether it is new. */
const TABLES: [name: string, steps: [counter: number, isNew: boolean][]][] = [
  [
    'a fresh window',
    [
      [0, true], // 1
      [0, false],
      [1, true],
      [1, false],
      [0, false], // 5
    ],
  ],
  [
    'a window that does not begin at zero',
    [
      [9, true], // 1
      [8, true],
      [7, true],
      [7, false],
      [9, false], // 5
      [0, true],
      [0, false],
    ],
  ],
  [
    'the far edge',
    [
      [W - 1, true], // 1
      [0, true], // 8,191 behind: the last that is inside
      [W, true],
      [0, false],
      [1, true], // 5
      [1, false],
      [W + 2, true],
      [2, false], // 8,192 behind, never seen, too old
      [3, true],
      [3, false], // 10
    ],
  ],
  [
    'a counter whose place in the ring was taken',
    [
      [0, true], // 1
      [5, true],
      [W, true],
      [W + 5, true],
      [W + 5, false], // 5
      [W + 4, true],
      [2 * W + 4, true],
      [W + 4, false],
      [W + 5, false],
      [W + 6, true], // 10
      [2 * W + 5, true],
      [W + 6, false],
    ],
  ],
  [
    'jumps of just less than, just, and just more than the window',
    [
      [1, true], // 1
      [1 + W - 1, true],
      [1, false], // the last inside, and seen
      [2, true],
      [2 * W, true], // 5: a jump of W
      [W, false],
      [W + 1, true],
      [3 * W + 1, true],
      [2 * W + 1, false],
      [2 * W, false], // 10
      [2 * W + 2, true],
      [2 * W + 2, false],
      [100 * W, true],
      [99 * W + 1, true],
      [99 * W, false], // 15
    ],
  ],
  [
    'word boundaries',
    [31, 32, 33, 63, 64, 0, 30, 34, 62, 65, 95, 96, 97].flatMap((counter) => [
      [counter, true] as [number, boolean],
      [counter, false] as [number, boolean],
    ]),
  ],
  [
    'a jump to one short of a whole word, whose last place is the oldest packet’s',
    [
      [31, true], // 1
      [W - 1, true],
      [W + 30, true],
      [31, false], // 8,191 behind
      [32, true], // 5
      [W + 31, true],
      [32, false], // 8,191 behind
    ],
  ],
  [
    'counters beyond 31 and 32 bits',
    [
      [2 ** 31 - 1, true], // 1
      [2 ** 31, true],
      [2 ** 31, false],
      [2 ** 31 - 1, false],
      [2 ** 31 - 2, true], // 5
      [2 ** 32 - 1, true],
      [2 ** 32, true],
      [2 ** 32 + 1, true],
      [2 ** 32, false],
      [2 ** 32 - 1, false], // 10
      [2 ** 32 - 2, true],
      [2 ** 32 - 2, false],
      [2 ** 45 + 7, true],
      [2 ** 45 + 6, true],
      [2 ** 45 + 6, false], // 15
      [2 ** 45 + 7 - W, false],
      [2 ** 45 + 8 - W, true],
    ],
  ],
  [
    'the limit of messages',
    [
      [LIMIT - 1, true], // 1
      [LIMIT, false],
      [LIMIT + 1, false],
      [2 ** 53, false],
      [2 ** 64, false], // 5
      [Number.POSITIVE_INFINITY, false],
      [LIMIT - 1, false],
      [LIMIT - 2, true],
      [LIMIT - W, true],
      [LIMIT - W - 1, false], // 10
    ],
  ],
];

describe.each(TABLES)('%s', (_, steps) => {
  it('is judged step by step', () => {
    const window = new ReplayWindow();
    steps.forEach(([counter, isNew], i) => {
      expect(window.accept(counter), `step ${i + 1}, counter ${counter}`).toBe(isNew);
    });
  });
});

it.each([
  ['forwards', (i: number) => i],
  ['backwards', (i: number) => W - 1 - i],
  ['every other one, then the rest', (i: number) => (i < W / 2 ? 2 * i : 2 * (i - W / 2) + 1)],
])('a whole window %s is accepted once', (_, order) => {
  const window = new ReplayWindow();
  for (let i = 0; i < W; i++) expect(window.accept(order(i))).toBe(true);
  for (let i = 0; i < W; i++) expect(window.accept(order(i))).toBe(false);
});

/** Slow and obvious: remembers everything. */
class Oracle {
  readonly #seen = new Set<number>();
  #greatest = -1;

  accept(counter: number): boolean {
    if (counter >= LIMIT || counter <= this.#greatest - W || this.#seen.has(counter)) return false;
    this.#seen.add(counter);
    this.#greatest = Math.max(this.#greatest, counter);
    return true;
  }
}

/** Counters about as a network delivers them, from `start` on; `at` names each for a message. */
function* counters(
  seed: number,
  start: number,
  steps: number,
): Generator<{ counter: number; at: string }> {
  const random = seeded(seed);
  const bytes = new Uint8Array(4);
  const below = (n: number) => {
    random(bytes);
    return (bytes[0] | (bytes[1] << 8) | (bytes[2] << 16)) % n;
  };
  let near = start;
  for (let step = 0; step < steps; step++) {
    const roll = below(100);
    if (roll < 60) near += below(3);
    else if (roll < 70) near += below(80);
    else if (roll < 72) near += below(2 * W);
    const back = roll % 2 === 0 ? 0 : below(roll < 50 ? 40 : W + 40);
    const counter = Math.max(0, near - back);
    yield { counter, at: `seed ${seed}, step ${step}, counter ${counter}` };
  }
}

const STARTS: [name: string, start: number][] = [
  ['0', 0],
  ['2^31', 2 ** 31 - 3 * W],
  ['2^32', 2 ** 32 - 3 * W],
  ['the limit', LIMIT - 40 * W],
];

it.each(STARTS)('random counters from about %s on agree with the oracle', (_, start) => {
  for (let seed = 1; seed <= 8; seed++) {
    const window = new ReplayWindow();
    const oracle = new Oracle();
    for (const { counter, at } of counters(seed, start, 5_000)) {
      const isNew = oracle.accept(counter);
      expect(window.isNew(counter), `${at}, asked before`).toBe(isNew);
      expect(window.accept(counter), at).toBe(isNew);
    }
  }
});

describe('a window continued in another process', () => {
  it.each(STARTS)('judges random counters from about %s on as the one before', (_, start) => {
    for (let seed = 1; seed <= 8; seed++) {
      let window = new ReplayWindow();
      const oracle = new Oracle();
      for (const { counter, at } of counters(seed, start, 2_000)) {
        // Now and then, and also before the first.
        if (counter % 61 === 0) window = handedOver(window);
        if (window.accept(counter) !== oracle.accept(counter)) expect.fail(at);
      }
    }
  });

  it('has seen nothing when the other one had not', () => {
    const window = handedOver(new ReplayWindow());
    expect(window.greatest).toBe(-1);
    expect(window.accept(0)).toBe(true);
  });

  it('is a window of its own, and so is the copy of its bits', () => {
    const before = new ReplayWindow();
    before.accept(7);
    const seen = new Uint8Array(REPLAY_WINDOW_BYTES);
    before.copySeen(seen);
    const after = ReplayWindow.continued(before.greatest, seen);
    seen.fill(0xff);
    expect(after.accept(7)).toBe(false);
    expect(after.accept(8)).toBe(true);
    expect(before.isNew(8)).toBe(true);
    expect(before.greatest).toBe(7);
  });
});

function handedOver(window: ReplayWindow): ReplayWindow {
  const seen = new Uint8Array(REPLAY_WINDOW_BYTES);
  window.copySeen(seen);
  return ReplayWindow.continued(window.greatest, seen);
}
