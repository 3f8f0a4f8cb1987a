/**
 * `--profile`: where the time goes while one TCP stream runs through tswg. With perf it looks at
 * the whole machine; without, V8's own profiler and the kernel's CPU times give a coarser answer.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execute, mustExecute, sleep } from '../lab/command.ts';
import {
  nameOf,
  type PerfSample,
  PLACES,
  parseCompiledCode,
  parsePerfScript,
  placeOf,
} from './attribution.ts';
import { parseCpuProfile, type ScriptTime } from './cpuprofile.ts';
import { tswg } from './implementation.ts';
import { type Delivery, gigabitsPerSecond, runLoad } from './iperf.ts';
import { cpuTime, machineBusySeconds } from './processes.ts';
import { type Daemon, RIGHT, Tunnel } from './tunnel.ts';

const WARM_UP_MS = 1_000;
const MS_PER_S = 1_000;
const FREQUENCY_HZ = 997;
const PERF_GRACE_MS = 60_000;
const TOP_SYMBOLS = 30;
const PERCENT = 100;

/**
 * V8 writes its map of code to /tmp under its PID, and two daemons may have the same, each on its
 * host: each host gets a /tmp of its own. What the machine has there, which may be this checkout,
 * it finds through links.
 */
const PRIVATE_TMP = `
mkdir /run/tmp
mount --rbind /tmp /run/tmp
mount -t tmpfs -o mode=1777 tmpfs /tmp
shopt -s dotglob
for name in /run/tmp/*; do
  case $name in */perf-*.map) ;; *) ln -s -t /tmp "$name" ;; esac
done
`;

/** Text for the terminal. */
export async function profile(seconds: number): Promise<string> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tswg-profile-'));
  process.once('exit', () => rmSync(folder, { recursive: true }));
  const attempt = await execute(['perf', 'record', '-a', '-o', `${folder}/try`, 'true']);
  if (attempt.status === 0) return profileWithPerf(seconds, folder);
  console.log('bench: perf cannot be used here; V8 is asked instead');
  return profileWithV8(seconds, folder);
}

async function profileWithPerf(seconds: number, folder: string): Promise<string> {
  const implementation = tswg('tswg', {}, [
    '--perf-basic-prof',
    '--interpreted-frames-native-stack',
  ]);
  const tunnel = await Tunnel.open(implementation, (host) =>
    host.run('bash', ['-euc', PRIVATE_TMP]).then(() => {}),
  );
  try {
    const data = path.join(folder, 'perf.data');
    let busyShare = 0;
    const delivery = await whileStreaming(tunnel, seconds, async () => {
      const busyBefore = machineBusySeconds();
      const start = performance.now();
      const record = ['perf', 'record', '-q', '-a', '-F', `${FREQUENCY_HZ}`, '-o', data];
      await mustExecute([...record, 'sleep', `${seconds}`], {
        timeoutMs: seconds * MS_PER_S + PERF_GRACE_MS,
      });
      const capacity = ((performance.now() - start) / MS_PER_S) * os.cpus().length;
      busyShare = Math.min(1, (machineBusySeconds() - busyBefore) / capacity);
    });
    const script = ['perf', 'script', '-i', data, '-F', 'comm,pid,ip,sym,dso'];
    const samples = parsePerfScript(await mustExecute(script, { timeoutMs: PERF_GRACE_MS }));
    return formatPerf(samples, tunnel.daemons, busyShare, delivery);
  } finally {
    await tunnel.close();
  }
}

/** Runs a stream, and `watch` in the midst of it. */
async function whileStreaming(
  tunnel: Tunnel,
  seconds: number,
  watch: () => Promise<void>,
): Promise<Delivery> {
  const stream = runLoad(tunnel.left.host, tunnel.right.host, {
    address: RIGHT.inner4,
    seconds: Math.ceil(seconds + (2 * WARM_UP_MS) / MS_PER_S),
  });
  // Its failure is met below, when the watch is over.
  stream.catch(() => {});
  await sleep(WARM_UP_MS);
  await watch();
  return stream;
}

