/**
 * What the kernel says over rtnetlink (rtnetlink(7), netlink(7)), bytes -> values: links,
 * addresses, routes and its answers to requests. Pure. Parsing is total: whatever the bytes are,
 * what does not parse is left out and nothing is thrown. All integers are in the host's order,
 * little-endian.
 */

import { sameBytes } from '../bytes.ts';
import { AF_INET, AF_INET6, IFF_UP } from '../sys/linux.ts';

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_NEWRULE = 32;
export const RTM_NEWNETCONF = 80;
export const RTM_NEWNSID = 88;

const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLM_F_DUMP_INTR = 0x10;

export const NETLINK_HEADER_BYTES = 16;
export const LINK_BYTES = 16;
export const ADDRESS_BYTES = 8;
export const ROUTE_BYTES = 12;
export const NAMESPACE_BYTES = 4;
export const CONFIGURATION_BYTES = 4;
/** In place of a link's number, in questions about configuration. */
export const ALL_LINKS = 0xffff_ffff;
/** struct fib_rule_hdr. */
export const RULE_BYTES = 12;

export const IFLA_IFNAME = 3;
export const IFLA_MTU = 4;
export const IFLA_TXQLEN = 13;
const IFLA_LINKINFO = 18;
const IFLA_STATS64 = 23;
export const IFLA_IFALIAS = 20;
export const IFLA_AF_SPEC = 26;
export const IFLA_TARGET_NETNSID = 46;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_TUN_PERSIST = 6;
export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;
const IFA_LABEL = 3;
export const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;
export const RTA_DST = 1;
export const RTA_OIF = 4;
export const RTA_GATEWAY = 5;
export const RTA_PRIORITY = 6;
export const RTA_PREFSRC = 7;
export const RTA_TABLE = 15;
export const NETNSA_NSID = 1;
export const NETNSA_FD = 3;
export const NETCONFA_IFINDEX = 1;
const NETCONFA_RP_FILTER = 3;
const FRA_DST = 1;
const FRA_SRC = 2;
const FRA_IIFNAME = 3;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_SUPPRESS_PREFIXLEN = 14;
const FRA_TABLE = 15;
const FRA_FWMASK = 16;
const FRA_OIFNAME = 17;
const FIB_RULE_INVERT = 2;
const NLMSGERR_ATTR_MSG = 1;
export const RT_TABLE_LOCAL = 255;
export const RTN_LOCAL = 2;
const RT_SCOPE_LINK = 253;
const RTPROT_KERNEL = 2;
const RTM_F_CLONED = 0x200;
const RTNH_F_ONLINK = 4;
export const RECORDING_TYPE_BYTES = 2;

/** One message of a buffer; `body` is a view of it. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}

export interface Link {
  readonly index: number;
  readonly name: string;
  /** IFF_UP and so on, as in <net/if.h>. */
  readonly flags: number;
  readonly isUp: boolean;
  readonly mtu: number;
  /** The operator's description; empty when there is none. */
  readonly alias: string;
  /** `tun`, `wireguard`, `veth`...; empty for hardware. */
  readonly kind: string;
  /** A TUN device that stays when its last descriptor is closed. */
  readonly isPersistent: boolean;
}

export interface LinkAddress {
  readonly linkIndex: number;
  /** 4 or 16 bytes: our own. */
  readonly address: Uint8Array;
  readonly prefixLength: number;
  /** The other end of a point-to-point link, where it is not our own address. */
  readonly peer: Uint8Array | null;
  readonly broadcast: Uint8Array | null;
  /** 0 global, 253 link, 254 host. */
  readonly scope: number;
  readonly flags: number;
  readonly label: string;
}

export interface Route {
  readonly type: number;
  readonly table: number;
  readonly destination: Uint8Array | null;
  readonly prefixLength: number;
  /** 0 when the route leads nowhere (or over several links). */
  readonly linkIndex: number;
  readonly gateway: Uint8Array | null;
  /** The address that the kernel would send from. */
  readonly preferredSource: Uint8Array | null;
  readonly metric: number;
}

/** A policy rule (ip-rule(8)). */
export interface Rule {
  readonly family: 4 | 6;
  readonly priority: number;
  readonly table: number;
  /** FR_ACT_ of linux/fib_rules.h; 1 looks the table up. */
  readonly action: number;
  readonly isInverted: boolean;
  readonly mark: number;
  readonly mask: number;
  /** null: any. */
  readonly from: Prefix | null;
  readonly to: Prefix | null;
  readonly inputLink: string | null;
  readonly outputLink: string | null;
  readonly suppressLength: number | null;
}

