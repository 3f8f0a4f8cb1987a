/**
 * A non-blocking IP socket of doctor's own: raw for ICMP, UDP for probes. Owns the structures of the
 * system calls; what a datagram means is not known here. One receive buffer for all, so that what is
 * received is to be read before the next call.
 */

import {
  bindSocket,
  close,
  connect,
  errno,
  errnoName,
  getsockname,
  putAddress,
  recvmsg,
  Scratch,
  SystemError,
  send,
  sendmsg,
  setIntOption,
  setsockopt,
  socket,
} from '../../sys/libc.ts';
import {
  AF_INET,
  AF_INET6,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  SO_BINDTODEVICE,
  SO_MARK,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from '../../sys/linux.ts';

/** Of what comes in; what is longer is cut. */
const RECEIVE_BYTES = 2_048;
const CONTROL_BYTES = 512;
const NAME_BYTES = 128;
const CMSG_HEADER_BYTES = 16;

// struct msghdr in 32-bit words: name 0, its length 2, iov 4, their number 6, control 8, its length 10.
const header = new Scratch(56);
const name = new Scratch(NAME_BYTES);
const control = new Scratch(CONTROL_BYTES);
const iov = new Scratch(16);
const data = new Scratch(RECEIVE_BYTES);
const out = new Scratch(65_536);

export interface Place {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
  /** Index of the link of a link-local address; 0 otherwise. */
  readonly scope: number;
}

export interface Received {
  /** Borrowed until the next call. */
  readonly bytes: Uint8Array;
  /** struct sockaddr of whom it came from, or, of an error, whom it was for. Borrowed. */
  readonly from: Uint8Array;
  /** Control messages: level, type, and data. Borrowed. */
  readonly controls: readonly { level: number; type: number; data: Uint8Array }[];
}

export class IpSocket {
  readonly fd: number;
  readonly #family: 4 | 6;
  #isClosed = false;

  /** @param type SOCK_RAW or SOCK_DGRAM @throws {SystemError} */
  constructor(what: string, family: 4 | 6, type: number, protocol: number) {
    const domain = family === 4 ? AF_INET : AF_INET6;
    this.#family = family;
    this.fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (this.fd < 0) throw new SystemError(what, 'socket', errno());
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    close(this.fd);
  }

  /** @throws {SystemError} */
  set(what: string, level: number, option: number, value: number): void {
    const error = setIntOption(this.fd, level, option, value);
    if (error !== 0) throw new SystemError(what, 'setsockopt', error);
  }

  /** An option that is a structure. @throws {SystemError} */
  setBytes(what: string, level: number, option: number, value: Uint8Array): void {
    control.bytes.set(value);
    if (setsockopt(this.fd, level, option, control.address, value.length) < 0) {
      throw new SystemError(what, 'setsockopt', errno());
    }
  }

  /** Everything goes out of, and comes in by, this link alone. @throws {SystemError} */
  bindToLink(link: string): void {
    const text = new TextEncoder().encode(`${link}\0`);
    this.setBytes(`use interface ${link}`, SOL_SOCKET, SO_BINDTODEVICE, text);
  }

  /** From this address of ours. @throws {SystemError} EADDRNOTAVAIL when it is none */
  bindTo(address: Uint8Array): void {
    const length = putPlace(name, { address, port: 0, scope: 0 });
    if (bindSocket(this.fd, name.address, length) < 0) {
      throw new SystemError('send from the address of wgbind or via', 'bind', errno());
    }
  }

  /** SO_MARK. @throws {SystemError} */
  mark(value: number): void {
    if (value !== 0) this.set(`set fwmark ${value}`, SOL_SOCKET, SO_MARK, value);
  }

  /** The error's name, or null. */
  connect(place: Place): string | null {
    const length = putPlace(name, place);
    return connect(this.fd, name.address, length) < 0 ? errnoName(errno()) : null;
  }

  /** Of a connected socket. The error's name, or null when it went out. */
  send(bytes: Uint8Array): string | null {
    out.bytes.set(bytes);
    return send(this.fd, out.address, bytes.length, 0) < 0 ? errnoName(errno()) : null;
  }

  /** The error's name, or null when it went out. */
  sendTo(bytes: Uint8Array, place: Place): string | null {
    out.bytes.set(bytes);
    prepare(out.address, bytes.length);
    header.words[2] = putPlace(name, place);
    putAddress(header.words, 8, 0);
    header.words[10] = 0;
    return sendmsg(this.fd, header.address, 0) < 0 ? errnoName(errno()) : null;
  }

  /** null when nothing waits, or something that is an error itself. */
  receive(): Received | null {
    return receiveFrom(this.fd);
  }

  /** Out of the error queue (ip(7), IP_RECVERR). */
  receiveError(): Received | null {
    return receiveFrom(this.fd, MSG_ERRQUEUE);
  }

  /** The address that it sends from; null when there is none yet. */
  localPlace(): Place | null {
    control.view.setInt32(0, NAME_BYTES, true);
    if (getsockname(this.fd, name.address, control.address) < 0) return null;
    return placeOf(name.bytes.subarray(0, this.#family === 4 ? 16 : 28));
  }
}

/** The same of any socket. */
export function receiveFrom(fd: number, flags = 0): Received | null {
  prepare(data.address, RECEIVE_BYTES);
  const length = recvmsg(fd, header.address, flags | MSG_DONTWAIT);
  if (length < 0) return null;
  return {
    bytes: data.bytes.subarray(0, Math.min(length, RECEIVE_BYTES)),
    from: name.bytes.subarray(0, Math.min(header.words[2], NAME_BYTES)),
    controls: controlsOf(control.bytes.subarray(0, Math.min(header.words[10], CONTROL_BYTES))),
  };
}

function prepare(address: number, length: number): void {
  header.bytes.fill(0, 0, 56);
  putAddress(header.words, 0, name.address);
  header.words[2] = NAME_BYTES;
  putAddress(iov.words, 0, address);
  putAddress(iov.words, 2, length);
  putAddress(header.words, 4, iov.address);
  header.words[6] = 1;
  putAddress(header.words, 8, control.address);
  header.words[10] = CONTROL_BYTES;
}

/** Writes a struct sockaddr_in or sockaddr_in6; returns its length. */
function putPlace(scratch: Scratch, { address, port, scope }: Place): number {
  const { bytes, view } = scratch;
  bytes.fill(0, 0, 28);
  view.setUint16(0, address.length === 4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port, false);
  bytes.set(address, address.length === 4 ? 4 : 8);
  if (address.length === 16) view.setUint32(24, scope, true);
  return address.length === 4 ? 16 : 28;
}

/** Reads one; null when it is none. The address is a copy. */
export function placeOf(sockaddr: Uint8Array): Place | null {
  const view = new DataView(sockaddr.buffer, sockaddr.byteOffset, sockaddr.length);
  const family = sockaddr.length >= 16 ? view.getUint16(0, true) : 0;
  if (family === AF_INET) {
    return { address: sockaddr.slice(4, 8), port: view.getUint16(2, false), scope: 0 };
  }
  if (family !== AF_INET6 || sockaddr.length < 28) return null;
  const address = sockaddr.slice(8, 24);
  return { address, port: view.getUint16(2, false), scope: view.getUint32(24, true) };
}

function controlsOf(bytes: Uint8Array): { level: number; type: number; data: Uint8Array }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const controls = [];
  for (let at = 0; at + CMSG_HEADER_BYTES <= bytes.length; ) {
    const length = view.getUint32(at, true);
    if (length < CMSG_HEADER_BYTES || at + length > bytes.length) break;
    controls.push({
      level: view.getInt32(at + 8, true),
      type: view.getInt32(at + 12, true),
      data: bytes.subarray(at + CMSG_HEADER_BYTES, at + length),
    });
    at += (length + 7) & ~7;
  }
  return controls;
}
