/**
 * What the kernel is asked over rtnetlink (rtnetlink(7)), values -> bytes: links, addresses and
 * routes to be shown, made, changed or deleted. Pure; netlinkmessage.ts reads the answers.
 */

import { AF_INET, AF_INET6, IFF_MULTICAST, IFF_UP } from '../sys/linux.ts';
import {
  ADDRESS_BYTES,
  align4,
  CONFIGURATION_BYTES,
  IFA_ADDRESS,
  IFA_BROADCAST,
  IFA_LOCAL,
  IFLA_AF_SPEC,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_MTU,
  IFLA_TARGET_NETNSID,
  IFLA_TXQLEN,
  LINK_BYTES,
  NAMESPACE_BYTES,
  NETCONFA_IFINDEX,
  NETLINK_HEADER_BYTES,
  NETNSA_FD,
  NETNSA_NSID,
  RECORDING_TYPE_BYTES,
  ROUTE_BYTES,
  RT_TABLE_LOCAL,
  RTA_DST,
  RTA_GATEWAY,
  RTA_OIF,
  RTA_PREFSRC,
  RTA_PRIORITY,
  RTA_TABLE,
  RTM_DELLINK,
  RTM_NEWLINK,
  RTM_NEWNSID,
  RTM_NEWROUTE,
  RTN_LOCAL,
  RULE_BYTES,
  viewOf,
} from './netlinkmessage.ts';

const RTM_GETLINK = 18;
const RTM_GETADDR = 22;
const RTM_GETROUTE = 26;
const RTM_GETRULE = 34;
const RTM_GETNETCONF = 82;
const RTM_GETNSID = 90;
const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_DUMP = 0x300;
export const NLM_F_CREATE = 0x400;

const RT_TABLE_MAIN = 254;
const RT_SCOPE_LINK = 253;
const RTN_UNICAST = 1;
/** Who made a route; 4 is an administrator. */
const RTPROT_STATIC = 4;
/** Without it IPv4 names the main table, whichever the entry is in; IPv6, which does not, refuses it. */
const RTM_F_LOOKUP_TABLE = 0x1000;
/** Linux 4.13; those before answer as without it. */
const RTM_F_FIB_MATCH = 0x2000;
const RTA_SRC = 2;
const RTA_IIF = 3;
const RTA_MARK = 16;
const RTA_IP_PROTO = 27;
const RTA_SPORT = 28;
const RTA_DPORT = 29;
const IPPROTO_UDP = 17;

// linux/if_link.h and linux/ip.h: what stands in IFLA_AF_SPEC for a family.
const IFLA_INET_CONF = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const IPV4_DEVCONF_SEND_REDIRECTS = 6;
const IPV4_DEVCONF_ACCEPT_LOCAL = 23;

const encoder = new TextEncoder();

/** A request as it goes to the kernel. */
export class MessageWriter {
  #bytes: Uint8Array = new Uint8Array(256);
  #view = viewOf(this.#bytes);
  #length = NETLINK_HEADER_BYTES;

  constructor(type: number, flags: number) {
    this.#view.setUint16(4, type, true);
    this.#view.setUint16(6, flags | NLM_F_REQUEST, true);
  }

  fixed(bytes: Uint8Array): this {
    this.#append(bytes);
    return this;
  }

  attribute(type: number, value: Uint8Array): this {
    const start = this.#length;
    const header = new Uint8Array(4);
    viewOf(header).setUint16(0, 4 + value.length, true);
    viewOf(header).setUint16(2, type, true);
    this.#append(header);
    this.#append(value);
    this.#length = start + align4(4 + value.length);
    return this;
  }

  number(type: number, value: number): this {
    const bytes = new Uint8Array(4);
    viewOf(bytes).setUint32(0, value, true);
    return this.attribute(type, bytes);
  }

