/**
 * A suspended machine: the clock of sessions goes on (in a time namespace, whose clocks differ as
 * they do after a suspension), and a resumption ends the wait of the loop (the kernel's timer, which
 * only the setting of this machine's clock could fire, is an event descriptor here).
 */

import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { watchSuspension } from '../../src/host/suspension.ts';
import { monotonicMs } from '../../src/sys/clock.ts';
import { eventfd, Scratch, timerfdCreate, timerfdSettime, write } from '../../src/sys/libc.ts';
import {
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  TFD_TIMER_ABSTIME,
  TFD_TIMER_CANCEL_ON_SET,
} from '../../src/sys/linux.ts';
import { openLoop } from '../../src/sys/loop.ts';
import { drainSoon } from '../../src/sys/poller.ts';
import { sleep } from '../lab/command.ts';
import { describeInNamespace, eventually, openDescriptors } from '../lab/namespace.ts';
import { compiledProgram } from '../lab/repository.ts';

const CLOCK_MONOTONIC = 1;

const machine = vi.hoisted(() => ({
  suspendedMs: 0,
  /** On Node's clock: from then on it has slept for a minute more. */
  suspendsAt: Number.POSITIVE_INFINITY,
  timer: undefined as number | undefined,
  /** With which flags the kernel was asked. */
  asked: [] as number[],
}));

vi.mock('../../src/sys/clock.ts', async (importOriginal) => {
  const clock = await importOriginal<typeof import('../../src/sys/clock.ts')>();
  const asleepMs = () =>
    machine.suspendedMs + (performance.now() < machine.suspendsAt ? 0 : 60_000);
  return { ...clock, monotonicMs: () => clock.monotonicMs() + asleepMs() };
});
vi.mock('../../src/sys/libc.ts', async (importOriginal) => {
  const libc = await importOriginal<typeof import('../../src/sys/libc.ts')>();
  return {
    ...libc,
    // The test's own timers are of the monotonic clock (1).
    timerfdCreate: (clock: number, flags: number) =>
      clock === 1
        ? libc.timerfdCreate(clock, flags)
        : (machine.timer ?? libc.timerfdCreate(clock, flags)),
    timerfdSettime: (fd: number, flags: number, to: number, old: number) => {
      machine.asked.push(flags);
      return fd === machine.timer && flags !== 0 ? 0 : libc.timerfdSettime(fd, flags, to, old);
    },
  };
});

/** Makes a timer of Linux go off once, below a second from now. */
function setTimer(fd: number, ms: number): void {
  const time = new Scratch(32);
  time.view.setBigInt64(24, BigInt(ms * 1_000_000), true);
  timerfdSettime(fd, 0, time.address, 0);
}

/** What the kernel does when the wall clock is set. */
function setClock(): void {
  const one = new Scratch(8);
  one.view.setBigUint64(0, 1n, true);
  write(machine.timer!, one.address, 8);
}

const rethrow = (error: unknown): never => {
  throw error;
};

beforeEach(() => {
  machine.timer = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
});
afterEach(() => {
  machine.asked = [];
  machine.timer = undefined;
  machine.suspendsAt = Number.POSITIVE_INFINITY;
});

describe('a suspension', () => {
  it('is told once, with its length', async () => {
    const notes: string[] = [];
    const monitor = watchSuspension((note) => notes.push(note), rethrow);
    expect(machine.asked).toEqual([TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET]);
    machine.suspendedMs += 7_200_000;
    setClock();
    await eventually(() => notes.length === 1, 'the note');
    expect(notes).toEqual([expect.stringMatching(/^Resumed after 7200 s of suspension: /)]);
    machine.suspendedMs += 3_000;
    setClock();
    await eventually(() => notes.length === 2, 'the second note');
    await sleep(20);
    expect(notes.slice(1)).toEqual([expect.stringMatching(/^Resumed after 3 s of suspension: /)]);
    monitor.close();
  });

  it('is none when only the wall clock was set', async () => {
    const notes: string[] = [];
    const monitor = watchSuspension((note) => notes.push(note), rethrow);
    setClock();
    await sleep(20);
    expect(notes).toEqual([]);
    monitor.close();
  });

  it('does not hold up what was due meanwhile', async () => {
    const due = monotonicMs() + 60_000;
    // Nothing but the timer wakes the loop then; Node's own timers come half a minute later.
    machine.suspendsAt = performance.now() + 100;
    machine.timer = timerfdCreate(CLOCK_MONOTONIC, 0);
    setTimer(machine.timer, 150);
    let isMet = false;
    const late = sleep(30_000);
    const met = new Promise<void>((resolve) => {
      const options = {
        deadline: () => (isMet ? Number.POSITIVE_INFINITY : due),
        onDeadline: () => {
          isMet = true;
          loop.close();
          resolve();
          drainSoon();
        },
        onBug: rethrow,
      };
      const loop = openLoop(options, rethrow);
    });
    const notes: string[] = [];
    const monitor = watchSuspension((note) => notes.push(note), rethrow);
    await Promise.race([met, late]);
    expect(isMet).toBe(true);
    // It was the timer that woke the loop, and not one of the test's runner.
    await eventually(() => notes.length === 1, 'the note');
    monitor.close();
  });

  it('is watched for by a timer that stays silent, and leaves nothing open', async () => {
    machine.timer = undefined;
    const before = openDescriptors();
    let calls = 0;
    const monitor = watchSuspension(() => calls++, rethrow);
    expect(openDescriptors()).toBe(before + 1);
    await sleep(50);
    expect(calls).toBe(0);
    monitor.close();
    await sleep(0);
    expect(openDescriptors()).toBe(before);
  });
});

describeInNamespace('the clock of sessions', () => {
  it('goes on while the machine is suspended', () => {
    const script = `
      import(${JSON.stringify(compiledProgram('src/sys/clock.ts'))}).then(({ monotonicMs }) =>
        console.log(monotonicMs() - performance.now()))`;
    const node = [process.execPath, '-e', script];
    const time = ['--time', '--boottime', '3600', '--monotonic', '0', '--fork'];
    const [command, ...args] = node;
    const apart = (program: string, ...words: string[]) =>
      Number(execFileSync(program, words, { encoding: 'utf8' }));
    const suspended = apart('unshare', ...time, ...node) - apart(command!, ...args);
    // The second of the two programs starts later, by however much.
    expect(suspended).toBeGreaterThan(3_500_000);
    expect(suspended).toBeLessThan(3_630_000);
  });
});
