/**
 * What a change would do to the peers that are there. What can only be wrong is refused before
 * anything is touched; what seldom is meant is told, and carried out. Pure: the facts come from a
 * `get` and from the list of addresses.
 */

import { sameBytes } from '../bytes.ts';
import { isZero } from '../crypto/bytes.ts';
import type { DeviceChange, PeerChange, PeerState } from '../device/configuration.ts';
import type { Endpoint } from '../device/endpoint.ts';
import { formatNear } from '../device/near.ts';
import { nearMistake } from '../device/nearmistake.ts';
import type { Near } from '../device/ways.ts';
import type { Prefix } from '../packet/address.ts';
import {
  broadcastOf,
  formatAddress,
  formatPrefix,
  maskAddress,
  parseAddress,
} from '../packet/address.ts';
import { visible } from '../quotation.ts';
import type { Draft } from './command.ts';
import { isClamped, isPublicPoint } from './curve.ts';
import { formatKey, publicKeyOf, shortKey } from './keys.ts';
import { Refusal } from './refusal.ts';

export interface Warning {
  /** One line for the operator. */
  readonly text: string;
  /** Nothing was lost and nothing is likely to be wrong if a file says so at every boot. */
  readonly isMoot: boolean;
}

export interface OwnAddress {
  readonly address: Uint8Array;
  /** Of its network's prefix. */
  readonly length: number;
  readonly index: number;
}

/** What is known of an interface before it is changed. */
export interface Standing {
  readonly name: string;
  /** Of its link; 0 for one that does not exist yet. */
  readonly index: number;
  readonly bind: Near | null;
  readonly peers: readonly PeerState[];
  /** Our own; null when there is none. */
  readonly publicKey: Uint8Array | null;
  /** 0 when it is not known. */
  readonly listenPort: number;
  /** Those of this machine, each with its link's index. */
  readonly addresses: readonly OwnAddress[];
  /** Names of those of this machine. */
  readonly interfaces: readonly string[];
}

/** As many prefixes are named in one line. */
const NAMED_MAX = 3;
/** Keys of two peers differ in more characters than these. */
const ALIKE_MAX = 3;

/** @param change what `draft` has become @throws Refusal */
export function weighPeers(draft: Draft, change: DeviceChange, before: Standing): Warning[] {
  const left = change.replacePeers ? [] : before.peers;
  const standing: Peers = new Map(left.map((peer) => [formatKey(peer.publicKey), peer]));
  const own = ownKeyAfter(change, before);
  for (const peer of change.peers) {
    if (peer.remove) continue;
    if (own !== null && sameBytes(own, peer.publicKey)) {
      throw new Refusal(
        `wgpeer: ${shortKey(own)}: this is the key of ${before.name} itself: expected that of the other end`,
      );
    }
    if (!standing.has(formatKey(peer.publicKey))) checkPublicKey(peer.publicKey);
    for (const endpoint of saidAddresses(peer)) {
      checkEndpoint(endpoint, change.listenPort ?? before.listenPort, before.addresses);
    }
  }
  checkNewKey(draft, change, own, standing);
  checkNears(change, before);
  return [
    ...warnOfPrivateKey(draft, change, own, before),
    ...change.peers.flatMap((peer) => warnOfPeer(peer, change, standing, before.name)),
    ...change.peers.flatMap((peer) => warnOfNears(peer, before)),
    ...warnOfDoubts(draft, standing),
    ...warnOfLosses(change, standing),
  ];
}

type Peers = ReadonlyMap<string, PeerState>;

function ownKeyAfter({ privateKey, peers }: DeviceChange, before: Standing): Uint8Array | null {
  if (privateKey !== undefined) return isZero(privateKey) ? null : publicKeyOf(privateKey);
  return peers.length === 0 ? null : before.publicKey;
}

/** The Device would drop the peer without a word. @throws Refusal */
function checkNewKey(draft: Draft, change: DeviceChange, own: Uint8Array | null, peers: Peers) {
  if (change.privateKey === undefined || own === null) return;
  const isRemoved = change.peers.some((peer) => peer.remove && sameBytes(peer.publicKey, own));
  if (isRemoved || !peers.has(formatKey(own))) return;
  throw new Refusal(
    `${keyWord(draft)}: this is the private key of wgpeer ${shortKey(own)}: expected one that only this end has`,
  );
}

/** The word that gives the private key. */
export function keyWord({ privateKey }: Draft): string {
  return privateKey?.kind === 'file' ? privateKey.word : 'wgkey';
}

