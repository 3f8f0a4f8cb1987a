/**
 * TAI64N timestamps (cr.yp.to/libtai/tai64.html): 12 bytes, big-endian, 8 of seconds and 4 of
 * nanoseconds, so that comparing bytes compares times. Owns their form; the clock is an argument.
 */

import { INITIATIONS_PER_SECOND } from './constants.ts';

export const TIMESTAMP_BYTES = 12;

/** TAI64 counts from 2^62, and TAI was 10 s ahead of UTC in 1970. Leap seconds are skipped. */
const TAI64_EPOCH_HIGH = 2 ** 30;
const TAI64_UTC_OFFSET_SECONDS = 10;

/**
 * The grain of our timestamps, about 16.8 ms: the greatest power of two of nanoseconds that still
 * lets INITIATIONS_PER_SECOND differ. An exact time would tell an observer who knows our static
 * key about our clock and our timers (Linux and wireguard-go whiten likewise).
 */
const GRAIN_NS = 2 ** Math.floor(Math.log2(1_000_000_000 / INITIATIONS_PER_SECOND));

/** Writes the time `wallClockMs` (ms since 1970, fractions allowed) into the first 12 bytes. */
export function writeTimestamp(out: Uint8Array, wallClockMs: number): void {
  const unixSeconds = Math.floor(wallClockMs / 1_000);
  const nanoseconds = Math.floor((wallClockMs - unixSeconds * 1_000) * 1_000_000);
  const seconds = unixSeconds + TAI64_UTC_OFFSET_SECONDS;
  writeUint32BigEndian(out, 0, TAI64_EPOCH_HIGH + Math.floor(seconds / 2 ** 32));
  writeUint32BigEndian(out, 4, seconds % 2 ** 32);
  writeUint32BigEndian(out, 8, nanoseconds - (nanoseconds % GRAIN_NS));
}

/** Negative, zero or positive as `a` is earlier than, equal to or later than `b`. */
export function compareTimestamps(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < TIMESTAMP_BYTES; i++) {
    if (a[i] !== b[i]) return a[i] - b[i];
  }
  return 0;
}

/** Makes the timestamp the next one after `earlier`, unless it is later already. */
export function keepLaterThan(earlier: Uint8Array, timestamp: Uint8Array): void {
  if (compareTimestamps(timestamp, earlier) > 0) return;
  timestamp.set(earlier.subarray(0, TIMESTAMP_BYTES));
  const nanoseconds = readUint32BigEndian(earlier, 8) + GRAIN_NS;
  if (nanoseconds >= 1_000_000_000) {
    addSeconds(timestamp, 1);
    writeUint32BigEndian(timestamp, 8, 0);
  } else {
    writeUint32BigEndian(timestamp, 8, nanoseconds);
  }
}

/** Moves the timestamp forward. `seconds`: a whole number below 2^32. */
export function addSeconds(timestamp: Uint8Array, seconds: number): void {
  const low = readUint32BigEndian(timestamp, 4) + seconds;
  const high = readUint32BigEndian(timestamp, 0) + Math.floor(low / 2 ** 32);
  writeUint32BigEndian(timestamp, 0, high);
  writeUint32BigEndian(timestamp, 4, low % 2 ** 32);
}

function readUint32BigEndian(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset);
}

function writeUint32BigEndian(out: Uint8Array, offset: number, value: number): void {
  out[offset] = value >>> 24;
  out[offset + 1] = value >>> 16;
  out[offset + 2] = value >>> 8;
  out[offset + 3] = value;
}
