/**
 * Inbound by runs: datagrams that the kernel has merged come from one endpoint, nearly always under one
 * session and with one counter after the other. What depends on these is looked up, asked, timed and
 * counted once for all of them; opened, and held against their source, they are one by one. The
 * outcome is that of packet by packet, which the simulator compares: whatever breaks the run begins
 * another one, or is left to receive.ts.
 */

import { TAG_BYTES } from '../crypto/suite.ts';
import {
  classify,
  continuesRun,
  DATA,
  DATA_HEADER_BYTES,
  DATA_MIN_BYTES,
  readCounter,
  readReceiverIndex,
} from '../noise/messages.ts';
import { hasSameSource, isSound } from '../packet/ip.ts';
import type { Core } from './core.ts';
import type { Endpoint } from './endpoint.ts';
import type { Peer } from './peer.ts';
import { handOut, isSourceAllowed, opened, receiveDatagram } from './receive.ts';
import * as timers from './timers.ts';

/** A run of UDP datagrams. See Device.receiveRun for what one is. */
export function receiveRun(
  core: Core,
  now: number,
  offset: number,
  length: number,
  endpoint: Endpoint,
  trafficClass: number,
  count: number,
  lastLength: number,
): void {
  const last = offset + (count - 1) * length;
  /** Datagrams of the same length end here. */
  const end = lastLength === length ? last + length : last;
  let at = offset;
  while (at < last) {
    const taken = receiveAtOnce(core, now, at, length, endpoint, trafficClass, end);
    if (taken === 0) receiveDatagram(core, now, at, length, endpoint, trafficClass);
    at += length * Math.max(1, taken);
  }
  if (at === last) receiveDatagram(core, now, at, lastLength, endpoint, trafficClass);
}

/** How many have been dealt with; 0, and nothing done, where the first is to be looked at alone. */
function receiveAtOnce(
  core: Core,
  now: number,
  offset: number,
  length: number,
  endpoint: Endpoint,
  trafficClass: number,
  end: number,
): number {
  const { bytes, view } = core.arena;
  if (!core.isUp || length <= DATA_MIN_BYTES || classify(bytes, offset, length) !== DATA) return 0;
  const entry = core.indices.lookup(readReceiverIndex(view, offset));
  if (entry === undefined || entry.keypair === null) return 0;
  const { peer, keypair } = entry;
  // What this one makes us say comes before the next counts as heard.
  if (!peer.sentLastMinuteHandshake && keypair.mustRekeyOnReceive(now)) return 0;
  const first = readCounter(view, offset);
  if (first <= keypair.replay.greatest) return 0;
  let count = 1;
  let at = offset + length;
  while (at < end && continuesRun(view, at, offset, count)) {
    count++;
    at += length;
  }
  if (count === 1 || !keypair.canReceive(now, first + count - 1)) return 0;
  const inner = offset + DATA_HEADER_BYTES;
  const innerLength = length - DATA_HEADER_BYTES - TAG_BYTES;
  let intact = 0;
  at = inner;
  while (intact < count && keypair.opener.open(at, innerLength, first + intact)) {
    intact++;
    at += length;
  }
  if (intact > 0) {
    keypair.replay.acceptRun(first, intact);
    opened(core, now, peer, keypair, endpoint, intact, intact * length);
    timers.dataReceived(core, peer, now, intact);
    deliverAll(core, now, peer, endpoint, inner, innerLength, trafficClass, intact, length);
  }
  if (intact === count) return count;
  core.drop('badPacket', peer, endpoint);
  return intact + 1;
}

/** Those of one flow have one source: it is looked up where it differs from the one before. */
function deliverAll(
  core: Core,
  now: number,
  peer: Peer,
  endpoint: Endpoint,
  offset: number,
  available: number,
  trafficClass: number,
  count: number,
  stride: number,
): void {
  const { bytes, view } = core.arena;
  let allowed = -1;
  let at = offset;
  for (let i = 0; i < count; i++, at += stride) {
    if (!isSound(bytes, at, available)) {
      core.drop('malformedPacket', peer, endpoint);
      continue;
    }
    if (allowed < 0 || !hasSameSource(view, at, allowed)) {
      if (!isSourceAllowed(core, now, peer, endpoint, at)) continue;
      allowed = at;
    }
    handOut(core, peer, endpoint, at, trafficClass);
  }
}