/** @throws Refusal for a private key. One in sixteen cannot be told from a public one. */
function checkPublicKey(key: Uint8Array): void {
  if (!isClamped(key) || isPublicPoint(key)) return;
  throw new Refusal(
    'wgpeer: this is a private key, which is no longer secret: expected the public key, which `tswg pubkey` prints',
  );
}

type SaidAddress = Pick<Endpoint, 'address' | 'port' | 'scope'>;

/** Where the peer is said to be, as far as it is said by address. A zone's interface is not known. */
function saidAddresses({ endpoint, ways }: PeerChange): SaidAddress[] {
  const said = (ways ?? []).flatMap(({ host, port }) => {
    const address = host.includes('%') ? null : parseAddress(host);
    return address === null ? [] : [{ address, port, scope: 0 }];
  });
  return endpoint ? [endpoint, ...said] : said;
}

/** @throws Refusal */
function checkEndpoint(
  endpoint: SaidAddress,
  port: number,
  addresses: readonly OwnAddress[],
): void {
  // Linux sends none of our datagrams there (EACCES).
  const network = addresses.find((one) => isBroadcastOf(one, endpoint.address));
  if (network !== undefined) {
    throw new Refusal(
      `wgendpoint: ${formatAddress(endpoint.address)}: this is the broadcast address of our own ${formatAddress(network.address)}/${network.length}: expected the address of the peer`,
    );
  }
  if (port === 0 || endpoint.port !== port) return;
  // Other links may have the same fe80:: address.
  const isOurs = ({ address, index }: OwnAddress): boolean =>
    sameBytes(address, endpoint.address) && (endpoint.scope === 0 || endpoint.scope === index);
  if (!addresses.some(isOurs)) return;
  throw new Refusal(
    `wgendpoint: ${formatAddress(endpoint.address)} ${port}: our own address and port: expected those of the peer`,
  );
}

/** @throws Refusal */
function checkNears(change: DeviceChange, { name, index, bind, peers, addresses }: Standing): void {
  const mistake = nearMistake(change, {
    ...{ bind, peers },
    isOwnInterface: (one) => one === name,
    isOwnAddress: (address) =>
      addresses.some((one) => one.index === index && sameBytes(one.address, address)),
  });
  if (mistake !== null) throw new Refusal(mistake);
}

/** What comes later is no mistake: a modem, a lease. */
function warnOfNears({ ways }: PeerChange, { interfaces, addresses }: Standing): Warning[] {
  return (ways ?? []).flatMap(({ near }) => {
    if (near === null) return [];
    const isThere =
      near.kind === 'interface'
        ? interfaces.includes(near.name)
        : addresses.some(({ address }) => sameBytes(address, near.address));
    const what = near.kind === 'interface' ? 'interface' : 'address';
    const text = `via ${formatNear(near)}: this machine has no such ${what} now; that way is used once it has`;
    return isThere ? [] : [{ text, isMoot: true }];
  });
}

/** Networks of one or two addresses have none (RFC 3021). */
function isBroadcastOf({ address, length }: OwnAddress, other: Uint8Array): boolean {
  return other.length === 4 && length < 31 && sameBytes(broadcastOf(address, length), other);
}

function warnOfPrivateKey(
  draft: Draft,
  { privateKey }: DeviceChange,
  own: Uint8Array | null,
  before: Standing,
): Warning[] {
  if (privateKey === undefined || own === null || isClamped(privateKey)) return [];
  const isKnown = before.publicKey !== null && sameBytes(own, before.publicKey);
  if (isKnown || !isPublicPoint(privateKey)) return [];
  return [
    odd(
      `${keyWord(draft)}: genkey makes no such key: is it the public one? Expected the private one`,
    ),
  ];
}

/** What the words about one peer say by themselves. */
function warnOfPeer(
  peer: PeerChange,
  change: DeviceChange,
  standing: Peers,
  name: string,
): Warning[] {
  const text = formatKey(peer.publicKey);
  const shown = shortKey(peer.publicKey);
  const known = standing.get(text);
  if (peer.remove) {
    return known === undefined && !change.replacePeers
      ? [moot(`-wgpeer: ${shown}: ${name} has no such peer`)]
      : [];
  }
  if (known === undefined && !change.replacePeers) {
    const isRemoved = (other: string): boolean =>
      change.peers.some((one) => one.remove && formatKey(one.publicKey) === other);
    const alike = [...standing.keys()].find((key) => areAlike(key, text) && !isRemoved(key));
    if (alike !== undefined) {
      const other = standing.get(alike)!;
      return [
        odd(
          `wgpeer: ${shown}: a new peer, whose key is nearly that of ${nameOf(other)}: ${difference(text, alike)}`,
        ),
      ];
    }
  }
  if (known === undefined && peer.allowedIps.every(({ remove }) => remove)) {
    return [
      moot(
        `wgpeer: ${shown}: a new peer without wgaip: no packet is sent to it or accepted from it`,
      ),
    ];
  }
  const had = new Set((known?.allowedIps ?? []).map(formatPrefix));
  return peer.allowedIps
    .filter(({ prefix, remove }) => remove && !had.has(formatPrefix(prefix)))
    .map(({ prefix }) => moot(`-wgaip: ${formatPrefix(prefix)}: wgpeer ${shown} does not have it`));
}

