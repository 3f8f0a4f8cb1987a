/** Every way in which an arriving message can end, counted by the Device, so that each has one. */

import type { DropReason } from '../../../src/device/drops.ts';
import type { Party } from './party.ts';

/** Reasons under which an arriving message can be dropped. */
const INBOUND: readonly DropReason[] = [
  ...([
    'malformedMessage',
    'badMac1',
    'noPrivateKey',
    'handshakeQueueFull',
    'cookieRequired',
  ] as const),
  ...(['rateLimited', 'badHandshake', 'unknownPeer', 'replayedInitiation'] as const),
  ...([
    'initiationFlood',
    'unknownIndex',
    'unexpectedResponse',
    'badCookie',
    'expiredKey',
  ] as const),
  ...(['badPacket', 'replayedPacket', 'malformedPacket', 'disallowedSource'] as const),
  ...(['ecnViolation', 'interfaceDown'] as const),
];

const OTHER_ENDS = [
  'delivered',
  'queued',
  'keepalive',
  'cookie',
  'initiation',
  'response',
] as const;
const [DELIVERED, QUEUED, KEEPALIVE, COOKIE, INITIATION, RESPONSE] = OTHER_ENDS.keys();
const FIRST_DROP = OTHER_ENDS.length;
/** Every way in which an arriving message can end; a queued one ends later in one of the others. */
const ENDS: readonly string[] = [...OTHER_ENDS, ...INBOUND];

/** How many messages have ended in each of the ways. */
export function tallyEnds({ device, deliveries }: Party): Float64Array {
  const { drops, handshakeQueue, peers } = device.core;
  const tally = new Float64Array(ENDS.length);
  for (const { counts } of peers.values()) {
    tally[KEEPALIVE] += counts.keepalivesReceived;
    tally[COOKIE] += counts.cookiesReceived;
    tally[INITIATION] += counts.initiationsReceived;
    tally[RESPONSE] += counts.responsesReceived;
  }
  tally[DELIVERED] = deliveries;
  tally[QUEUED] = handshakeQueue.length;
  for (let i = 0; i < INBOUND.length; i++) tally[FIRST_DROP + i] = drops.get(INBOUND[i]);
  return tally;
}

/** Messages that have ended or wait in the queue. */
export function total(tally: Float64Array): number {
  let sum = 0;
  for (const count of tally) sum += count;
  return sum;
}

/** The way of which there is one more. */
export function endBetween(before: Float64Array, after: Float64Array): string {
  return ENDS[after.findIndex((count, i) => count > before[i])];
}

/** The ways of which there are more, each as often as there are. */
export function endsBetween(before: Float64Array, after: Float64Array): string[] {
  return ENDS.flatMap((end, i) => Array<string>(Math.max(0, after[i] - before[i])).fill(end));
}
