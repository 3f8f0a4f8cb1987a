/** Evidence: how busy the machine is, and the daemon, between two moments. */

import { cpus } from 'node:os';
import type { Load } from '../evidence.ts';
import { readText, textOf } from './procfile.ts';

/** A shorter run says nothing of a share: the daemon may be busy just then. */
const RUN_MS_MIN = 400;
const NS_PER_MS = 1_000_000;

/** In clock ticks of the kernel (USER_HZ, 100 a second on every machine that Node runs on). */
export interface LoadSample {
  /** Monotonic ms. */
  readonly at: number;
  readonly pid: number | null;
  readonly total: number;
  readonly idle: number;
  readonly stolen: number;
  /** User and system time; null when there is no such process. */
  readonly daemon: number | null;
  /** Of its first thread, which carries the packets; null when unknown. */
  readonly thread: ThreadTimes | null;
}

/** How long a thread ran, and how long it was ready to and had no processor. */
export interface ThreadTimes {
  readonly ranMs: number;
  readonly waitedMs: number;
}

/** @param pid the daemon's; null when unknown @throws NodeJS.ErrnoException */
export function sampleLoad(pid: number | null): LoadSample {
  const [user, nice, system, idle, wait = 0, irq = 0, softirq = 0, stolen = 0] = parseCpuLine(
    readText('/proc/stat'),
  );
  return {
    at: performance.now(),
    pid,
    total: user + nice + system + idle + wait + irq + softirq + stolen,
    idle: idle + wait,
    stolen,
    daemon: pid === null ? null : ticksOf(textOf(`/proc/${pid}/stat`) ?? ''),
    thread: pid === null ? null : parseThreadTimes(textOf(`/proc/${pid}/schedstat`) ?? ''),
  };
}

/** The sums of the first line, `cpu  1 2 3...`; zeros where it is another. */
export function parseCpuLine(text: string): number[] {
  const numbers = /^cpu +((?:\d+ ?){4,})/.exec(text)?.[1].trim().split(' ').map(Number);
  return numbers ?? [0, 0, 0, 0];
}

/** utime and stime of /proc/PID/stat; the name in it may hold blanks and brackets. */
export function ticksOf(text: string): number | null {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return Number.isFinite(ticks) ? ticks : null;
}

/** /proc/PID/schedstat: nanoseconds that it ran and that it waited, and how often it was given its turn. */
export function parseThreadTimes(text: string): ThreadTimes | null {
  const found = /^(\d+) (\d+) \d+$/m.exec(text);
  if (found === null) return null;
  return { ranMs: Number(found[1]) / NS_PER_MS, waitedMs: Number(found[2]) / NS_PER_MS };
}

export function describeLoad(before: LoadSample, after: LoadSample): Load {
  const processors = cpus().length;
  const total = Math.max(1, after.total - before.total);
  const share = (ticks: number): number => round(ticks / total);
  const elapsed = Math.max(1, after.at - before.at);
  const isLong = elapsed >= RUN_MS_MIN;
  const part = (from: number | undefined, to: number | undefined): number | null =>
    from === undefined || to === undefined || !isLong ? null : round((to - from) / elapsed);
  const daemon =
    before.daemon === null || after.daemon === null || !isLong
      ? null
      : after.daemon - before.daemon;
  return {
    processors,
    average: Number((textOf('/proc/loadavg') ?? '0').split(' ', 1)[0]),
    busy: share(total - (after.idle - before.idle)),
    stolen: share(after.stolen - before.stolen),
    daemon: daemon === null ? null : share(daemon * processors),
    pid: after.pid,
    ran: part(before.thread?.ranMs, after.thread?.ranMs),
    waited: part(before.thread?.waitedMs, after.thread?.waitedMs),
    hasAutogroups: textOf('/proc/sys/kernel/sched_autogroup_enabled')?.trim() === '1',
    pressure: parsePressure(textOf('/proc/pressure/cpu') ?? ''),
  };
}

function round(share: number): number {
  return Math.round(share * 1_000) / 1_000;
}

export function parsePressure(text: string): number | null {
  const found = /^some avg10=(\d+\.\d+)/m.exec(text);
  return found === null ? null : Number(found[1]);
}
