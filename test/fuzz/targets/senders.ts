/**
 * Two Devices of one seed, each with a session under which everything may be sent: one is given the
 * packets of a super-packet as a run, the other one by one. What leaves must be the same to the last
 * byte, and so must what is counted.
 */

import { Arena } from '../../../src/arena.ts';
import { createOpensslSuite } from '../../../src/crypto/openssl/openssl.ts';
import { createPortableSuite } from '../../../src/crypto/portable.ts';
import { DROP_REASON_NAMES } from '../../../src/device/drops.ts';
import type { Segmenter } from '../../../src/packet/segment.ts';
import { ipv4 } from '../../device/world.ts';
import { seeded } from '../../noise/parties.ts';
import { holds, holdsEqual } from '../target.ts';
import { connect, Party } from './party.ts';

export class Senders {
  readonly #byRuns: Party;
  readonly #oneByOne: Party;

  /** The arenas are those of the segmenters whose packets are sent; in none of them a turn has begun. */
  constructor(seed: number, arenas: readonly [byRuns: Arena, oneByOne: Arena]) {
    [this.#byRuns, this.#oneByOne] = arenas.map((arena) => createSender(seed, arena));
  }

  /** What the segmenters have cut, each in its own arena; it is overwritten. How many datagrams left. */
  send(ours: Segmenter, theirs: Segmenter, mtu: number): number {
    for (const { device } of [this.#byRuns, this.#oneByOne]) device.setMtu(mtu);
    const { count, offset, stride, packetLength, lastLength } = ours;
    this.#byRuns.device.sendRun(0, offset, packetLength, count, stride, lastLength);
    for (let i = 0; i < count; i++) {
      const length = i === count - 1 ? theirs.lastLength : theirs.packetLength;
      this.#oneByOne.device.sendPacket(0, theirs.offset + i * theirs.stride, length);
    }
    const [sent, expected] = [this.#byRuns, this.#oneByOne].map(taken);
    holdsEqual(sent, expected, 'what leaves of a run');
    const { drops, peers } = this.#byRuns.device.core;
    const other = this.#oneByOne.device.core;
    for (const reason of DROP_REASON_NAMES)
      holds(drops.get(reason) === other.drops.get(reason), `the packets dropped as ${reason}`);
    for (const [key, { txBytes, counts }] of peers) {
      const peer = other.peers.get(key)!;
      holdsEqual([txBytes, counts], [peer.txBytes, peer.counts], 'the counts after a run');
    }
    return sent.length;
  }
}

function createSender(seed: number, arena: Arena): Party {
  const random = seeded(seed + 2);
  const clock = { now: 0 };
  const others = new Arena(1 << 16);
  const suiteOf = (one: Arena) => createOpensslSuite(one) ?? createPortableSuite(one);
  const sender = new Party(arena, suiteOf(arena), clock, random, 1);
  const receiver = new Party(others, suiteOf(others), clock, random, 2);
  for (const prefix of ['0.0.0.0/0', '::/0']) sender.meet(receiver, prefix);
  receiver.meet(sender, '0.0.0.0/0');
  connect(sender, receiver, ipv4('10.0.0.5', '10.20.0.5'));
  holds(sender.record(receiver).current !== null, 'a sender without a session');
  return sender;
}

/** What was sent since this was asked for last. */
function taken(party: Party): Uint8Array[] {
  const { sent } = party;
  party.sent = [];
  return sent;
}
