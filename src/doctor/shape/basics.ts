/** Shapes that several parts of the evidence share: keys, addresses, counters, troubles. Pure. */

import { parseKey } from '../../keytext.ts';
import { parseAddress, parsePrefix } from '../../packet/address.ts';
import type { IcmpError, Looked, Trouble } from '../evidence.ts';
import { type Check, literal, number, object, oneOf, record, text, textOf } from './shape.ts';

export const family: Check<4 | 6> = literal(4, 6);
export const key = textOf((value) => parseKey(value) !== null, 'a public key');
export const address = textOf((value) => parseAddress(value) !== null, 'an address');
export const prefix = textOf(
  (value) => value.includes('/') && parsePrefix(value) !== null,
  'ADDRESS/LENGTH',
);
export const numbers = record(number);
export const counted = { counters: numbers, gained: numbers };
export const meaning: Check<IcmpError['meaning']> = literal(
  ...(['portUnreachable', 'hostUnreachable', 'networkUnreachable', 'prohibited'] as const),
  ...(['tooBig', 'timeExceeded', 'other'] as const),
);

export const scalar: Check<number | string | boolean> = (value, path) => {
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  return number(value, path);
};
export const trouble = object<Trouble>({ code: text, values: record(scalar) });

export function looked<T>(check: Check<T>): Check<Looked<T>> {
  return oneOf<Looked<T>>('ok', {
    true: object<{ ok: true; value: T }>({ ok: literal(true), value: check }),
    false: object<{ ok: false; because: string }>({ ok: literal(false), because: text }),
  });
}
