/** What the path tells the gate of each turn: who came, and what part of the cost they answer for. */

import { expect, it, vi } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import { Datapath } from '../../src/datapath/datapath.ts';
import type { Floodgate } from '../../src/gate/floodgate.ts';
import type { DatagramSink } from '../../src/udp/udp.ts';
import type { UdpChannel } from '../../src/udp/udpchannel.ts';

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

/** A path on which turns take 8 ms, and a gate that has one in `stride` of them timed. */
function path(stride = 1) {
  const turns: Turn[] = [];
  const reads: unknown[] = [];
  const gate = {
    turnsASample: stride,
    isPressed: false,
    wasRead: (...read: unknown[]) => reads.push(read),
    turned: (strangers: number, strangersMs: number, turnMs: number) =>
      turns.push({ strangers, strangersMs, turnMs }),
  };
  const arena = new Arena(1 << 20);
  const path = new Datapath({
    arena,
    suite: createPortableSuite(arena),
    gate: gate as unknown as Floodgate,
  });
  const { outcomes } = path.device.core;
  /** `opened` of the datagrams that were read are a session's. */
  const read = (handed: number, opened: number, isEmpty = true): void => {
    const receive = (_: DatagramSink): number => {
      outcomes.opened += opened;
      clock.threadMs += 8;
      return handed;
    };
    path.readUdp({ family: 6, isEmpty, receive } as unknown as UdpChannel);
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
  return { path, gate, turns, reads, read, judge };
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

it('none is timed while the gate does not want to know', () => {
  const { read, turns } = path(0);
  read(10, 5);
  expect(turns).toEqual([{ strangers: 5, strangersMs: 0, turnMs: 0 }]);
});

it('a handshake that is refused answers for its part, and has been counted when it was read', () => {
  const { judge, turns } = path();
  judge(10, 0);
  judge(10, 10);
  judge(20, 1);
  expect(turns.slice(0, 2)).toEqual([
    { strangers: 0, strangersMs: 8, turnMs: 8 },
    { strangers: 0, strangersMs: 0, turnMs: 8 },
  ]);
  const { strangersMs } = turns[2]!;
  expect(strangersMs).toBeGreaterThan(0);
  expect(strangersMs).toBeLessThan(8);
});

it('the gate hears whether a read left anything behind', () => {
  const { read, reads } = path();
  clock.now = 77;
  read(10, 5, false);
  read(10, 5);
  expect(reads).toEqual([
    [6, false, 77],
    [6, true, 77],
  ]);
});

it('the Device asks for cookies while the gate holds calls back', () => {
  const { path: one, gate } = path();
  one.handleTimeout();
  expect(one.device.core.handshakeQueue.isUnderLoad(clock.now)).toBe(false);
  gate.isPressed = true;
  one.handleTimeout();
  expect(one.device.core.handshakeQueue.isUnderLoad(clock.now)).toBe(true);
});
