/**
 * What an interface of a host has received, as the kernel counts it: read from outside, since a
 * look that starts a program would cost the flooded host more than the flood does.
 */

import { readFileSync } from 'node:fs';
import type { Host } from '../lab/host.ts';

export interface Traffic {
  readonly frames: number;
  readonly bytes: number;
  /** ms on the clock of `performance.now`. */
  readonly at: number;
}

/** Ethernet, IPv4 and UDP. */
const HEADER_BYTES = 42;
const MS_PER_S = 1_000;

/** All zero while there is no such interface. */
export function received(host: Host, ifname: string): Traffic {
  const text = readFileSync(`/proc/${host.pid}/net/dev`, 'utf8');
  return { ...parseReceived(text, ifname), at: performance.now() };
}

/** A line of /proc/net/dev: received bytes and packets come first. */
export function parseReceived(text: string, ifname: string): Omit<Traffic, 'at'> {
  const line = text.split('\n').find((each) => each.trim().startsWith(`${ifname}:`));
  if (line === undefined) return { frames: 0, bytes: 0 };
  const [bytes, frames] = line
    .slice(line.indexOf(':') + 1)
    .trim()
    .split(/\s+/)
    .map(Number);
  return { frames, bytes };
}

/** Frames a second, each of which is a datagram: so an attacker sends them. */
export function framesPerSecond(before: Traffic, after: Traffic): number {
  return ((after.frames - before.frames) * MS_PER_S) / (after.at - before.at);
}

/**
 * Datagrams a second when all have so many bytes of payload. On a cable of the kernel's own a run of
 * segments stays one frame, with one header, until it is received.
 */
export function datagramsPerSecond(before: Traffic, after: Traffic, payloadBytes: number): number {
  const frames = after.frames - before.frames;
  const payloads = (after.bytes - before.bytes - frames * HEADER_BYTES) / payloadBytes;
  return (payloads * MS_PER_S) / (after.at - before.at);
}
