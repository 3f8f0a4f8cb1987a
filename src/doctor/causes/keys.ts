/**
 * Keys that do not belong together: which of the two ends has a wrong one, as far as a call that
 * fails here shows it, or the other end's own word. What fails there is silence here. Pure.
 */

import { counted } from '../../counted.ts';
import { printable } from '../../quotation.ts';
import type { Cause } from '../cause.ts';
import { hasSession, placeOf, unansweredBy } from '../contact.ts';
import type { Evidence, OwnPeer } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { ourEntryAt, peerOfOther } from '../otherend.ts';
import { daemonOf, nameOf, peersOf } from '../peer.ts';
import { peerAt, type Stranger, strangerOf, wrongCallsOf } from '../stranger.ts';

/** Of findings that follow from a wrong key: what is left to be seen is that nobody answers. */
const CONSEQUENCES = ['answersUnconfirmed', 'natMappingLost'];

export const KEYS: readonly Cause[] = [
  { code: 'sameKey', weight: 'everything', find: findSameKey, explains: 'lighter' },
  {
    code: 'peerIsOurself',
    weight: 'everything',
    find: findOurself,
    explains: ['noPeer'],
  },
  {
    code: 'keyNotPrivate',
    weight: 'handshake',
    find: findNotPrivate,
    explains: ['wrongKeyOfOurs', ...CONSEQUENCES],
  },
  {
    code: 'wrongKeyOfPeer',
    weight: 'handshake',
    find: findWrongKeyOfPeer,
    explains: ['wrongKeyOfOurs', ...CONSEQUENCES],
  },
  {
    code: 'wrongKeyOfOurs',
    weight: 'handshake',
    find: findWrongKeyOfOurs,
    explains: CONSEQUENCES,
  },
  { code: 'unknownKeyCalls', weight: 'handshake', find: findUnknown },
];

function findSameKey(evidence: Evidence): Finding[] {
  const own = daemonOf(evidence)?.publicKey ?? null;
  const other = known(evidence.other);
  if (own === null || other?.publicKey !== own) return [];
  const { name } = evidence.run;
  return [
    {
      code: 'sameKey',
      peer: null,
      sentence:
        'both ends have the same private key: a key file was copied, and neither end can call itself',
      proof: [
        `our public key is ${own}`,
        `that of ${printable(other.name)} at the other end is the same`,
      ],
      commands: newKeyCommands(name),
    },
  ];
}

/** @param unless what makes a new key unnecessary */
function newKeyCommands(name: string, unless = ''): string[] {
  return [
    `(umask 077; tswg genkey >/etc/wg/${name}.key)${unless}`,
    `tswg ${name} wgkeyfile /etc/wg/${name}.key`,
    `tswg ${name} # its wgpubkey is what the other end needs as wgpeer`,
  ];
}

/** A daemon takes no peer with its own key, and drops one when it is given the same. */
function findOurself(evidence: Evidence): Finding[] {
  const daemon = daemonOf(evidence);
  const own = daemon?.publicKey ?? null;
  if (daemon === null || own === null) return [];
  const file = known(evidence.files)?.hostname;
  const isWished = file?.peers.some(({ publicKey }) => publicKey === own) === true;
  // Of whom there are events, that was a peer once.
  const wasPeer = (known(evidence.events) ?? []).some(({ peer }) => peer === own);
  if (!isWished && !wasPeer) return [];
  const { name } = evidence.run;
  return [
    {
      code: 'peerIsOurself',
      peer: null,
      sentence: `a wgpeer of ${name} has the public key of ${name} itself: expected that of the other end`,
      proof: [
        `the public key of ${name} is ${own}`,
        ...(isWished ? [`${printable(file!.path)} names it as wgpeer, too`] : []),
        ...(wasPeer
          ? ['the daemon had a peer of this key, which went when the key became its own']
          : []),
        `the daemon lists ${counted(daemon.peers.length, 'peer')}, and none of this key`,
      ],
      commands: isWished
        ? [`\${EDITOR:-vi} ${printable(file!.path)}`, `tswg netstart ${name}`]
        : newKeyCommands(name),
    },
  ];
}

