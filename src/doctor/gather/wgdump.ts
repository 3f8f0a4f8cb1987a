/**
 * `wg show IF dump` -> what a daemon would have told: so the kernel's own WireGuard is asked. Of
 * private and preshared keys only whether there are any is kept. Total: what makes no sense is left
 * out.
 */

import { formatKey, parseKey } from '../../keytext.ts';
import { parseState } from '../../uapi/get.ts';
import { formatKey as formatHexKey } from '../../uapi/key.ts';
import { textOf } from './procfile.ts';
import type { DaemonSample } from './sample.ts';

/** Columns of wg(8): of the interface; of a peer. */
const INTERFACE_COLUMNS = 4;
const PEER_COLUMNS = 8;
const NONE = ['(none)', 'off'];

export function parseDump(text: string): DaemonSample {
  const rows = text.split('\n').map((line) => line.split('\t'));
  const own = rows.find((columns) => columns.length === INTERFACE_COLUMNS);
  const [privateKey = '(none)', publicKey = '', listenPort = '', fwmark = ''] = own ?? [];
  const peers = rows.filter((columns) => columns.length === PEER_COLUMNS);
  const lines = [
    ...(/^\d+$/.test(listenPort) ? [`listen_port=${listenPort}`] : []),
    ...(/^0x[\da-f]+$/.test(fwmark) ? [`fwmark=${Number(fwmark)}`] : []),
    ...peers.flatMap(linesOfPeer),
  ];
  const { privateKey: _none, ...state } = parseState(`${lines.join('\n')}\nerrno=0\n\n`, indexOf);
  const key = parseKey(publicKey);
  const hasKey = !NONE.includes(privateKey) && key !== null;
  return {
    state,
    publicKey: hasKey ? formatKey(key) : null,
    // The kernel itself clamps what it is given.
    key: hasKey ? 'clamped' : 'none',
    stats: null,
  };
}

/** As the control socket of a daemon spells it. */
function linesOfPeer(columns: readonly string[]): string[] {
  const [publicKey, presharedKey, endpoint, allowedIps, handshake, rx, tx, keepalive] = columns;
  const key = parseKey(publicKey);
  if (key === null) return [];
  const said = (name: string, value: string): string[] =>
    NONE.includes(value) || value === '' ? [] : [`${name}=${value}`];
  return [
    `public_key=${formatHexKey(key)}`,
    // Not what it is.
    ...(NONE.includes(presharedKey) ? [] : [`preshared_key=${'1'.repeat(64)}`]),
    ...said('endpoint', endpoint),
    ...allowedIps.split(',').flatMap((prefix) => said('allowed_ip', prefix)),
    ...(/^\d+$/.test(handshake) ? [`last_handshake_time_sec=${handshake}`] : []),
    ...said('rx_bytes', rx),
    ...said('tx_bytes', tx),
    ...said('persistent_keepalive_interval', keepalive),
  ];
}

function indexOf(name: string): number {
  const isName = /^[^\s/]{1,15}$/.test(name) && !name.startsWith('.');
  return isName ? Number(textOf(`/sys/class/net/${name}/ifindex`) ?? 0) : 0;
}
