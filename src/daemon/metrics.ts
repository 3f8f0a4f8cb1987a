/**
 * The table of what can be observed of a daemon beside its Device and the peers (those are
 * device/metrics.ts). A row here is all that a new metric takes. Loads nothing of the daemon's:
 * `tswg metrics` reads the same table for names, units and help.
 */

import type { Observing } from '../control/observing.ts';
import { counted } from '../counted.ts';
import type { Datapath } from '../datapath/datapath.ts';
import type { GuardState } from '../datapath/guard.ts';
import type { Interface } from '../datapath/interface.ts';
import type { Transport } from '../datapath/transport.ts';
import {
  asSeries,
  counter,
  gauge,
  info,
  type Metric,
  type State,
  state,
} from '../device/metric.ts';
import { RESOLVER_WORDS } from '../resolver/resolver.ts';
import type { Persistence } from '../state/persistence.ts';
import type { Loop } from '../sys/loop.ts';
import type { ProcessStatus } from '../sys/processstatus.ts';
import { VERSION } from '../version.ts';
import type { Chronicle } from './chronicle.ts';
import type { Confinement } from './confinement.ts';
import type { Names } from './names.ts';

/** The parts of a daemon that there is something to be read of, in a turn that has begun. */
export interface DaemonSubject {
  readonly path: Datapath;
  readonly confinement: Confinement;
  readonly observing: Observing;
  readonly names: Names;
  readonly chronicle: Chronicle;
  /** Only of a persistent daemon. */
  readonly persistence: Persistence | undefined;
  /** When the first of all who have followed each other began; monotonic ms. */
  readonly startedAt: () => number;
  readonly loop: Loop;
  readonly processStatus: ProcessStatus;
}

const MS_PER_S = 1_000;
const US_PER_MS = 1_000;
const NO_GUARD: GuardState = { word: 'none', share: 1 };
const PERCENT = 100;
const PER_MILLE = 1_000;

/** In the order in which they are shown. */
export const DAEMON_METRICS: readonly Metric<DaemonSubject>[] = [
  info('version', 'version of the running program', () => VERSION),
  // Each upgrade would begin other series.
  asSeries(
    null,
    info('pid', 'process id of the daemon, in its own namespace', () => String(process.pid)),
  ),
  gauge(
    'uptime_seconds',
    'seconds',
    'time since the daemon was started; an upgrade in place does not reset it',
    ({ path, startedAt }) => Math.floor((path.now - startedAt()) / MS_PER_S),
  ),
  counter(
    'cpu_seconds',
    'seconds',
    'processor time of this process, all threads, in user and system mode',
    cpuSeconds,
  ),
  gauge(
    'memory_bytes',
    'bytes',
    'memory of this process that is in use (RSS); absent where it cannot be read',
    ({ processStatus }) => processStatus.residentBytes(),
  ),
  gauge(
    'heap_bytes',
    'bytes',
    'JavaScript heap in use; packets and most keys lie outside it',
    () => process.getBuiltinModule('node:v8').getHeapStatistics().used_heap_size,
  ),
  gauge(
    'loop_lag_seconds',
    'seconds',
    'the longest time in the past one to two minutes for which nothing could be read or sent, since the daemon was at work on something else, or was kept from running',
    ({ path, loop }) => Math.round(loop.lagMs(path.now) * US_PER_MS) / (US_PER_MS * MS_PER_S),
  ),
  {
    kind: 'state',
    name: 'offload',
    states: ['yes', 'no'],
    label: 'side',
    help: 'whether the interface and the sockets take segments of many packets at once',
    readEach: offload,
  },
  state('gate', ['none', 'open', 'shut'], 'whether the kernel turns strangers away', gate),
  gauge(
    'gate_share',
    '',
    'what share of the initiations of strangers passes the gate, from 0 to 1',
    ({ path }) =>
      Math.round((path.transport?.guard?.state ?? NO_GUARD).share * PER_MILLE) / PER_MILLE,
  ),
  {
    kind: 'counter',
    name: 'udp',
    series: 'udp_errors',
    unit: 'errors',
    label: 'error',
    help: 'errors of the UDP sockets, since they were opened, by name (errno(3))',
    readEach: ({ path }) => errorsOf(path.transport, 'udp'),
  },
  {
    kind: 'counter',
    name: 'tun',
    series: 'tun_errors',
    unit: 'errors',
    label: 'error',
    help: 'errors of the interface, since it was opened, by name (errno(3))',
    readEach: ({ path }) => errorsOf(path.interface, 'tun'),
  },
  {
    kind: 'state',
    name: 'sandbox',
    states: ['yes', 'no', 'off'],
    label: 'step',
    help: 'whether each step of the sandbox holds; without a step where there is no sandbox',
    readEach: ({ confinement }) => confinement.steps,
  },
  state(
    'sandbox_key_memory',
    ['yes', 'partly', 'no'],
    'whether keys are kept out of swap',
    keyMemory,
  ),
  gauge(
    'keys_in_ordinary_memory',
    'keys',
    'keys that do not fit into the memory that is kept out of swap',
    ({ confinement }) => confinement.keyMemory.ordinaryKeys,
  ),
  state(
    'observing',
    ['no', 'root', 'group'],
    'who may read from the observing socket, if it exists',
    ({ observing }) => observing.state,
  ),
  counter(
    'events',
    'events',
    'events that were kept and told since the start; the number of the last one',
    ({ chronicle }) => chronicle.ring.seq,
  ),
  counter(
    'events_suppressed',
    'events',
    'events that were not kept because too many came from one peer, or from strangers',
    ({ chronicle }) => chronicle.ring.suppressed,
  ),
  gauge(
    'events_kept',
    'events',
    'events that can still be read',
    ({ chronicle }) => chronicle.ring.size,
  ),
  gauge(
    'events_followers',
    'readers',
    'clients that follow the events at this moment',
    ({ chronicle }) => chronicle.followers,
  ),
  state(
    'resolver',
    RESOLVER_WORDS,
    'what looks up names of endpoints, and how it is; absent as long as there are none',
    ({ names }) => names.state,
  ),
  {
    kind: 'state',
    name: 'resolver_sandbox',
    states: ['yes', 'no', 'off'],
    label: 'step',
    help: 'whether each step of the sandbox of the process that looks names up holds, as that tells it',
    readEach: resolverSteps,
  },
  {
    kind: 'counter',
    name: 'lookups',
    unit: 'lookups',
    label: 'outcome',
    help: 'lookups of names: answered, answered too late, or failed, by name of getaddrinfo(3)',
    readEach: ({ names }) => names.outcomes,
  },
  state(
    'state',
    ['kept'],
    'that the state is kept for a restart; absent without --persist, and while it cannot be saved',
    ({ persistence }) =>
      persistence?.isSaved ? { word: 'kept', text: 'kept for a restart' } : null,
  ),
];

