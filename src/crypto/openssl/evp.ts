/**
 * ChaCha20-Poly1305 and X25519 through OpenSSL's public EVP interface, for builds that do not
 * export anything faster. It owns the EVP objects, none of which outlives the call but a cipher's
 * context, which lives until `wipe`.
 *
 * Freeing erases: EVP_CIPHER_CTX_free resets the context, the provider's freectx is
 * OPENSSL_clear_free over the whole cipher state with the key in it, and EVP_PKEY_free ends in
 * OPENSSL_secure_clear_free of the private key.
 */

import type { Arena } from '../../arena.ts';
import { addressOf, putAddress, Scratch } from '../../sys/libc.ts';
import { wipe } from '../bytes.ts';
import { checkKey, checkPacket, usedAfterWipe } from '../misuse.ts';
import { KEY_BYTES, type Opener, type Sealer, TAG_BYTES } from '../suite.ts';
import { bindAll, type Call, type Ciphers, countCiphers, type X25519 } from './ciphers.ts';
import { takeSecret } from './secretmemory.ts';

/** <openssl/evp.h>, <openssl/obj_mac.h>, <openssl/core.h> */
const EVP_CTRL_AEAD_SET_TAG = 0x11;
const NID_X25519 = 1034;
const OSSL_PARAM_OCTET_STRING = 5;

// The work memory: nonce, an int that Final writes, the name "tag", and two OSSL_PARAMs of 40
// bytes (key, type, data, size, returned size), of which the second, all zero, is the end.
const NONCE = 0;
const WRITTEN = 16;
const TAG_NAME = 24;
const TAG_PARAM = 32;
const WORK_BYTES = TAG_PARAM + 2 * 40;

const CIPHER_SIGNATURES = {
  EVP_chacha20_poly1305: ['uintptr_t'],
  EVP_CIPHER_CTX_new: ['uintptr_t'],
  EVP_CIPHER_CTX_free: ['void', 'uintptr_t'],
  /** (context, cipher, engine, key, nonce, 1 to encrypt) */
  EVP_CipherInit_ex: [
    'int',
    'uintptr_t',
    'uintptr_t',
    'uintptr_t',
    'uintptr_t',
    'uintptr_t',
    'int',
  ],
  /** (context, out, in, length): EVP_CipherUpdate in one check less, 40 ns of 1190. */
  EVP_Cipher: ['int', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'uint32_t'],
  EVP_CipherFinal_ex: ['int', 'uintptr_t', 'uintptr_t', 'uintptr_t'],
  EVP_CIPHER_CTX_ctrl: ['int', 'uintptr_t', 'int', 'int', 'uintptr_t'],
  EVP_CIPHER_CTX_get_params: ['int', 'uintptr_t', 'uintptr_t'],
  ERR_clear_error: ['void'],
} as const satisfies Record<string, readonly [string, ...string[]]>;

type CipherCalls = Readonly<Record<keyof typeof CIPHER_SIGNATURES, Call>>;

/** null where libcrypto is not in this process. */
export function createEvpCiphers(arena: Arena): Ciphers | null {
  const calls = bindAll(CIPHER_SIGNATURES);
  if (calls === null) return null;
  const work = new Scratch(WORK_BYTES);
  work.bytes.set(new TextEncoder().encode('tag'), TAG_NAME);
  putAddress(work.words, TAG_PARAM >> 2, work.address + TAG_NAME);
  work.words[(TAG_PARAM >> 2) + 2] = OSSL_PARAM_OCTET_STRING;
  work.words[(TAG_PARAM >> 2) + 6] = TAG_BYTES;
  return {
    createSealer: (key) => new EvpCipher(arena, calls, work, key, true),
    createOpener: (key) => new EvpCipher(arena, calls, work, key, false),
  };
}

