/** Preshared keys: one side has none, or the two differ. Pure. */

import { counted } from '../../counted.ts';
import type { Cause } from '../cause.ts';
import { isOutOfContact } from '../contact.ts';
import type { Evidence, OwnPeer } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { counterpartOf } from '../otherend.ts';
import { daemonOf, nameOf, peersOf } from '../peer.ts';

const CONSEQUENCES = ['answersUnconfirmed', 'answersLost'];

export const PRESHARED_KEY: readonly Cause[] = [
  {
    code: 'presharedKeyOneSided',
    weight: 'handshake',
    find: (evidence) => findMismatch(evidence, 'presharedKeyOneSided'),
    explains: CONSEQUENCES,
  },
  {
    code: 'presharedKeysDiffer',
    weight: 'handshake',
    find: (evidence) => findMismatch(evidence, 'presharedKeysDiffer'),
    explains: CONSEQUENCES,
  },
];

type Code = 'presharedKeyOneSided' | 'presharedKeysDiffer';

function findMismatch(evidence: Evidence, code: Code): Finding[] {
  return peersOf(evidence)
    .map((peer) => mismatchOf(evidence, peer))
    .filter((finding) => finding?.code === code)
    .filter((finding) => finding !== null);
}

function mismatchOf(evidence: Evidence, peer: OwnPeer): (Finding & { code: Code }) | null {
  const here = peer.hasPresharedKey;
  const there = counterpartOf(evidence, peer)?.us.hasPresharedKey ?? null;
  const answers = undecipherable(peer);
  const isOneSided = here !== null && there !== null && here !== there;
  if (answers === null && !(isOneSided && isOutOfContact(evidence, peer))) return null;
  const proof = [
    ...(answers === null ? [] : [answers]),
    ...(here === null ? [] : [`here, ${saysKey(here)} is set for it`]),
    ...(there === null ? [] : [`the other end says that ${saysKey(there)} is set for us`]),
  ];
  const about = { peer: peer.publicKey, proof };
  const { name } = evidence.run;
  const file = `/etc/wg/${name}.psk`;
  const take = `tswg ${name} wgpeer ${peer.publicKey} wgpskfile ${file}`;
  if (here === false) {
    return {
      ...about,
      code: 'presharedKeyOneSided',
      sentence: `${nameOf(peer)} has a preshared key for us, and none is set for it here`,
      commands: [`${take} # a copy of the file that the other end has`],
    };
  }
  if (isOneSided) {
    const own = daemonOf(evidence)?.publicKey;
    return {
      ...about,
      code: 'presharedKeyOneSided',
      sentence: `a preshared key is set for ${nameOf(peer)} here, and it has none for us`,
      commands: [
        `tswg ${name} wgpeer ${own} wgpskfile ${file} # at the other end, a copy of our file`,
      ],
    };
  }
  return {
    ...about,
    code: 'presharedKeysDiffer',
    sentence: `the preshared key of ${nameOf(peer)} is not the same at both ends`,
    commands: [
      `(umask 077; tswg genpsk >${file}) # and a copy of it at the other end`,
      take,
      `tswg ${name} wgpeer ${daemonOf(evidence)?.publicKey} wgpskfile ${file} # at the other end`,
    ],
    ...(there === true
      ? {}
      : {
          undecided: [
            `${nameOf(peer)} has no preshared key at all: hasPresharedKey of \`tswg INTERFACE --json\` there says so; \`--other\` takes its output`,
          ],
        }),
  };
}

function saysKey(isSet: boolean): string {
  return isSet ? 'a preshared key' : 'no preshared key';
}

function undecipherable({ troubles }: OwnPeer): string | null {
  const told = troubles.find(({ code }) => code === 'undecipherable');
  if (told === undefined) return null;
  const count = Number(told.values.responses ?? 0);
  return `${counted(count, 'answer')} of the peer came that did not decrypt, although the public keys are right: only the preshared key is mixed in after them`;
}
