/** Tunnels that are well, each in its own way: doctor has nothing to say. */

import { firstPing } from '../lab/probes.ts';
import type { Case } from './case.ts';

export const VARIANTS: readonly Case[] = [
  {
    id: 'healthy/plain',
    code: null,
    inject: async ({ a, b }) => {
      await firstPing(a.host, b.inner[4]);
    },
    talkMs: 2_000,
  },
];
