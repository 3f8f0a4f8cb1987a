/** Evidence: how busy the machine is, and the daemon, between two moments. */

import { cpus } from 'node:os';
import type { Load } from '../evidence.ts';
import { readText, textOf } from './procfile.ts';

/** With fewer, 0.4 s, a tick more or less is more than can be said of a share. */
const TICKS_MIN = 40;

/** In clock ticks of the kernel (USER_HZ, 100 a second on every machine that Node runs on). */
export interface LoadSample {
  readonly total: number;
  readonly idle: number;
  readonly stolen: number;
  /** User and system time; null when there is no such process. */
  readonly daemon: number | null;
}

/** @param pid the daemon's; null when unknown @throws NodeJS.ErrnoException */
export function sampleLoad(pid: number | null): LoadSample {
  const [user, nice, system, idle, wait = 0, irq = 0, softirq = 0, stolen = 0] = parseCpuLine(
    readText('/proc/stat'),
  );
  return {
    total: user + nice + system + idle + wait + irq + softirq + stolen,
    idle: idle + wait,
    stolen,
    daemon: pid === null ? null : ticksOf(textOf(`/proc/${pid}/stat`) ?? ''),
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

export function describeLoad(before: LoadSample, after: LoadSample): Load {
  const processors = cpus().length;
  const total = Math.max(1, after.total - before.total);
  const share = (ticks: number): number => Math.round((ticks / total) * 1_000) / 1_000;
  const isLong = total >= TICKS_MIN * processors;
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
    pressure: parsePressure(textOf('/proc/pressure/cpu') ?? ''),
  };
}

export function parsePressure(text: string): number | null {
  const found = /^some avg10=(\d+\.\d+)/m.exec(text);
  return found === null ? null : Number(found[1]);
}