/** One key's sealer or opener: a context with the key set once, and a nonce set per packet. */
class EvpCipher implements Sealer, Opener {
  readonly #arenaAddress: number;
  readonly #arenaBytes: number;
  readonly #calls: CipherCalls;
  readonly #work: Scratch;
  /** For `copyKey`: OpenSSL does not give it back. */
  readonly #key = takeSecret();
  #context: number;

  constructor(arena: Arena, calls: CipherCalls, work: Scratch, key: Uint8Array, sealing: boolean) {
    checkKey(key);
    this.#arenaAddress = addressOf(arena);
    this.#arenaBytes = arena.bytes.length;
    this.#calls = calls;
    this.#work = work;
    this.#context = calls.EVP_CIPHER_CTX_new();
    if (this.#context === 0) throw new Error('cipher: OpenSSL is out of memory');
    countCiphers(1);
    this.#key.bytes.set(key);
    const cipher = calls.EVP_chacha20_poly1305();
    const isSet = calls.EVP_CipherInit_ex(
      this.#context,
      cipher,
      0,
      this.#key.address,
      0,
      Number(sealing),
    );
    if (isSet !== 1) {
      this.wipe();
      throw new Error('cipher: OpenSSL has no ChaCha20-Poly1305');
    }
  }

  seal(offset: number, length: number, counter: number): void {
    this.#check(offset, length);
    const { EVP_CipherInit_ex, EVP_Cipher, EVP_CipherFinal_ex } = this.#calls;
    const context = this.#context;
    const work = this.#work;
    const packet = this.#arenaAddress + offset;
    this.#setNonce(counter);
    putAddress(work.words, (TAG_PARAM >> 2) + 4, packet + length);
    const isSealed =
      EVP_CipherInit_ex(context, 0, 0, 0, work.address + NONCE, 1) === 1 &&
      EVP_Cipher(context, packet, packet, length) >= 0 &&
      EVP_CipherFinal_ex(context, packet, work.address + WRITTEN) === 1 &&
      this.#calls.EVP_CIPHER_CTX_get_params(context, work.address + TAG_PARAM) === 1;
    if (!isSealed) throw new Error('cipher: OpenSSL refused to seal');
  }

  open(offset: number, length: number, counter: number): boolean {
    this.#check(offset, length);
    const { EVP_CipherInit_ex, EVP_CIPHER_CTX_ctrl, EVP_Cipher, EVP_CipherFinal_ex } = this.#calls;
    const context = this.#context;
    const work = this.#work;
    const packet = this.#arenaAddress + offset;
    this.#setNonce(counter);
    const isSet =
      EVP_CipherInit_ex(context, 0, 0, 0, work.address + NONCE, 0) === 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, packet + length) === 1 &&
      EVP_Cipher(context, packet, packet, length) >= 0;
    if (!isSet) throw new Error('cipher: OpenSSL refused to open');
    if (EVP_CipherFinal_ex(context, packet, work.address + WRITTEN) === 1) return true;
    // The queue of errors belongs to Node's crypto as well, which would find a stranger's there.
    this.#calls.ERR_clear_error();
    return false;
  }