/** Of values that were there before nobody needs to hear again. */
function warnOfDoubts(draft: Draft, standing: Peers): Warning[] {
  return draft.peers.flatMap((peer) => {
    if (peer.doubts === undefined) return [];
    const known = standing.get(formatKey(peer.publicKey))?.allowedIps ?? [];
    return peer.doubts
      .filter(({ prefix }) => !known.some((one) => samePrefix(one, prefix)))
      .map(({ text }) => odd(`wgaip: ${text}`));
  });
}

/** Prefixes that peers have and nobody said that they should lose. */
function warnOfLosses(change: DeviceChange, standing: Peers): Warning[] {
  if (
    change.peers.every(
      ({ allowedIps, replaceAllowedIps }) => allowedIps.length === 0 && !replaceAllowedIps,
    )
  )
    return [];
  const changes = new Map<string, PeerChange>();
  const removed = new Set<string>();
  const given = new Map<string, string>();
  for (const peer of change.peers) {
    const key = formatKey(peer.publicKey);
    changes.set(key, peer);
    if (peer.remove) removed.add(key);
    for (const { prefix, remove } of peer.allowedIps) {
      if (!remove) given.set(formatPrefix(prefix), key);
    }
  }
  return [...standing].flatMap(([key, peer]) => {
    if (removed.has(key)) return [];
    const own = changes.get(key);
    const lost = peer.allowedIps.filter((prefix) => given.get(formatPrefix(prefix)) !== key);
    if (own?.replaceAllowedIps) {
      // What another peer gets by the same command has moved, not gone.
      const gone = lost.filter(
        (prefix) => !given.has(formatPrefix(prefix)) && !covers(own, prefix),
      );
      return gone.length === 0
        ? []
        : [odd(`wgaip: ${listed(gone)}: removed from ${nameOf(peer)}: wgaip gives the whole set`)];
    }
    const taken = lost.filter((prefix) => given.has(formatPrefix(prefix)) && !gives(own, prefix));
    return taken.length === 0 ? [] : [odd(`wgaip: ${listed(taken)}: taken from ${nameOf(peer)}`)];
  });
}

/** Whether what the peer is given includes the prefix. */
function covers(peer: PeerChange, { address, length }: Prefix): boolean {
  return peer.allowedIps.some(
    ({ prefix }) =>
      prefix.length <= length && sameBytes(maskAddress(address, prefix.length), prefix.address),
  );
}

/** Whether the peer gives the prefix away by -wgaip. */
function gives(peer: PeerChange | undefined, prefix: Prefix): boolean {
  return peer?.allowedIps.some((one) => one.remove && samePrefix(one.prefix, prefix)) ?? false;
}

function nameOf({ publicKey, description }: PeerState): string {
  return `wgpeer ${shortKey(publicKey)}${description === '' ? '' : ` (${visible(description)})`}`;
}

function listed(prefixes: readonly Prefix[]): string {
  const named = prefixes.slice(0, NAMED_MAX).map(formatPrefix).join(', ');
  const more = prefixes.length - NAMED_MAX;
  return more > 0 ? `${named} and ${more} more` : named;
}

/** Whether both are one key, but for a slip of the hand. */
function areAlike(a: string, b: string): boolean {
  let different = 0;
  for (let at = 0; at < a.length; at++) {
    if (a[at] !== b[at] && ++different > ALIKE_MAX) return false;
  }
  return true;
}

/** Where two keys differ: what is shown of them may not. */
function difference(typed: string, other: string): string {
  const places = [...typed].flatMap((_, at) => (typed[at] === other[at] ? [] : [at]));
  const [first] = places;
  const more = places.length > 1 ? `, and ${places.length - 1} more` : '';
  return `character ${first + 1} is ${typed[first]} here, ${other[first]} there${more}`;
}

function odd(text: string): Warning {
  return { text, isMoot: false };
}

function moot(text: string): Warning {
  return { text, isMoot: true };
}

function samePrefix(a: Prefix, b: Prefix): boolean {
  return a.length === b.length && sameBytes(a.address, b.address);
}
