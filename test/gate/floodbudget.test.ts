/**
 * What the gate makes of the figures that the filter and the turns give it: these are the test's own,
 * and so is the clock. No constant is repeated here, since they are tuned; what holds for all is
 * which way each answer goes.
 */

import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { DropReason } from '../../src/device/drops.ts';
import {
  BOARD_BYTES,
  CLASSES,
  createHashKeys,
  FloodBoard,
  TRAFFIC,
} from '../../src/gate/floodboard.ts';
import { Floodgate } from '../../src/gate/floodgate.ts';

const clock = vi.hoisted(() => ({ now: 0, idle: 0 }));
vi.mock('../../src/sys/clock.ts', async (importOriginal) => ({
  ...(await importOriginal<object>()),
  monotonicMs: () => clock.now,
  idleMs: () => clock.idle,
}));

const PERIOD_MS = 100;

class Board extends FloodBoard {
  readonly shares = new Float64Array(CLASSES);
  readonly came = new Float64Array(CLASSES);
  buffers = 0;
  stirs = 0;
  windows: [number, number][] = [];

  constructor() {
    super(
      new ArrayBuffer(BOARD_BYTES),
      createHashKeys((out) => out.fill(1)),
    );
  }

  override setShare(traffic: number, share: number): void {
    this.shares[traffic] = share;
  }

  override arrived(traffic: number): number {
    return this.came[traffic];
  }

  override setWindow(index: number, greatest: number): void {
    this.windows.push([index, greatest]);
  }

  override stir(): void {
    this.stirs++;
  }

  override get droppedBuffers(): number {
    return this.buffers;
  }
}

let board: Board;
let gate: Floodgate;
let drops: Partial<Record<DropReason, number>>;

beforeEach(() => {
  board = new Board();
  drops = {};
  const onDrop = (reason: DropReason, count: number): void => {
    drops[reason] = (drops[reason] ?? 0) + count;
  };
  const machinery = { board, filters: { 4: 0, 6: 0 }, close: () => {} };
  const eachWindow = (tell: (index: number, greatest: number) => void): void => tell(7, 70_000);
  gate = new Floodgate({ onDrop, onNote: () => {}, eachWindow }, machinery, '');
  return () => gate.close();
});

interface Period {
  readonly strangers?: number;
  readonly strangersMs?: number;
  readonly sessionsMs?: number;
  readonly ms?: number;
  /** How long the loop had nothing to do; what the turns did not compute, where it is left out. */
  readonly idleMs?: number;
  /** What the filter saw of each class. */
  readonly came?: Partial<Record<keyof typeof TRAFFIC, number>>;
}

function period({
  strangers = 0,
  strangersMs = 0,
  sessionsMs = 0,
  ms = PERIOD_MS,
  idleMs = Math.max(0, ms - strangersMs - sessionsMs),
  came = {},
}: Period = {}): void {
  clock.now += ms;
  clock.idle += idleMs;
  for (const [name, count] of Object.entries(came))
    board.came[TRAFFIC[name as keyof typeof TRAFFIC]] += count;
  gate.turned(strangers, strangersMs, strangersMs + sessionsMs, clock.now);
}

const strangersShare = (): number => board.shares[TRAFFIC.strangersCall];
const FLOOD = { strangersCall: 100_000 };

/** Shut, with a flood of calls that is let in no faster than before. */
function shut(): void {
  period({ strangers: 100_000, strangersMs: 80 });
  expect(gate.isShut).toBe(true);
  // The first says how much comes, and the second what that is worth.
  for (let i = 0; i < 2; i++) period({ strangers: 1, came: FLOOD });
}

describe('the gate is shut', () => {
  it('by what a whole period cost, and not by a moment', () => {
    period({ strangers: 1_000, strangersMs: 6, ms: 6 });
    expect(gate.isShut).toBe(false);
    period({ strangers: 100_000, strangersMs: 80 });
    expect(gate.isShut).toBe(true);
  });

  it('so that at first no class passes whole but the sessions’', () => {
    period({ strangers: 100_000, strangersMs: 80 });
    const { session, moved, peersCall, strangersCall, secondCall, ...none } = TRAFFIC;
    expect(board.shares[session]).toBe(1);
    for (const one of [moved, peersCall, strangersCall, secondCall]) {
      expect(board.shares[one]).toBeGreaterThan(0);
      expect(board.shares[one]).toBeLessThan(0.5);
    }
    for (const one of Object.values(none)) expect(board.shares[one]).toBe(0);
  });

  it('carefully when nobody has timed yet what they cost', () => {
    gate.wasRead(4, false, clock.now);
    clock.now += 6;
    gate.wasRead(4, false, clock.now);
    gate.turned(1_000, 0, 0, clock.now);
    expect(gate.isShut).toBe(true);
    expect(strangersShare()).toBeLessThan(0.1);
  });
});

