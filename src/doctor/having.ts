/**
 * Evidence by one of its fields: what is about one peer of thousands, found without looking through
 * that of all others, for each of them. Pure.
 */

/** List -> field -> value -> its elements. Evidence does not change once it is gathered. */
const sorted = new WeakMap<object, Map<string, ReadonlyMap<unknown, readonly unknown[]>>>();

const NONE: readonly never[] = [];

/** Those elements of a list whose field has the value, in their order. */
export function having<T extends object, F extends keyof T & string>(
  all: readonly T[],
  field: F,
  value: T[F],
): readonly T[] {
  const fields = sorted.get(all) ?? new Map<string, ReadonlyMap<unknown, readonly unknown[]>>();
  const values: ReadonlyMap<unknown, readonly unknown[]> =
    fields.get(field) ?? grouped(all, (one) => one[field]);
  fields.set(field, values);
  sorted.set(all, fields);
  return (values.get(value) as readonly T[] | undefined) ?? NONE;
}

/** The elements of a list by a key of theirs, in their order. */
export function grouped<T, K>(
  all: readonly T[],
  keyOf: (one: T) => K,
): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>();
  for (const one of all) {
    const group = groups.get(keyOf(one));
    if (group === undefined) groups.set(keyOf(one), [one]);
    else group.push(one);
  }
  return groups;
}
