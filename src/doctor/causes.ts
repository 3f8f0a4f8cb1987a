/**
 * The table of causes that doctor tells apart. A file of causes/ exports its rows; here they stand
 * in one list, and where two of the same weight are found the order of the list decides. Pure.
 */

import type { Cause } from './cause.ts';
import { ADDRESSES } from './causes/addresses.ts';
import { ALLOWED_IPS } from './causes/allowedips.ts';
import { CAPACITY } from './causes/capacity.ts';
import { CLOCK } from './causes/clock.ts';
import { FILTERING } from './causes/filtering.ts';
import { FORWARDING } from './causes/forwarding.ts';
import { LOAD } from './causes/load.ts';
import { MANAGERS } from './causes/managers.ts';
import { MTU } from './causes/mtu.ts';
import { ROUTES } from './causes/routes.ts';

export const CAUSES: readonly Cause[] = [
  ...ADDRESSES,
  ...ROUTES,
  ...ALLOWED_IPS,
  ...FORWARDING,
  ...FILTERING,
  ...MTU,
  ...CLOCK,
  ...LOAD,
  ...CAPACITY,
  ...MANAGERS,
];
