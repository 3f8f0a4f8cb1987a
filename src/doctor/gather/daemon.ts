/** Evidence: what the daemon of an interface says, at the beginning of the run and at its end. */

import { observe } from '../../control/uapiclient.ts';
import { uapiSocketNames } from '../../control/uapisocket.ts';
import { formatNear } from '../../device/near.ts';
import type { WayState } from '../../device/ways.ts';
import { formatKey } from '../../keytext.ts';
import { formatAddress, formatPrefix } from '../../packet/address.ts';
import { hasState } from '../../state/statefile.ts';
import { publicKeyOf } from '../../sys/publickey.ts';
import { parseState, type ReportedState } from '../../uapi/get.ts';
import { parseStats, type ReportedStats } from '../../uapi/stats.ts';
import type { AnsweringDaemon, Daemon, EndpointWay, Link, Measured, OwnPeer } from '../evidence.ts';
import { CannotLook, gainOf } from './looking.ts';
import { run } from './program.ts';
import type { DaemonSample } from './sample.ts';
import { parseDump } from './wgdump.ts';

/** A healthy one answers within a turn of its loop. */
const TIMEOUT_MS = 3_000;

/** What asking one says that is there and does not serve. */
const SILENCES: Readonly<Record<string, string>> = {
  ETIMEDOUT: `no answer within ${TIMEOUT_MS / 1_000} seconds`,
  EAGAIN: 'it accepts no connection any more: as many as may wait for that are waiting',
  EPROTO: 'it closed the connection without an answer',
  ECONNRESET: 'it closed the connection without an answer',
  EPIPE: 'it closed the connection without an answer',
};

/** A sample, or why there is none. @throws {SystemError} of a refusal that says nothing of the daemon */
export async function sampleDaemon(
  name: string,
  link: Link | null,
  directory: string,
): Promise<DaemonSample | Daemon> {
  const hasSocket = uapiSocketNames().includes(name);
  if (!hasSocket && link?.kind === 'wireguard') return askKernel(name);
  const none = (): Daemon => ({
    ...{ kind: 'none', hasSocket },
    ...{ hasState: hasState(name, directory), hasLink: link !== null },
  });
  if (!hasSocket) return none();
  try {
    return await ask(name);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ECONNREFUSED' || code === 'ENOENT') return none();
    if (!Object.hasOwn(SILENCES, code)) throw error;
    return { kind: 'silent', why: SILENCES[code] };
  }
}

/** By wg(8), which knows its generic netlink. */
async function askKernel(name: string): Promise<DaemonSample | Daemon> {
  try {
    return parseDump(await run('wg', ['show', name, 'dump']));
  } catch (error) {
    if (error instanceof CannotLook) return { kind: 'kernel', why: error.message };
    throw error;
  }
}

async function ask(name: string): Promise<DaemonSample> {
  const state = parseState(await observe(name, 'get=1\n\n', undefined, undefined, TIMEOUT_MS));
  const { privateKey, ...told } = state;
  const publicKey = privateKey === null ? (state.publicKey ?? null) : publicKeyOf(privateKey);
  privateKey?.fill(0);
  // Only of whether there is one.
  for (const peer of state.peers) peer.presharedKey?.fill(0);
  const text =
    state.version === undefined
      ? null
      : await observe(name, 'stats=1\n\n', undefined, undefined, TIMEOUT_MS);
  const stats = text === null ? null : parseStats(text);
  return {
    state: told,
    publicKey: publicKey === null ? null : formatKey(publicKey),
    key: keyOf(state, publicKey, stats),
    stats,
  };
}

/** Every daemon tells its private key clamped: only tswgd says how it was given. */
function keyOf(
  { keysAreHidden }: ReportedState,
  publicKey: Uint8Array | null,
  stats: ReportedStats | null,
): AnsweringDaemon['key'] {
  if (publicKey === null) return keysAreHidden ? 'hidden' : 'none';
  return stats?.facts.key_form === 'unclamped' ? 'unclamped' : 'clamped';
}

export function isSample(daemon: DaemonSample | Daemon): daemon is DaemonSample {
  return 'state' in daemon;
}

/** @param nowMs wall clock at the second sample */
export function describeDaemon(
  before: DaemonSample,
  after: DaemonSample,
  nowMs: number,
): AnsweringDaemon {
  const { state, stats, publicKey, key } = after;
  const { version, listenPort, fwmark, peers } = state;
  const measured = measuredOf(stats);
  const others: Others = {
    told: byKey(stats?.peers ?? []),
    earlier: byKey(before.state.peers),
    counted: byKey(before.stats?.peers ?? []),
  };
  return {
    kind: 'answers',
    version: version ?? null,
    publicKey,
    key,
    listenPort,
    fwmark,
    ...measured,
    gained: gainOf(before.stats?.counters ?? {}, measured.counters),
    peers: peers.map((peer) => describePeer(after, others, nowMs, peer)),
  };
}

type StatsPeer = ReportedStats['peers'][number];
type StatePeer = ReportedState['peers'][number];

/** What else is told of the peers, by their public keys: at the end, and at the beginning of the run. */
interface Others {
  readonly told: ReadonlyMap<string, StatsPeer>;
  readonly earlier: ReadonlyMap<string, StatePeer>;
  readonly counted: ReadonlyMap<string, StatsPeer>;
}

function byKey<T extends { readonly publicKey: Uint8Array }>(
  peers: readonly T[],
): ReadonlyMap<string, T> {
  return new Map(peers.map((peer) => [formatKey(peer.publicKey), peer]));
}

function describePeer(
  after: DaemonSample,
  others: Others,
  nowMs: number,
  peer: StatePeer,
): OwnPeer {
  const publicKey = formatKey(peer.publicKey);
  const stats = others.told.get(publicKey);
  const earlier = others.earlier.get(publicKey);
  const counted = others.counted.get(publicKey);
  const measured = measuredOf(stats ?? null);
  const { endpoint, lastHandshakeMs, rxBytes, txBytes } = peer;
  return {
    publicKey,
    description: peer.description,
    hasPresharedKey: after.state.keysAreHidden ? null : peer.presharedKey !== null,
    endpoint:
      endpoint === null
        ? null
        : { address: formatAddress(endpoint.address), port: endpoint.port, scope: endpoint.scope },
    ways: peer.ways.map(describeWay),
    lastHandshakeMs:
      lastHandshakeMs !== 0 && after.state.handshakesAreAges
        ? nowMs - lastHandshakeMs
        : lastHandshakeMs,
    rxBytes,
    txBytes,
    persistentKeepalive: peer.persistentKeepalive,
    allowedIps: peer.allowedIps.map(formatPrefix),
    ...measured,
    troublesBefore: counted?.troubles ?? [],
    gained: gainOf(counted?.counters ?? {}, measured.counters),
    gainedRxBytes: rxBytes - (earlier?.rxBytes ?? 0),
    gainedTxBytes: txBytes - (earlier?.txBytes ?? 0),
  };
}

function describeWay(way: WayState): EndpointWay {
  const { host, port, near, isInUse, addresses, error, unanswered } = way;
  return {
    ...{ host, port, isInUse, error, unanswered },
    near: near === null ? null : formatNear(near),
    addresses: addresses.map(formatAddress),
  };
}

function measuredOf(stats: StatsPeer | ReportedStats | null): Measured {
  if (stats === null) return { facts: {}, counters: {}, troubles: [] };
  return { facts: stats.facts, counters: stats.counters, troubles: stats.troubles };
}
