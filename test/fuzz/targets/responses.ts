/**
 * Answers of other daemons to `get` and `stats`, hostile ones among them, and all that is made of
 * them for the terminal: nothing of a secret, and no character that would steer it.
 */

import { describeInterface } from '../../../src/cli/json.ts';
import { formatKey } from '../../../src/cli/keys.ts';
import { formatInterface } from '../../../src/cli/show.ts';
import { formatStats } from '../../../src/cli/stats.ts';
import type { AddressView, InterfaceView } from '../../../src/cli/view.ts';
import { parseAddress } from '../../../src/packet/address.ts';
import { formatState, parseState, type ReportedState } from '../../../src/uapi/get.ts';
import { answer, EPROTO } from '../../../src/uapi/response.ts';
import {
  parseStats,
  type ReportedStats,
  formatStats as tellStats,
} from '../../../src/uapi/stats.ts';
import type { Dice } from '../../packet/trains.ts';
import { mutateText } from '../mutator.ts';
import { holds, holdsEqual, type RunningTarget, type Target } from '../target.ts';

const [KEY_A, KEY_B] = ['a1'.repeat(32), 'b2'.repeat(32)];
const NO_KEY = '0'.repeat(64);
const PEER =
  `public_key=${KEY_A}\npreshared_key=${KEY_B}\nprotocol_version=1\n` +
  'endpoint=203.0.113.10:51820\nlast_handshake_time_sec=1767225600\n' +
  'last_handshake_time_nsec=500000000\ntx_bytes=21229824\nrx_bytes=20700\n' +
  'persistent_keepalive_interval=25\nallowed_ip=10.99.0.2/32\nallowed_ip=fd00::/64\n';
const CORPUS = [
  `private_key=${KEY_B}\nlisten_port=51820\nfwmark=51820\ntswg_version=0.1.0\ndebug=true\n` +
    `${PEER}description=site B\npublic_key=${KEY_B}\npreshared_key=${NO_KEY}\nerrno=0\n\n`,
  // boringtun
  `own_public_key=${KEY_A}\nlisten_port=51820\n${PEER}errno=0\n\n`,
  // wireguard-go, with a scope by its name
  `private_key=${KEY_A}\nlisten_port=51820\n${PEER}endpoint=[fe80::1%eth0]:1\nerrno=0\n\n`,
  'errno=71\n\n',
  'errno=-22\n\n',
  `fact_crypto=openssl\nfact_socket=port 51820 is taken\npeers=2\nallowed_ips=3\ndrop_badMac1=7\n` +
    `drop_unheardOf=1\npublic_key=${KEY_A}\nfact_handshake=no answer to 7 initiations\n` +
    'packets_received=12\ndrop_replayedPacket=1\nerrno=0\n\n',
  'fact_crypto=openssl\ntrouble=noSocket why="open UDP port 53: \\"in use\\"" call="bind" error="EADDRINUSE"\ntrouble=underLoad\n' +
    `trouble=brandNew isNew=true atMs=-1.5\npublic_key=${KEY_A}\nfact_endpoint=192.0.2.1:7\n` +
    'trouble=noAnswer initiations=5 silentMs=25000\nbytes_sent=9\nerrno=0\n\n',
];
const ADDRESSES: readonly AddressView[] = [
  ...['10.99.0.1', 'fe80::1'].map((text) => parseAddress(text)!),
].map((address) => ({ address, length: 30, destination: address, broadcast: address }));
const DESCRIPTION_MAX = 60;
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]/u;
const interfaceIndex = (name: string) => (name === 'eth0' ? 3 : 0);

class Responses implements RunningTarget {
  generate(dice: Dice): string {
    return mutateText(dice.pick(CORPUS), CORPUS, dice);
  }

  run(text: string): string {
    const state = parseState(text, interfaceIndex);
    const stats = parseStats(text);
    holds(state.errno === stats.errno && state.errno >= 0, 'an errno that is none');
    const counts = [stats, ...stats.peers].flatMap(({ counters }) => Object.values(counters));
    holds(counts.every(Number.isFinite), 'a counter that is no number');
    this.#tellsAgain(stats);
    const publicKey = state.publicKey ?? null;
    const view: InterfaceView = {
      ...{ name: 'wg0', index: 4, flags: 0x1091, mtu: 1420, addresses: ADDRESSES },
      description: text.slice(0, DESCRIPTION_MAX),
      sendsRedirects: false,
      wireguard: { state, publicKey, stats },
      hasLostDaemon: false,
    };
    const shown = formatInterface(view, { peers: true, nowMs: 1_800_000_000_000 });
    const counted = formatStats('wg0', stats);
    holds(isPlain(shown), 'a control character is shown');
    holds(isPlain(counted), 'a control character is shown among the counters');
    const described = JSON.stringify(describeInterface(view, 1_800_000_000_000));
    holds(!showsSecret(state, shown) && !showsSecret(state, described), 'a secret is shown');
    if (isOurs(state)) this.#formatsBack(state);
    if (state.errno !== 0) return state.errno === EPROTO ? 'cut short' : 'refused';
    return `${Math.min(state.peers.length, 9)} peers, ${Math.min(stats.peers.length, 9)} counted`;
  }

  /** Troubles that were read, told again and read again, are the same. */
  #tellsAgain({ troubles }: ReportedStats): void {
    const flat = troubles
      .filter(({ values }) => !('code' in values))
      .map(({ code, values }) => ({ code, ...values }));
    const told = tellStats({ facts: {}, counters: {}, troubles: flat, peers: [] });
    const again = parseStats(answer(told)).troubles;
    holdsEqual(
      again.map(({ code, values }) => ({ code, ...values })),
      flat,
      'a trouble',
    );
  }

  /** What was read, said again and read again, is the same. */
  #formatsBack(state: ReportedState): void {
    const { errno, version, publicKey, knowsWays, ...plain } = state;
    const again = parseState(answer(formatState(state, version!)));
    const { errno: errnoAgain, version: versionAgain, ...others } = again;
    const { publicKey: _, knowsWays: knowsAgain, ...plainAgain } = others;
    holds(errnoAgain === 0 && versionAgain === version && knowsAgain === true, 'an answer of ours');
    holdsEqual(plainAgain, plain, 'a state written and read');
  }
}

/** Whether formatState could have written it: what it cannot write may not come back. */
function isOurs(state: ReportedState): boolean {
  const { version, handshakesAreAges, peers } = state;
  if (version === undefined || CONTROL.test(version) || handshakesAreAges) return false;
  return peers.every(
    ({ lastHandshakeMs, txBytes, rxBytes }) =>
      [lastHandshakeMs, txBytes, rxBytes].every((count) => count < 1e15) && state.errno === 0,
  );
}

function isPlain(text: string): boolean {
  return !CONTROL.test(text.replace(/[\n\t]/g, ''));
}

function showsSecret(state: ReportedState, text: string): boolean {
  const { privateKey, publicKey, peers } = state;
  const named = [...peers.map((peer) => peer.publicKey), publicKey].flatMap((key) =>
    key ? formatKey(key) : [],
  );
  const secrets = [privateKey, ...peers.map((peer) => peer.presharedKey)].flatMap((key) =>
    key ? formatKey(key) : [],
  );
  return secrets.some((secret) => !named.includes(secret) && text.includes(secret));
}

export const responses: Target = {
  name: 'responses',
  sources: [
    ...['uapi/get', 'uapi/stats', 'uapi/response', 'uapi/endpoint'],
    ...['cli/show', 'cli/json', 'cli/stats', 'cli/troubles'],
  ],
  create: () => new Responses(),
};
