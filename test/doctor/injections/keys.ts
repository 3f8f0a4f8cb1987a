/** Keys of the two ends that do not belong together. */

import { isClamped } from '../../../src/cli/curve.ts';
import { createKeyPair, createPresharedKey } from '../../lab/tunnel.ts';
import type { Case } from '../case.ts';
import {
  givePresharedKey,
  IFNAME,
  PORT,
  type Site,
  type Sites,
  tswg,
  writeHostnameFile,
} from '../sites.ts';

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

/** The key file of one is a copy of the other's. tswg refuses that, wg does not. */
async function copyKeyFile(from: Site, to: Site): Promise<undefined> {
  await to.host.writeFile('/etc/wg/private.key', `${from.keys.privateKey}\n`);
  await to.host.run('wg', ['set', IFNAME, 'private-key', '/etc/wg/private.key']);
}

const copyToB = ({ a, b }: Sites) => copyKeyFile(a, b);

/** The public key is put in the place of the private one. tswg warns of that, wg does not. */
async function confuseKeys({ a }: Sites): Promise<undefined> {
  // One public key in 32 has the form of a private one by chance.
  let { publicKey } = a.keys;
  while (isClamped(Buffer.from(publicKey, 'base64'))) ({ publicKey } = createKeyPair());
  await a.host.writeFile('/etc/wg/private.key', `${publicKey}\n`);
  await a.host.run('wg', ['set', IFNAME, 'private-key', '/etc/wg/private.key']);
}

export const KEYS: readonly Case[] = [
  {
    id: 'keyNotPrivate/calls',
    code: 'keyNotPrivate',
    inject: confuseKeys,
    says: /looks like a public key[\s\S]*no peer has ever answered/,
  },
  {
    id: 'keyNotPrivate/is called',
    code: 'keyNotPrivate',
    inject: confuseKeys,
    talks: ['a', 'b'],
    says: /looks like a public key/,
  },
  {
    id: 'wrongKeyOfOurs/calls',
    code: 'wrongKeyOfOurs',
    inject: async ({ a, b }) => {
      await mistakeKey(b, a);
    },
    talks: ['a', 'b'],
    says: /203\.0\.113\.10/,
  },
  ...[0, 1_000, 3_000].map(
    (talkMs): Case => ({
      id: `wrongKeyOfOurs/${talkMs === 0 ? 'at once' : `after ${talkMs / 1_000} s`}`,
      code: 'wrongKeyOfOurs',
      inject: async ({ a, b }) => {
        await mistakeKey(b, a);
      },
      talks: ['a', 'b'],
      talkMs,
    }),
  ),
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
    inject: copyToB,
  },
  {
    id: 'sameKey',
    code: 'sameKey',
    plan: { isOneWay: true },
    inject: copyToB,
    asksOther: true,
  },
  {
    id: 'peerIsOurself/file',
    code: 'peerIsOurself',
    inject: async ({ a, b }) => {
      await tswg(a, `-wgpeer ${b.keys.publicKey}`);
      await writeHostnameFile(a, `wgpeer ${a.keys.publicKey} wgaip ${b.inner[4]}/32`);
    },
    talks: [],
    says: /hostname\.wg0/,
  },
  {
    id: 'peerIsOurself/copied',
    code: 'peerIsOurself',
    inject: ({ a, b }) => copyKeyFile(b, a),
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
