/**
 * The gate before one UDP socket, shut in a flood: the kernel then lets pass whatever comes from
 * where a peer of ours was authenticated last, and of every other source one datagram in some
 * seconds, which is enough for a handshake. So a flood takes neither the socket's buffer from the
 * sessions that there are, nor our time; and a newcomer is not one among hundreds of thousands.
 *
 * Owns when it is shut and the program that the kernel runs. Without bpf(2), which takes root and
 * a kernel of 5.8, it stays open, and says so once. Knows no protocol.
 */

import { randomBytes } from 'node:crypto';
import type { Endpoint } from '../device/endpoint.ts';
import {
  attachFilter,
  BPF_F_NO_PREALLOC,
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_HASH,
  createMap,
  detachFilter,
  instruction,
  updateMap,
} from './bpf.ts';
import { monotonicMs } from './clock.ts';
import { close, getsockopt, Scratch } from './libc.ts';
import { SOL_SOCKET } from './linux.ts';

/** Between two judgements, unless so many strangers come before. */
const PERIOD_MS = 100;
const STRANGERS_PER_PERIOD = 1_000;
const MS_PER_S = 1_000;
/** Datagrams a second from strangers at which the gate is shut; a core reads some 300,000. */
const SHUT_AT_PER_S = 10_000;
/** It opens after so long with fewer than this, those turned away included. */
const OPEN_BELOW_PER_S = 2_000;
const OPEN_AFTER_MS = 5_000;

/**
 * A stranger's time between two datagrams: this and at random up to 2^31 ns more, so that a flood
 * from many sources does not come in waves. All of it is below REKEY_TIMEOUT, so that a
 * retransmission passes.
 */
const SOURCE_INTERVAL_NS = 2_000_000_000;
/** Sources share 2^17 places, by a secret hash: a megabyte, while the gate is shut. */
const PLACE_BITS = 17;
const KNOWN_MAX = 65_536;
/** Address (16, an IPv4 one and zeros), port as on the wire (2), nothing (2). */
const KNOWN_KEY_BYTES = 20;
const TIME_BYTES = 8;

const SO_MEMINFO = 55;
/** SK_MEMINFO_DROPS, the last of the words that SO_MEMINFO gives. */
const MEMINFO_WORDS = 9;
const DROPS_WORD = 8;

export interface FloodgateOptions {
  readonly fd: number;
  readonly family: 4 | 6;
  /** Told how many datagrams the kernel has dropped since the last time. */
  readonly onOverflow: (datagrams: number) => void;
  /** Gets a line for the log when the gate is shut or opened. */
  readonly onNote: (note: string) => void;
}

export class Floodgate {
  readonly #options: FloodgateOptions;
  /** Where peers were authenticated, by the key of the kernel's map. */
  readonly #known = new Map<string, Endpoint>();
  #judgedAt = monotonicMs();
  #strangers = 0;
  #drops = 0;
  #calmSince = Number.NEGATIVE_INFINITY;
  /** The maps while the gate is shut. */
  #maps: { readonly known: number; readonly places: number } | null = null;
  #isPossible = true;

  constructor(options: FloodgateOptions) {
    this.#options = options;
  }

  get isShut(): boolean {
    return this.#maps !== null;
  }

  /** Call after datagrams were handed on, since that may have authenticated their sender. */
  count(endpoint: Endpoint, datagrams: number): void {
    if (!endpoint.isAuthenticated) this.#strangers += datagrams;
    else this.welcome(endpoint);
  }

  /** Call before something is sent: the answer to who is authenticated by now must not be held back. */
  welcome(endpoint: Endpoint): void {
    if (endpoint.isAuthenticated && !endpoint.isKnownToGate) this.#learn(endpoint);
  }

