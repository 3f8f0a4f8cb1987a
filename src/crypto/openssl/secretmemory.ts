/**
 * Memory for keys: one block that the kernel keeps out of swap (mlock(2)), as far as
 * RLIMIT_MEMLOCK goes, given out in small pieces. Where the lock is refused, or the block is full,
 * the pieces are of ordinary memory; `secretMemory` says which.
 */

import { koffi } from '../../sys/koffi.ts';
import { errno, errnoName, Scratch } from '../../sys/libc.ts';
import { SECRET_BYTES, type SecretPlace, wipe } from '../bytes.ts';

/**
 * For a thousand peers: two keys of the present session, two of the one before, and what the
 * handshake keeps. Much less than systems permit (8 MiB).
 */
const SECRETS = 5 * 1_024 - 1;
const PAGE_BYTES = 4_096;
/** Of ordinary memory. The collector has them back when all of them are released. */
const PIECES_TOGETHER = 32;

const mlock = koffi.load(null).func('mlock', 'int', ['uintptr_t', 'size_t']);

/** A piece, zeroed; at a fixed address. Room for a key and the counter block it is used with. */
export class Secret implements SecretPlace {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly address: number;
  readonly #isOfBlock: boolean;
  #isTaken = true;

  constructor(buffer: ArrayBuffer, offset: number, address: number, isOfBlock: boolean) {
    this.bytes = new Uint8Array(buffer, offset, SECRET_BYTES);
    this.words = new Int32Array(buffer, offset, SECRET_BYTES / 4);
    this.address = address;
    this.#isOfBlock = isOfBlock;
  }

  take(): this {
    this.#isTaken = true;
    return this;
  }

  /** Erases it; the caller shall not use it any more. */
  release(): void {
    // Else it would have two owners soon, with two keys.
    if (!this.#isTaken) throw new Error('secret memory: released twice');
    this.#isTaken = false;
    wipe(this.bytes);
    // Ordinary memory is the collector's.
    if (this.#isOfBlock) free.push(this);
    else unlocked--;
  }
}

let block: Block | undefined;
/** Pieces of the block that nobody has any more; those that nobody has had yet are made when needed. */
const free: Secret[] = [];
let made = 0;
let lockedBytes = 0;
let refusal = '';
/** Pieces of ordinary memory that somebody has. */
let unlocked = 0;
/** Where the next of them lies, and how many of there have been given out. */
let ordinary: Scratch | undefined;
let ordinaryUsed = 0;

export interface SecretMemory {
  /** Of the block; 0 when the system refused to lock it. */
  readonly lockedBytes: number;
  /** The name of the error with which it refused that, or the empty string. */
  readonly refusal: string;
  /** Pieces in use that had no room in the block. */
  readonly ordinaryKeys: number;
}

/** How it stands at this moment. */
export function secretMemory(): SecretMemory {
  block ??= openBlock();
  return { lockedBytes, refusal, ordinaryKeys: unlocked };
}

/** A piece, which is the caller's until its `release`. */
export function takeSecret(): Secret {
  block ??= openBlock();
  const secret = free.pop();
  if (secret !== undefined) return secret.take();
  if (made < block.pieces) {
    const offset = block.start + made++ * SECRET_BYTES;
    return new Secret(block.buffer, offset, block.address + offset, true);
  }
  unlocked++;
  return ordinaryPiece();
}

/** To ask for an address takes longer than all else, and so it is asked for once for some of them. */
function ordinaryPiece(): Secret {
  if (ordinary === undefined || ordinaryUsed === PIECES_TOGETHER) {
    ordinary = new Scratch(PIECES_TOGETHER * SECRET_BYTES);
    ordinaryUsed = 0;
  }
  const offset = ordinaryUsed++ * SECRET_BYTES;
  const { bytes, address } = ordinary;
  return new Secret(bytes.buffer as ArrayBuffer, offset, address + offset, false);
}

interface Block {
  readonly buffer: ArrayBuffer;
  readonly address: number;
  /** Where the first piece begins. */
  readonly start: number;
  readonly pieces: number;
}

function openBlock(): Block {
  // Whole pages of it, wherever it begins.
  const buffer = new ArrayBuffer(SECRETS * SECRET_BYTES + 2 * PAGE_BYTES);
  const address = Number(koffi.address(buffer));
  const start = PAGE_BYTES - (address % PAGE_BYTES);
  const length = buffer.byteLength - PAGE_BYTES - start;
  if (mlock(address + start, length) === 0) lockedBytes = length;
  else refusal = errnoName(errno());
  return { buffer, address, start, pieces: Math.floor(length / SECRET_BYTES) };
}