interface Prefix {
  readonly address: Uint8Array;
  readonly length: number;
}

/** What is delivered here. */
export interface LocalRoute {
  /** 4 or 16 bytes, zero after the prefix. */
  readonly address: Uint8Array;
  readonly length: number;
  readonly linkIndex: number;
}

export interface Answer {
  /** 0 for an acknowledgement, else the error number. */
  readonly errno: number;
  /** The kernel's own explanation (NETLINK_EXT_ACK), often empty. */
  readonly text: string;
}

/** -1, as the kernel writes it. */
const NO_SUPPRESSION = 0xffff_ffff;

const decoder = new TextDecoder();
const NOTHING = new Uint8Array(0);

/** The messages of one datagram from the kernel; stops at the first that is not whole. */
export function parseMessages(bytes: Uint8Array): Message[] {
  const view = viewOf(bytes);
  const messages: Message[] = [];
  for (let at = 0; at + NETLINK_HEADER_BYTES <= bytes.length; ) {
    const length = view.getUint32(at, true);
    if (length < NETLINK_HEADER_BYTES || at + length > bytes.length) break;
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: bytes.subarray(at + NETLINK_HEADER_BYTES, at + length),
    });
    at += align4(length);
  }
  return messages;
}

/** Whether a dump was cut through by changes, so that it is to be asked for again. */
export function isInterrupted(message: Message): boolean {
  return (message.flags & NLM_F_DUMP_INTR) !== 0;
}

/** The kernel's verdict in a NLMSG_ERROR (or a NLMSG_DONE that carries one); null if it is none. */
export function parseAnswer({ type, flags, body }: Message): Answer | null {
  if (type === NLMSG_DONE && body.length < 4) return { errno: 0, text: '' };
  if ((type !== NLMSG_ERROR && type !== NLMSG_DONE) || body.length < 4) return null;
  const view = viewOf(body);
  const errno = 0 - view.getInt32(0, true);
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno, text: '' };
  let at = 4;
  if (type === NLMSG_ERROR) {
    // After the number stands the request's header, and its body unless that was cut off.
    if (body.length < 4 + NETLINK_HEADER_BYTES) return { errno, text: '' };
    at += (flags & NLM_F_CAPPED) !== 0 ? NETLINK_HEADER_BYTES : align4(view.getUint32(4, true));
  }
  const text = attributesOf(body, at).get(NLMSGERR_ATTR_MSG);
  return { errno, text: text === undefined ? '' : textOf(text) };
}

/** A link of RTM_NEWLINK or RTM_DELLINK. */
export function parseLink(body: Uint8Array): Link | null {
  if (body.length < LINK_BYTES) return null;
  const view = viewOf(body);
  const attributes = attributesOf(body, LINK_BYTES);
  const name = attributes.get(IFLA_IFNAME);
  if (name === undefined) return null;
  const alias = attributes.get(IFLA_IFALIAS);
  const info = attributesOf(attributes.get(IFLA_LINKINFO) ?? NOTHING, 0);
  const kind = textOf(info.get(IFLA_INFO_KIND) ?? NOTHING);
  const data = attributesOf(info.get(IFLA_INFO_DATA) ?? NOTHING, 0);
  const flags = view.getUint32(8, true);
  return {
    index: view.getInt32(4, true),
    name: textOf(name),
    flags,
    isUp: (flags & IFF_UP) !== 0,
    mtu: numberOf(attributes.get(IFLA_MTU)),
    alias: alias === undefined ? '' : textOf(alias),
    kind,
    isPersistent: kind === 'tun' && data.get(IFLA_TUN_PERSIST)?.[0] === 1,
  };
}

// struct rtnl_link_stats64, in its order.
const STATISTICS: readonly string[] = [
  ...['rx_packets', 'tx_packets', 'rx_bytes', 'tx_bytes', 'rx_errors', 'tx_errors', 'rx_dropped'],
  ...['tx_dropped', 'multicast', 'collisions', 'rx_length_errors', 'rx_over_errors'],
  ...['rx_crc_errors', 'rx_frame_errors', 'rx_fifo_errors', 'rx_missed_errors'],
  ...['tx_aborted_errors', 'tx_carrier_errors', 'tx_fifo_errors', 'tx_heartbeat_errors'],
  ...['tx_window_errors', 'rx_compressed', 'tx_compressed', 'rx_nohandler'],
];

