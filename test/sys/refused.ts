/**
 * A UDP socket whose datagrams come to a port where nobody listens, so that ICMP says so: on
 * loopback before the send returns.
 */

import {
  bindSocket,
  close,
  connect,
  errno,
  getsockname,
  recvmsg,
  Scratch,
  send,
  setIntOption,
  socket,
} from '../../src/sys/libc.ts';

const [AF_INET, SOCK_DGRAM, SOCK_NONBLOCK, LOOPBACK] = [2, 2, 0x800, 0x0100007f];
const [SOL_IP, IP_RECVERR, MSG_DONTWAIT, MSG_ERRQUEUE] = [0, 11, 0x40, 0x2000];

const scratch = new Scratch(128);
const header = new Scratch(64);

function open(port: number): number {
  const fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  if (bindSocket(fd, addressOf(port), 16) !== 0) throw new Error(`bind: errno ${errno()}`);
  return fd;
}

function addressOf(port: number): number {
  scratch.words.set([AF_INET, LOOPBACK, 0, 0]);
  scratch.view.setUint16(2, port);
  return scratch.address;
}

function portOf(fd: number): number {
  scratch.words[4] = 16;
  getsockname(fd, scratch.address, scratch.address + 16);
  return scratch.view.getUint16(2);
}

export class RefusedSocket {
  readonly fd: number;
  readonly #port: number;
  readonly #farPort: number;

  /** @param hasQueue whether refusals are kept in the error queue (IP_RECVERR) */
  constructor(hasQueue: boolean) {
    this.fd = open(0);
    this.#port = portOf(this.fd);
    const far = open(0);
    this.#farPort = portOf(far);
    close(far);
    if (connect(this.fd, addressOf(this.#farPort), 16) !== 0) throw new Error('connect');
    if (hasQueue) setIntOption(this.fd, SOL_IP, IP_RECVERR, 1);
  }

  /** Sends what is refused at once. */
  provoke(): void {
    if (send(this.fd, scratch.address, 1, 0) !== 1) throw new Error(`send: errno ${errno()}`);
  }

  /** A datagram of so many bytes comes from the other end. */
  receive(length: number): void {
    const far = open(this.#farPort);
    connect(far, addressOf(this.#port), 16);
    if (send(far, scratch.address, length, 0) !== length) throw new Error(`send: errno ${errno()}`);
    close(far);
  }

  /** Takes one message out of the error queue; false when there is none. */
  takeRefusal(): boolean {
    header.bytes.fill(0);
    return recvmsg(this.fd, header.address, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0;
  }

  close(): void {
    close(this.fd);
  }
}