describe('where the windows of sessions are', () => {
  it('is told while it is shut, at once and then each second', () => {
    period({ sessionsMs: 50 });
    expect(board.windows).toEqual([]);
    shut();
    expect(board.windows).toEqual([[7, 70_000]]);
    for (let i = 0; i < 30; i++) period({ came: FLOOD });
    expect(board.windows).toHaveLength(4);
  });
});

describe('what strangers get', () => {
  it('is drawn from elsewhere before anything is, and in every period', () => {
    expect(board.stirs).toBe(0);
    period({ strangers: 100_000, strangersMs: 80 });
    expect(board.stirs).toBe(1);
    for (let i = 2; i < 5; i++) {
      period();
      expect(board.stirs).toBe(i);
    }
  });

  it('is less when they take more than they may have, in steps, and never nothing', () => {
    shut();
    let before = strangersShare();
    period({ strangers: 1, strangersMs: 90, came: FLOOD });
    expect(strangersShare()).toBeLessThan(before);
    before = strangersShare();
    // Beside busy sessions they may have a hundredth of what they take.
    period({ strangers: 1, sessionsMs: 90, came: FLOOD });
    period({ strangers: 1, strangersMs: 90, sessionsMs: 90, came: FLOOD });
    for (let i = 0; i < 80; i++) period({ strangers: 1, came: FLOOD });
    expect(strangersShare()).toBeLessThan(before / 4);
    expect(strangersShare()).toBeGreaterThan(before / 20);
    for (let i = 0; i < 50; i++) period({ strangers: 1, strangersMs: 99, came: FLOOD });
    expect(strangersShare()).toBeGreaterThan(0.0001);
  });

  it('is less as soon as sessions wake up, and as much as before when they rest for long', () => {
    shut();
    const before = strangersShare();
    period({ strangers: 1, sessionsMs: 3, ms: 12 });
    expect(strangersShare()).toBe(before);
    const came = { strangersCall: 12_000 };
    period({ strangers: 1, strangersMs: 5, sessionsMs: 12, ms: 12, came });
    expect(strangersShare()).toBeLessThan(before / 50);
    period({ strangers: 1, sessionsMs: 90, came: FLOOD });
    expect(strangersShare()).toBeLessThan(before / 50);
    for (let i = 0; i < 80; i++) period({ strangers: 1, came: FLOOD });
    expect(strangersShare()).toBeCloseTo(before, 3);
  });

  it('is no more while sessions that were busy stand still, as streams do that have lost something', () => {
    shut();
    const idle = strangersShare();
    for (let i = 0; i < 20; i++) period({ strangers: 1, sessionsMs: 50, came: FLOOD });
    const beside = strangersShare();
    for (let i = 0; i < 5; i++) {
      period({ strangers: 1, came: FLOOD });
      expect(strangersShare()).toBe(beside);
    }
    // What takes a moment of each second is not busy, though it takes the whole of the moment.
    for (let i = 0; i < 80; i++) period({ strangers: 1, came: FLOOD });
    for (let i = 0; i < 100; i++) {
      const isMoment = i % 10 === 0;
      const moment = { sessionsMs: 12, ms: 12, came: { strangersCall: 12_000 } };
      period({ strangers: 1, ...(isMoment ? moment : { came: FLOOD }) });
      if (!isMoment) expect(strangersShare()).toBeGreaterThan(idle / 2);
    }
  });

  it('is no more where others have the processor, so that sessions compute little of what they need', () => {
    shut();
    const idle = strangersShare();
    // Strangers alone take nothing from anybody.
    for (let i = 0; i < 12; i++) period({ strangers: 1, strangersMs: 1, idleMs: 0, came: FLOOD });
    expect(strangersShare()).toBe(idle);
    const little = { strangers: 1, strangersMs: 8, sessionsMs: 8, came: FLOOD };
    for (let i = 0; i < 12; i++) period({ ...little, idleMs: 84 });
    expect(strangersShare()).toBeGreaterThan(idle / 4);
    for (let i = 0; i < 12; i++) period({ ...little, idleMs: 0 });
    expect(strangersShare()).toBeLessThan(idle / 20);
  });

  it('is less time beside busy sessions where so many come that it would help nobody', () => {
    shut();
    const timeOf = (came: number): number => {
      for (let i = 0; i < 12; i++)
        period({ strangers: 1, sessionsMs: 50, came: { strangersCall: came } });
      return strangersShare() * came;
    };
    expect(timeOf(100_000)).toBeLessThan(timeOf(4_900) / 3);
  });

  it('is enough for bursts that are little in a second, also of classes in turns, beside busy sessions', () => {
    shut();
    const kinds = ['peersCall', 'strangersCall', 'secondCall'] as const;
    const COST_MS = 0.005;
    let left: number[] = [];
    for (let i = 0; i < 150; i++) {
      const kind = kinds[(i / 3) % kinds.length] ?? null;
      const passed = kind === null ? 0 : 1_000 * board.shares[TRAFFIC[kind]];
      const came = kind === null ? {} : { [kind]: 1_000 };
      period({ strangers: passed, strangersMs: COST_MS * passed, sessionsMs: 50, came });
      left = [...left, passed].slice(-30);
    }
    // Of ten thousand in three seconds.
    expect(left.reduce((sum, passed) => sum + passed, 0)).toBeGreaterThan(8_000);
  });

  it('is next to nothing of a burst that is much in a second', () => {
    shut();
    let strangersMs = 0;
    for (let i = 0; i < 100; i++) {
      const isBurst = i % 10 === 0;
      const passed = isBurst ? 100_000 * strangersShare() : 0;
      if (i >= 50) strangersMs += 0.005 * passed;
      const came = isBurst ? FLOOD : {};
      period({ strangers: passed, strangersMs: 0.005 * passed, sessionsMs: 50, came });
    }
    // Of five seconds.
    expect(strangersMs).toBeLessThan(0.025 * 5_000);
    expect(strangersMs).toBeGreaterThan(0);
  });

  it('is as much as before where it is sessions that keep a socket from being empty', () => {
    shut();
    const busy = { strangers: 1, strangersMs: 0.1, sessionsMs: 60, came: FLOOD };
    for (let i = 0; i < 12; i++) period(busy);
    const before = strangersShare();
    for (let i = 0; i < 5; i++) {
      gate.wasRead(4, false, clock.now);
      gate.wasRead(4, false, clock.now + PERIOD_MS - 1);
      period(busy);
    }
    expect(strangersShare()).toBeCloseTo(before, 6);
  });

  it('is less when a socket is never read empty, whatever they cost', () => {
    shut();
    const before = strangersShare();
    gate.wasRead(4, false, clock.now);
    gate.wasRead(4, false, clock.now + PERIOD_MS - 1);
    period({ strangers: 1, came: FLOOD });
    expect(strangersShare()).toBeLessThan(before);
  });

  it('is more as long as they use it and it costs little', () => {
    shut();
    const before = strangersShare();
    period({ strangers: 1, came: FLOOD });
    expect(strangersShare()).toBe(before);
    period({ strangers: 100_000, strangersMs: 1, came: FLOOD });
    expect(strangersShare()).toBeGreaterThan(before);
  });

  it('is as much as their worst period asks for, for some time', () => {
    shut();
    for (let i = 0; i < 5; i++) {
      period();
      expect(strangersShare()).toBeLessThan(1);
    }
    for (let i = 0; i < 10; i++) period();
    expect(strangersShare()).toBe(1);
  });

  it('needs a cookie while calls are held back, but not for what peers send from elsewhere', () => {
    period({ strangers: 100_000, strangersMs: 80 });
    period({ strangers: 1, came: { moved: 100_000 } });
    expect(board.shares[TRAFFIC.moved]).toBeLessThan(1);
    expect(gate.isPressed).toBe(false);
    period({ strangers: 1, came: { secondCall: 100_000 } });
    expect(gate.isPressed).toBe(true);
  });
});