/** 31 of 32 public keys, and no private key of genkey, have bits that a private key does not use. */
function findNotPrivate(evidence: Evidence): Finding[] {
  const daemon = daemonOf(evidence);
  if (daemon?.key !== 'unclamped' || daemon.peers.length === 0) return [];
  const isWorking = daemon.peers.some(({ lastHandshakeMs }) => lastHandshakeMs > 0);
  if (isWorking || !daemon.peers.some((peer) => unansweredBy(evidence, peer) !== null)) return [];
  const { name } = evidence.run;
  return [
    {
      code: 'keyNotPrivate',
      peer: null,
      sentence: `the private key of ${name} is none that genkey makes: it looks like a public key, put into the wrong file`,
      proof: [
        'bits are set in it that no private key of genkey has, as they are in 31 of 32 public keys',
        `with it our public key is ${daemon.publicKey}, and no peer has ever answered to that`,
      ],
      commands: newKeyCommands(
        name,
        ' # unless the right private key is still in a file: then only wgkeyfile with that file',
      ),
      undecided: [
        'it is 32 random bytes that another program made, which would work: compare our public key with the wgpeer that the other end has of us',
      ],
    },
  ];
}

/** It calls with another key than the one we have; or its own end says that it has another. */
function findWrongKeyOfPeer(evidence: Evidence): Finding[] {
  const byOther = wrongByOther(evidence);
  if (byOther !== null) return [byOther];
  const stranger = strangerOf(evidence);
  if (stranger === null) return [];
  const peer = missedPeerAt(evidence, stranger);
  if (peer === null) return [];
  const { address, port, publicKey, agoSeconds } = stranger;
  const proof = [
    `${counted(agoSeconds, 'second')} ago ${address} port ${port} called with ${publicKey}, which is no peer here`,
    `${nameOf(peer)} is configured at ${placeOf(peer)}, and has no session`,
  ];
  return [wrongKeyFinding(evidence, peer, publicKey, proof, `it calls with ${publicKey}`)];
}

/** Who is to be where a stranger calls from, and has no session. */
function missedPeerAt(evidence: Evidence, stranger: Stranger): OwnPeer | null {
  return peerAt(peersOf(evidence), stranger, (peer) => !hasSession(evidence, peer));
}

function wrongByOther(evidence: Evidence): Finding | null {
  const other = known(evidence.other);
  const key = other?.publicKey ?? null;
  const peer = peerOfOther(evidence);
  if (key === null || peer === null || peer.publicKey === key) return null;
  if (peersOf(evidence).some(({ publicKey }) => publicKey === key)) return null;
  if (daemonOf(evidence)?.publicKey === key) return null;
  const proof = [
    `the other end says that its public key is ${key}`,
    `here ${peer.publicKey} is configured for it`,
  ];
  return wrongKeyFinding(evidence, peer, key, proof, `it has ${key}`);
}

function wrongKeyFinding(
  evidence: Evidence,
  peer: OwnPeer,
  key: string,
  proof: readonly string[],
  what: string,
): Finding {
  const { name } = evidence.run;
  return {
    code: 'wrongKeyOfPeer',
    peer: peer.publicKey,
    sentence: `we have a wrong public key of ${nameOf(peer)}: ${what}`,
    proof,
    commands: [`tswg ${name} -wgpeer ${peer.publicKey} ${peerWords(evidence, peer, key)}`],
  };
}

/** The words that make the same peer of another key. Its preshared key is not known to us. */
function peerWords(evidence: Evidence, peer: OwnPeer, key: string): string {
  const { endpoint, ways, persistentKeepalive, allowedIps, description } = peer;
  const [way] = ways;
  const where = way ?? (endpoint === null ? null : { host: endpoint.address, port: endpoint.port });
  const words = [
    `wgpeer ${key}`,
    ...(where === null ? [] : [`wgendpoint ${printable(where.host)} ${where.port}`]),
    ...(peer.hasPresharedKey === true ? [`wgpskfile /etc/wg/${evidence.run.name}.psk`] : []),
    ...(persistentKeepalive === 0 ? [] : [`wgpka ${persistentKeepalive}`]),
    ...allowedIps.map((prefix) => `wgaip ${prefix}`),
    ...(description === '' ? [] : [`wgdescr '${printable(description).replaceAll("'", "'\\''")}'`]),
  ];
  return words.join(' ');
}