  /** Attributes within one. */
  nested(type: number, fill: (inner: MessageWriter) => void): this {
    const inner = new MessageWriter(0, 0);
    fill(inner);
    return this.attribute(type, inner.#bytes.subarray(NETLINK_HEADER_BYTES, inner.#length));
  }

  /** Text with the zero byte that the kernel wants after it. */
  text(type: number, value: string): this {
    return this.attribute(type, encoder.encode(`${value}\0`));
  }

  /** The whole message. */
  finish(sequence: number): Uint8Array {
    this.#view.setUint32(0, this.#length, true);
    this.#view.setUint32(8, sequence, true);
    return this.#bytes.slice(0, this.#length);
  }

  #append(bytes: Uint8Array): void {
    if (this.#length + bytes.length + 4 > this.#bytes.length) {
      const grown = new Uint8Array((this.#length + bytes.length + 4) * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = viewOf(grown);
    }
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }
}

export interface LinkChange {
  readonly isUp?: boolean;
  readonly mtu?: number;
  /** Whether the kernel reports the multicast groups that are joined on it. */
  readonly isMulticast?: boolean;
  /** Packets (super-packets, too) that may wait for who reads a TUN device. */
  readonly queueLength?: number;
  /** Empty removes it. */
  readonly alias?: string;
}

export interface AddressChange {
  readonly linkIndex: number;
  readonly address: Uint8Array;
  readonly prefixLength: number;
  readonly peer?: Uint8Array;
  readonly broadcast?: Uint8Array;
}

export interface RouteChange {
  readonly destination: Uint8Array;
  readonly prefixLength: number;
  readonly linkIndex: number;
  readonly gateway?: Uint8Array;
  readonly preferredSource?: Uint8Array;
  readonly metric?: number;
  /** The main table if not given. */
  readonly table?: number;
}

export function writeGetLinks(): MessageWriter {
  return new MessageWriter(RTM_GETLINK, NLM_F_DUMP).fixed(new Uint8Array(LINK_BYTES));
}

/** By name, or by index where `name` is a number; of another namespace if it is given. */
export function writeGetLink(name: string | number, namespaceNumber?: number): MessageWriter {
  const writer = new MessageWriter(RTM_GETLINK, NLM_F_ACK);
  if (typeof name === 'number') return writer.fixed(linkBody(name, 0, 0));
  writer.fixed(linkBody(0, 0, 0)).text(IFLA_IFNAME, name);
  if (namespaceNumber !== undefined) writer.number(IFLA_TARGET_NETNSID, namespaceNumber);
  return writer;
}

/** Asks for the number of the network namespace that `fd` is open on. */
export function writeGetNamespaceNumber(fd: number): MessageWriter {
  return new MessageWriter(RTM_GETNSID, NLM_F_ACK)
    .fixed(new Uint8Array(NAMESPACE_BYTES))
    .number(NETNSA_FD, fd);
}

/** Has the kernel pick a number for it. */
export function writeNumberNamespace(fd: number): MessageWriter {
  return new MessageWriter(RTM_NEWNSID, NLM_F_ACK)
    .fixed(new Uint8Array(NAMESPACE_BYTES))
    .number(NETNSA_FD, fd)
    .number(NETNSA_NSID, 0xffff_ffff);
}

export function writeSetLink(index: number, change: LinkChange): MessageWriter {
  const flags = (change.isUp ? IFF_UP : 0) | (change.isMulticast ? IFF_MULTICAST : 0);
  const mask =
    (change.isUp === undefined ? 0 : IFF_UP) |
    (change.isMulticast === undefined ? 0 : IFF_MULTICAST);
  const writer = new MessageWriter(RTM_NEWLINK, NLM_F_ACK).fixed(linkBody(index, flags, mask));
  if (change.mtu !== undefined) writer.number(IFLA_MTU, change.mtu);
  if (change.queueLength !== undefined) writer.number(IFLA_TXQLEN, change.queueLength);
  // Without the zero byte: an empty attribute takes the alias away.
  if (change.alias !== undefined) writer.attribute(IFLA_IFALIAS, encoder.encode(change.alias));
  return writer;
}

/**
 * What a tunnel's interface is like for IPv4: an answer of ours may come out of it although its
 * source is our own address (accept_local), and nobody is told of a shorter way than through us.
 */
export function writeTunnelIpv4(index: number): MessageWriter {
  return writeFamily(index, AF_INET, (family) => {
    family.nested(IFLA_INET_CONF, (conf) => {
      conf.number(IPV4_DEVCONF_ACCEPT_LOCAL, 1).number(IPV4_DEVCONF_SEND_REDIRECTS, 0);
    });
  });
}

/** The same for IPv6: the kernel makes up no link-local address, and so says nothing by itself. */
export function writeTunnelIpv6(index: number): MessageWriter {
  return writeFamily(index, AF_INET6, (family) => {
    family.attribute(IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(IN6_ADDR_GEN_MODE_NONE));
  });
}

function writeFamily(
  index: number,
  family: number,
  fill: (inner: MessageWriter) => void,
): MessageWriter {
  return new MessageWriter(RTM_NEWLINK, NLM_F_ACK)
    .fixed(linkBody(index, 0, 0))
    .nested(IFLA_AF_SPEC, (families) => families.nested(family, fill));
}

export function writeDeleteLink(index: number): MessageWriter {
  return new MessageWriter(RTM_DELLINK, NLM_F_ACK).fixed(linkBody(index, 0, 0));
}

export function writeGetAddresses(): MessageWriter {
  return new MessageWriter(RTM_GETADDR, NLM_F_DUMP).fixed(new Uint8Array(ADDRESS_BYTES));
}

/** `type`: RTM_NEWADDR or RTM_DELADDR. */
export function writeAddress(type: number, flags: number, change: AddressChange): MessageWriter {
  const { address, prefixLength, linkIndex, peer, broadcast } = change;
  const body = new Uint8Array(ADDRESS_BYTES);
  body[0] = familyOf(address);
  body[1] = prefixLength;
  viewOf(body).setUint32(4, linkIndex, true);
  const writer = new MessageWriter(type, flags | NLM_F_ACK).fixed(body);
  writer.attribute(IFA_LOCAL, address).attribute(IFA_ADDRESS, peer ?? address);
  if (broadcast !== undefined) writer.attribute(IFA_BROADCAST, broadcast);
  return writer;
}

/** `type`: RTM_NEWROUTE or RTM_DELROUTE. */
export function writeRoute(type: number, flags: number, change: RouteChange): MessageWriter {
  const { destination, gateway, preferredSource, metric, table = RT_TABLE_MAIN } = change;
  const body = new Uint8Array(ROUTE_BYTES);
  body[0] = familyOf(destination);
  body[1] = change.prefixLength;
  body[4] = table < 256 ? table : 0;
  if (type === RTM_NEWROUTE) {
    body[5] = RTPROT_STATIC;
    body[6] = gateway === undefined && destination.length === 4 ? RT_SCOPE_LINK : 0;
    body[7] = RTN_UNICAST;
  } else {
    body[6] = 255; // RT_SCOPE_NOWHERE: any scope
  }
  const writer = new MessageWriter(type, flags | NLM_F_ACK).fixed(body);
  writer.attribute(RTA_DST, destination).number(RTA_OIF, change.linkIndex);
  writer.number(RTA_TABLE, table);
  if (gateway !== undefined) writer.attribute(RTA_GATEWAY, gateway);
  if (preferredSource !== undefined) writer.attribute(RTA_PREFSRC, preferredSource);
  if (metric !== undefined) writer.number(RTA_PRIORITY, metric);
  return writer;
}

/** A packet whose way is asked for. */
export interface Flow {
  /** 4 or 16 bytes. */
  readonly destination: Uint8Array;
  /** null: the kernel's choice. */
  readonly source: Uint8Array | null;
  readonly mark?: number;
  /** Over which link it has to go; 0 for any. */
  readonly linkIndex?: number;
  /** Over which link it came in; 0 when it is our own. */
  readonly inputIndex?: number;
  /** UDP ports, for rules that tell by them (Linux 4.18; those before pass them over). */
  readonly ports?: { readonly source: number; readonly destination: number };
  /**
   * The answer is the table's entry itself, without the source that the kernel would choose. Where a
   * packet has to go over a link without a route over it, IPv4 would assume that the other end is on
   * that link: here there is no answer then.
   */
  readonly asEntry?: boolean;
}

/** Which way a packet would take. */
export function writeGetRoute(flow: Flow): MessageWriter {
  const { destination, source, mark = 0, linkIndex = 0, inputIndex = 0, ports } = flow;
  const body = new Uint8Array(ROUTE_BYTES);
  body[0] = familyOf(destination);
  body[1] = destination.length * 8;
  if (source !== null) body[2] = source.length * 8;
  const tableFlag = destination.length === 4 ? RTM_F_LOOKUP_TABLE : 0;
  if (flow.asEntry) viewOf(body).setUint32(8, RTM_F_FIB_MATCH | tableFlag, true);
  const writer = new MessageWriter(RTM_GETROUTE, NLM_F_ACK).fixed(body);
  writer.attribute(RTA_DST, destination);
  if (source !== null) writer.attribute(RTA_SRC, source);
  if (mark !== 0) writer.number(RTA_MARK, mark);
  if (linkIndex !== 0) writer.number(RTA_OIF, linkIndex);
  if (inputIndex !== 0) writer.number(RTA_IIF, inputIndex);
  if (ports !== undefined) {
    writer.attribute(RTA_IP_PROTO, Uint8Array.of(IPPROTO_UDP));
    writer.attribute(RTA_SPORT, networkOrder(ports.source));
    writer.attribute(RTA_DPORT, networkOrder(ports.destination));
  }
  return writer;
}

function networkOrder(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff);
}

/** How a link, or every one (ALL_LINKS), is configured for IPv4. */
export function writeGetConfiguration(linkIndex: number): MessageWriter {
  const body = new Uint8Array(CONFIGURATION_BYTES);
  body[0] = AF_INET;
  return new MessageWriter(RTM_GETNETCONF, NLM_F_ACK)
    .fixed(body)
    .number(NETCONFA_IFINDEX, linkIndex);
}

export function writeGetRoutes(): MessageWriter {
  return new MessageWriter(RTM_GETROUTE, NLM_F_DUMP).fixed(new Uint8Array(ROUTE_BYTES));
}

/** Policy rules of one family. */
export function writeGetRules(family: number): MessageWriter {
  const body = new Uint8Array(RULE_BYTES);
  body[0] = family;
  return new MessageWriter(RTM_GETRULE, NLM_F_DUMP).fixed(body);
}

/** Those that deliver here, of one family. */
export function writeGetLocalRoutes(family: number): MessageWriter {
  const body = new Uint8Array(ROUTE_BYTES);
  body[0] = family;
  body[4] = RT_TABLE_LOCAL;
  body[7] = RTN_LOCAL;
  return new MessageWriter(RTM_GETROUTE, NLM_F_DUMP).fixed(body);
}

/** Makes again what was recorded (netlinkmessage.ts). */
export function writeRecording(bytes: Uint8Array): MessageWriter {
  const flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  const type = viewOf(bytes).getUint16(0, true);
  return new MessageWriter(type, flags).fixed(bytes.subarray(RECORDING_TYPE_BYTES));
}

function linkBody(index: number, flags: number, mask: number): Uint8Array {
  const body = new Uint8Array(LINK_BYTES);
  const view = viewOf(body);
  view.setInt32(4, index, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, mask, true);
  return body;
}

function familyOf(address: Uint8Array): number {
  return address.length === 4 ? AF_INET : AF_INET6;
}
