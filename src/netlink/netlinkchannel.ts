/**
 * A netlink socket (netlink(7)) of any family, over which the kernel is asked and its answer waited
 * for. Blocks, for microseconds; for control, not for the data path. Owns the exchange of messages and
 * what becomes of one that is refused or that changes while it is listed; knows none of the messages.
 */

import {
  close,
  ERRNO,
  errno,
  recv,
  Scratch,
  SystemError,
  send,
  setIntOption,
  setsockopt,
  socket,
} from '../sys/libc.ts';
import {
  AF_NETLINK,
  MSG_TRUNC,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  SO_RCVTIMEO,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from '../sys/linux.ts';
import { isInterrupted, type Message, parseAnswer, parseMessages } from './netlinkmessage.ts';
import type { MessageWriter } from './netlinkrequest.ts';

/** More than the kernel puts into one datagram (32 KiB), save for hardware with many functions. */
const BUFFER_BYTES = 128 * 1024;
const TIMEOUT_SECONDS = 2;
/** How often a listing that changed while it was read is read again. */
const DUMP_ATTEMPTS = 8;

const { EINTR, EMSGSIZE, EBUSY } = ERRNO;

/** The kernel's verdict. */
export interface Verdict {
  /** 0 if good. */
  readonly errno: number;
  /** The kernel's own words, often empty. */
  readonly text: string;
}

export class NetlinkChannel {
  readonly #fd: number;
  readonly #buffer = new Scratch(BUFFER_BYTES);
  /** Whether it lists only what is asked for (Linux 4.20). */
  readonly canChoose: boolean;
  #sequence = 0;
  #isClosed = false;

  /** @param what what it is for, for the message when it is refused @throws {SystemError} */
  constructor(family: number, what: string) {
    this.#fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);
    if (this.#fd < 0) throw new SystemError(what, 'socket', errno());
    // Refused by kernels before 4.12, which explain nothing.
    setIntOption(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    this.canChoose = setIntOption(this.#fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1) === 0;
    this.#buffer.bytes.fill(0, 0, 16);
    this.#buffer.view.setUint32(0, TIMEOUT_SECONDS, true);
    setsockopt(this.#fd, SOL_SOCKET, SO_RCVTIMEO, this.#buffer.address, 16);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    close(this.#fd);
  }

  /** What of a dump has this type and can be parsed. @throws {SystemError} */
  list<T>(
    what: string,
    request: MessageWriter,
    type: number,
    parse: (body: Uint8Array) => T | null,
  ): T[] {
    for (let attempt = 1; ; attempt++) {
      const items: T[] = [];
      let wasInterrupted = false;
      const error = this.exchange(request, (message) => {
        wasInterrupted ||= isInterrupted(message);
        const item = message.type === type ? parse(message.body) : null;
        if (item !== null) items.push(item);
      });
      refuse(what, error);
      if (!wasInterrupted) return items;
      if (attempt === DUMP_ATTEMPTS) {
        throw new SystemError(what, 'netlink', EBUSY!, 'it keeps changing; try again');
      }
    }
  }

  /** @throws {SystemError} */
  change(what: string, request: MessageWriter): void {
    refuse(
      what,
      this.exchange(request, () => {}),
    );
  }

  /** Sends a request and hands its answer's messages over. Returns the verdict, errno 0 if good. */
  exchange(request: MessageWriter, onMessage: (message: Message) => void): Verdict {
    const sequence = ++this.#sequence;
    const bytes = request.finish(sequence);
    this.#buffer.bytes.set(bytes);
    while (send(this.#fd, this.#buffer.address, bytes.length, 0) < 0) {
      const error = errno();
      if (error !== EINTR) return { errno: error, text: '' };
    }
    for (;;) {
      const length = recv(this.#fd, this.#buffer.address, BUFFER_BYTES, MSG_TRUNC);
      if (length < 0) {
        const error = errno();
        if (error === EINTR) continue;
        return { errno: error, text: '' };
      }
      if (length > BUFFER_BYTES) return { errno: EMSGSIZE!, text: 'answer too long' };
      for (const message of parseMessages(this.#buffer.bytes.subarray(0, length))) {
        // An answer to an earlier request that was given up.
        if (message.sequence !== sequence) continue;
        const answer = parseAnswer(message);
        if (answer !== null) return answer;
        onMessage(message);
      }
    }
  }
}

/** Throws unless the verdict is good; the kernel's own words come first. */
export function refuse(what: string, { errno: number, text }: Verdict): void {
  if (number !== 0) throw new SystemError(what, 'netlink', number, text === '' ? undefined : text);
}
