/**
 * The turn: what its guard is told of it, that turns never lie in each other, and what becomes of
 * packets while the transport takes no more.
 */

import { expect, it, vi } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import { Datapath } from '../../src/datapath/datapath.ts';
import type { DatagramSink } from '../../src/datapath/transport.ts';
import { NO_DOORKEEPER } from '../../src/device/doorkeeper.ts';

const clock = vi.hoisted(() => ({ now: 0, threadMs: 0 }));
vi.mock('../../src/sys/clock.ts', async (importOriginal) => ({
  ...(await importOriginal<object>()),
  monotonicMs: () => clock.now,
  threadMs: () => clock.threadMs,
}));

interface Turn {
  readonly strangers: number;
  readonly strangersMs: number;
  readonly turnMs: number;
}

/** A path on which turns take 8 ms, and a transport whose guard has one in `stride` of them timed. */
function path(stride = 1) {
  const turns: Turn[] = [];
  const vindicated: number[] = [];
  const guard = {
    ...NO_DOORKEEPER,
    turnsASample: stride,
    isPressed: false,
    state: { word: 'open', share: 1 } as const,
    turned: (strangers: number, strangersMs: number, turnMs: number) =>
      turns.push({ strangers, strangersMs, turnMs }),
    vindicate: (strangers: number) => vindicated.push(strangers),
  };
  const arena = new Arena(1 << 20);
  const path = new Datapath({
    arena,
    suite: createPortableSuite(arena),
  });
  path.attachTransport({
    ...{ kind: 'test', inlets: [], isWritable: true, isOffloading: false, errors: new Map() },
    ...{ guard, transmit: () => {}, flush: () => {} },
  });
  const { outcomes } = path.device.core;
  /** `opened` of the datagrams that were read are a session's. */
  const read = (handed: number, opened: number): void => {
    const receive = (_: DatagramSink): number => {
      outcomes.opened += opened;
      clock.threadMs += 8;
      return handed;
    };
    path.receive({ receive });
  };
  /** So many handshakes wait, and have their turn. */
  const judge = (judged: number, accepted: number): void => {
    vi.spyOn(path.device, 'queuedHandshakes', 'get').mockReturnValueOnce(judged);
    vi.spyOn(path.device, 'handleTimeout').mockImplementationOnce(() => {
      outcomes.judged += judged;
      outcomes.accepted += accepted;
      clock.threadMs += 8;
    });
    path.handleTimeout();
  };
  return { path, guard, turns, vindicated, read, judge };
}

it('a datagram that no session opened is a stranger’s, and answers for its part of the turn', () => {
  const { read, turns } = path();
  read(100, 75);
  read(100, 0);
  read(100, 100);
  read(0, 0);
  expect(turns).toEqual([
    { strangers: 25, strangersMs: 2, turnMs: 8 },
    { strangers: 100, strangersMs: 8, turnMs: 8 },
    { strangers: 0, strangersMs: 0, turnMs: 8 },
    { strangers: 0, strangersMs: 0, turnMs: 0 },
  ]);
});

it('a turn that is timed stands for those that are not', () => {
  const { read, turns } = path(4);
  for (let i = 0; i < 8; i++) read(10, 5);
  const timed = { strangers: 5, strangersMs: 16, turnMs: 32 };
  const untimed = { strangers: 5, strangersMs: 0, turnMs: 0 };
  expect(turns).toEqual([timed, untimed, untimed, untimed, timed, untimed, untimed, untimed]);
});

it('none is timed while the guard does not want to know', () => {
  const { read, turns } = path(0);
  read(10, 5);
  expect(turns).toEqual([{ strangers: 5, strangersMs: 0, turnMs: 0 }]);
});

it('a handshake that is refused answers for its part, and has been counted when it was read', () => {
  const { judge, turns, vindicated } = path();
  judge(10, 0);
  judge(10, 10);
  judge(20, 1);
  expect(turns.slice(0, 2)).toEqual([
    { strangers: 0, strangersMs: 8, turnMs: 8 },
    { strangers: 0, strangersMs: 0, turnMs: 8 },
  ]);
  expect(vindicated).toEqual([10, 1]);
  const { strangersMs } = turns[2];
  expect(strangersMs).toBeGreaterThan(0);
  expect(strangersMs).toBeLessThan(8);
});

it('nobody is told of the turns of a path without a transport', () => {
  const { path: one, read, turns } = path();
  one.detachTransport();
  read(10, 5);
  expect(turns).toEqual([]);
});

it('the Device asks for cookies while the guard holds calls back', () => {
  const { path: one, guard } = path();
  one.handleTimeout();
  expect(one.device.core.handshakeQueue.isUnderLoad(clock.now)).toBe(false);
  guard.isPressed = true;
  one.handleTimeout();
  expect(one.device.core.handshakeQueue.isUnderLoad(clock.now)).toBe(true);
});