/** What the kernel counts of a link, of RTM_NEWLINK, by the names that sysfs has for it. */
export function parseStatistics(
  body: Uint8Array,
): { readonly name: string; readonly counters: Readonly<Record<string, number>> } | null {
  const link = parseLink(body);
  if (link === null) return null;
  const value = attributesOf(body, LINK_BYTES).get(IFLA_STATS64) ?? NOTHING;
  const view = viewOf(value);
  const known = STATISTICS.filter((_, at) => 8 * (at + 1) <= value.length);
  const counters = known.map((name, at) => [name, Number(view.getBigUint64(8 * at, true))]);
  return { name: link.name, counters: Object.fromEntries(counters) };
}

/** What a network namespace is called here, of RTM_NEWNSID; null when it has no number yet. */
export function parseNamespaceNumber(body: Uint8Array): number | null {
  const value = attributesOf(body, NAMESPACE_BYTES).get(NETNSA_NSID);
  if (value === undefined || value.length < 4) return null;
  const number = viewOf(value).getInt32(0, true);
  return number < 0 ? null : number;
}

/** `rp_filter` of RTM_NEWNETCONF: 0 off, 1 strict, 2 loose; null when it is not told. */
export function parseReversePathFilter(body: Uint8Array): number | null {
  const value = attributesOf(body, CONFIGURATION_BYTES).get(NETCONFA_RP_FILTER);
  return value === undefined || value.length < 4 ? null : viewOf(value).getUint32(0, true);
}

/** An address of RTM_NEWADDR or RTM_DELADDR. */
export function parseAddress(body: Uint8Array): LinkAddress | null {
  if (body.length < ADDRESS_BYTES) return null;
  const view = viewOf(body);
  const addressBytes = addressBytesOf(body[0]);
  const attributes = attributesOf(body, ADDRESS_BYTES);
  // IPv4 names our own address IFA_LOCAL and the other end IFA_ADDRESS; IPv6 only does so when
  // the two differ.
  const other = addressOf(attributes.get(IFA_ADDRESS), addressBytes);
  const address = addressOf(attributes.get(IFA_LOCAL), addressBytes) ?? other;
  const prefixLength = body[1];
  if (address === null || prefixLength > addressBytes * 8) return null;
  const label = attributes.get(IFA_LABEL);
  const flags = attributes.get(IFA_FLAGS);
  return {
    linkIndex: view.getUint32(4, true),
    address,
    prefixLength,
    peer: other === null || sameBytes(other, address) ? null : other,
    broadcast: addressOf(attributes.get(IFA_BROADCAST), addressBytes),
    scope: body[3],
    flags: flags === undefined ? body[2] : numberOf(flags),
    label: label === undefined ? '' : textOf(label),
  };
}

/** A route of RTM_NEWROUTE or RTM_DELROUTE. */
export function parseRoute(body: Uint8Array): Route | null {
  if (body.length < ROUTE_BYTES) return null;
  const addressBytes = addressBytesOf(body[0]);
  if (addressBytes === 0) return null;
  const attributes = attributesOf(body, ROUTE_BYTES);
  const table = attributes.get(RTA_TABLE);
  return {
    type: body[7],
    table: table === undefined ? body[4] : numberOf(table),
    destination: addressOf(attributes.get(RTA_DST), addressBytes),
    prefixLength: body[1],
    linkIndex: numberOf(attributes.get(RTA_OIF)),
    gateway: addressOf(attributes.get(RTA_GATEWAY), addressBytes),
    preferredSource: addressOf(attributes.get(RTA_PREFSRC), addressBytes),
    metric: numberOf(attributes.get(RTA_PRIORITY)),
  };
}

/** A route of RTM_NEWROUTE; null if it is none that delivers here, or of another family. */
export function parseLocalRoute(body: Uint8Array, family: number): LocalRoute | null {
  const route = parseRoute(body);
  if (route === null || body[0] !== family) return null;
  if (route.type !== RTN_LOCAL || route.table !== RT_TABLE_LOCAL) return null;
  const address = route.destination ?? new Uint8Array(addressBytesOf(family));
  const { prefixLength: length, linkIndex } = route;
  return length > address.length * 8 ? null : { address, length, linkIndex };
}

