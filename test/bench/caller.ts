/**
 * A program of its own, run on the other host: many peers that call one responder, evenly within the
 * given time, each as a peer does that has something to say. Who is not answered calls again after five
 * seconds, with a cookie if it was given one; who is says so with a keepalive, which is what brings the
 * session up.
 *
 *     node caller.js FILE ADDRESS PORT SECONDS
 *
 * FILE: JSON, a `Plan`. Prints one line of JSON: a `Calls`.
 */

import { randomFillSync } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { Arena } from '../../src/arena.ts';
import { sealAead } from '../../src/crypto/aead.ts';
import { createOpensslSuite } from '../../src/crypto/openssl/openssl.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import { REKEY_TIMEOUT_MS } from '../../src/noise/constants.ts';
import { CookieMaker } from '../../src/noise/cookie.ts';
import { Handshake } from '../../src/noise/handshake.ts';
import {
  COOKIE_REPLY_BYTES,
  COOKIE_REPLY_RECEIVER,
  DATA,
  DATA_HEADER_BYTES,
  INITIATION_BYTES,
  RESPONSE_BYTES,
  RESPONSE_RECEIVER,
  readUint32,
  writeUint32,
} from '../../src/noise/messages.ts';

/** Keys in base64. */
export interface Plan {
  readonly responder: string;
  /** Private ones. */
  readonly callers: readonly string[];
}

export interface Calls {
  readonly callers: number;
  readonly answered: number;
  /** Initiations, and how many cookies were asked for. */
  readonly calls: number;
  readonly cookies: number;
  /** Until the last caller was answered. */
  readonly seconds: number;
}

interface Caller {
  readonly handshake: Handshake;
  readonly cookieMaker: CookieMaker;
  calledAt: number;
  isAnswered: boolean;
}

/** After the last call, for those that have to call again. */
const GRACE_MS = 3 * REKEY_TIMEOUT_MS;
const TICK_MS = 5;
const MS_PER_S = 1_000;
const ARENA_BYTES = 65_536;
const SOCKET_BUFFER_BYTES = 1 << 21;
const RECEIVER_AT = 4;
const NOTHING = new Uint8Array(0);

const [file, address, port, secondsWord] = process.argv.slice(2);
const plan = JSON.parse(readFileSync(file, 'utf8')) as Plan;
const arena = new Arena(ARENA_BYTES);
const suite = createOpensslSuite(arena) ?? createPortableSuite(arena);
const responder = keyOf(plan.responder);
const callers = plan.callers.map((text): Caller => {
  const privateKey = keyOf(text);
  const identity = { privateKey, publicKey: suite.publicKey(privateKey) };
  const handshake = new Handshake(suite, identity, responder);
  const cookieMaker = new CookieMaker(responder);
  return { handshake, cookieMaker, calledAt: Number.NEGATIVE_INFINITY, isAnswered: false };
});
const socket = createSocket({ type: 'udp4', recvBufferSize: SOCKET_BUFFER_BYTES });
const windowMs = Number(secondsWord) * MS_PER_S;
const begun = performance.now();
const ticker = setInterval(tick, TICK_MS);
let calls = 0;
let cookies = 0;
let answered = 0;
let lastAnswerAt = begun;

socket.on('message', (datagram) => {
  const now = performance.now();
  const isCookie = datagram.length === COOKIE_REPLY_BYTES;
  if (!isCookie && datagram.length !== RESPONSE_BYTES) return;
  const index = readUint32(datagram, isCookie ? COOKIE_REPLY_RECEIVER : RESPONSE_RECEIVER);
  const caller = callers[index - 1];
  if (caller === undefined) return;
  if (isCookie) {
    if (caller.cookieMaker.consumeReply(datagram, now)) cookies++;
  } else if (caller.handshake.consumeResponse(datagram) === 'ok') confirm(caller, now);
});
socket.connect(Number(port), address, tick);

function tick(): void {
  const now = performance.now();
  const due = Math.ceil(((now - begun) / windowMs) * callers.length);
  for (let i = 0; i < Math.min(due, callers.length); i++) {
    const caller = callers[i];
    if (!caller.isAnswered && now - caller.calledAt >= REKEY_TIMEOUT_MS) call(caller, i + 1, now);
  }
  if (answered === callers.length || now - begun >= windowMs + GRACE_MS) finish();
}

function call(caller: Caller, index: number, now: number): void {
  const message = new Uint8Array(INITIATION_BYTES);
  caller.handshake.createInitiation(message, index, Date.now(), randomFillSync);
  caller.cookieMaker.addMacs(message, now);
  caller.calledAt = now;
  calls++;
  socket.send(message);
}

function confirm(caller: Caller, now: number): void {
  const { sendKey, receiveKey, remoteIndex } = caller.handshake.beginSession()!;
  const keepalive = new Uint8Array(DATA_HEADER_BYTES + 16);
  writeUint32(keepalive, 0, DATA);
  writeUint32(keepalive, RECEIVER_AT, remoteIndex);
  keepalive.set(sealAead(sendKey, 0, NOTHING, NOTHING), DATA_HEADER_BYTES);
  sendKey.fill(0);
  receiveKey.fill(0);
  socket.send(keepalive);
  caller.isAnswered = true;
  answered++;
  lastAnswerAt = now;
}

function finish(): void {
  clearInterval(ticker);
  const seconds = (lastAnswerAt - begun) / MS_PER_S;
  const tally: Calls = { callers: callers.length, answered, calls, cookies, seconds };
  // The last keepalive leaves before the socket closes.
  setTimeout(() => socket.close(), TICK_MS);
  console.log(JSON.stringify(tally));
}

function keyOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
