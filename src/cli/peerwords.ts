/**
 * The peer words that need more than their own argument to be judged: which peer is meant, and
 * whether two words of a command contradict each other. Pure; one draft per peer, in their order.
 */

import { parseNear } from '../device/near.ts';
import { type Near, WAYS_MAX } from '../device/ways.ts';
import { formatPrefix, parseAddress, parsePort, parsePrefix } from '../packet/address.ts';
import { visible } from '../quotation.ts';
import { formatWay } from '../uapi/way.ts';
import type { PeerDraft } from './command.ts';
import { prefixDoubt } from './doubts.ts';
import { keyMistake, parseKey, shortKey } from './keys.ts';
import { hostMistake, isMask } from './values.ts';
import { findWord } from './words.ts';

/** Longer text than any name or path that is typed for a key is not repeated at all. */
const QUOTED_MAX = 20;

export class PeerWords {
  readonly #drafts: PeerDraft[];
  readonly #byKey = new Map<string, PeerDraft>();
  /** Who gets a prefix by this command. */
  readonly #byPrefix = new Map<string, PeerDraft>();
  /** The peer that peer words are about. */
  current: PeerDraft | null = null;

  constructor(drafts: PeerDraft[]) {
    this.#drafts = drafts;
  }

  /** wgpeer or -wgpeer. */
  begin(word: string, text: string): string | null {
    const publicKey = parseKey(text);
    if (publicKey === null) {
      const shown = text.length > QUOTED_MAX ? '' : `${visible(text)}: `;
      return `${word}: ${shown}${keyMistake(word, text)}`;
    }
    const remove = word === '-wgpeer';
    // To remove one that another tool has put there is right.
    if (!remove && publicKey.every((octet) => octet === 0)) {
      return `${word}: expected the public key of the peer, not the all-zero key, which stands for none`;
    }
    const before = this.#byKey.get(text);
    if (before !== undefined && !before.remove) {
      return `${word}: ${shortKey(publicKey)}: named twice: expected all words about a peer after one wgpeer`;
    }
    this.current = { publicKey, remove, allowedIps: [] };
    this.#byKey.set(text, this.current);
    this.#drafts.push(this.current);
    return null;
  }

  /** One more wgendpoint of the current peer. `via`: what stands after that word, if it does. */
  endpoint(host: string, port: string, via: string | null): string | null {
    const peer = this.current!;
    const wrong = endpointWordsMistake(host, port);
    if (wrong !== null) return wrong;
    const bare = host.startsWith('[') ? host.slice(1, -1) : host;
    const near = via === null ? null : readNear(via, bare);
    if (near !== null && 'mistake' in near) return near.mistake;
    const one = { host: bare, port: Number(port), near };
    const before = peer.endpoints ?? [];
    const spelled = formatWay(one);
    if (before.some((other) => formatWay(other).toLowerCase() === spelled.toLowerCase())) {
      return `wgendpoint: ${spelled}: named twice: expected each way once, the preferred one first`;
    }
    if (before.length === WAYS_MAX) {
      return `wgendpoint: ${spelled}: expected at most ${WAYS_MAX} for one wgpeer`;
    }
    peer.endpoints = [...before, one];
    return null;
  }

  /** wgaip or -wgaip of the current peer. */
  allowedIp(word: string, text: string): string | null {
    const peer = this.current!;
    const mode = word === '-wgaip' ? 'remove' : 'replace';
    const prefix = parsePrefix(text);
    if (prefix === null) {
      return `${word}: ${visible(text)}: expected ADDRESS/LENGTH, such as 10.20.0.0/24 or fd00:20::/64`;
    }
    // wgaip says the whole set; which prefixes -wgaip would then be taken from cannot be told.
    if (peer.allowedIpsMode !== undefined && peer.allowedIpsMode !== mode) {
      return `${word}: ${visible(text)}: expected either wgaip (the whole set) or -wgaip (what to remove) for one wgpeer, not both`;
    }
    peer.allowedIpsMode = mode;
    peer.allowedIps.push({ prefix, remove: mode === 'remove' });
    if (mode === 'remove') return null;
    const spelled = formatPrefix(prefix);
    const other = this.#byPrefix.get(spelled) ?? peer;
    if (other !== peer) {
      return `${word}: ${spelled}: expected for one peer only, but wgpeer ${shortKey(other.publicKey)} has it already`;
    }
    this.#byPrefix.set(spelled, peer);
    const doubt = prefixDoubt(text, prefix);
    if (doubt !== null) peer.doubts = [...(peer.doubts ?? []), { prefix, text: doubt }];
    return null;
  }
}

/**
 * An address that follows peer words without inet, inet6 or alias before it: seldom one of the
 * interface, which it would replace. null when it is no address at all.
 *
 * @param before the word before it
 */
export function strayAddress(typed: string, before: string, name: string): string | null {
  const address = parseAddress(typed.replace(/\/.*$/, ''));
  if (address === null) return null;
  const isPrefix = before === 'wgaip' || before === '-wgaip';
  if (isPrefix && isMask(address)) {
    return `${visible(typed)}: a mask: expected ADDRESS/LENGTH as one word, as in ${before} 10.20.0.0/24`;
  }
  const meant = isPrefix
    ? `${before} before it, or inet if ${name} is to have it`
    : `wgaip before a prefix of the peer, or inet before an address of ${name}`;
  return `${visible(typed)}: expected ${meant}`;
}

const VIA_EXPECTED = 'expected an address of this machine or an interface after it';

/** The near end after `via`, or what is wrong with it. `host`: where the way leads. */
function readNear(text: string, host: string): Near | { readonly mistake: string } {
  const near = parseNear(text);
  if (near === null) return { mistake: `via: ${visible(text)}: ${VIA_EXPECTED}` };
  const far = parseAddress(host.split('%')[0]);
  return near.kind === 'interface' || far === null || far.length === near.address.length
    ? near
    : {
        mistake: `via: ${visible(text)}: expected an address of the same family as ${visible(host)}`,
      };
}

/** What is wrong with the two arguments of wgendpoint. */
function endpointWordsMistake(host: string, port: string): string | null {
  const number = parsePort(port);
  if (parsePort(host) !== null && number === null && hostMistake(port) === null) {
    return `wgendpoint: ${visible(`${host} ${port}`)}: expected HOST first, then PORT`;
  }
  if (number === null && findWord(host) !== undefined) {
    return `wgendpoint: ${host} follows it: expected HOST and PORT, as in \`wgendpoint vpn.example.net 51820\``;
  }
  const wrong = hostMistake(host);
  if (wrong !== null) return `wgendpoint: ${wrong}`;
  return number === null || number === 0
    ? `wgendpoint: port ${visible(port)}: expected 1 to 65535`
    : null;
}

/** The word by which two lines about one peer contradict each other; null when they do not. */
export function contradiction(before: PeerDraft, after: PeerDraft): string | null {
  const fields = [
    ['wgendpoint', before.endpoints, after.endpoints],
    ['wgaip', before.allowedIpsMode, after.allowedIpsMode],
    ['wgpsk', before.presharedKey, after.presharedKey],
    ['wgpka', before.persistentKeepalive, after.persistentKeepalive],
    ['wgdescr', before.description, after.description],
  ] as const;
  return fields.find(([, one, other]) => one !== undefined && other !== undefined)?.[0] ?? null;
}