/** A rule of RTM_NEWRULE. */
export function parseRule(body: Uint8Array): Rule | null {
  if (body.length < RULE_BYTES) return null;
  const addressBytes = addressBytesOf(body[0]);
  if (addressBytes === 0) return null;
  const attributes = attributesOf(body, RULE_BYTES);
  const name = (type: number): string | null => {
    const value = attributes.get(type);
    return value === undefined ? null : textOf(value);
  };
  const prefix = (type: number, length: number): Prefix | null => {
    const address = addressOf(attributes.get(type), addressBytes);
    return address === null || length > addressBytes * 8 ? null : { address, length };
  };
  const table = attributes.get(FRA_TABLE);
  const suppress = attributes.get(FRA_SUPPRESS_PREFIXLEN);
  const suppressed = suppress === undefined ? NO_SUPPRESSION : numberOf(suppress);
  return {
    family: addressBytes === 4 ? 4 : 6,
    priority: numberOf(attributes.get(FRA_PRIORITY)),
    table: table === undefined ? body[4] : numberOf(table),
    action: body[7],
    isInverted: (viewOf(body).getUint32(8, true) & FIB_RULE_INVERT) !== 0,
    mark: numberOf(attributes.get(FRA_FWMARK)),
    mask: numberOf(attributes.get(FRA_FWMASK)),
    from: prefix(FRA_SRC, body[2]),
    to: prefix(FRA_DST, body[1]),
    inputLink: name(FRA_IIFNAME),
    outputLink: name(FRA_OIFNAME),
    suppressLength: suppressed === NO_SUPPRESSION ? null : suppressed,
  };
}

/** Something of a link that can be played back as it is: a route, or an IPv6 address. */
export interface Recording {
  /** The same for the same thing, whatever else is said of it. */
  readonly key: string;
  /** Type and body of a message that makes it again. */
  readonly bytes: Uint8Array;
}

/** null for what is another link's, or the kernel's own, which makes it again itself. */
export function recordRoute(body: Uint8Array, linkIndex: number): Recording | null {
  const route = parseRoute(body);
  if (route === null || route.linkIndex !== linkIndex || route.table === RT_TABLE_LOCAL)
    return null;
  const flags = viewOf(body).getUint32(8, true);
  if (body[5] === RTPROT_KERNEL || (flags & RTM_F_CLONED) !== 0) return null;
  const made = body.slice();
  // What it is at the moment (dead, without a carrier) is nothing that can be asked for.
  viewOf(made).setUint32(8, flags & RTNH_F_ONLINK, true);
  const { table, destination, prefixLength, metric } = route;
  const key = ['route', table, destination ?? body[0], prefixLength, body[1], metric].join(' ');
  return { key, bytes: recordingOf(RTM_NEWROUTE, made) };
}

/** null for what is another link's, of IPv4, which stays, or link-local, which is made again. */
export function recordAddress(body: Uint8Array, linkIndex: number): Recording | null {
  const address = parseAddress(body);
  if (address === null || address.linkIndex !== linkIndex) return null;
  if (body[0] !== AF_INET6 || address.scope === RT_SCOPE_LINK) return null;
  const key = ['address', address.address, address.prefixLength].join(' ');
  return { key, bytes: recordingOf(RTM_NEWADDR, body) };
}

function recordingOf(type: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(RECORDING_TYPE_BYTES + body.length);
  viewOf(bytes).setUint16(0, type, true);
  bytes.set(body, RECORDING_TYPE_BYTES);
  return bytes;
}

/** Attributes by type (without the flags in its upper bits); the last of a kind counts. */
export function attributesOf(bytes: Uint8Array, start: number): Map<number, Uint8Array> {
  const view = viewOf(bytes);
  const attributes = new Map<number, Uint8Array>();
  for (let at = start; at + 4 <= bytes.length; ) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > bytes.length) break;
    attributes.set(view.getUint16(at + 2, true) & 0x3fff, bytes.subarray(at + 4, at + length));
    at += align4(length);
  }
  return attributes;
}

function addressBytesOf(family: number): number {
  if (family === AF_INET) return 4;
  return family === AF_INET6 ? 16 : 0;
}

/** A copy, or null when there is none of the right length. */
function addressOf(value: Uint8Array | undefined, length: number): Uint8Array | null {
  return value !== undefined && length > 0 && value.length === length ? value.slice() : null;
}

function numberOf(value: Uint8Array | undefined): number {
  return value !== undefined && value.length === 4 ? viewOf(value).getUint32(0, true) : 0;
}

function textOf(value: Uint8Array): string {
  const end = value.indexOf(0);
  return decoder.decode(end < 0 ? value : value.subarray(0, end));
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function align4(length: number): number {
  // Not by masking, which turns lengths past 2^31 negative.
  return Math.ceil(length / 4) * 4;
}
