/**
 * A peer as causes speak of it: its name in a sentence, its words in a command, and how much of what
 * went to and fro was data and no keepalive. Pure.
 */

import { printable } from '../quotation.ts';
import type { AnsweringDaemon, Evidence, OwnPeer, TunnelPeer } from './evidence.ts';
import { known } from './evidence.ts';

/** null unless tswgd answers: another program counts nothing for us. */
export function daemonOf(evidence: Evidence): AnsweringDaemon | null {
  const daemon = known(evidence.daemon);
  return daemon?.kind === 'answers' ? daemon : null;
}

/** No daemon of a user serves the interface, but the kernel itself. */
export function isOfKernel({ link }: Evidence): boolean {
  return known(link)?.kind === 'wireguard';
}

/** Those that are looked at. */
export function peersOf(evidence: Evidence): readonly OwnPeer[] {
  return daemonOf(evidence)?.peers ?? [];
}

/** `peer site B`, by the operator's name for it, or by its key. */
export function nameOf({ description, publicKey }: TunnelPeer): string {
  return `peer ${description === '' ? publicKey : printable(description)}`;
}

/** The command that gives a peer these allowed IPs, in place of those that it has. */
export function allowCommand(name: string, peer: TunnelPeer, prefixes: readonly string[]): string {
  const words = prefixes.map((prefix) => `wgaip ${prefix}`);
  return [`tswg ${name} wgpeer ${peer.publicKey}`, ...words].join(' ');
}

/** Packets with something in them, since the peer is configured, or over the run. */
export interface DataCounts {
  readonly sent: number;
  readonly received: number;
  readonly keepalivesReceived: number;
}

export function dataOf({ counters }: TunnelPeer): DataCounts {
  return countData(counters);
}

export function gainedDataOf({ gained }: OwnPeer): DataCounts {
  return countData(gained);
}

function countData(counters: Readonly<Record<string, number>>): DataCounts {
  const count = (name: string): number => counters[name] ?? 0;
  const keepalivesReceived = count('keepalives_received');
  return {
    sent: Math.max(0, count('packets_sent') - count('keepalives_sent')),
    received: Math.max(0, count('packets_received') - keepalivesReceived),
    keepalivesReceived,
  };
}