/** A step is told in words alone, by a process that may be in other hands. */
function* resolverSteps({ names }: DaemonSubject): Generator<readonly [string, State]> {
  for (const [step, text] of names.steps) {
    const [word] = text.split(/\W/, 1);
    yield [step, { word: word === 'no' || word === 'off' ? word : 'yes', text }];
  }
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return Math.round((user + system) / 1_000) / 1_000;
}

/** A side of the path of another kind has a row of its own. */
function errorsOf(
  side: Interface | Transport | undefined,
  kind: string,
): Iterable<readonly [error: string, count: number]> {
  return side?.kind === kind ? side.errors : [];
}

function offload({ path }: DaemonSubject): [side: string, State][] {
  const { interface: side, transport } = path;
  const yesOrNo = (isOffloading = false): State => ({ word: isOffloading ? 'yes' : 'no' });
  const inner: [string, State] = ['interface', yesOrNo(side?.isOffloading)];
  if (transport === undefined) return [inner];
  return [inner, [transport.kind, yesOrNo(transport.isOffloading)]];
}

function gate({ path }: DaemonSubject): State {
  const { word, share, refusal } = path.transport?.guard?.state ?? NO_GUARD;
  if (refusal !== undefined) return { word, text: `${word} (${refusal})` };
  if (word !== 'shut') return { word };
  return { word, text: `shut (${Math.round(PERCENT * share)} % of strangers' calls pass)` };
}

function keyMemory({ confinement }: DaemonSubject): State {
  const { lockedBytes, refusal, ordinaryKeys } = confinement.keyMemory;
  const text = refusal === '' ? `locked (${lockedBytes >> 10} KiB)` : `no (mlock: ${refusal})`;
  if (ordinaryKeys === 0) return { word: refusal === '' ? 'yes' : 'no', text };
  return {
    word: 'partly',
    text: `${text}; full, and ${counted(ordinaryKeys, 'key is', 'keys are')} in ordinary memory`,
  };
}
