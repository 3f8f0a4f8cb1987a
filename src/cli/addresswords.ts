/**
 * The address words: inet, inet6, alias, -alias, netmask, prefixlen, and any word that no row of
 * the table knows, which must be an address. Pure; one draft per address, in their order.
 */

import { parseAddress, parseDecimal } from '../packet/address.ts';
import { couldHoldKey, visible } from '../quotation.ts';
import type { AddressDraft } from './command.ts';
import { addressDoubt } from './doubts.ts';
import { parseKey } from './keys.ts';
import { isMask, parseNetmask, unknownWord } from './values.ts';
import { wordNames } from './words.ts';

export class AddressWords {
  readonly #drafts: AddressDraft[];
  /** What netmask, alias and the like are about. */
  #current: AddressDraft | null = null;
  /** The value after netmask or prefixlen of the current address. */
  #mask: { word: string; length: number } | null = null;

  constructor(drafts: AddressDraft[]) {
    this.#drafts = drafts;
  }

  /** inet or inet6: ends the address before, and begins another. */
  family(family: 4 | 6): string | null {
    const current = this.#current;
    // `alias inet ADDR` is one address.
    if (current !== null && current.family === 0 && current.address === null) {
      current.family = family;
      return null;
    }
    const wrong = this.finish();
    if (wrong !== null) return wrong;
    this.#begin(family);
    return null;
  }

  /** alias or -alias, before or after the address. */
  mode(word: string, mode: 'alias' | 'remove'): string | null {
    const current = this.#current ?? this.#begin(0);
    if (current.mode !== 'primary' && current.mode !== mode) {
      return `${word}: expected either alias or -alias for one address, not both`;
    }
    current.mode = mode;
    if (mode === 'remove') current.word = word;
    return null;
  }

  netmask(text: string): string | null {
    const length = parseNetmask(text);
    if (length === null) {
      return `netmask: ${visible(text)}: expected a mask such as 255.255.255.0 or 0xffffff00`;
    }
    return this.#takeMask('netmask', length);
  }

  prefixlen(text: string): string | null {
    const length = parseDecimal(text, 128);
    if (length === null) {
      return `prefixlen: ${visible(text)}: expected 0 to 32, or 0 to 128 for IPv6`;
    }
    return this.#takeMask('prefixlen', length);
  }

  /** A word that no row knows: an address, the other end of the link, or a mistake. */
  unnamed(typed: string): string | null {
    const slash = typed.indexOf('/');
    const address = parseAddress(slash < 0 ? typed : typed.slice(0, slash));
    if (parseKey(typed) !== null || (couldHoldKey(typed) && address === null)) {
      // Not repeated, since it may be a secret one.
      return 'a key without a word before it: expected wgpeer, wgkey or wgpsk to say what it is';
    }
    if (address === null) {
      if (parseNetmask(typed) !== null) return maskMistake(typed);
      return looksLikeAddress(typed)
        ? `${visible(typed)}: expected an address, such as 10.99.0.1/30 or fd00:99::1/64`
        : unknownWord(typed, wordNames());
    }
    const bits = address.length * 8;
    const length = slash < 0 ? null : parseDecimal(typed.slice(slash + 1), bits);
    if (slash >= 0 && length === null) {
      return `${visible(typed)}: expected a length of 0 to ${bits} after the "/"`;
    }
    const current = this.#current ?? this.#begin(0);
    if (current.address !== null) return takeDestination(current, typed, address, slash >= 0);
    const family = address.length === 4 ? 4 : 6;
    if (current.family !== 0 && current.family !== family) {
      return `${familyWord(current.family)}: ${typed}: expected an IPv${current.family} address`;
    }
    current.family = family;
    current.address = address;
    current.length = length;
    return null;
  }

  /** Checks the current address as a whole and fills in the length it did not say. */
  finish(): string | null {
    const current = this.#current;
    const mask = this.#mask;
    this.#current = null;
    this.#mask = null;
    if (current === null) return null;
    if (current.address === null) return finishWithoutAddress(current, mask);
    if (mask !== null) {
      if (current.family === 6 && mask.word === 'netmask') {
        return 'netmask: expected prefixlen for an IPv6 address';
      }
      if (mask.length > current.address.length * 8) {
        return `${mask.word}: ${mask.length}: expected 0 to 32 for an IPv4 address`;
      }
      if (current.length !== null && current.length !== mask.length) {
        return `${mask.word}: ${mask.length} bits: the address itself says /${current.length}`;
      }
      current.length = mask.length;
    }
    // Not the class of the address, as ifconfig has it: 10.0.0.1 alone would claim all of 10/8.
    if (current.mode === 'remove') return null;
    const isLengthTyped = current.length !== null;
    current.length ??= current.family === 4 ? 32 : 64;
    const doubt = addressDoubt(current.address, current.length, isLengthTyped);
    if (doubt !== null)
      current.doubt = `${familyWord(current.address.length === 4 ? 4 : 6)}: ${doubt}`;
    return null;
  }

  #begin(family: 0 | 4 | 6): AddressDraft {
    const draft: AddressDraft = {
      family,
      mode: 'primary',
      address: null,
      length: null,
      destination: null,
    };
    this.#drafts.push(draft);
    this.#current = draft;
    return draft;
  }

  #takeMask(word: string, length: number): string | null {
    if (this.#current === null) this.#begin(0);
    this.#mask = { word, length };
    return null;
  }
}

function takeDestination(
  current: AddressDraft,
  typed: string,
  address: Uint8Array,
  hasLength: boolean,
): string | null {
  if (isMask(address)) return maskMistake(typed);
  const second = 'put `inet alias` or `inet6` before a second address of the interface';
  if (current.destination !== null) {
    return `${typed}: expected at most an address and that of the other end; ${second}`;
  }
  if (hasLength || address.length !== current.address!.length) {
    return `${typed}: expected the address of the other end, without /LEN; ${second}`;
  }
  current.destination = address;
  return null;
}

/** Only `-alias` alone needs no address: it takes the first IPv4 one away. */
function finishWithoutAddress(current: AddressDraft, mask: { word: string } | null): string | null {
  if (mask !== null) return `${mask.word}: expected an address with it, as in \`inet 10.99.0.1\``;
  if (current.mode === 'remove' && current.family !== 6) {
    current.family = 4;
    return null;
  }
  if (current.mode === 'remove')
    return '-alias: expected an IPv6 address before it, as in `inet6 ADDRESS -alias`';
  if (current.family === 0) return 'alias: expected an address after it';
  return `${familyWord(current.family)}: expected an IPv${current.family} address after it`;
}

function familyWord(family: 4 | 6): string {
  return family === 4 ? 'inet' : 'inet6';
}

function maskMistake(typed: string): string {
  return `${typed}: expected netmask before a mask, or /LENGTH on the address`;
}

function looksLikeAddress(typed: string): boolean {
  return /^\d+$/.test(typed) || (/^[0-9a-f.:]+(\/.*)?$/i.test(typed) && /[.:/]/.test(typed));
}
