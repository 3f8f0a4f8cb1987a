/**
 * The table of causes that doctor tells apart. A file of causes/ exports its rows; here they stand
 * in one list, and where two of the same weight are found the order of the list decides. Pure.
 */

import type { Cause } from './cause.ts';
import { ADDRESSES } from './causes/addresses.ts';
import { ALLOWED_IPS } from './causes/allowedips.ts';
import { CAPACITY } from './causes/capacity.ts';
import { CLOCK } from './causes/clock.ts';
import { ENDPOINT } from './causes/endpoint.ts';
import { ESSENTIALS } from './causes/essentials.ts';
import { FILTERING } from './causes/filtering.ts';
import { FIREWALL } from './causes/firewall.ts';
import { FORWARDING } from './causes/forwarding.ts';
import { KEYS } from './causes/keys.ts';
import { LOAD } from './causes/load.ts';
import { MANAGERS } from './causes/managers.ts';
import { MAPPING } from './causes/mapping.ts';
import { MTU } from './causes/mtu.ts';
import { PRESHARED_KEY } from './causes/presharedkey.ts';
import { REFUSALS } from './causes/refusals.ts';
import { ROUTES } from './causes/routes.ts';
import { SILENCE } from './causes/silence.ts';
import { WAY_OUT } from './causes/wayout.ts';

export const CAUSES: readonly Cause[] = [
  ...ESSENTIALS,
  ...KEYS,
  ...PRESHARED_KEY,
  ...WAY_OUT,
  ...ENDPOINT,
  ...FIREWALL,
  ...REFUSALS,
  ...MAPPING,
  ...SILENCE,
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
