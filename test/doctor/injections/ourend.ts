/** What is missing or wrong at our own end of the tunnel, before anything reaches the network. */

import type { Case } from '../case.ts';
import { tswg } from '../sites.ts';

/** 44 characters of base64 for 32 zeros: takes the private key away. */
const NO_KEY = `${'A'.repeat(43)}=`;

export const OUR_END: readonly Case[] = [
  {
    id: 'noPrivateKey',
    code: 'noPrivateKey',
    inject: async ({ a }) => {
      await tswg(a, `wgkey ${NO_KEY}`);
    },
    says: /wgkeyfile/,
  },
  {
    id: 'noPeer',
    code: 'noPeer',
    inject: async ({ a, b }) => {
      await tswg(a, `-wgpeer ${b.keys.publicKey}`);
    },
    talkMs: 1_000,
    says: /wgpeer/,
  },
];
