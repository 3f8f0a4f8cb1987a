/**
 * A program of its own, run on a host of the lab: calls somebody more often than one address may.
 * What it calls with is noise but for the MACs, mac2 among them as soon as it has been given a cookie.
 *
 *     node caller.js PUBLIC_KEY ADDRESS PORT PER_SECOND SECONDS
 *
 * Prints "cookie" when it has one, and ends by itself.
 */

import { randomFillSync } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { CookieMaker } from '../../src/noise/cookie.ts';
import {
  COOKIE_REPLY,
  INITIATION,
  INITIATION_BYTES,
  writeUint32,
} from '../../src/noise/messages.ts';
import { Pace } from '../flood/pace.ts';

const TICK_MS = 5;
const MS_PER_S = 1_000;

const [publicKey, address, port, perSecond, seconds] = process.argv.slice(2);
const maker = new CookieMaker(Buffer.from(publicKey, 'base64'));
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
const end = performance.now() + Number(seconds) * MS_PER_S;
const pace = new Pace(Number(perSecond), performance.now());

socket.on('message', (message) => {
  if (message[0] !== COOKIE_REPLY || !maker.consumeReply(message, performance.now())) return;
  console.log('cookie');
});
socket.bind(0, call);

function call(): void {
  const now = performance.now();
  if (now >= end) {
    socket.close();
    return;
  }
  const due = pace.due(now);
  for (let sent = 0; sent < due; sent++) {
    // A socket keeps what it is to send until it is sent.
    const message = randomFillSync(new Uint8Array(INITIATION_BYTES));
    writeUint32(message, 0, INITIATION);
    maker.addMacs(message, now);
    socket.send(message, Number(port), address);
  }
  pace.spend(due);
  setTimeout(call, TICK_MS);
}
