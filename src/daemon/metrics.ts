/**
 * The table of what can be observed of a daemon beside its Device and the peers (those are
 * device/metrics.ts). A row here is all that a new metric takes.
 */

import { getHeapStatistics } from 'node:v8';
import type { Observing } from '../control/observing.ts';
import { secretMemory, secretMemoryFact } from '../crypto/openssl/secretmemory.ts';
import type { Datapath } from '../datapath/datapath.ts';
import type { Interface } from '../datapath/interface.ts';
import type { Transport } from '../datapath/transport.ts';
import { counter, gauge, info, type Metric } from '../device/metric.ts';
import type { Persistence } from '../state/persistence.ts';
import { VERSION } from '../version.ts';
import type { Chronicle } from './chronicle.ts';
import type { Confinement } from './confinement.ts';

/** The parts of a daemon that there is something to be read of, in a turn that has begun. */
export interface DaemonSubject {
  readonly path: Datapath;
  readonly confinement: Confinement;
  readonly observing: Observing;
  readonly chronicle: Chronicle;
  /** Only of a persistent daemon. */
  readonly persistence: Persistence | undefined;
  /** When the first of all who have followed each other began; monotonic ms. */
  readonly startedAt: () => number;
}

/** In the order in which they are shown. */
export const DAEMON_METRICS: readonly Metric<DaemonSubject>[] = [
  info('version', 'version of the running program', () => VERSION),
  info('pid', 'process id of the daemon, in its own namespace', () => String(process.pid)),
  gauge(
    'uptime_seconds',
    'seconds',
    'time since the daemon was started; an upgrade in place does not reset it',
    ({ path, startedAt }) => Math.floor((path.now - startedAt()) / 1_000),
  ),
  counter(
    'cpu_seconds',
    'seconds',
    'processor time of this process, all threads, in user and system mode',
    cpuSeconds,
  ),
  gauge(
    'heap_bytes',
    'bytes',
    'JavaScript heap in use; packets and most keys lie outside it',
    () => getHeapStatistics().used_heap_size,
  ),
  info(
    'offload',
    'whether the interface and the sockets take segments of many packets at once',
    offload,
  ),
  info(
    'gate',
    'whether the kernel turns strangers away, and what share of their initiations passes',
    ({ path }) => path.transport?.guard?.fact ?? 'none',
  ),
  {
    kind: 'counter',
    name: 'udp',
    unit: 'errors',
    label: 'error',
    help: 'errors of the UDP sockets, since they were opened, by name (errno(3))',
    readEach: ({ path }) => errorsOf(path.transport, 'udp'),
  },
  {
    kind: 'counter',
    name: 'tun',
    unit: 'errors',
    label: 'error',
    help: 'errors of the interface, since it was opened, by name (errno(3))',
    readEach: ({ path }) => errorsOf(path.interface, 'tun'),
  },
  {
    kind: 'info',
    name: 'sandbox',
    label: 'step',
    help: 'state of each step of the sandbox; without a step where there is no sandbox',
    readEach: ({ confinement }) => confinement.steps,
  },
  info('sandbox_key_memory', 'whether keys are kept out of swap', secretMemoryFact),
  gauge(
    'keys_in_ordinary_memory',
    'keys',
    'keys that do not fit into the memory that is kept out of swap',
    () => secretMemory().ordinaryKeys,
  ),
  info(
    'observing',
    'whether the observing socket exists, and who besides root may read from it',
    ({ observing }) => observing.fact,
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
  info(
    'state',
    'that the state is kept for a restart; absent without --persist, and while it cannot be saved',
    ({ persistence }) => (persistence?.isSaved ? 'kept for a restart' : null),
  ),
];

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

function offload({ path }: DaemonSubject): string {
  const { interface: side, transport } = path;
  const yesOrNo = (isOffloading = false): string => (isOffloading ? 'yes' : 'no');
  const inner = `interface ${yesOrNo(side?.isOffloading)}`;
  if (transport === undefined) return inner;
  return `${inner}, ${transport.kind} ${yesOrNo(transport.isOffloading)}`;
}
