/**
 * Gathers all evidence of one run. What can be asked at once is asked at once; what is counted is
 * counted before and after. Changes nothing on the machine, but for a handshake that its pings begin.
 */

import { Netlink } from '../../netlink/netlink.ts';
import { type UdpSocketEntry, udpSocketsAt } from '../../netlink/socketdiag.ts';
import { VERSION } from '../../version.ts';
import {
  cannotLook,
  type Daemon,
  type Evidence,
  known,
  type Link,
  type Looked,
  looked,
  type OtherEnd,
  type ServingProcess,
  type Wishes,
} from '../evidence.ts';
import { type ClockSample, describeClock, sampleClock } from './clock.ts';
import { gatherConnections } from './conntrack.ts';
import { readKernelCounters, withoutZeros } from './counters.ts';
import { describeDaemon, isSample, sampleDaemon } from './daemon.ts';
import { gatherEvents } from './events.ts';
import { describeFirewall, type FirewallSample, sampleAgain, sampleFirewall } from './firewall.ts';
import { gatherLinks } from './links.ts';
import { describeLoad, sampleLoad } from './load.ts';
import { gainOf, look, lookNow, lookWithin } from './looking.ts';
import { gatherManagers } from './managers.ts';
import { gatherNames } from './names.ts';
import { type Plan, planOf } from './plan.ts';
import { gatherProcesses } from './processes.ts';
import { targetOf } from './procfile.ts';
import { askRoutes, gatherRules, gatherTable } from './routes.ts';
import type { DaemonSample } from './sample.ts';
import { gainDrops, gatherSockets } from './sockets.ts';
import { gatherSysctls } from './sysctls.ts';
import { type Note, Traffic } from './traffic.ts';

export interface GatherOptions {
  readonly name: string;
  /** Only this peer is asked about; null for all. */
  readonly peer: string | null;
  /** Nothing is sent, and nothing waited for. */
  readonly isQuiet: boolean;
  /** The other end's state, already read; null when it was not given. */
  readonly other: Looked<OtherEnd> | null;
  /** What the hostname file asks for, already read; a value of null when there is none. */
  readonly wishes: Looked<Wishes | null>;
  /** Where persistent daemons keep their states. */
  readonly stateDirectory: string;
  /** Told before something takes longer than when all is well, and why. */
  readonly note: Note;
}

const OF_KERNEL =
  "the kernel's own WireGuard serves the interface: it tells its peers, but keeps no events and counts no drops";
const LINK_COUNTERS_MAX = 64;
const INNER_ADDRESSES_MAX = 8;
const FIREWALL_MS = 4_000;

/** @throws {SystemError} where not even links can be listed */
export async function gatherEvidence(options: GatherOptions): Promise<Evidence> {
  const netlink = new Netlink();
  try {
    return await gatherWith(netlink, options);
  } finally {
    netlink.close();
  }
}

/** What is known before anything is sent. */
interface Beginning {
  readonly clock: ClockSample;
  readonly startedAt: number;
  readonly links: readonly Link[];
  readonly link: Link | null;
  readonly daemon: Looked<DaemonSample | Daemon>;
  readonly firewall: Looked<FirewallSample>;
  readonly processes: Evidence['processes'];
  readonly plan: Plan;
}

async function gatherWith(netlink: Netlink, options: GatherOptions): Promise<Evidence> {
  const beginning = await begin(netlink, options);
  const traffic = new Traffic(beginning.plan, beginning.links, sampleOf(beginning.daemon));
  try {
    return await gatherDuring(netlink, options, beginning, traffic);
  } finally {
    traffic.close();
  }
}

async function begin(netlink: Netlink, options: GatherOptions): Promise<Beginning> {
  const { name, peer, isQuiet } = options;
  const clock = sampleClock();
  const startedAt = performance.now();
  const links = gatherLinks(netlink);
  const link = links.find((one) => one.name === name) ?? null;
  const [daemon, firewall] = await Promise.all([
    look(() => ask(options, link)),
    lookWithin(FIREWALL_MS, 'listing the firewall', () => sampleFirewall()),
  ]);
  const plan = planOf({
    ...{ name, peer, isQuiet, links, link },
    other: known(options.other),
    sample: sampleOf(daemon),
    wishes: known(options.wishes),
  });
  const processes = await look(() => gatherProcesses(name));
  return { clock, startedAt, links, link, daemon, firewall, processes, plan };
}

async function gatherDuring(
  netlink: Netlink,
  options: GatherOptions,
  beginning: Beginning,
  traffic: Traffic,
): Promise<Evidence> {
  const { links, link, plan, processes } = beginning;
  const pid = daemonNumber(known(processes) ?? [], options.name);
  const before = countAll(netlink, plan, pid, udpSocketsAt);
  const [names, conntrack] = await Promise.all([
    look(() => gatherNames(plan.names)),
    look(() => gatherConnections(plan.port, plan.endpointAddresses, innerAddresses(link))),
    traffic.run(async () => {
      // One that has not answered is given the same time once more, at the end.
      if (sampleOf(beginning.daemon) === null) return null;
      return sampleOf(await look(() => ask(options, link)));
    }, options.note),
  ]);
  const { firewall } = beginning;
  const [lastDaemon, firewallAfter] = await Promise.all([
    look(() => ask(options, link)),
    firewall.ok
      ? lookWithin(FIREWALL_MS, 'listing the firewall', () => sampleAgain(firewall.value))
      : firewall,
  ]);
  const after = countAll(netlink, plan, pid, (port) => gatherSockets(port, pid));
  const clock = sampleClock();
  const questions = [...plan.routes, ...plan.routesOfNames(known(names) ?? [])];
  const places = [...plan.allowedIps, ...plan.endpointAddresses];
  const routes = await look(() => askRoutes(netlink, links, questions));
  return {
    run: runOf(options, beginning),
    link: looked(link),
    daemon: daemonOf(beginning.daemon, lastDaemon, clock.wallMs),
    events: await eventsOf(options.name, link, lastDaemon),
    processes,
    files: filesOf(options, beginning),
    links: looked(links),
    routes,
    table: await look(() => gatherTable(netlink, links, options.name, places)),
    rules: await look(() => gatherRules(netlink)),
    sysctls: looked(gatherSysctls(links, options.name)),
    firewall: both(firewall, firewallAfter, describeFirewall),
    conntrack,
    ...countedOf(before, after),
    clock: looked(describeClock(beginning.clock, clock)),
    names,
    ...traffic.end(known(routes) ?? []),
    other: options.other,
  };
}

