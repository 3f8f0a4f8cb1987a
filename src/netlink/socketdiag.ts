/**
 * Asks the kernel over sock_diag(7) which UDP sockets there are at a port, whoever's they are, of the
 * network namespace in which it was opened. Owns the layouts of linux/inet_diag.h; parsing is total.
 */

import { AF_INET, AF_INET6, NETLINK_SOCK_DIAG } from '../sys/linux.ts';
import { NetlinkChannel } from './netlinkchannel.ts';
import { attributesOf, viewOf } from './netlinkmessage.ts';
import { MessageWriter, NLM_F_DUMP } from './netlinkrequest.ts';

const SOCK_DIAG_BY_FAMILY = 20;
const IPPROTO_UDP = 17;

// struct inet_diag_req_v2 and struct inet_diag_msg; both have a struct inet_diag_sockid at 8 and 4.
const REQUEST_BYTES = 56;
const REQUEST_PORT = 8;
const MESSAGE_BYTES = 72;
const MESSAGE_PORT = 4;
const MESSAGE_ADDRESS = 8;
const MESSAGE_RECEIVE_QUEUE = 56;
const MESSAGE_UID = 64;
const MESSAGE_INODE = 68;
const INET_DIAG_SKMEMINFO = 7;
const INET_DIAG_MARK = 15;
/** Of the words of SK_MEMINFO_: the receive buffer's size, and what it had no room for. */
const MEMINFO_RCVBUF = 1;
const MEMINFO_DROPS = 8;

export interface UdpSocketEntry {
  readonly family: 4 | 6;
  /** 4 or 16 bytes, zero for all. */
  readonly address: Uint8Array;
  readonly port: number;
  readonly uid: number;
  readonly inode: number;
  /** SO_MARK; told to CAP_NET_ADMIN only, else 0. */
  readonly mark: number;
  /** Bytes. */
  readonly receiveQueue: number;
  readonly receiveBuffer: number;
  /** Datagrams. */
  readonly drops: number;
}

/** @throws {SystemError} where the kernel has no such thing (CONFIG_INET_UDP_DIAG) */
export function udpSocketsAt(port: number): UdpSocketEntry[] {
  const what = 'ask the kernel about UDP sockets';
  const channel = new NetlinkChannel(NETLINK_SOCK_DIAG, what);
  try {
    return [AF_INET, AF_INET6].flatMap((family) =>
      channel.list(what, writeRequest(family, port), SOCK_DIAG_BY_FAMILY, (body) => {
        const entry = parseUdpSocket(body);
        return entry?.port === port ? entry : null;
      }),
    );
  } finally {
    channel.close();
  }
}

function writeRequest(family: number, port: number): MessageWriter {
  const body = new Uint8Array(REQUEST_BYTES);
  const view = viewOf(body);
  body[0] = family;
  body[1] = IPPROTO_UDP;
  body[2] = 1 << (INET_DIAG_SKMEMINFO - 1);
  // In all states.
  view.setUint32(4, 0xffff_ffff, true);
  view.setUint16(REQUEST_PORT, port, false);
  return new MessageWriter(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP).fixed(body);
}

/** A message of the answer; null when it is none of a UDP socket. */
export function parseUdpSocket(body: Uint8Array): UdpSocketEntry | null {
  if (body.length < MESSAGE_BYTES || (body[0] !== AF_INET && body[0] !== AF_INET6)) return null;
  const view = viewOf(body);
  const attributes = attributesOf(body, MESSAGE_BYTES);
  const word = (type: number, at: number): number => {
    const value = attributes.get(type);
    return value !== undefined && value.length >= 4 * (at + 1)
      ? viewOf(value).getUint32(4 * at, true)
      : 0;
  };
  const family = body[0] === AF_INET ? 4 : 6;
  return {
    family,
    address: body.slice(MESSAGE_ADDRESS, MESSAGE_ADDRESS + (family === 4 ? 4 : 16)),
    port: view.getUint16(MESSAGE_PORT, false),
    uid: view.getUint32(MESSAGE_UID, true),
    inode: view.getUint32(MESSAGE_INODE, true),
    mark: word(INET_DIAG_MARK, 0),
    receiveQueue: view.getUint32(MESSAGE_RECEIVE_QUEUE, true),
    receiveBuffer: word(INET_DIAG_SKMEMINFO, MEMINFO_RCVBUF),
    drops: word(INET_DIAG_SKMEMINFO, MEMINFO_DROPS),
  };
}
