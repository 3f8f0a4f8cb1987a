/** All cases of `npm run doctortest`, in the order of the causes. A file for each group. */

import type { Case } from './case.ts';
import { OUR_END } from './injections/ourend.ts';
import { VARIANTS } from './variants.ts';

export const CASES: readonly Case[] = [...OUR_END, ...VARIANTS];
