/**
 * Packets on their way out to the TUN device, as a peer's traffic after decryption: several at a
 * time through the coalescer, whose frames cut up again must be the packets. Each has its length in
 * two bytes before it.
 */

import type { Dice } from '../../packet/trains.ts';
import { mutateBytes, mutateInPlace } from '../mutator.ts';
import type { Input, RunningTarget, Target } from '../target.ts';
import { PACKETS, TRAINS } from './packetseeds.ts';
import { REJOINED_PACKETS_MAX, Rejoiner } from './rejoiner.ts';

const PACKETS_MAX = 12;
const PACKET_BYTES_MAX = 4_096;
const ALL = [...PACKETS, ...TRAINS.flat()];

class Packets implements RunningTarget {
  readonly #rejoiner = new Rejoiner();

  generate(dice: Dice): Uint8Array {
    const packets = someTrains(dice);
    // A few of the packets are changed, the others remain to be merged around them.
    for (let changes = dice.below(4); changes > 0 && packets.length > 0; changes--) {
      const at = dice.below(packets.length);
      packets[at] = change(packets[at], dice);
    }
    if (packets.length > 1 && dice.oneIn(4)) packets.splice(dice.below(packets.length), 1);
    return join(packets);
  }

  run(input: Uint8Array): string {
    const packets = split(input);
    const frames = this.#rejoiner.check(packets);
    if (frames === packets.length) return 'none merged';
    return frames * 2 > packets.length ? 'some merged' : 'most merged';
  }
}

function someTrains(dice: Dice): Uint8Array[] {
  const trains = Array.from({ length: 1 + dice.below(3) }, () =>
    dice.oneIn(3) ? [dice.pick(PACKETS)] : dice.pick(TRAINS),
  );
  const packets: Uint8Array[] = [];
  // Mixed as they come over several flows, each in its order.
  const queues = trains.map((train) => [...train]);
  while (packets.length < PACKETS_MAX && queues.some((queue) => queue.length > 0)) {
    const next = dice.pick(queues).shift();
    if (next !== undefined) packets.push(next);
  }
  return packets;
}

function change(packet: Uint8Array, dice: Dice): Uint8Array {
  if (dice.oneIn(2)) return mutateInPlace(packet, ALL, dice);
  return mutateBytes(packet, ALL, dice, PACKET_BYTES_MAX);
}

function join(packets: readonly Uint8Array[]): Uint8Array {
  const parts = packets.flatMap((packet) => [
    Uint8Array.of(packet.length >> 8, packet.length & 0xff),
    packet,
  ]);
  return new Uint8Array(Buffer.concat(parts));
}

function split(input: Input): Uint8Array[] {
  const bytes = input as Uint8Array;
  const packets: Uint8Array[] = [];
  for (let at = 0; at + 2 <= bytes.length && packets.length < REJOINED_PACKETS_MAX; ) {
    const length = Math.min((bytes[at] << 8) | bytes[at + 1], bytes.length - at - 2);
    packets.push(bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return packets;
}

export const packets: Target = {
  name: 'packets',
  sources: ['packet/coalesce', 'packet/segment', 'packet/kernels/portable'],
  create: () => new Packets(),
};