/** The daemon's, among programs that serve an interface of this name in some network namespace. */
function daemonNumber(processes: readonly ServingProcess[], name: string): number | null {
  const here = ownNamespace();
  const daemons = processes.filter(
    ({ program, namespace }) => program !== 'wg-quick' && namespace === here,
  );
  const holder = daemons.find(({ descriptors }) => descriptors?.interfaces.includes(name));
  return (holder ?? daemons[0])?.pid ?? null;
}

function ownNamespace(): string {
  return targetOf('/proc/self/ns/net') ?? '';
}

function runOf({ name, peer }: GatherOptions, { clock, startedAt }: Beginning): Evidence['run'] {
  return {
    name,
    peer,
    version: VERSION,
    isRoot: process.geteuid?.() === 0,
    startedMs: clock.wallMs,
    tookMs: Math.round(performance.now() - startedAt),
    namespace: ownNamespace(),
  };
}

function filesOf({ name, wishes }: GatherOptions, { link }: Beginning): Evidence['files'] {
  // A file that could not be read is not to be taken for one that is missing.
  if (!wishes.ok) return wishes;
  return looked({ hostname: wishes.value, managers: gatherManagers(name, link?.index ?? null) });
}

function countedOf(
  before: Counted<UdpSocketEntry>,
  after: Counted<ReturnType<typeof gatherSockets>[number]>,
): Pick<Evidence, 'sockets' | 'kernel' | 'linkCounters' | 'load'> {
  return {
    sockets: both(before.sockets, after.sockets, gainDrops),
    kernel: both(before.kernel, after.kernel, (first, last) => ({
      counters: withoutZeros(last),
      gained: gainOf(first, last),
    })),
    linkCounters: both(before.links, after.links, (first, last) =>
      last.map(({ name, counters }) => ({
        link: name,
        counters: withoutZeros(counters),
        gained: gainOf(first.find((same) => same.name === name)?.counters ?? {}, counters),
      })),
    ),
    load: both(before.load, after.load, describeLoad),
  };
}

function ask(options: GatherOptions, link: Link | null): Promise<DaemonSample | Daemon> {
  return sampleDaemon(options.name, link, options.stateDirectory);
}

/** Without those of the link alone; a tunnel with many is asked about the first. */
function innerAddresses(link: Link | null): string[] {
  return (link?.addresses ?? [])
    .filter(({ isLinkLocal }) => !isLinkLocal)
    .map(({ address }) => address)
    .slice(0, INNER_ADDRESSES_MAX);
}

function sampleOf(daemon: Looked<DaemonSample | Daemon>): DaemonSample | null {
  return daemon.ok && isSample(daemon.value) ? daemon.value : null;
}

async function eventsOf(
  name: string,
  link: Link | null,
  daemon: Looked<DaemonSample | Daemon>,
): Promise<Evidence['events']> {
  const sample = sampleOf(daemon);
  if (sample === null) return cannotLook('nothing is known of the daemon');
  if (link?.kind === 'wireguard') return cannotLook(OF_KERNEL);
  if (sample.stats === null) return cannotLook('the daemon is not tswgd');
  return look(() => gatherEvents(name));
}

/** What it said last, and what rose since it was first asked. */
function daemonOf(
  first: Looked<DaemonSample | Daemon>,
  last: Looked<DaemonSample | Daemon>,
  nowMs: number,
): Looked<Daemon> {
  if (!last.ok) return last;
  if (!isSample(last.value)) return looked(last.value);
  return looked(describeDaemon(sampleOf(first) ?? last.value, last.value, nowMs));
}

type Counted<T> = ReturnType<typeof countAll<T>>;

/** Everything that is counted, at one moment. @param sockets those at a port */
function countAll<T>(
  netlink: Netlink,
  plan: Plan,
  pid: number | null,
  sockets: (port: number) => T[],
) {
  return {
    kernel: lookNow(readKernelCounters),
    load: lookNow(() => sampleLoad(pid)),
    links: lookNow(() => netlink.linkStatistics().slice(0, LINK_COUNTERS_MAX)),
    sockets: lookNow(() => (plan.port === 0 ? [] : sockets(plan.port))),
  };
}

/** Of two samples; the reason of the first that is missing. */
function both<S, T, U>(
  before: Looked<S>,
  after: Looked<T>,
  describe: (before: S, after: T) => U,
): Looked<U> {
  if (!before.ok) return before;
  return after.ok ? looked(describe(before.value, after.value)) : after;
}
