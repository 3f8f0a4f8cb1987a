/**
 * Outbound by runs: the packets of one super-packet have one destination, hence one peer, one session,
 * one endpoint and one ECN mark. What depends on these is looked up, asked, timed and counted once for
 * all of them; only the sealing is done one by one. The outcome is that of packet by packet, which
 * the simulator compares: whatever is out of the ordinary (no session, a rekey that is due, packets
 * that wait) is left to send.ts.
 */

import { TAG_BYTES } from '../crypto/suite.ts';
import type { Keypair } from '../noise/keypair.ts';
import { DATA_HEADER_BYTES, DATA_MIN_BYTES, writeDataHeader } from '../noise/messages.ts';
import { isSound, readEcn } from '../packet/ip.ts';
import { paddedLength } from '../packet/padding.ts';
import type { Core } from './core.ts';
import { transmitRun } from './outlet.ts';
import { isPathClear } from './paths.ts';
import { ownerOfDestination, sendPacket } from './send.ts';
import * as timers from './timers.ts';

/** A run of IP packets from the interface. See Device.sendRun for what one is. */
export function sendRun(
  core: Core,
  now: number,
  offset: number,
  length: number,
  count: number,
  stride: number,
  lastLength: number,
): void {
  if (count > 1 && sendAtOnce(core, now, offset, length, count, stride, lastLength)) return;
  const last = offset + (count - 1) * stride;
  for (let at = offset; at < last; at += stride) sendPacket(core, now, at, length);
  sendPacket(core, now, last, lastLength);
}

/** False, and nothing done, where the packets have to be looked at one by one. */
function sendAtOnce(
  core: Core,
  now: number,
  offset: number,
  length: number,
  count: number,
  stride: number,
  lastLength: number,
): boolean {
  if (!core.isUp) return false;
  const bytes = core.arena.bytes;
  const last = offset + (count - 1) * stride;
  if (!isSound(bytes, offset, length) || !isSound(bytes, last, lastLength)) return false;
  const peer = ownerOfDestination(core, offset);
  if (peer === null || peer.endpoint === null || peer.staged.length > 0) return false;
  const keypair = peer.current;
  if (keypair === null || !keypair.canSendRun(now, count)) return false;
  const padded = paddedLength(length, core.mtu);
  // Laid out for another MTU, as in the turn in which that changes: not without a gap.
  if (stride !== DATA_MIN_BYTES + padded || !isPathClear(core, now, peer)) return false;
  const { endpoint } = peer;
  // The question of the path may have found another way than the one before.
  if (endpoint === null) return false;
  const lastPadded = paddedLength(lastLength, core.mtu);
  const trafficClass = readEcn(bytes, offset);
  if (padded > length) {
    for (let at = offset; at < last; at += stride) bytes.fill(0, at + length, at + padded);
  }
  for (let i = lastLength; i < lastPadded; i++) bytes[last + i] = 0;
  seal(core, keypair, offset, padded, count, stride, lastPadded);
  const total = DATA_HEADER_BYTES + padded + TAG_BYTES;
  const lastTotal = DATA_HEADER_BYTES + lastPadded + TAG_BYTES;
  const start = offset - DATA_HEADER_BYTES;
  transmitRun(core.outlet, start, total, endpoint, trafficClass, count, lastTotal);
  peer.txBytes += (count - 1) * total + lastTotal;
  peer.counts.txPackets += count;
  timers.dataSent(core, peer, now);
  timers.authenticatedPacketSent(core, peer, now);
  return true;
}

/** Each under a counter of its own, in their order. */
function seal(
  core: Core,
  keypair: Keypair,
  offset: number,
  padded: number,
  count: number,
  stride: number,
  lastPadded: number,
): void {
  const { view } = core.arena;
  const { sealer, remoteIndex, sendCounter } = keypair;
  keypair.sendCounter += count;
  let at = offset;
  for (let i = 0; i < count; i++, at += stride) {
    writeDataHeader(view, at - DATA_HEADER_BYTES, remoteIndex, sendCounter + i);
    sealer.seal(at, i === count - 1 ? lastPadded : padded, sendCounter + i);
  }
}