  /** Call after each read of the socket. */
  judge(): void {
    const now = monotonicMs();
    const elapsedMs = now - this.#judgedAt;
    if (elapsedMs < PERIOD_MS && this.#strangers < STRANGERS_PER_PERIOD) return;
    const drops = this.#newDrops();
    const perSecond = (count: number): number => (count * MS_PER_S) / Math.max(1, elapsedMs);
    const arrived = this.#strangers + drops;
    if (!this.isShut && perSecond(this.#strangers) >= SHUT_AT_PER_S) this.#shut(perSecond(arrived));
    if (perSecond(arrived) >= OPEN_BELOW_PER_S) this.#calmSince = now;
    else if (this.isShut && now - this.#calmSince >= OPEN_AFTER_MS) this.#open();
    this.#judgedAt = now;
    this.#strangers = 0;
  }

  /** Frees what the kernel holds for us. The socket is closed by whoever opened it. */
  close(): void {
    if (this.#maps === null) return;
    close(this.#maps.known);
    close(this.#maps.places);
    this.#maps = null;
  }

  #newDrops(): number {
    meminfo.view.setInt32(LENGTH_AT, MEMINFO_WORDS * 4, true);
    const { address } = meminfo;
    if (getsockopt(this.#options.fd, SOL_SOCKET, SO_MEMINFO, address, address + LENGTH_AT) < 0) {
      return 0;
    }
    const drops = meminfo.words[DROPS_WORD] >>> 0;
    const fresh = (drops - this.#drops) >>> 0;
    this.#drops = drops;
    if (fresh > 0) this.#options.onOverflow(fresh);
    return fresh;
  }

  #learn(endpoint: Endpoint): void {
    endpoint.isKnownToGate = true;
    if (this.#known.size >= KNOWN_MAX) this.#forgetOthers();
    this.#known.set(putKnownKey(endpoint), endpoint);
    if (this.#maps !== null) updateMap(this.#maps.known, knownKey, knownValue);
  }

  /** A peer that has gone elsewhere is a stranger where it was. */
  #forgetOthers(): void {
    for (const [key, endpoint] of this.#known) {
      if (!endpoint.isAuthenticated) this.#known.delete(key);
    }
  }

  #shut(perSecond: number): void {
    if (!this.#isPossible) return;
    const { family, fd, onNote } = this.#options;
    const places = createMap({
      type: BPF_MAP_TYPE_ARRAY,
      keyBytes: 4,
      valueBytes: TIME_BYTES,
      entries: 1 << PLACE_BITS,
      flags: 0,
    });
    const known = createMap({
      type: BPF_MAP_TYPE_HASH,
      keyBytes: KNOWN_KEY_BYTES,
      valueBytes: 1,
      entries: KNOWN_MAX,
      flags: BPF_F_NO_PREALLOC,
    });
    this.#forgetOthers();
    for (const endpoint of this.#known.values()) {
      putKnownKey(endpoint);
      updateMap(known, knownKey, knownValue);
    }
    const rate = `${Math.round(perSecond)} datagrams a second from strangers over IPv${family}`;
    if (places >= 0 && known >= 0 && attachFilter(fd, createProgram(family, known, places))) {
      this.#maps = { known, places };
      onNote(`udp: a flood, ${rate}: the kernel holds them back until it ebbs`);
      return;
    }
    for (const map of [places, known]) if (map >= 0) close(map);
    this.#isPossible = false;
    onNote(`udp: a flood, ${rate}; without bpf(2) they cannot be held back in the kernel`);
  }

  #open(): void {
    detachFilter(this.#options.fd);
    this.close();
    this.#options.onNote(`udp: the flood over IPv${this.#options.family} has ebbed`);
  }
}

const LENGTH_AT = 64;
const meminfo = new Scratch(LENGTH_AT + 4);
const knownKey = new Scratch(KNOWN_KEY_BYTES);
const knownValue = new Scratch(1);

/** Writes the key, and returns it as text. */
function putKnownKey({ address, port }: Endpoint): string {
  knownKey.bytes.fill(0);
  knownKey.bytes.set(address);
  knownKey.view.setUint16(16, port);
  return String.fromCharCode(...knownKey.bytes.subarray(0, KNOWN_KEY_BYTES));
}

// linux/bpf.h and bpf_common.h, of which each name says what it does with which registers.
const MOVE = 0xbf;
const MOVE_CONSTANT = 0xb7;
const MOVE_32_CONSTANT = 0xb4;
const LOAD_CONSTANT_64 = 0x18;
const ADD = 0x0f;
const ADD_CONSTANT = 0x07;
const MULTIPLY = 0x2f;
const SHIFT_RIGHT_CONSTANT = 0x77;
const LOAD_64 = 0x79;
const STORE_32 = 0x63;
const STORE_64 = 0x7b;
const STORE_64_CONSTANT = 0x7a;
const JUMP_IF_ZERO = 0x15;
const JUMP_IF_NOT_ZERO = 0x55;
const JUMP_IF_GREATER = 0x2d;
const CALL = 0x85;
const EXIT = 0x95;
const PSEUDO_MAP = 1;
const HEADER_START_NETWORK = 1;
const MAP_LOOKUP = 1;
const NOW_NS = 5;
const RANDOM_32 = 7;
const LOAD_BYTES = 26;
const LOAD_BYTES_RELATIVE = 68;
const STACK = 10;
/** On the stack: the key of the known, and behind it the number of the place. */
const KEY = -24;
const KEY_PORT = -8;
const PLACE = -4;
const SOURCE = { 4: { at: 12, length: 4 }, 6: { at: 8, length: 16 } } as const;
const MASK_32 = 0xffff_ffffn;

/** `r0` to `r10` are the machine's registers; r1 to r5 are arguments and r0 is the answer. */
function createProgram(family: 4 | 6, known: number, places: number): bigint[] {
  const seed = randomBytes(8).readBigUInt64LE() | 1n;
  const { at, length } = SOURCE[family];
  const program: bigint[] = [];
  const jumps: { readonly from: number; readonly to: 'pass' | 'drop' }[] = [];
  const add = (...parts: Parameters<typeof instruction>) => program.push(instruction(...parts));
  const jump = (to: 'pass' | 'drop', ...parts: Parameters<typeof instruction>) =>
    jumps.push({ from: add(...parts) - 1, to });
  const load64 = (register: number, value: bigint, source = 0) => {
    add(LOAD_CONSTANT_64, register, source, 0, Number(value & MASK_32));
    add(0, 0, 0, 0, Number(value >> 32n));
  };
  const lookUp = (map: number, key: number) => {
    load64(1, BigInt(map), PSEUDO_MAP);
    add(MOVE, 2, STACK);
    add(ADD_CONSTANT, 2, 0, 0, key);
    add(CALL, 0, 0, 0, MAP_LOOKUP);
  };
  const loadBytes = (call: number, from: number, to: number, count: number) => {
    add(MOVE, 1, 6);
    add(MOVE_CONSTANT, 2, 0, 0, from);
    add(MOVE, 3, STACK);
    add(ADD_CONSTANT, 3, 0, 0, to);
    add(MOVE_CONSTANT, 4, 0, 0, count);
    add(MOVE_CONSTANT, 5, 0, 0, HEADER_START_NETWORK);
    add(CALL, 0, 0, 0, call);
    jump('pass', JUMP_IF_NOT_ZERO, 0);
  };

  add(MOVE, 6, 1);
  for (let slot = KEY; slot < 0; slot += 8) add(STORE_64_CONSTANT, STACK, 0, slot);
  loadBytes(LOAD_BYTES_RELATIVE, at, KEY, length);
  // What the filter is given begins with the UDP header, and that with the source port.
  loadBytes(LOAD_BYTES, 0, KEY_PORT, 2);
  lookUp(known, KEY);
  jump('pass', JUMP_IF_NOT_ZERO, 0);

  // The place of an IPv4 address, or of an IPv6 /64, which one attacker may have as a whole.
  add(LOAD_64, 1, STACK, KEY);
  load64(2, seed);
  add(MULTIPLY, 1, 2);
  add(SHIFT_RIGHT_CONSTANT, 1, 0, 0, 64 - PLACE_BITS);
  add(STORE_32, STACK, 1, PLACE);
  lookUp(places, PLACE);
  jump('pass', JUMP_IF_ZERO, 0);

  // The place holds the time from which its sources' next datagram may pass.
  add(MOVE, 7, 0);
  add(CALL, 0, 0, 0, NOW_NS);
  add(MOVE, 8, 0);
  add(LOAD_64, 1, 7);
  jump('drop', JUMP_IF_GREATER, 1, 8);
  add(CALL, 0, 0, 0, RANDOM_32);
  add(SHIFT_RIGHT_CONSTANT, 0, 0, 0, 1);
  add(ADD, 0, 8);
  add(ADD_CONSTANT, 0, 0, 0, SOURCE_INTERVAL_NS);
  add(STORE_64, 7, 0);

  const labels = { pass: program.length, drop: program.length + 2 };
  add(MOVE_32_CONSTANT, 0, 0, 0, -1);
  add(EXIT);
  add(MOVE_CONSTANT, 0, 0, 0, 0);
  add(EXIT);
  for (const { from, to } of jumps) program[from] |= BigInt(labels[to] - from - 1) << 16n;
  return program;
}