function findWrongKeyOfOurs(evidence: Evidence): Finding[] {
  const own = daemonOf(evidence)?.publicKey ?? null;
  if (own === null) return [];
  return [...wrongOfOursByOther(evidence, own), ...wrongOfOursByMac(evidence, own)].slice(0, 1);
}

function wrongOfOursByOther(evidence: Evidence, own: string): Finding[] {
  const other = known(evidence.other);
  const peer = peerOfOther(evidence);
  if (other === null || peer === null || ourEntryAt(evidence) !== null) return [];
  const keys = other.peers.map(({ publicKey }) => publicKey);
  const [only] = other.peers;
  return [
    {
      code: 'wrongKeyOfOurs',
      peer: peer.publicKey,
      sentence: `${nameOf(peer)} does not have our public key: ${own} is none of its ${counted(keys.length, 'peer')}`,
      proof: [
        `our public key is ${own}`,
        keys.length === 0
          ? 'the other end has no peer'
          : `the other end has ${keys.slice(0, 3).join(' and ')}`,
      ],
      commands: [
        keys.length === 1
          ? `tswg ${printable(other.name)} -wgpeer ${only.publicKey} wgpeer ${own} ${only.allowedIps.map((prefix) => `wgaip ${prefix}`).join(' ')} # at the other end`
          : `tswg ${printable(other.name)} wgpeer ${own} # at the other end`,
      ],
    },
  ];
}

function wrongOfOursByMac(evidence: Evidence, own: string): Finding[] {
  const peers = peersOf(evidence);
  const calls = wrongCallsOf(evidence);
  if (calls === null || peers.every((peer) => hasSession(evidence, peer))) return [];
  const peer =
    calls.from === null ? null : peerAt(peers, calls.from, (one) => !hasSession(evidence, one));
  const from = calls.from === null ? 'somebody' : `${calls.from.address} port ${calls.from.port}`;
  const who = peer === null ? from : `${nameOf(peer)}, at ${from},`;
  return [
    {
      code: 'wrongKeyOfOurs',
      peer: peer?.publicKey ?? null,
      sentence: `${who} calls and has a wrong public key of ours: expected ${own} as its wgpeer`,
      proof: calls.proof,
      commands: [
        `tswg ${evidence.run.name} wgpeer ${own} # at the other end, in place of the wrong one`,
      ],
    },
  ];
}

function findUnknown(evidence: Evidence): Finding[] {
  const stranger = strangerOf(evidence);
  if (stranger === null || missedPeerAt(evidence, stranger) !== null) return [];
  const { publicKey, address, port, agoSeconds } = stranger;
  if (known(evidence.other)?.publicKey === publicKey && wrongByOther(evidence) !== null) return [];
  const { name } = evidence.run;
  const file = known(evidence.files)?.hostname;
  const wish = file?.peers.find((one) => one.publicKey === publicKey);
  return [
    {
      code: 'unknownKeyCalls',
      peer: null,
      sentence: `a key that is no peer here calls from ${address} port ${port}: ${publicKey}`,
      proof: [
        `${counted(agoSeconds, 'second')} ago an initiation came that was made for our public key, by this key`,
        ...refusals(evidence),
        ...(wish === undefined ? [] : [`${printable(file!.path)} names it as wgpeer`]),
      ],
      commands: wish === undefined ? [admission(name, stranger)] : [`tswg netstart ${name}`],
    },
  ];
}

function refusals(evidence: Evidence): string[] {
  const count = daemonOf(evidence)?.counters.drop_unknownPeer ?? 0;
  return count === 0
    ? []
    : [
        `${counted(count, 'initiation by an unknown key was', 'initiations by unknown keys were')} refused (unknownPeer)`,
      ];
}

function admission(name: string, { publicKey, address, port }: Stranger): string {
  return `tswg ${name} wgpeer ${publicKey} wgendpoint ${address} ${port} # and wgaip, its addresses inside the tunnel`;
}
