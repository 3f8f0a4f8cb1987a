/** All cases of `npm run doctortest`, in the order of the causes. A file for each group. */

import type { Case } from './case.ts';
import { ALLOWED_IPS } from './injections/allowedips.ts';
import { COMBINATIONS } from './injections/combinations.ts';
import { DAEMONS } from './injections/daemons.ts';
import { ENDPOINTS, WAYS_OUT } from './injections/endpoints.ts';
import { KEYS, PRESHARED_KEYS } from './injections/keys.ts';
import { LOADS } from './injections/load.ts';
import { MANAGERS } from './injections/managers.ts';
import { MAPPINGS } from './injections/mappings.ts';
import { FILTERS, REFUSALS } from './injections/network.ts';
import { OUR_END } from './injections/ourend.ts';
import { PASSING } from './injections/passing.ts';
import { WAYS } from './injections/ways.ts';
import { WORKING } from './injections/working.ts';
import { VARIANTS } from './variants.ts';

export const CASES: readonly Case[] = [
  ...[
    ...OUR_END,
    ...DAEMONS,
    ...KEYS,
    ...PRESHARED_KEYS,
    ...REFUSALS,
    ...FILTERS,
    ...ENDPOINTS,
    ...WAYS_OUT,
  ],
  ...MAPPINGS,
  ...[...ALLOWED_IPS, ...WAYS, ...PASSING, ...WORKING, ...LOADS, ...MANAGERS],
  ...COMBINATIONS,
  ...VARIANTS,
];
