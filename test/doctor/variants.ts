/** Tunnels that are well, each in its own way: doctor has nothing to say. */

import type { Case } from './case.ts';
import { CONFIGURED } from './variants/configured.ts';
import { EXAMPLES } from './variants/examples.ts';
import { NETWORKS } from './variants/networks.ts';
import { USES } from './variants/uses.ts';

export const VARIANTS: readonly Case[] = [...USES, ...NETWORKS, ...CONFIGURED, ...EXAMPLES];
