/**
 * Gathers all evidence of one run. What can be asked at once is asked at once; what is counted is
 * counted before and after. Changes nothing on the machine, but for a handshake that its pings begin.
 */

import { Netlink } from '../../netlink/netlink.ts';
import { type Prefix, parsePrefix } from '../../packet/address.ts';
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
  type Wishes,
} from '../evidence.ts';
import { describeClock, sampleClock } from './clock.ts';
import { gatherConnections } from './conntrack.ts';
import { readKernelCounters, readLinkCounters, withoutZeros } from './counters.ts';
import { type DaemonSample, describeDaemon, isSample, sampleDaemon } from './daemon.ts';
import { describeFirewall, sampleFirewall } from './firewall.ts';
import { gatherLinks } from './links.ts';
import { describeLoad, sampleLoad } from './load.ts';
import { gainOf, look, lookWithin } from './looking.ts';
import { gatherManagers } from './managers.ts';
import { gatherNames } from './names.ts';
import { type Plan, planOf } from './plan.ts';
import { gatherProcesses } from './processes.ts';
import { targetOf } from './procfile.ts';
import { askRoutes, gatherRules, gatherTable } from './routes.ts';
import { gainDrops, gatherSockets } from './sockets.ts';
import { gatherSysctls } from './sysctls.ts';
import { Traffic } from './traffic.ts';

export interface GatherOptions {
  readonly name: string;
  /** Only this peer is asked about; null for all. */
  readonly peer: string | null;
  /** Nothing is sent, and nothing waited for. */
  readonly isQuiet: boolean;
  /** The other end's state, already read; null when it was not given. */
  readonly other: Looked<OtherEnd> | null;
  /** What the hostname file asks for; null when there is none. */
  readonly readWishes: () => Promise<Wishes | null>;
  /** Where persistent daemons keep their states. */
  readonly stateDirectory: string;
}

const LINK_COUNTERS_MAX = 64;
const CONNTRACK_MS = 3_000;
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

async function gatherWith(netlink: Netlink, options: GatherOptions): Promise<Evidence> {
  const { name, peer, other } = options;
  const begun = sampleClock();
  const startedAt = performance.now();
  const links = gatherLinks(netlink);
  const link = links.find((one) => one.name === name) ?? null;
  const wishes = await look(options.readWishes);
  const [firstDaemon, firewallBefore] = await Promise.all([
    look(() => sampleDaemon(name, link, options.stateDirectory)),
    lookWithin(FIREWALL_MS, 'listing the firewall', sampleFirewall),
  ]);
  const sample = sampleOf(firstDaemon);
  const plan = planOf({ options, links, link, sample, wishes: known(wishes) });
  const processes = await look(() => gatherProcesses(name));
  const before = countAll(links, plan, known(processes)?.[0]?.pid ?? null);

  const traffic = new Traffic(plan, links, sample);
  const [names, conntrack] = await Promise.all([
    look(() => gatherNames(plan.names)),
    lookWithin(CONNTRACK_MS, 'listing connections', () =>
      gatherConnections(plan.port, plan.endpointAddresses),
    ),
    traffic.run(async () => sampleOf(await look(() => ask(options, link)))),
  ]);

  const [lastDaemon, firewallAfter] = await Promise.all([
    look(() => ask(options, link)),
    lookWithin(FIREWALL_MS, 'listing the firewall', sampleFirewall),
  ]);
  const after = countAll(links, plan, known(processes)?.[0]?.pid ?? null);
  const ended = sampleClock();
  const questions = [...plan.routes, ...plan.routesOfNames(known(names) ?? [])];
  const routes = await look(() => askRoutes(netlink, links, questions));
  const heard = traffic.end(known(routes) ?? []);
  return {
    run: {
      name,
      peer,
      version: VERSION,
      isRoot: process.geteuid?.() === 0,
      startedMs: begun.wallMs,
      tookMs: Math.round(performance.now() - startedAt),
      namespace: targetOf('/proc/self/ns/net') ?? '',
    },
    link: looked(link),
    daemon: daemonOf(firstDaemon, lastDaemon, ended.wallMs),
    events: cannotLook('this daemon keeps no events'),
    processes,
    files: await look(() => {
      // It is known by then; what could not be read is no file that could be taken for missing.
      if (!wishes.ok) throw Object.assign(new Error(wishes.because), { code: 'EACCES' });
      return { hostname: wishes.value, managers: gatherManagers(name, link?.index ?? null) };
    }),
    links: looked(links),
    routes,
    table: await look(() => gatherTable(netlink, links, name, prefixesOf(plan.allowedIps))),
    rules: await look(() => gatherRules(netlink)),
    sockets: both(before.sockets, after.sockets, gainDrops),
    sysctls: looked(gatherSysctls(links, name)),
    firewall: both(firewallBefore, firewallAfter, describeFirewall),
    conntrack,
    kernel: both(before.kernel, after.kernel, (first, last) => ({
      counters: withoutZeros(last),
      gained: gainOf(first, last),
    })),
    linkCounters: both(before.links, after.links, (first, last) =>
      last.map(([one, counters]) => ({
        link: one,
        counters: withoutZeros(counters),
        gained: gainOf(first.find(([same]) => same === one)?.[1] ?? {}, counters),
      })),
    ),
    load: both(before.load, after.load, describeLoad),
    clock: looked(describeClock(begun, ended)),
    names,
    ...heard,
    other,
  };
}

function ask(options: GatherOptions, link: Link | null): Promise<DaemonSample | Daemon> {
  return sampleDaemon(options.name, link, options.stateDirectory);
}

function sampleOf(daemon: Looked<DaemonSample | Daemon>): DaemonSample | null {
  return daemon.ok && isSample(daemon.value) ? daemon.value : null;
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

function prefixesOf(texts: readonly string[]): Prefix[] {
  return texts.map(parsePrefix).filter((prefix) => prefix !== null);
}

/** Everything that is counted, at one moment. */
function countAll(links: readonly Link[], plan: Plan, pid: number | null) {
  const trying = <T>(gather: () => T): Looked<T> => {
    try {
      return looked(gather());
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      return cannotLook(message);
    }
  };
  return {
    kernel: trying(readKernelCounters),
    load: trying(() => sampleLoad(pid)),
    links: trying(() =>
      links.slice(0, LINK_COUNTERS_MAX).flatMap(({ name }) => {
        const counters = readLinkCounters(name);
        return counters === null ? [] : [[name, counters] as const];
      }),
    ),
    sockets: trying(() => (plan.port === 0 ? [] : gatherSockets(plan.port))),
  };
}

/** Of two samples; the reason of the first that is missing. */
function both<T, U>(
  before: Looked<T>,
  after: Looked<T>,
  describe: (before: T, after: T) => U,
): Looked<U> {
  if (!before.ok) return before;
  return after.ok ? looked(describe(before.value, after.value)) : after;
}
