/**
 * What the attacker sends: each kind as UDP payloads, and those as frames from whatever sources he
 * likes. All of it is what a stranger can make who knows the victim's public key and has listened
 * on the way.
 */

import { randomBytes, randomInt } from 'node:crypto';
import { CookieMaker } from '../../src/noise/cookie.ts';
import {
  DATA,
  DATA_COUNTER,
  DATA_MIN_BYTES,
  INITIATION,
  INITIATION_BYTES,
  MAC2_FROM_END,
  writeUint32,
} from '../../src/noise/messages.ts';
import { buildFrame, type Way } from './frames.ts';
import type { Source } from './sources.ts';

/** In the order in which they are tried; the last is all the others in turns. */
export const KINDS = [
  'garbage',
  'forged initiations',
  'forged mac2',
  'replayed initiation',
  'replayed data',
  'flipped data',
  'unknown index',
  'mix',
] as const;
export type Kind = (typeof KINDS)[number];

/** What was listened to, and whom it was for. */
export interface Recording {
  /** Of the victim, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The victim's peer's own, which the victim has answered. */
  readonly initiation: Uint8Array;
  /** Messages of the running session, which the victim has taken. */
  readonly data: readonly Uint8Array[];
}

/** Where the victim can be reached by the attacker; 4 or 16 bytes, as the sources. */
export interface Target extends Source {
  readonly way: Way;
}

/** Different messages of one kind, as far as its kind lets them differ. */
export const MESSAGES = 8_192;
const GARBAGE_BYTES_MAX = 512;
const DEAD_DATA_BYTES = 160;
/** A counter ahead of any session's: the replay window does not know it yet. */
const COUNTER_AHEAD = 2 ** 40;

/** The UDP payloads of a kind, in the order in which they are sent. */
export function createPayloads(kind: Kind, recording: Recording): Uint8Array[] {
  if (kind === 'mix') return mix(KINDS.slice(0, -1).map((each) => createPayloads(each, recording)));
  const maker = new CookieMaker(recording.publicKey);
  return Array.from({ length: MESSAGES }, (_, index) =>
    createPayload(kind, index, recording, maker),
  );
}

function createPayload(
  kind: Exclude<Kind, 'mix'>,
  index: number,
  recording: Recording,
  maker: CookieMaker,
): Uint8Array {
  const recorded = recording.data[index % recording.data.length];
  switch (kind) {
    case 'garbage':
      return createGarbage(index);
    case 'forged initiations':
      return forgeInitiation(maker, false);
    case 'forged mac2':
      return forgeInitiation(maker, true);
    case 'replayed initiation':
      return recording.initiation;
    case 'replayed data':
      return recorded;
    case 'flipped data':
      return flip(recorded, index % 2 === 0);
    case 'unknown index':
      return createDeadData(index);
  }
}

/** A frame for each payload. The sources take turns, and none meets the same payloads each time. */
export function createFrames(
  payloads: readonly Uint8Array[],
  target: Target,
  sources: readonly Source[],
): Uint8Array[] {
  return payloads.map((payload, index) => {
    const turn = index + Math.floor(index / sources.length);
    const { address, port } = sources[turn % sources.length];
    return buildFrame(target.way, {
      source: address,
      destination: target.address,
      sourcePort: port,
      destinationPort: target.port,
      payload,
    });
  });
}

/**
 * Data of sessions that are none: what comes of a peer that has not noticed that the other end
 * died. The counters rise, and the index is none of the victim's but for a chance of 2^-32.
 */
export function createDeadData(index: number): Uint8Array {
  const bytes = randomBytes(DEAD_DATA_BYTES);
  writeUint32(bytes, 0, DATA);
  new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(DATA_COUNTER, BigInt(index), true);
  return bytes;
}

/** Noise; what begins like a message and has the wrong length; data for sessions that are none. */
function createGarbage(index: number): Uint8Array {
  const bytes = randomBytes(randomInt(1, GARBAGE_BYTES_MAX));
  if (index % 3 === 0 || bytes.length < DATA_MIN_BYTES) return bytes;
  if (index % 3 === 1) writeUint32(bytes, 0, DATA);
  else if (bytes.length !== INITIATION_BYTES) writeUint32(bytes, 0, randomInt(1, 4));
  return bytes;
}

/** Noise with a valid mac1. `claimsCookie`: and with a mac2, which then is noise as well. */
function forgeInitiation(maker: CookieMaker, claimsCookie: boolean): Uint8Array {
  const message = randomBytes(INITIATION_BYTES);
  const mac2 = message.slice(-MAC2_FROM_END);
  writeUint32(message, 0, INITIATION);
  maker.addMacs(message, 0);
  if (claimsCookie) message.set(mac2, message.length - MAC2_FROM_END);
  return message;
}

/** One bit is wrong. `isAhead`: and the counter is one that the replay window would let through. */
function flip(recorded: Uint8Array, isAhead: boolean): Uint8Array {
  const message = recorded.slice();
  message[randomInt(0, message.length)] ^= 1 << randomInt(0, 8);
  if (isAhead) {
    const counter = COUNTER_AHEAD + randomInt(0, COUNTER_AHEAD);
    new DataView(message.buffer).setBigUint64(DATA_COUNTER, BigInt(counter), true);
  }
  return message;
}

function mix(kinds: readonly Uint8Array[][]): Uint8Array[] {
  return Array.from({ length: MESSAGES }, (_, index) => kinds[index % kinds.length][index]);
}
