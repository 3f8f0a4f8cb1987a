/**
 * Asks the kernel over netlink what netfilter has in the network namespace of the caller: which
 * connections are tracked, and which tables nftables has. Takes CAP_NET_ADMIN. Owns the layouts of
 * linux/netfilter/nfnetlink_conntrack.h and nf_tables.h; parsing is total.
 */

import { AF_INET, AF_INET6, NETLINK_NETFILTER } from '../sys/linux.ts';
import { NetlinkChannel } from './netlinkchannel.ts';
import { attributesOf, viewOf } from './netlinkmessage.ts';
import { MessageWriter, NLM_F_DUMP } from './netlinkrequest.ts';

/** struct nfgenmsg: the family, a version, a number; of a request, 0 is every family. */
const HEADER_BYTES = 4;
const NOTHING = new Uint8Array(0);

// Types of messages: the part of netfilter in the upper byte.
const CT_NEW = 0x100;
const CT_GET = 0x101;
const NFT_NEWTABLE = 0xa00;
const NFT_GETTABLE = 0xa01;

const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_STATUS = 3;
const CTA_MARK = 8;
const CTA_COUNTERS_ORIG = 9;
const CTA_COUNTERS_REPLY = 10;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
/** Of IPv4; those of IPv6 follow. */
const CTA_IP_SRC = { [AF_INET]: 1, [AF_INET6]: 3 } as const;
const CTA_IP_DST = { [AF_INET]: 2, [AF_INET6]: 4 } as const;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;
const CTA_COUNTERS_PACKETS = 1;
const IPS_SEEN_REPLY = 2;
const IPS_ASSURED = 4;

const NFTA_TABLE_NAME = 1;

export interface TrackedTuple {
  /** 4 or 16 bytes. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** 0 of what has no ports. */
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export interface TrackedConnection {
  /** IPPROTO_UDP and others. */
  readonly protocol: number;
  readonly original: TrackedTuple;
  readonly reply: TrackedTuple;
  readonly mark: number;
  readonly isReplied: boolean;
  readonly isAssured: boolean;
  /** null where the kernel does not count them. */
  readonly originalPackets: number | null;
  readonly replyPackets: number | null;
}

export interface FilterTable {
  /** NFPROTO_, which are AF_ for IPv4 and IPv6; inet is 1. */
  readonly family: number;
  readonly name: string;
}

/** Those that `choose` makes something of. Walks the whole table once. @throws {SystemError} */
export function trackedConnections<T>(choose: (one: TrackedConnection) => T | null): T[] {
  return list('ask the kernel about connections', CT_GET, CT_NEW, (body) => {
    const connection = parseConnection(body);
    return connection === null ? null : choose(connection);
  });
}

/** @throws {SystemError} also where the kernel has no nftables */
export function filterTables(): FilterTable[] {
  return list('ask the kernel about nftables', NFT_GETTABLE, NFT_NEWTABLE, parseTable);
}

function list<T>(
  what: string,
  request: number,
  answer: number,
  parse: (body: Uint8Array) => T | null,
): T[] {
  const channel = new NetlinkChannel(NETLINK_NETFILTER, what);
  try {
    const message = new MessageWriter(request, NLM_F_DUMP).fixed(new Uint8Array(HEADER_BYTES));
    return channel.list(what, message, answer, parse);
  } finally {
    channel.close();
  }
}

/** null when it is none of IPv4 or IPv6. */
export function parseConnection(body: Uint8Array): TrackedConnection | null {
  const family = body[0];
  if (body.length < HEADER_BYTES || (family !== AF_INET && family !== AF_INET6)) return null;
  const attributes = attributesOf(body, HEADER_BYTES);
  const original = parseTuple(family, attributes.get(CTA_TUPLE_ORIG));
  const reply = parseTuple(family, attributes.get(CTA_TUPLE_REPLY));
  if (original === null || reply === null) return null;
  const status = wordOf(attributes.get(CTA_STATUS));
  const { protocol, ...tuple } = original;
  const { protocol: _same, ...answer } = reply;
  return {
    protocol,
    original: tuple,
    reply: answer,
    mark: wordOf(attributes.get(CTA_MARK)),
    isReplied: (status & IPS_SEEN_REPLY) !== 0,
    isAssured: (status & IPS_ASSURED) !== 0,
    originalPackets: packetsOf(attributes.get(CTA_COUNTERS_ORIG)),
    replyPackets: packetsOf(attributes.get(CTA_COUNTERS_REPLY)),
  };
}

function parseTuple(
  family: typeof AF_INET | typeof AF_INET6,
  value: Uint8Array | undefined,
): (TrackedTuple & { readonly protocol: number }) | null {
  const tuple = attributesOf(value ?? NOTHING, 0);
  const addresses = attributesOf(tuple.get(CTA_TUPLE_IP) ?? NOTHING, 0);
  const protocol = attributesOf(tuple.get(CTA_TUPLE_PROTO) ?? NOTHING, 0);
  const source = addresses.get(CTA_IP_SRC[family])?.slice();
  const destination = addresses.get(CTA_IP_DST[family])?.slice();
  const bytes = family === AF_INET ? 4 : 16;
  if (source?.length !== bytes || destination?.length !== bytes) return null;
  return {
    source,
    destination,
    protocol: protocol.get(CTA_PROTO_NUM)?.[0] ?? 0,
    sourcePort: portOf(protocol.get(CTA_PROTO_SRC_PORT)),
    destinationPort: portOf(protocol.get(CTA_PROTO_DST_PORT)),
  };
}

/** All of netfilter's numbers are in the network's order. */
function portOf(value: Uint8Array | undefined): number {
  return value?.length === 2 ? viewOf(value).getUint16(0, false) : 0;
}

function wordOf(value: Uint8Array | undefined): number {
  return value?.length === 4 ? viewOf(value).getUint32(0, false) : 0;
}

function packetsOf(value: Uint8Array | undefined): number | null {
  const packets = attributesOf(value ?? NOTHING, 0).get(CTA_COUNTERS_PACKETS);
  return packets?.length === 8 ? Number(viewOf(packets).getBigUint64(0, false)) : null;
}

/** null when it has no name. */
export function parseTable(body: Uint8Array): FilterTable | null {
  const name = attributesOf(body, HEADER_BYTES).get(NFTA_TABLE_NAME);
  if (name === undefined || body.length < HEADER_BYTES) return null;
  return { family: body[0], name: new TextDecoder().decode(name).replace(/\0.*$/s, '') };
}
