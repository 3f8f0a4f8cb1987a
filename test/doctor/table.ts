/** All cases of `npm run doctortest`, in the order of the causes. A file for each group. */

import type { Case } from './case.ts';
import { ALLOWED_IPS } from './injections/allowedips.ts';
import { OUR_END } from './injections/ourend.ts';
import { PASSING } from './injections/passing.ts';
import { WAYS } from './injections/ways.ts';
import { WORKING } from './injections/working.ts';
import { VARIANTS } from './variants.ts';

export const CASES: readonly Case[] = [
  ...OUR_END,
  ...ALLOWED_IPS,
  ...WAYS,
  ...PASSING,
  ...WORKING,
  ...VARIANTS,
];
