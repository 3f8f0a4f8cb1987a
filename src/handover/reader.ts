/** What was written by another version, or by a predecessor in other hands: nothing is taken for granted. */

import { copySecret } from '../crypto/bytes.ts';

/** What stands after the JSON, piece by piece. */
export class Secrets {
  readonly #bytes: Uint8Array;
  #at = 0;
  /** More was taken than there is. */
  isShort = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** A copy. */
  take(length: number): Uint8Array {
    const secret = copySecret(this.#bytes.subarray(this.#at, this.#at + length));
    this.#at += length;
    this.isShort ||= secret.length < length;
    return secret;
  }
}

/** null when it is none. */
export function readJson(bytes: Uint8Array): Reader | null {
  try {
    return new Reader(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return null;
  }
}

/** An object of JSON whose fields may be missing, or of another kind than expected. */
export class Reader {
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(value: unknown) {
    const isObject = typeof value === 'object' && value !== null;
    this.#fields = isObject ? (value as Record<string, unknown>) : {};
  }

  /** Whether it is there, and not null. */
  has(name: string): boolean {
    return this.#fields[name] != null;
  }

  text(name: string): string {
    const value = this.#fields[name];
    return typeof value === 'string' ? value : '';
  }

  number(name: string, otherwise: number): number {
    const value = this.#fields[name];
    return isNumber(value) ? value : otherwise;
  }

  /** From 0 to `max`. */
  integer(name: string, otherwise: number, max?: number): number {
    const value = this.number(name, otherwise);
    return isCount(value, max) ? value : otherwise;
  }

  flag(name: string): boolean {
    return this.#fields[name] === true;
  }

  list(name: string): readonly unknown[] {
    const value = this.#fields[name];
    return Array.isArray(value) ? value : [];
  }

  texts(name: string): readonly string[] {
    return this.list(name).filter((value) => typeof value === 'string');
  }

  child(name: string): Reader {
    return new Reader(this.#fields[name]);
  }

  children(name: string): readonly Reader[] {
    return this.list(name).map((value) => new Reader(value));
  }

  /** Those fields of a child, or of this object for '', that are numbers. */
  numbers(name: string): Readonly<Record<string, number>> {
    const fields = name === '' ? this.#fields : this.child(name).#fields;
    return Object.fromEntries(
      Object.entries(fields).filter((field): field is [string, number] => isNumber(field[1])),
    );
  }
}

/** JSON's 1e999 is infinite. */
function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

/** A whole number from 0 to `max`. */
export function isCount(value: number, max = Number.MAX_SAFE_INTEGER): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}
