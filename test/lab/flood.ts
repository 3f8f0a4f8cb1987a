/**
 * A program of the lab that puts a WireGuard under load: sends handshake initiations with a valid
 * first MAC and nothing else that is right, which is all that a stranger can make of a public key.
 * They go in bursts, which fill a queue whatever the machine is busy with, and are made beforehand.
 * Says so when it is asked for a cookie, which is how the other end shows that it is under load.
 *
 *     node flood.js ADDRESS PORT PUBLICKEY SECONDS
 */

import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { blake2s } from '@noble/hashes/blake2.js';

const INITIATION_BYTES = 148;
const MAC1_OFFSET = 116;
const MAC_BYTES = 16;
const COOKIE_REPLY = 3;
/** More than the queue's eighth, 128, at which wireguard-go takes itself to be under load. */
const BURST = 300;
/**
 * 1,500 a second: a gate that tswg has shut keeps the stranger out, so that it is under no load, and
 * opens only below 2,000. It shuts at 10,000, which a backlog on a busy machine may look like.
 */
const TICK_MS = 200;
const MS_PER_S = 1000;

const [address, port, publicKey, seconds] = process.argv.slice(2);
// Whitepaper 5.4.4: the key of mac1 is HASH(LABEL-MAC1 || the responder's public key).
const label = Buffer.concat([Buffer.from('mac1----'), Buffer.from(publicKey, 'base64')]);
const key = blake2s(label);
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
const burst = Array.from({ length: BURST }, initiation);
const start = performance.now();
let isAsked = false;
let sent = 0;

socket.on('message', (message) => {
  if (isAsked || message[0] !== COOKIE_REPLY) return;
  isAsked = true;
  console.log('asked for a cookie');
});
const timer = setInterval(() => {
  for (const message of burst) socket.send(message, Number(port), address);
  sent += BURST;
  if (performance.now() - start > Number(seconds) * MS_PER_S) {
    clearInterval(timer);
    socket.close();
    console.log(`sent ${sent}`);
  }
}, TICK_MS);

function initiation(): Buffer {
  const message = randomBytes(INITIATION_BYTES);
  message.writeUInt32LE(1, 0);
  const mac = blake2s(message.subarray(0, MAC1_OFFSET), { key, dkLen: MAC_BYTES });
  message.set(mac, MAC1_OFFSET);
  message.fill(0, MAC1_OFFSET + MAC_BYTES);
  return message;
}
