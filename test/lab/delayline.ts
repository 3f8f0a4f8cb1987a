/**
 * A program of its own on a host of the lab: the length of the cable that it has not got. Holds each
 * datagram that the host's rule hands to a queue of the kernel (NFQUEUE) for a fixed time and then
 * lets it in. The datagrams stay in the kernel: only their numbers come here, so that it costs little
 * beside the daemons. Loses some of them on the way when told so, the same of every run.
 *
 *     node delayline.js QUEUE DELAYMS LOSTPERMILLION SEED
 *
 * Without loss a super-packet stays one, as on the cable of the lab; with loss the kernel takes it
 * apart, since what is lost is a datagram. Prints `holding` when it is ready; runs until it is killed.
 */

import os from 'node:os';
import koffi from 'koffi';
import { parseAnswer, parseMessages } from '../../src/netlink/netlinkmessage.ts';
import { MessageWriter, NLM_F_ACK } from '../../src/netlink/netlinkrequest.ts';
import {
  ERRNO,
  errno,
  putAddress,
  recv,
  recvmmsg,
  Scratch,
  SystemError,
  send,
  setIntOption,
  socket,
  waitFor,
} from '../../src/sys/libc.ts';
import {
  AF_NETLINK,
  MSG_DONTWAIT,
  POLLIN,
  SO_RCVBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from '../../src/sys/linux.ts';

// linux/netfilter/nfnetlink_queue.h.
const NETLINK_NETFILTER = 12;
const SUBSYSTEM = 3 << 8;
const VERDICT = SUBSYSTEM | 1;
const CONFIGURE = SUBSYSTEM | 2;
const VERDICT_BATCH = SUBSYSTEM | 3;
const NFQA_VERDICT_HDR = 2;
const NFQA_CFG_CMD = 1;
const NFQA_CFG_PARAMS = 2;
const NFQA_CFG_QUEUE_MAXLEN = 3;
const NFQA_CFG_MASK = 4;
const NFQA_CFG_FLAGS = 5;
const NFQA_CFG_F_GSO = 4;
const NFQNL_CFG_CMD_BIND = 1;
const NFQNL_COPY_META = 1;
const NF_DROP = 0;
const NF_ACCEPT = 1;
const NETLINK_NO_ENOBUFS = 5;
/** Of a packet's message: after two headers and that of the first attribute, big-endian. */
const NUMBER_OFFSET = 24;
const HEAD_BYTES = 32;

const MSGHDR_BYTES = 64;
const IOVEC_BYTES = 16;
const BATCH = 64;
/** 10 ms of datagrams, one by one, faster than any tunnel sends them. */
const HELD_MAX = 1 << 18;
const RECEIVE_BUFFER_BYTES = 256 << 20;
/** How long it sleeps while it holds something: what it lets in comes that much later at most. */
const TICK_US = 250;
const FOREVER_MS = -1;
const MILLION = 1_000_000;
const PRIORITY = -20;

/** Those that came within one tick are let in together. */
interface Held {
  /** Of the last of them; numbers ascend by one. */
  readonly last: number;
  readonly since: number;
}

const usleep = koffi.load(null).func('usleep', 'int', ['uint32_t']);

const [queueWord, delayWord, lossWord, seedWord] = process.argv.slice(2);
const queue = Number(queueWord);
const delayMs = Number(delayWord);
const lostPerMillion = Number(lossWord);
const fd = open();
const scratch = new Scratch(4_096);
const heads = new Scratch(BATCH * HEAD_BYTES);
const headers = new Scratch(BATCH * MSGHDR_BYTES);
const iovecs = new Scratch(BATCH * IOVEC_BYTES);
const random = generator(Number(seedWord));
const held: Held[] = [];

configure();
prepare();
os.setPriority(PRIORITY);
console.log('holding');
for (;;) {
  const now = performance.now();
  take(now);
  letIn(now - delayMs);
  if (held.length === 0) waitFor(fd, POLLIN, FOREVER_MS);
  else usleep(TICK_US);
}

function open(): number {
  const opened = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (opened < 0) throw new SystemError('open a queue of the kernel', 'socket', errno());
  setIntOption(opened, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
  // What it has no room for is lost, and nothing else follows from that.
  setIntOption(opened, SOL_NETLINK, NETLINK_NO_ENOBUFS, 1);
  return opened;
}

/** Binds the queue; of each datagram it wants to be told, and nothing of what is in it. */
function configure(): void {
  const command = Uint8Array.of(NFQNL_CFG_CMD_BIND, 0, 0, 0);
  change('bind', (writer) => writer.attribute(NFQA_CFG_CMD, command));
  const parameters = Uint8Array.of(0, 0, 0, 0, NFQNL_COPY_META);
  change('tell', (writer) => writer.attribute(NFQA_CFG_PARAMS, parameters));
  const length = bigEndian(HELD_MAX);
  change('lengthen', (writer) => writer.attribute(NFQA_CFG_QUEUE_MAXLEN, length));
  if (lostPerMillion > 0) return;
  const flags = bigEndian(NFQA_CFG_F_GSO);
  change('take super-packets into', (writer) =>
    writer.attribute(NFQA_CFG_FLAGS, flags).attribute(NFQA_CFG_MASK, flags),
  );
}

/** @throws {SystemError} when the kernel refuses */
function change(what: string, fill: (writer: MessageWriter) => MessageWriter): void {
  tell(fill(message(CONFIGURE, NLM_F_ACK)));
  const length = recv(fd, scratch.address, scratch.bytes.length, 0);
  const answer = parseMessages(scratch.bytes.subarray(0, Math.max(0, length))).map(parseAnswer)[0];
  const error = length < 0 ? errno() : (answer?.errno ?? ERRNO.EINVAL);
  if (error !== 0) throw new SystemError(`${what} queue ${queue}`, 'nfnetlink_queue', error);
}

function message(type: number, flags: number): MessageWriter {
  // struct nfgenmsg: any family, version 0, the queue.
  return new MessageWriter(type, flags).fixed(Uint8Array.of(0, 0, queue >> 8, queue & 255));
}

function tell(writer: MessageWriter): void {
  const bytes = writer.finish(0);
  scratch.bytes.set(bytes);
  if (send(fd, scratch.address, bytes.length, 0) < 0) {
    throw new SystemError('tell the kernel what becomes of a datagram', 'send', errno());
  }
}

function prepare(): void {
  for (let i = 0; i < BATCH; i++) {
    putAddress(iovecs.words, (i * IOVEC_BYTES) / 4, heads.address + i * HEAD_BYTES);
    iovecs.words[(i * IOVEC_BYTES) / 4 + 2] = HEAD_BYTES;
    const at = (i * MSGHDR_BYTES) / 4;
    putAddress(headers.words, at + 4, iovecs.address + i * IOVEC_BYTES);
    headers.words[at + 6] = 1;
  }
}

/** Reads of what has come since the last tick, and loses some of it. */
function take(now: number): void {
  let last = 0;
  let got: number;
  do {
    got = recvmmsg(fd, headers.address, BATCH, MSG_DONTWAIT, 0);
    for (let i = 0; i < got; i++) {
      const at = i * HEAD_BYTES;
      // A verdict on what the kernel has given up in the meantime is answered with an error.
      if (heads.view.getUint16(at + 4, true) !== SUBSYSTEM) continue;
      last = heads.view.getUint32(at + NUMBER_OFFSET);
      if (lostPerMillion > 0 && random() % MILLION < lostPerMillion) {
        tell(message(VERDICT, 0).attribute(NFQA_VERDICT_HDR, verdict(NF_DROP, last)));
      }
    }
  } while (got === BATCH);
  if (last > 0) held.push({ last, since: now });
}

/** Lets in all that came until `until`. */
function letIn(until: number): void {
  let last = 0;
  while (held.length > 0 && held[0].since <= until) last = held.shift()!.last;
  if (last > 0)
    tell(message(VERDICT_BATCH, 0).attribute(NFQA_VERDICT_HDR, verdict(NF_ACCEPT, last)));
}

/** struct nfqnl_msg_verdict_hdr. */
function verdict(decision: number, number: number): Uint8Array {
  return Uint8Array.of(...bigEndian(decision), ...bigEndian(number));
}

function bigEndian(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

/** xorshift32: the same sequence for the same seed. */
function generator(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
