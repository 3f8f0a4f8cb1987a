/**
 * Packets that the daemon dropped because of an address in them: what it tells of the last one, and
 * what a tap on the interface saw go in that can be for nobody. Pure.
 */

import { counted } from '../counted.ts';
import type { Evidence, OwnPeer, Trouble } from './evidence.ts';
import { known } from './evidence.ts';
import { daemonOf } from './peer.ts';
import { addressOf, isCovered, isGroup, isLinkLocal } from './prefix.ts';

export interface Refused {
  readonly address: string;
  readonly packets: number;
}

/** Where the last packet of a peer came from that was dropped because of that; null if unknown. */
export function refusedSource(_evidence: Evidence, peer: OwnPeer): Refused | null {
  const told = peer.troubles.find(({ code }) => code === 'foreignSource');
  const address = told === undefined ? null : addressIn(told);
  if (address === null || isGroup(address) || isLinkLocal(address)) return null;
  return { address, packets: peer.counters.drop_disallowedSource ?? 1 };
}

export interface Nobodys {
  readonly address: string;
  /** How it is known that somebody sends there. */
  readonly proof: string;
}

/** Several causes ask, and each answer looks through all allowed IPs. */
const found = new WeakMap<Evidence, readonly Nobodys[]>();

/** Where packets are sent to that are no peer's, doctor's own guesses excepted. */
export function refusedDestinations(evidence: Evidence): readonly Nobodys[] {
  const refused = found.get(evidence) ?? findRefused(evidence);
  found.set(evidence, refused);
  return refused;
}

function findRefused(evidence: Evidence): readonly Nobodys[] {
  const daemon = daemonOf(evidence);
  if (daemon === null) return [];
  const all = daemon.peers.flatMap(({ allowedIps }) => allowedIps);
  const guessed = (known(evidence.pings) ?? [])
    .filter((ping) => ping.known === 'guess')
    .map(({ destination }) => destination);
  const isNobodys = (address: string): boolean =>
    !isGroup(address) &&
    !isLinkLocal(address) &&
    !guessed.includes(address) &&
    !isCovered(address, all);
  const told = daemon.troubles.filter(({ code }) => code === 'unroutable').map(addressIn);
  const dropped = daemon.counters.drop_noPeer ?? 0;
  const fromDaemon = told
    .filter((address) => address !== null)
    .map((address) => ({
      address,
      proof: `${counted(dropped, 'packet')} into ${evidence.run.name} for no peer ${dropped === 1 ? 'was' : 'were'} dropped, the last to ${address}`,
    }));
  const fromTap = (known(evidence.inner) ?? [])
    .filter(({ direction }) => direction === 'out')
    .map(({ destination, source, packets }) => ({
      address: destination,
      proof: `over the run, ${counted(packets, 'packet')} from ${source} to ${destination} went into ${evidence.run.name}`,
    }));
  const byAddress = new Map<string, Nobodys>();
  for (const one of [...fromDaemon, ...fromTap]) {
    if (!byAddress.has(one.address)) byAddress.set(one.address, one);
  }
  return [...byAddress.values()].filter(({ address }) => isNobodys(address));
}

function addressIn({ values }: Trouble): string | null {
  const { address } = values;
  return typeof address === 'string' ? addressOf(address) : null;
}