describe('the gate stays shut', () => {
  const long = (each: () => void): void => {
    for (let i = 0; i < 60; i++) each();
  };

  it('for a while after the last of a flood', () => {
    shut();
    for (let i = 0; i < 5; i++) period();
    expect(gate.isShut).toBe(true);
    long(period);
    expect(gate.isShut).toBe(false);
  });

  it('before so many of no form that turning them away would take what sessions need', () => {
    shut();
    long(() => period({ sessionsMs: 50, came: { malformed: 10_000, unexpected: 10_000 } }));
    expect(gate.isShut).toBe(true);
    long(() => period({ sessionsMs: 50, came: { malformed: 10, unexpected: 10 } }));
    expect(gate.isShut).toBe(false);
  });

  it('while it holds anything back, whatever the rest costs', () => {
    shut();
    long(() => period({ strangers: 1, came: FLOOD }));
    expect(gate.isShut).toBe(true);
  });

  it('while a socket is never read empty', () => {
    shut();
    gate.wasRead(4, false, clock.now);
    long(() => {
      gate.wasRead(4, false, clock.now + PERIOD_MS - 1);
      period();
    });
    expect(gate.isShut).toBe(true);
  });
});

it('what the filter refused is no overflow, though the sockets do not know of it yet', () => {
  board.buffers = 5;
  period();
  board.buffers = 9;
  period();
  expect(drops).toEqual({});
});

it('turns are timed while there are strangers, and only some of them while it is shut', () => {
  period();
  expect(gate.turnsASample).toBe(0);
  period({ strangers: 500 });
  expect(gate.turnsASample).toBe(1);
  period({ strangers: 10 });
  expect(gate.turnsASample).toBe(0);
  shut();
  expect(gate.turnsASample).toBeGreaterThan(1);
});
