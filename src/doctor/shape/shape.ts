/**
 * Checks that a value which came out of JSON has the shape that the code was written for: what a file
 * holds may have been written by another version, or by anybody. Properties that are not asked for are
 * left out of the copy. Pure.
 */

/** A copy of the value. @throws {Mismatch} */
export type Check<T> = (value: unknown, path: string) => T;

/** What is wrong: `path` as in `daemon.peers[3].publicKey`, and what was expected there. */
export class Mismatch extends Error {
  constructor(path: string, expected: string) {
    super(`${path === '' ? 'the file' : path}: expected ${expected}`);
  }
}

/** Longer lists are no evidence of doctor's. */
const ITEMS_MAX = 100_000;

export const text: Check<string> = (value, path) => {
  if (typeof value !== 'string') throw new Mismatch(path, 'a text');
  return value;
};

export const number: Check<number> = (value, path) => {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Mismatch(path, 'a number');
  return value;
};

export const truth: Check<boolean> = (value, path) => {
  if (typeof value !== 'boolean') throw new Mismatch(path, 'true or false');
  return value;
};

export function literal<const T extends string | number | boolean>(
  ...values: readonly T[]
): Check<T> {
  return (value, path) => {
    const found = values.find((one) => one === value);
    if (found === undefined) throw new Mismatch(path, values.join(' or '));
    return found;
  };
}

/** A text that `isRight` takes. */
export function textOf(isRight: (value: string) => boolean, expected: string): Check<string> {
  return (value, path) => {
    if (!isRight(text(value, path))) throw new Mismatch(path, expected);
    return value as string;
  };
}

export function orNull<T>(check: Check<T>): Check<T | null> {
  return (value, path) => (value === null ? null : check(value, path));
}

/** What an older version did not write. */
export function orElse<T>(check: Check<T>, fallback: T): Check<T> {
  return (value, path) => (value === undefined ? fallback : check(value, path));
}

export function list<T>(check: Check<T>): Check<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length > ITEMS_MAX) throw new Mismatch(path, 'a list');
    return value.map((item, at) => check(item, `${path}[${at}]`));
  };
}

export function record<T>(check: Check<T>): Check<Readonly<Record<string, T>>> {
  return (value, path) => {
    const entries = Object.entries(objectOf(value, path));
    // By way of entries, so that `__proto__` is a name like any other.
    return Object.fromEntries(
      entries.map(([name, item]) => [name, check(item, `${path}.${name}`)]),
    );
  };
}

/** A field for each property of `T`: the compiler finds the one that is missing. */
export type Fields<T> = { readonly [Name in keyof T]-?: Check<T[Name]> };

export function object<T>(fields: Fields<T>): Check<T> {
  return (value, path) => {
    const source = objectOf(value, path);
    const checks = Object.entries(fields) as [string, Check<unknown>][];
    const copy = checks.map(([name, check]) => {
      const own = Object.hasOwn(source, name) ? source[name] : undefined;
      return [name, check(own, path === '' ? name : `${path}.${name}`)];
    });
    return Object.fromEntries(copy) as T;
  };
}

/** One of several objects, told apart by the value of `key`. */
export function oneOf<T>(key: string, kinds: Readonly<Record<string, Check<T>>>): Check<T> {
  return (value, path) => {
    const kind = String(objectOf(value, path)[key]);
    if (!Object.hasOwn(kinds, kind)) {
      throw new Mismatch(`${path}.${key}`, Object.keys(kinds).join(' or '));
    }
    return kinds[kind](value, path);
  };
}

function objectOf(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Mismatch(path, 'an object');
  }
  return value as Readonly<Record<string, unknown>>;
}
