/**
 * A program of its own: sends UDP datagrams into a tunnel at a pace, to one address or to many in
 * turns, whatever becomes of them. While there is no interface there is no way, and it carries on.
 *
 *     node talker.js SECONDS PER_SECOND BYTES ADDRESS...
 *
 * IPv4 only. Prints "talking" and when that was (ms since 1970).
 */

import { parseAddress } from '../../src/packet/address.ts';
import {
  ERRNO,
  errno,
  putAddress,
  Scratch,
  SystemError,
  sendmmsg,
  socket,
} from '../../src/sys/libc.ts';
import { AF_INET, SOCK_DGRAM, SOCK_NONBLOCK } from '../../src/sys/linux.ts';
import { Pace } from './pace.ts';

/** Nobody needs to listen there. */
const TALK_PORT = 9_999;

// struct mmsghdr, struct iovec and struct sockaddr_in, in bytes.
const HEADER_BYTES = 64;
const IOVEC_BYTES = 16;
const ADDRESS_BYTES = 16;
const DATAGRAMS_PER_CALL = 128;
const NAP_MS = 1;
const MS_PER_S = 1_000;

const [secondsWord, perSecondWord, bytesWord, ...destinations] = process.argv.slice(2);
const targets = destinations.map((text) => parseAddress(text)!);
// One piece of memory, so that all of it lives as long as anything uses it: headers, then addresses,
// then the one payload that all share.
const ADDRESSES = DATAGRAMS_PER_CALL * HEADER_BYTES;
const IOVEC = ADDRESSES + DATAGRAMS_PER_CALL * ADDRESS_BYTES;
const PAYLOAD = IOVEC + IOVEC_BYTES;
const memory = new Scratch(PAYLOAD + Number(bytesWord));
putAddress(memory.words, IOVEC / 4, memory.address + PAYLOAD);
memory.words[IOVEC / 4 + 2] = Number(bytesWord);
for (let i = 0; i < DATAGRAMS_PER_CALL; i++) {
  const at = (i * HEADER_BYTES) / 4;
  const addressAt = ADDRESSES + i * ADDRESS_BYTES;
  putAddress(memory.words, at, memory.address + addressAt);
  memory.words[at + 2] = ADDRESS_BYTES;
  putAddress(memory.words, at + 4, memory.address + IOVEC);
  memory.words[at + 6] = 1;
  memory.view.setUint16(addressAt, AF_INET, true);
  memory.view.setUint16(addressAt + 2, TALK_PORT);
}

const fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
if (fd < 0) throw new SystemError('open a UDP socket', 'socket', errno());
const begun = performance.now();
const end = begun + Number(secondsWord) * MS_PER_S;
const pace = new Pace(Number(perSecondWord), begun);
let next = 0;
console.log(`talking ${Date.now()}`);
talk();

function talk(): void {
  const now = performance.now();
  for (let due = pace.due(now); due >= 1; due = pace.due(now)) send(due);
  if (now < end) setTimeout(talk, NAP_MS);
}

function send(due: number): void {
  const count = Math.min(due, DATAGRAMS_PER_CALL);
  for (let i = 0; i < count; i++) {
    const addressAt = ADDRESSES + i * ADDRESS_BYTES;
    memory.bytes.set(targets[(next + i) % targets.length], addressAt + 4);
  }
  next = (next + count) % targets.length;
  const went = sendmmsg(fd, memory.address, count, 0);
  // Those that there is no room or no way for are lost, as on any wire.
  if (went < 0 && errno() === ERRNO.EFAULT) throw new Error('talker: its memory is gone');
  pace.spend(count);
}
