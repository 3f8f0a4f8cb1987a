/** Keys of the two ends that do not belong together. */

import { createKeyPair, createPresharedKey } from '../../lab/tunnel.ts';
import type { Case } from '../case.ts';
import { givePresharedKey, PORT, type Site, type Sites, tswg } from '../sites.ts';

/** The words that make `of` a peer, under whatever key. */
function peerWords(of: Site, publicKey: string, isKnown = true): string {
  const endpoint = isKnown ? ` wgendpoint ${of.wan[4]} ${PORT}` : '';
  return `wgpeer ${publicKey}${endpoint} wgaip ${of.inner[4]}/32 wgaip ${of.inner[6]}/128`;
}

/** `at` has another key of `of` than it has, and knows where it is or not. */
async function mistakeKey(at: Site, of: Site, isKnown = true): Promise<string> {
  const { publicKey } = createKeyPair();
  await tswg(at, `-wgpeer ${of.keys.publicKey} ${peerWords(of, publicKey, isKnown)}`);
  return publicKey;
}

/** B's key file is a copy of A's. */
async function copyKeyFile({ a, b }: Sites): Promise<undefined> {
  await b.host.writeFile('/etc/wg/private.key', `${a.keys.privateKey}\n`);
  await tswg(b, 'wgkeyfile /etc/wg/private.key');
}

export const KEYS: readonly Case[] = [
  {
    id: 'wrongKeyOfOurs/calls',
    code: 'wrongKeyOfOurs',
    inject: async ({ a, b }) => {
      await mistakeKey(b, a);
    },
    talks: ['a', 'b'],
    says: /203\.0\.113\.10/,
  },
  {
    id: 'wrongKeyOfOurs/other',
    code: 'wrongKeyOfOurs',
    inject: async ({ a, b }) => {
      await mistakeKey(b, a, false);
    },
    asksOther: true,
  },
  {
    id: 'wrongKeyOfPeer/calls',
    code: 'wrongKeyOfPeer',
    inject: async ({ a, b }) => {
      await mistakeKey(a, b);
    },
    talks: ['a', 'b'],
    says: /wgendpoint 203\.0\.113\.10 51820/,
  },
  {
    id: 'wrongKeyOfPeer/other',
    code: 'wrongKeyOfPeer',
    plan: { isOneWay: true },
    inject: async ({ a, b }) => {
      await mistakeKey(a, b);
    },
    asksOther: true,
  },
  {
    id: 'silence/wrongKeyOfPeer',
    code: 'silence',
    plan: { isOneWay: true },
    inject: async ({ a, b }) => {
      await mistakeKey(a, b);
    },
    says: /is not the public key of the other end/,
  },
  {
    id: 'silence/sameKey',
    code: 'silence',
    plan: { isOneWay: true },
    inject: copyKeyFile,
  },
  {
    id: 'sameKey',
    code: 'sameKey',
    plan: { isOneWay: true },
    inject: copyKeyFile,
    asksOther: true,
  },
  {
    id: 'peerIsOurself/file',
    code: 'peerIsOurself',
    inject: async ({ a, b }) => {
      await tswg(a, `-wgpeer ${b.keys.publicKey}`);
      const line = `wgpeer ${a.keys.publicKey} wgaip ${b.inner[4]}/32\n`;
      // /etc is full of links to the files of the machine that the tests run on.
      await a.host.run('rm', ['-f', '/etc/hostname.wg0']);
      await a.host.writeFile('/etc/hostname.wg0', line);
    },
    talks: [],
    says: /hostname\.wg0/,
  },
  {
    id: 'peerIsOurself/copied',
    code: 'peerIsOurself',
    inject: async ({ a, b }) => {
      await a.host.writeFile('/etc/wg/private.key', `${b.keys.privateKey}\n`);
      await tswg(a, 'wgkeyfile /etc/wg/private.key');
    },
    talks: [],
  },
  {
    id: 'unknownKeyCalls',
    code: 'unknownKeyCalls',
    inject: async ({ a, b }) => {
      await tswg(a, `-wgpeer ${b.keys.publicKey}`);
      await tswg(a, `wgpeer ${createKeyPair().publicKey} wgaip 10.99.0.77/32`);
    },
    talks: ['b'],
    says: /from 203\.0\.113\.10 port 51820/,
  },
];

export const PRESHARED_KEYS: readonly Case[] = [
  {
    id: 'presharedKeyOneSided/there',
    code: 'presharedKeyOneSided',
    inject: async ({ a, b }) => {
      await givePresharedKey(b, a, createPresharedKey());
    },
  },
  {
    id: 'presharedKeyOneSided/here',
    code: 'presharedKeyOneSided',
    inject: async ({ a, b }) => {
      await givePresharedKey(a, b, createPresharedKey());
    },
    asksOther: true,
  },
  {
    id: 'presharedKeysDiffer/orOneSided',
    code: 'presharedKeysDiffer',
    inject: async ({ a, b }) => {
      await givePresharedKey(a, b, createPresharedKey());
    },
    says: /has no preshared key at all/,
  },
  {
    id: 'presharedKeysDiffer/other',
    code: 'presharedKeysDiffer',
    inject: differ,
    asksOther: true,
  },
  {
    id: 'presharedKeysDiffer/answerer',
    code: 'presharedKeysDiffer',
    plan: { isOneWay: true },
    inject: differ,
    side: 'b',
  },
];

async function differ({ a, b }: Sites): Promise<undefined> {
  await givePresharedKey(a, b, createPresharedKey());
  await givePresharedKey(b, a, createPresharedKey());
}
