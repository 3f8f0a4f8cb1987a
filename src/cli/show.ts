/**
 * An interface as ifconfig shows it: one line with its flags, then a tab before each line that has
 * something to say. Secret keys are never among them. Pure.
 */

import type { PeerState } from '../device/configuration.ts';
import { formatNear } from '../device/near.ts';
import { formatAddress, formatPrefix } from '../packet/address.ts';
import { printable } from '../quotation.ts';
import { formatKey } from './keys.ts';
import { localTime } from './localtime.ts';
import { troubleLine, wordDeviceTrouble, wordPeerTrouble } from './troubles.ts';
import {
  type AddressView,
  conditionOf,
  type InterfaceView,
  lastHandshakeMs,
  shownFlags,
  statsByPeer,
  type WireguardView,
} from './view.ts';
import { wayLines } from './ways.ts';

/** Whether the peers are shown: ifconfig does so only for an interface that was named. */
export interface ShowOptions {
  readonly peers: boolean;
  /** Wall clock, ms since 1970. */
  readonly nowMs: number;
}

const REDIRECTS =
  'peers are told by ICMP to send to each other directly, which they cannot: ' +
  'set net.ipv4.conf.all.send_redirects to 0';

/** In place of keys, to an observer. */
const HIDDEN = '(not shown: secret keys are for root only)';

/** Lines with their newlines. */
export function formatInterface(view: InterfaceView, options: ShowOptions): string {
  const { bits, names } = shownFlags(view);
  const lines = [`${view.name}: flags=${bits.toString(16)}<${names.join(',')}> mtu ${view.mtu}`];
  if (view.description !== '') lines.push(`\tdescription: ${printable(view.description)}`);
  const first = view.wireguard?.stats?.troubles.map((one) => wordDeviceTrouble(one, view.name));
  // After the first line, which programs read, and before all that is as it should be.
  for (const wording of first ?? []) {
    if (wording.isShownFirst) lines.push(`\t${troubleLine(wording)}`);
  }
  lines.push(`\tindex ${view.index}`);
  if (view.wireguard !== null) pushWireguard(view.name, view.wireguard, options, lines);
  if (view.sendsRedirects) lines.push(`\tredirects: ${REDIRECTS}`);
  for (const address of view.addresses) lines.push(`\t${formatAddressLine(address, view)}`);
  return `${lines.join('\n')}\n`;
}

function pushWireguard(
  name: string,
  wireguard: WireguardView,
  options: ShowOptions,
  lines: string[],
): void {
  const { state, publicKey, stats } = wireguard;
  const { listenPort, fwmark, bind, keysAreHidden, peers, ...others } = state;
  // `debug` is among the flags, the keys are in the view, the others say how all of it is meant.
  const {
    debug,
    privateKey,
    publicKey: _own,
    errno,
    version,
    knowsWays,
    handshakesAreAges,
    ...forgotten
  } = others;
  // A field that is added has to be shown, or taken out above.
  forgotten satisfies Record<string, never>;
  if (listenPort !== 0) lines.push(`\twgport ${listenPort}`);
  if (fwmark !== 0) lines.push(`\twgfwmark 0x${fwmark.toString(16)}`);
  if (bind !== null) lines.push(`\twgbind ${formatNear(bind)}`);
  if (keysAreHidden) lines.push(`\twgkey ${HIDDEN}`);
  if (publicKey !== null) lines.push(`\twgpubkey ${formatKey(publicKey)}`);
  if (!options.peers) return;
  const told = statsByPeer(stats);
  for (const peer of peers) {
    const handshakeMs = lastHandshakeMs(state, peer.lastHandshakeMs, options.nowMs);
    const ageMs = handshakeMs === 0 ? null : options.nowMs - handshakeMs;
    const counted = told.get(formatKey(peer.publicKey));
    const troubles = (counted?.troubles ?? []).map((one) => wordPeerTrouble(one, name));
    // Of thousands of peers the lines of one at a time.
    lines.push(
      linesOfPeer(peer, ageMs, conditionOf(counted), troubles.map(troubleLine)).join('\n'),
    );
  }
}

function linesOfPeer(
  peer: PeerState,
  handshakeAgeMs: number | null,
  condition: ReturnType<typeof conditionOf>,
  troubles: readonly string[],
): string[] {
  const { publicKey, description, presharedKey, persistentKeepalive, endpoint, ...others } = peer;
  const { ways, txBytes, rxBytes, lastHandshakeMs, allowedIps, ...forgotten } = others;
  // A field that is added has to be shown, or taken out above.
  forgotten satisfies Record<string, never>;
  const lines = [`\twgpeer ${formatKey(publicKey)}`];
  if (description !== '') lines.push(`\t\twgdescr: ${printable(description)}`);
  // As those of the interface: before all that is as it should be.
  for (const line of troubles) lines.push(`\t\t${line}`);
  if (presharedKey !== null) lines.push('\t\twgpsk (present)');
  if (persistentKeepalive !== 0) lines.push(`\t\twgpka ${persistentKeepalive} (sec)`);
  if (ways.length > 0) {
    for (const line of wayLines(ways, endpoint)) lines.push(`\t\t${line}`);
  } else if (endpoint !== null) {
    const { address, scope, port } = endpoint;
    const zone = scope === 0 ? '' : `%${scope}`;
    lines.push(`\t\twgendpoint ${formatAddress(address)}${zone} ${port}`);
  }
  lines.push(`\t\ttx: ${txBytes}, rx: ${rxBytes}`);
  if (handshakeAgeMs !== null) {
    // The wall clock may have been set back since.
    const seconds = Math.max(0, Math.floor(handshakeAgeMs / 1000));
    // Of one second, too: programs know this line from OpenBSD's ifconfig.
    lines.push(`\t\tlast handshake: ${seconds} seconds ago`);
  }
  if (condition !== null) {
    const { state, since } = condition;
    lines.push(`\t\tstate: ${state} since ${localTime(1_000 * since)}`);
  }
  for (const prefix of allowedIps) lines.push(`\t\twgaip ${formatPrefix(prefix)}`);
  return lines;
}

function formatAddressLine(one: AddressView, view: InterfaceView): string {
  const address = formatAddress(one.address);
  const destination = one.destination === null ? '' : ` --> ${formatAddress(one.destination)}`;
  if (one.address.length === 4) {
    const broadcast = one.broadcast === null ? '' : ` broadcast ${formatAddress(one.broadcast)}`;
    return `inet ${address}${destination} netmask ${formatNetmask(one.length)}${broadcast}`;
  }
  // Link-local addresses (fe80::/10) mean something on one interface only.
  const isLinkLocal = one.address[0] === 0xfe && (one.address[1] & 0xc0) === 0x80;
  const zone = isLinkLocal ? `%${view.name}` : '';
  const scope = isLinkLocal ? ` scopeid 0x${view.index.toString(16)}` : '';
  return `inet6 ${address}${zone}${destination} prefixlen ${one.length}${scope}`;
}

function formatNetmask(length: number): string {
  const mask = length === 0 ? 0 : (0xffff_ffff << (32 - length)) >>> 0;
  return `0x${mask.toString(16).padStart(8, '0')}`;
}
