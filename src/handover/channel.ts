/**
 * A connection between a daemon and its successor: whole messages with descriptors beside them.
 * Blocks, for a bounded time, since a daemon that hands itself over does nothing else meanwhile.
 *
 * A message goes in pieces that keep their boundaries (SOCK_SEQPACKET), as no socket buffer holds
 * ten thousand peers: the first piece is the length and the descriptors (SCM_RIGHTS, unix(7)).
 */

import {
  close,
  ERRNO,
  errno,
  putAddress,
  recv,
  recvmsg,
  Scratch,
  send,
  sendmsg,
  waitFor,
} from '../sys/libc.ts';
import {
  MSG_CMSG_CLOEXEC,
  MSG_DONTWAIT,
  POLLIN,
  POLLOUT,
  SCM_RIGHTS,
  SOL_SOCKET,
} from '../sys/linux.ts';

const PIECE_BYTES = 64 * 1024;
/** Ten thousand peers with three sessions each take a quarter of it. */
const MESSAGE_BYTES_MAX = 256 * 1024 * 1024;
/** A message that has begun continues at once. */
const PIECE_TIMEOUT_MS = 5_000;
const MAX_DESCRIPTORS = 8;

const LENGTH_BYTES = 4;
/** struct cmsghdr, and descriptors of 4 bytes after it. */
const CONTROL_HEADER_BYTES = 16;
const CONTROL_BYTES = CONTROL_HEADER_BYTES + MAX_DESCRIPTORS * 4;

// Places in the memory below: struct msghdr, struct iovec, the length, the control message.
const HEADER = 0;
const IOVEC = 64;
const LENGTH = 80;
const CONTROL = 96;

const { EAGAIN, EINTR, ECONNRESET } = ERRNO;

const memory = new Scratch(CONTROL + CONTROL_BYTES);

export type Received =
  /** `fds` are the receiver's to close. */
  | { readonly kind: 'message'; readonly bytes: Uint8Array; readonly fds: readonly number[] }
  /** The other side has closed it, or is gone. */
  | { readonly kind: 'closed' }
  | { readonly kind: 'late' };

