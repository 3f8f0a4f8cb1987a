/**
 * A program of its own, run on the other host: sends initiations made beforehand and counts the
 * responses. So many are in flight at a time that the responder never idles and never thinks that
 * it is under load, so no cookie is asked for.
 *
 *     node initiator.js FILE ADDRESS PORT SECONDS
 *
 * Prints one line of JSON: a `Tally`.
 */

import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import {
  INITIATION_BYTES,
  RESPONSE,
  RESPONSE_BYTES,
  RESPONSE_RECEIVER,
  readUint32,
} from '../../src/noise/messages.ts';

export interface Tally {
  /** Responses to initiations of ours, and in what time, the warm-up not counted. */
  readonly responses: number;
  readonly seconds: number;
  /** Initiations without a response. */
  readonly unanswered: number;
  /** Datagrams that were no response to anything in flight, cookie replies among them. */
  readonly others: number;
}

const WINDOW = 32;
const WARM_UP_MS = 500;
/** After so long an initiation counts as lost, and another takes its place. */
const LOSS_MS = 300;
const SWEEP_MS = 100;
const MS_PER_S = 1_000;
const RECEIVE_BUFFER_BYTES = 1 << 20;

const [file, address, port, secondsWord] = process.argv.slice(2);
const messages = readFileSync(file);
const count = messages.length / INITIATION_BYTES;
const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES });
/** Number of the message -> when it was sent. */
const inFlight = new Map<number, number>();
let sent = 0;
let responses = 0;
let unanswered = 0;
let others = 0;
/** When the warm-up was over, and when the last response came. */
let countedFrom = 0;
let lastResponseAt = 0;
const begun = performance.now();
const sweeper = setInterval(sweep, SWEEP_MS);
const end = setTimeout(finish, WARM_UP_MS + Number(secondsWord) * MS_PER_S);

socket.on('message', (datagram) => {
  const isResponse = datagram.length === RESPONSE_BYTES && datagram[0] === RESPONSE;
  if (!isResponse || !inFlight.delete(readUint32(datagram, RESPONSE_RECEIVER))) {
    others++;
    return;
  }
  const now = performance.now();
  if (countedFrom === 0 && now - begun >= WARM_UP_MS) countedFrom = now;
  else if (countedFrom > 0) responses++;
  lastResponseAt = now;
  fill();
});
socket.connect(Number(port), address, fill);

function fill(): void {
  while (inFlight.size < WINDOW && sent < count) {
    const message = messages.subarray(sent * INITIATION_BYTES, (sent + 1) * INITIATION_BYTES);
    sent++;
    inFlight.set(sent, performance.now());
    socket.send(message);
  }
  if (sent === count && inFlight.size === 0) finish();
}

function sweep(): void {
  const now = performance.now();
  for (const [number, sentAt] of inFlight) {
    if (now - sentAt < LOSS_MS) continue;
    inFlight.delete(number);
    unanswered++;
  }
  fill();
}

function finish(): void {
  clearInterval(sweeper);
  clearTimeout(end);
  socket.close();
  const seconds = (lastResponseAt - countedFrom) / MS_PER_S;
  const tally: Tally = { responses, seconds, unanswered, others };
  console.log(JSON.stringify(tally));
}
