/**
 * A program of its own, run on the attacker's host: sends frames made beforehand, over and over,
 * at a pace or as fast as one core can.
 *
 *     node attacker.js FILE INTERFACE SECONDS PER_SECOND fixed|random CLUMP
 *
 * PER_SECOND may be "max"; CLUMP frames go at once. With "random" every frame gets another source
 * address before it goes.
 * Prints "flooding" when it begins and one line of JSON, a `Volley`, at the end.
 */

import { readFileSync } from 'node:fs';
import {
  bindSocket,
  ERRNO,
  errno,
  putAddress,
  Scratch,
  SystemError,
  sendmmsg,
  socket,
} from '../../src/sys/libc.ts';
import { SOCK_RAW } from '../../src/sys/linux.ts';
import { forgeSource, framesIn } from './frames.ts';
import { Pace } from './pace.ts';
import { createRandom } from './sources.ts';

export interface Volley {
  readonly sent: number;
  /** Frames that the kernel had no room for. */
  readonly refused: number;
  readonly seconds: number;
}

const AF_PACKET = 17;
// struct mmsghdr and struct iovec, in 32-bit words.
const HEADER_WORDS = 16;
const IOVEC_WORDS = 4;
const FRAMES_PER_CALL = 128;
/** Between two looks at the event loop. */
const BURST_MS = 20;
const MS_PER_S = 1_000;

/** Between two bursts at a pace: the least that a timer of Node's sleeps. */
const NAP_MS = 1;

const [file, ifname, secondsWord, perSecondWord, sources, clump] = process.argv.slice(2);
const perSecond = perSecondWord === 'max' ? Number.POSITIVE_INFINITY : Number(perSecondWord);
const bytes = readFileSync(file);
const frames = [...framesIn(bytes)];
const memory = new Scratch(bytes.length);
memory.bytes.set(bytes);
const headers = new Scratch(frames.length * HEADER_WORDS * 4);
const iovecs = new Scratch(frames.length * IOVEC_WORDS * 4);
frames.forEach(({ offset, length }, index) => {
  putAddress(iovecs.words, index * IOVEC_WORDS, memory.address + offset);
  iovecs.words[index * IOVEC_WORDS + 2] = length;
  const at = index * HEADER_WORDS;
  putAddress(headers.words, at + 4, iovecs.address + index * IOVEC_WORDS * 4);
  headers.words[at + 6] = 1;
});

const fd = openPacketSocket(Number(readFileSync(`/sys/class/net/${ifname}/ifindex`, 'utf8')));
const random = createRandom(1 + (Date.now() % 2 ** 31));
const begun = performance.now();
const pace = new Pace(perSecond, begun, Number(clump));
const end = begun + Number(secondsWord) * MS_PER_S;
let next = 0;
let sent = 0;
let refused = 0;
console.log('flooding');
burst();

function openPacketSocket(index: number): number {
  const opened = socket(AF_PACKET, SOCK_RAW, 0);
  if (opened < 0) throw new SystemError('open a packet socket', 'socket', errno());
  // struct sockaddr_ll; protocol 0: nothing is received.
  const address = new Scratch(20);
  address.view.setUint16(0, AF_PACKET, true);
  address.view.setInt32(4, index, true);
  if (bindSocket(opened, address.address, 20) < 0) {
    throw new SystemError(`send on ${ifname}`, 'bind', errno());
  }
  return opened;
}

function burst(): void {
  let now = performance.now();
  const until = Math.min(end, now + BURST_MS);
  while (now < until) {
    const due = pace.due(now);
    if (due < 1) break;
    // What is due at once goes at once, in as many calls as it takes; without a bound, one a look.
    if (due === Number.POSITIVE_INFINITY) fire(due);
    else for (let left = due; left > 0; ) left -= fire(left);
    now = performance.now();
  }
  if (now < end) {
    if (perSecond === Number.POSITIVE_INFINITY) setImmediate(burst);
    else setTimeout(burst, NAP_MS);
    return;
  }
  const seconds = (now - begun) / MS_PER_S;
  const volley: Volley = { sent, refused, seconds };
  console.log(JSON.stringify(volley));
}

/** Sends at most `due` frames; how many were passed over, the refused among them. */
function fire(due: number): number {
  const count = Math.min(FRAMES_PER_CALL, frames.length - next, due);
  if (sources === 'random') {
    for (let i = next; i < next + count; i++) forgeSource(memory.view, frames[i].offset, random);
  }
  const went = sendmmsg(fd, headers.address + next * HEADER_WORDS * 4, count, 0);
  if (went < 0) {
    const error = errno();
    if (error !== ERRNO.ENOBUFS) throw new SystemError(`send on ${ifname}`, 'sendmmsg', error);
    refused++;
  } else {
    sent += went;
  }
  // What was refused is passed over, as a wire would lose it.
  const passed = Math.max(went, 1);
  pace.spend(passed);
  next = (next + passed) % frames.length;
  return passed;
}