  copyKey(out: Uint8Array): void {
    if (this.#context === 0) usedAfterWipe();
    out.set(this.#key.bytes.subarray(0, KEY_BYTES));
  }

  wipe(): void {
    if (this.#context === 0) return;
    this.#key.release();
    this.#calls.EVP_CIPHER_CTX_free(this.#context);
    this.#context = 0;
    countCiphers(-1);
  }

  #check(offset: number, length: number): void {
    if (this.#context === 0) usedAfterWipe();
    checkPacket(offset, length, this.#arenaBytes);
  }

  /** 32 zero bits and the 64-bit counter; `NONCE` is at the memory's beginning. */
  #setNonce(counter: number): void {
    this.#work.words[1] = counter;
    this.#work.words[2] = counter / 0x1_0000_0000;
  }
}

const PKEY_SIGNATURES = {
  /** (type, engine, bytes, length) */
  EVP_PKEY_new_raw_private_key: ['uintptr_t', 'int', 'uintptr_t', 'uintptr_t', 'size_t'],
  EVP_PKEY_new_raw_public_key: ['uintptr_t', 'int', 'uintptr_t', 'uintptr_t', 'size_t'],
  EVP_PKEY_get_raw_public_key: ['int', 'uintptr_t', 'uintptr_t', 'uintptr_t'],
  EVP_PKEY_free: ['void', 'uintptr_t'],
  EVP_PKEY_CTX_new: ['uintptr_t', 'uintptr_t', 'uintptr_t'],
  EVP_PKEY_CTX_free: ['void', 'uintptr_t'],
  EVP_PKEY_derive_init: ['int', 'uintptr_t'],
  EVP_PKEY_derive_set_peer: ['int', 'uintptr_t', 'uintptr_t'],
  /** (context, out, size_t *length) */
  EVP_PKEY_derive: ['int', 'uintptr_t', 'uintptr_t', 'uintptr_t'],
  ERR_clear_error: ['void'],
} as const satisfies Record<string, readonly [string, ...string[]]>;

/**
 * X25519 with one EVP_PKEY per call. They are not kept: 2 of 3 parts of the time are the two
 * objects, but a handshake key must be gone when the handshake is.
 */
export function createEvpX25519(): X25519 | null {
  const calls = bindAll(PKEY_SIGNATURES);
  if (calls === null) return null;
  const memory = new Scratch(112);
  const [out, privateAt, publicAt, sizeAt] = [0, 32, 64, 96];
  const setSize = (): void => {
    memory.words.fill(0, sizeAt >> 2);
    memory.words[sizeAt >> 2] = KEY_BYTES;
  };
  const newPrivateKey = (privateKey: Uint8Array): number => {
    checkKey(privateKey);
    memory.bytes.set(privateKey, privateAt);
    return calls.EVP_PKEY_new_raw_private_key(NID_X25519, 0, memory.address + privateAt, KEY_BYTES);
  };
  const derive = (own: number, peer: number): boolean => {
    const context = calls.EVP_PKEY_CTX_new(own, 0);
    setSize();
    const isDerived =
      context !== 0 &&
      calls.EVP_PKEY_derive_init(context) === 1 &&
      calls.EVP_PKEY_derive_set_peer(context, peer) === 1 &&
      calls.EVP_PKEY_derive(context, memory.address + out, memory.address + sizeAt) === 1;
    calls.EVP_PKEY_CTX_free(context);
    return isDerived;
  };
  return {
    sharedSecret(result, privateKey, publicKey) {
      checkKey(publicKey);
      const own = newPrivateKey(privateKey);
      memory.bytes.set(publicKey, publicAt);
      const peer = calls.EVP_PKEY_new_raw_public_key(
        NID_X25519,
        0,
        memory.address + publicAt,
        KEY_BYTES,
      );
      const isDerived = derive(own, peer);
      calls.EVP_PKEY_free(peer);
      calls.EVP_PKEY_free(own);
      if (isDerived) result.set(memory.bytes.subarray(out, out + KEY_BYTES));
      else {
        // Bytes of the right length leave one reason: the secret is all zero.
        result.fill(0);
        calls.ERR_clear_error();
      }
      wipe(memory.bytes);
      return isDerived;
    },
    publicKey(privateKey) {
      const own = newPrivateKey(privateKey);
      setSize();
      const status = calls.EVP_PKEY_get_raw_public_key(
        own,
        memory.address + publicAt,
        memory.address + sizeAt,
      );
      calls.EVP_PKEY_free(own);
      const publicKey = memory.bytes.slice(publicAt, publicAt + KEY_BYTES);
      wipe(memory.bytes);
      if (status !== 1) throw new Error('X25519: OpenSSL gave no public key');
      return publicKey;
    },
  };
}
