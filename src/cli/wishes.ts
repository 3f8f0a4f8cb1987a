/** What a hostname.if(5) file asks for, as evidence for doctor: no key of it, and nothing carried out. */

import type { WishedPeer, Wishes } from '../doctor/evidence.ts';
import { formatAddress, formatPrefix } from '../packet/address.ts';
import { hideKeys } from '../quotation.ts';
import type { Draft, PeerDraft } from './command.ts';
import type { HostnameFile } from './hostnamefile.ts';
import { formatKey } from './keys.ts';

type Collected = { -readonly [Name in keyof Wishes]: Wishes[Name] } & {
  addresses: string[];
  commands: string[];
};

/** @param path of the file, for messages */
export function describeWishes(path: string, { lines, mistakes }: HostnameFile): Wishes {
  const wishes: Collected = {
    ...{ path, mistakes, listenPort: null, fwmark: null, mtu: null, isUp: false },
    ...{ addresses: [], peers: [], commands: [] },
  };
  const peers = new Map<string, WishedPeer>();
  for (const { action } of lines) {
    if (action.kind === 'command') wishes.commands.push(hideKeys(action.text));
    else collect(action.draft, wishes, peers);
  }
  return { ...wishes, peers: [...peers.values()] };
}

function collect(draft: Draft, wishes: Collected, peers: Map<string, WishedPeer>): void {
  const { listenPort, fwmark, mtu, up, addresses } = draft;
  if (listenPort !== undefined) wishes.listenPort = listenPort;
  if (fwmark !== undefined) wishes.fwmark = fwmark;
  if (mtu !== undefined) wishes.mtu = mtu;
  if (up !== undefined) wishes.isUp = up;
  for (const { mode, address, length } of addresses) {
    if (mode === 'remove' || address === null) continue;
    wishes.addresses.push(`${formatAddress(address)}/${length ?? address.length * 8}`);
    // An address takes the interface up, unless the line says otherwise.
    wishes.isUp = up ?? true;
  }
  if (draft.removeAllPeers) peers.clear();
  for (const peer of draft.peers) {
    const key = formatKey(peer.publicKey);
    if (peer.remove) peers.delete(key);
    else peers.set(key, describePeer(peer, peers.get(key)));
  }
}

function describePeer(peer: PeerDraft, before: WishedPeer | undefined): WishedPeer {
  const { endpoints, persistentKeepalive, presharedKey, allowedIps } = peer;
  const added = allowedIps
    .filter(({ remove }) => !remove)
    .map(({ prefix }) => formatPrefix(prefix));
  return {
    publicKey: formatKey(peer.publicKey),
    ways: endpoints?.map(({ host, port }) => ({ host, port })) ?? before?.ways ?? [],
    persistentKeepalive: persistentKeepalive ?? before?.persistentKeepalive ?? null,
    hasPresharedKey:
      presharedKey === undefined ? (before?.hasPresharedKey ?? false) : !removesKey(presharedKey),
    allowedIps: peer.allowedIpsMode === 'replace' ? added : (before?.allowedIps ?? []),
  };
}

/** The all-zero key takes one away. */
function removesKey(source: NonNullable<PeerDraft['presharedKey']>): boolean {
  return source.kind === 'given' && source.key.every((octet) => octet === 0);
}
