/**
 * What the kernel says of the daemons and of the machine: CPU time and memory, out of /proc.
 * Reads only; PIDs are those of the benchmark's own namespace.
 */

import { readFileSync } from 'node:fs';

/** USER_HZ, which Linux has kept at 100 for the unit of these files. */
const TICKS_PER_S = 100;
const KIB = 1_024;
const BYTES_PER_MB = 1e6;
/** Of the numbers behind `cpu ` in /proc/stat: idle and iowait. */
const IDLE_COLUMNS = new Set([3, 4]);
/** user nice system idle iowait irq softirq steal; those behind repeat parts of these. */
const COLUMNS = 8;

export interface CpuTime {
  readonly userSeconds: number;
  readonly systemSeconds: number;
}

export function cpuTime(pid: number): CpuTime {
  return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

/** Seconds that all processors together were not idle, interrupts and stolen time among them. */
export function machineBusySeconds(): number {
  return parseMachineStat(readFileSync('/proc/stat', 'utf8'));
}

/** The most memory the process ever had resident, in MB. */
export function peakRssMb(pid: number): number {
  return parseStatus(readFileSync(`/proc/${pid}/status`, 'utf8'), 'VmHWM');
}

/** The memory that the process has resident now, in MB. */
export function rssMb(pid: number): number {
  return parseStatus(readFileSync(`/proc/${pid}/status`, 'utf8'), 'VmRSS');
}

/** The only child of a process, which is what `nsenter --pid` has started. */
export function onlyChild(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  if (children.length !== 1 || children[0] === '') {
    throw new Error(`process ${pid}: ${children.length} children where one was expected`);
  }
  return Number(children[0]);
}

/** /proc/PID/stat; the name in it may hold spaces and parentheses. */
export function parseProcessStat(text: string): CpuTime {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return {
    userSeconds: Number(fields[11]) / TICKS_PER_S,
    systemSeconds: Number(fields[12]) / TICKS_PER_S,
  };
}

/** The first line of /proc/stat. */
export function parseMachineStat(text: string): number {
  const columns = text
    .slice(0, text.indexOf('\n'))
    .split(/\s+/)
    .slice(1, 1 + COLUMNS);
  const busy = columns.filter((_, column) => !IDLE_COLUMNS.has(column));
  return busy.reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_S;
}

/** A line of /proc/PID/status that is an amount of memory, in MB. */
export function parseStatus(text: string, field: string): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text);
  if (match === null) throw new Error(`/proc status: no ${field}`);
  return (Number(match[1]) * KIB) / BYTES_PER_MB;
}
