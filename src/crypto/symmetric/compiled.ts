/**
 * The steps in WebAssembly: one call each, where JavaScript makes five of BLAKE2s and as many arrays.
 * Owns the module's memory, through which state and field pass, and erases it after every step.
 */

import { bytesOfBase64 } from '../../bytes.ts';
import { KEY_BYTES, TAG_BYTES } from '../suite.ts';
import { SYMMETRIC_BASE64 } from './binary.ts';
import { FIELD_BYTES_MAX, STATE_BYTES, type Symmetric } from './symmetric.ts';

/** In the memory, after the state (assembly/index.ts). */
const FIELD_AT = STATE_BYTES;
const FIELD_END = FIELD_AT + FIELD_BYTES_MAX + TAG_BYTES;

interface Exports {
  readonly mixHash: (length: number) => void;
  readonly mixEphemeral: () => void;
  readonly mixSecret: () => void;
  readonly mixSecretAndKey: () => void;
  readonly mixPresharedKey: () => void;
  readonly seal: (length: number) => void;
  readonly open: (length: number) => number;
  readonly split: () => void;
}

export class CompiledSymmetric implements Symmetric {
  readonly #exports: Exports;
  readonly #bytes: Uint8Array;
  /** The state in `#bytes`. */
  readonly #state: Uint8Array;

  private constructor(module: WebAssembly.Module) {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    this.#exports = exports as unknown as Exports;
    this.#bytes = new Uint8Array(memory.buffer, 0, FIELD_END);
    this.#state = this.#bytes.subarray(0, STATE_BYTES);
  }

  /** null where SIMD (or WebAssembly) is not to be had. */
  static create(): CompiledSymmetric | null {
    try {
      return new CompiledSymmetric(new WebAssembly.Module(bytesOfBase64(SYMMETRIC_BASE64)));
    } catch (error) {
      if (error instanceof WebAssembly.CompileError) return null;
      throw error;
    }
  }

  mixHash(state: Uint8Array, data: Uint8Array): void {
    this.#begin(state, data);
    this.#exports.mixHash(KEY_BYTES);
    this.#end(state);
  }

  mixEphemeral(state: Uint8Array, publicKey: Uint8Array): void {
    this.#begin(state, publicKey);
    this.#exports.mixEphemeral();
    this.#end(state);
  }

  mixSecret(state: Uint8Array, secret: Uint8Array): void {
    this.#begin(state, secret);
    this.#exports.mixSecret();
    this.#end(state);
  }

  mixSecretAndKey(state: Uint8Array, secret: Uint8Array): void {
    this.#begin(state, secret);
    this.#exports.mixSecretAndKey();
    this.#end(state);
  }

  mixPresharedKey(state: Uint8Array, presharedKey: Uint8Array): void {
    this.#begin(state, presharedKey);
    this.#exports.mixPresharedKey();
    this.#end(state);
  }

  seal(state: Uint8Array, out: Uint8Array, offset: number, plaintext: Uint8Array): void {
    const { length } = plaintext;
    checkField(length, out.length - offset);
    this.#bytes.set(state);
    this.#bytes.set(plaintext, FIELD_AT);
    this.#exports.seal(length);
    for (let i = 0; i < length + TAG_BYTES; i++) out[offset + i] = this.#bytes[FIELD_AT + i];
    this.#end(state);
  }

  open(state: Uint8Array, message: Uint8Array, offset: number, length: number): Uint8Array | null {
    checkField(length, message.length - offset);
    const bytes = this.#bytes;
    bytes.set(state);
    for (let i = 0; i < length + TAG_BYTES; i++) bytes[FIELD_AT + i] = message[offset + i];
    const isTheirs = this.#exports.open(length) === 1;
    const plaintext = isTheirs ? bytes.slice(FIELD_AT, FIELD_AT + length) : null;
    this.#end(state);
    return plaintext;
  }

  split(state: Uint8Array, out: Uint8Array): void {
    this.#bytes.set(state);
    this.#exports.split();
    for (let i = 0; i < KEY_BYTES; i++) {
      out[i] = this.#bytes[i];
      out[KEY_BYTES + i] = this.#bytes[2 * KEY_BYTES + i];
    }
    this.#bytes.fill(0);
  }

  /** `input`: 32 bytes, which become the field. */
  #begin(state: Uint8Array, input: Uint8Array): void {
    if (input.length !== KEY_BYTES) throw new Error(`symmetric: input of ${input.length} bytes`);
    this.#bytes.set(state);
    this.#bytes.set(input, FIELD_AT);
  }

  #end(state: Uint8Array): void {
    state.set(this.#state);
    this.#bytes.fill(0);
  }
}

/** Of a field with `length` bytes of plaintext, for which there is room as well. */
function checkField(length: number, room: number): void {
  if (!(length >= 0 && length <= FIELD_BYTES_MAX && length + TAG_BYTES <= room)) {
    throw new Error(`symmetric: field of ${length} bytes`);
  }
}
