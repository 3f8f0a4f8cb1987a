/**
 * ChaCha20-Poly1305 of packets in WebAssembly with SIMD, on the arena's own memory: what takes the
 * place of native code where there is none, and is faster than a call of native code for packets of a
 * few hundred bytes. Owns how the module gets its memory; keys are the callers'.
 */

import { type Arena, SCRATCH_BYTES } from '../../arena.ts';
import { bytesOfBase64 } from '../../bytes.ts';
import { CIPHER_BASE64 } from './binary.ts';

/** What a call works in: 256 bytes of key stream, and a block to be filled up. */
const ROOM_BYTES = 272;

type Packet = [packet: number, length: number, nonce1: number, nonce2: number];
type Key = [number, number, number, number, number, number, number, number];
type Call = (...parameters: [...Packet, ...Key, room: number]) => number;

interface Exports {
  readonly seal: Call;
  readonly open: Call;
  readonly forget: () => void;
}

/** What the language and its version have: undefined until it was tried. */
let compiled: WebAssembly.Module | null | undefined;

/**
 * On the memory of `arena`; null where SIMD (or WebAssembly) is not to be had. A key is eight words of
 * 32 bits, borrowed for the call. Packets must lie within the arena, with room for the authenticator.
 */
export class SimdCipher {
  readonly #exports: Exports;
  readonly #room: number;
  readonly #roomBytes: Uint8Array;

  private constructor(arena: Arena, module: WebAssembly.Module) {
    if (ROOM_BYTES > SCRATCH_BYTES) throw new Error('cipher: the scratch is too small');
    const { exports } = new WebAssembly.Instance(module, { env: { memory: arena.memory } });
    this.#exports = exports as unknown as Exports;
    this.#room = arena.scratch;
    this.#roomBytes = new Uint8Array(arena.memory.buffer, this.#room, ROOM_BYTES);
  }

  static create(arena: Arena): SimdCipher | null {
    compiled ??= compile();
    return compiled === null ? null : new SimdCipher(arena, compiled);
  }

  /** As a Sealer's (../suite.ts). */
  seal(key: Int32Array, offset: number, length: number, counter: number): void {
    // biome-ignore format: as the call reads
    this.#exports.seal(
      offset, length, counter, counter / 0x1_0000_0000,
      key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7], this.#room,
    );
  }

  /** As an Opener's. */
  open(key: Int32Array, offset: number, length: number, counter: number): boolean {
    // biome-ignore format: as the call reads
    const isOpened = this.#exports.open(
      offset, length, counter, counter / 0x1_0000_0000,
      key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7], this.#room,
    );
    return isOpened === 1;
  }

  /** Erases what is left of the last packet's key stream and one-time key. */
  forget(): void {
    this.#exports.forget();
    this.#roomBytes.fill(0);
  }
}

function compile(): WebAssembly.Module | null {
  try {
    return new WebAssembly.Module(bytesOfBase64(CIPHER_BASE64));
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return null;
    throw error;
  }
}