function formatPerf(
  samples: readonly PerfSample[],
  daemons: readonly Daemon[],
  busyShare: number,
  delivery: Delivery,
): string {
  const pids = new Set(daemons.map(({ pid }) => pid));
  const maps = new Map(daemons.map(({ pid }) => [pid, parseCompiledCode(readCodeMap(pid))]));
  const places = new Map<string, number>();
  const symbols = new Map<string, number>();
  let counted = 0;
  for (const sample of samples) {
    const place = placeOf(sample, pids);
    if (place === null) continue;
    counted++;
    places.set(place, (places.get(place) ?? 0) + 1);
    if (!pids.has(sample.pid)) continue;
    const isCompiled = place === 'JavaScript and WebAssembly' && sample.symbol === '';
    const name = isCompiled ? nameOf(sample.address, maps.get(sample.pid) ?? []) : sample.symbol;
    const label = `${place.padEnd(PLACE_WIDTH)}  ${name || path.basename(sample.object)}`;
    symbols.set(label, (symbols.get(label) ?? 0) + 1);
  }
  const percent = (count: number): string => share((busyShare * count) / counted);
  const placeLines = PLACES.map((place) => `${percent(places.get(place) ?? 0)}  ${place}`);
  const symbolLines = [...symbols]
    .sort(([, a], [, b]) => b - a)
    .slice(0, TOP_SYMBOLS)
    .map(([label, count]) => `${percent(count)}  ${label}`);
  return [
    `one TCP stream at ${gigabitsPerSecond(delivery).toFixed(2)} Gbit/s while perf looked on;`,
    `shares of what ${os.cpus().length} cores can do (${samples.length} samples):`,
    '',
    ...placeLines,
    `${share(1 - busyShare)}  idle`,
    '',
    'both daemons, by function:',
    '',
    ...symbolLines,
  ].join('\n');
}

const PLACE_WIDTH = Math.max(...PLACES.map((place) => place.length));

function share(fraction: number): string {
  return `${(PERCENT * fraction).toFixed(1).padStart(5)} %`;
}

/** Written by V8 on the daemon's host, under the PID that the daemon has there. */
function readCodeMap(pid: number): string {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const innerPid = /^NSpid:.*?(\d+)$/m.exec(status)?.[1] ?? `${pid}`;
  return readFileSync(`/proc/${pid}/root/tmp/perf-${innerPid}.map`, 'utf8');
}

async function profileWithV8(seconds: number, folder: string): Promise<string> {
  const implementation = tswg('tswg', { TSWG_SANDBOX: 'off' }, [
    '--cpu-prof',
    '--cpu-prof-dir',
    folder,
  ]);
  const tunnel = await Tunnel.open(implementation);
  let kernelSeconds = 0;
  let userSeconds = 0;
  let busySeconds = 0;
  let delivery: Delivery;
  try {
    delivery = await whileStreaming(tunnel, seconds, async () => {
      const before = tunnel.daemons.map(({ pid }) => cpuTime(pid));
      const busyBefore = machineBusySeconds();
      await sleep(seconds * MS_PER_S);
      busySeconds = machineBusySeconds() - busyBefore;
      tunnel.daemons.forEach(({ pid }, end) => {
        const after = cpuTime(pid);
        kernelSeconds += after.systemSeconds - before[end].systemSeconds;
        userSeconds += after.userSeconds - before[end].userSeconds;
      });
    });
  } finally {
    await tunnel.close();
  }
  const capacity = seconds * os.cpus().length;
  return [
    `one TCP stream at ${gigabitsPerSecond(delivery).toFixed(2)} Gbit/s while V8 looked on;`,
    `shares of what ${os.cpus().length} cores can do:`,
    '',
    `${share(kernelSeconds / capacity)}  kernel, for the daemons`,
    `${share(userSeconds / capacity)}  the daemons themselves`,
    `${share((busySeconds - kernelSeconds - userSeconds) / capacity)}  iperf3, interrupts and other programs`,
    `${share(1 - busySeconds / capacity)}  idle`,
    '',
    'of the time that both daemons were awake, the kernel included, as V8 sees it:',
    '',
    ...formatScriptTimes(folder),
  ].join('\n');
}

/** V8 profiles the whole life of a daemon: of that only the proportions can be used. */
function formatScriptTimes(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'));
  const times = names.map((name) => parseCpuProfile(readFileSync(path.join(folder, name), 'utf8')));
  const sum = (of: (time: ScriptTime) => number): number =>
    times.reduce((total, time) => total + of(time), 0);
  const kinds: [ms: number, what: string][] = [
    [sum((time) => time.scriptMs), 'JavaScript and what it calls: crypto, system calls, glue'],
    [sum((time) => time.webAssemblyMs), 'WebAssembly'],
    [sum((time) => time.collectorMs), 'garbage collector'],
    [sum((time) => time.nativeMs), 'event loop'],
  ];
  const functions = new Set(times.flatMap((time) => [...time.functions.keys()]));
  const byFunction = [...functions]
    .map((name): [number, string] => [sum((time) => time.functions.get(name) ?? 0), name])
    .sort(([a], [b]) => b - a)
    .slice(0, TOP_SYMBOLS);
  const awake = kinds.reduce((total, [ms]) => total + ms, 0);
  const lines = (list: [number, string][]): string[] =>
    list.map(([ms, what]) => `${share(ms / awake)}  ${what}`);
  return [...lines(kinds), '', ...lines(byFunction)];
}