export class Channel {
  /** One end of a SOCK_SEQPACKET pair, which the channel owns. */
  readonly fd: number;
  readonly #piece = new Scratch(PIECE_BYTES);
  #isClosed = false;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Sends a message. False when the other side is gone, or does not read for `timeoutMs`. */
  send(bytes: Uint8Array, fds: readonly number[], timeoutMs: number): boolean {
    if (this.#isClosed || !sendDescriptors(this.fd, bytes.length, fds, timeoutMs)) return false;
    const isSent = this.#sendPieces(bytes, timeoutMs);
    this.#piece.bytes.fill(0);
    return isSent;
  }

  #sendPieces(bytes: Uint8Array, timeoutMs: number): boolean {
    const piece = this.#piece;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const part = bytes.subarray(at, at + PIECE_BYTES);
      piece.bytes.set(part);
      const isSent = retrying(this.fd, POLLOUT, timeoutMs, () =>
        send(this.fd, piece.address, part.length, MSG_DONTWAIT),
      );
      if (isSent <= 0) return false;
    }
    return true;
  }

  /**
   * Begins a message that is sent without ever waiting; nothing else is sent before its end. The
   * bytes are the caller's, who leaves them as they are until then.
   */
  begin(bytes: Uint8Array): Sending {
    return new Sending(this, this.#piece, bytes);
  }

  /** The next message, waiting at most `timeoutMs` for it to begin. */
  receive(timeoutMs: number): Received {
    if (this.#isClosed) return { kind: 'closed' };
    const first = receiveDescriptors(this.fd, timeoutMs);
    if (first.kind !== 'message') return first;
    const { fds, length } = first;
    const bytes = new Uint8Array(length);
    const piece = this.#piece;
    for (let at = 0; at < length; ) {
      const got = retrying(this.fd, POLLIN, PIECE_TIMEOUT_MS, () =>
        recv(this.fd, piece.address, PIECE_BYTES, MSG_DONTWAIT),
      );
      if (got <= 0) {
        for (const fd of fds) close(fd);
        bytes.fill(0);
        piece.bytes.fill(0);
        return { kind: got === LATE ? 'late' : 'closed' };
      }
      bytes.set(piece.bytes.subarray(0, Math.min(got, length - at)), at);
      at += got;
    }
    piece.bytes.fill(0);
    return { kind: 'message', bytes, fds };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    close(this.fd);
  }
}

/** A message on its way, piece by piece. There is nothing secret in it. */
export class Sending {
  readonly #channel: Channel;
  readonly #piece: Scratch;
  readonly #bytes: Uint8Array;
  #at = 0;
  #hasBegun = false;

  constructor(channel: Channel, piece: Scratch, bytes: Uint8Array) {
    this.#channel = channel;
    this.#piece = piece;
    this.#bytes = bytes;
  }

  /**
   * Sends a piece, if there is room for it: `full` when there is none yet, `closed` when the other
   * side is gone.
   */
  send(): 'more' | 'done' | 'full' | 'closed' {
    const sent = this.#hasBegun ? this.#sendPiece() : this.#begin();
    if (sent === LATE) return 'full';
    if (sent <= 0) return 'closed';
    return this.#at >= this.#bytes.length ? 'done' : 'more';
  }

  #begin(): number {
    const sent = sendHead(this.#channel.fd, this.#bytes.length, [], 0);
    this.#hasBegun = sent > 0;
    return sent;
  }

  #sendPiece(): number {
    const part = this.#bytes.subarray(this.#at, this.#at + PIECE_BYTES);
    this.#piece.bytes.set(part);
    const { fd } = this.#channel;
    const sent = retrying(fd, POLLOUT, 0, () =>
      send(fd, this.#piece.address, part.length, MSG_DONTWAIT),
    );
    if (sent > 0) this.#at += part.length;
    return sent;
  }
}

/**
 * Sends descriptors over a UNIX socket of any kind, beside the length of what follows. False when
 * nobody takes them in time.
 */
export function sendDescriptors(
  fd: number,
  length: number,
  fds: readonly number[],
  timeoutMs: number,
): boolean {
  return sendHead(fd, length, fds, timeoutMs) > 0;
}

/** As `retrying` returns it. */
function sendHead(fd: number, length: number, fds: readonly number[], timeoutMs: number): number {
  if (fds.length > MAX_DESCRIPTORS) throw new Error(`channel: ${fds.length} descriptors`);
  layOut(fds.length === 0 ? 0 : CONTROL_HEADER_BYTES + fds.length * 4);
  memory.view.setUint32(LENGTH, length, true);
  memory.view.setBigUint64(CONTROL, BigInt(CONTROL_HEADER_BYTES + fds.length * 4), true);
  memory.view.setInt32(CONTROL + 8, SOL_SOCKET, true);
  memory.view.setInt32(CONTROL + 12, SCM_RIGHTS, true);
  for (const [i, descriptor] of fds.entries()) {
    memory.view.setInt32(CONTROL + CONTROL_HEADER_BYTES + i * 4, descriptor, true);
  }
  return retrying(fd, POLLOUT, timeoutMs, () => sendmsg(fd, memory.address, MSG_DONTWAIT));
}

type Descriptors =
  | { readonly kind: 'message'; readonly length: number; readonly fds: readonly number[] }
  | { readonly kind: 'closed' | 'late' };

/** The other side of sendDescriptors; the descriptors close on exec. */
export function receiveDescriptors(fd: number, timeoutMs: number): Descriptors {
  layOut(CONTROL_BYTES);
  const got = retrying(fd, POLLIN, timeoutMs, () =>
    recvmsg(fd, memory.address, MSG_DONTWAIT | MSG_CMSG_CLOEXEC),
  );
  if (got === LATE) return { kind: 'late' };
  if (got < 0) return { kind: 'closed' };
  const fds: number[] = [];
  const controlBytes = Number(memory.view.getBigUint64(HEADER + 40, true));
  if (controlBytes > CONTROL_HEADER_BYTES) {
    const size = Number(memory.view.getBigUint64(CONTROL, true)) - CONTROL_HEADER_BYTES;
    for (let at = 0; at < size; at += 4) {
      fds.push(memory.view.getInt32(CONTROL + CONTROL_HEADER_BYTES + at, true));
    }
  }
  const length = memory.view.getUint32(LENGTH, true);
  if (got === LENGTH_BYTES && length <= MESSAGE_BYTES_MAX) return { kind: 'message', length, fds };
  for (const descriptor of fds) close(descriptor);
  return { kind: 'closed' };
}

/** struct msghdr with one iovec of LENGTH_BYTES and so many bytes of control. */
function layOut(controlBytes: number): void {
  memory.bytes.fill(0);
  const { words, address } = memory;
  putAddress(words, (HEADER + 16) >> 2, address + IOVEC);
  words[(HEADER + 24) >> 2] = 1;
  if (controlBytes > 0) putAddress(words, (HEADER + 32) >> 2, address + CONTROL);
  words[(HEADER + 40) >> 2] = controlBytes;
  putAddress(words, IOVEC >> 2, address + LENGTH);
  words[(IOVEC + 8) >> 2] = LENGTH_BYTES;
}

/** What a call on a socket is said to have returned when it was not ready in time. */
const LATE = Number.NEGATIVE_INFINITY;

/** A call that does not block, tried again until the descriptor is ready for it; 0, -1 or LATE. */
function retrying(fd: number, events: number, timeoutMs: number, call: () => number): number {
  for (;;) {
    const result = call();
    if (result >= 0) return result;
    const error = errno();
    // The other side has closed it without reading all; said once, before what it has sent.
    if (error === EINTR || error === ECONNRESET) continue;
    if (error !== EAGAIN) return -1;
    if (!waitFor(fd, events, timeoutMs)) return LATE;
  }
}
