/** What WireGuard is written in, for the manual. */

import type { Reference } from './blocks.ts';

export const STANDARDS: readonly Reference[] = [
  {
    author: 'Jason A. Donenfeld',
    title: 'WireGuard: Next Generation Kernel Network Tunnel',
    number: '',
    date: '2017',
  },
  {
    author: 'M-J. Saarinen',
    title: 'The BLAKE2 Cryptographic Hash and Message Authentication Code (MAC)',
    number: 'RFC 7693',
    date: 'November 2015',
  },
  {
    author: 'A. Langley',
    title: 'Elliptic Curves for Security',
    number: 'RFC 7748',
    date: 'January 2016',
  },
  {
    author: 'Y. Nir',
    title: 'ChaCha20 and Poly1305 for IETF Protocols',
    number: 'RFC 8439',
    date: 'June 2018',
  },
];
