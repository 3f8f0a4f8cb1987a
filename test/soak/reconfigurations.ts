/**
 * What an operator changes in a running tunnel, each with the system's own tools. Every change is
 * undone by the next of its kind, or by itself, so that the tunnel is after hours what it was.
 */

import { sleep } from '../lab/command.ts';
import { createKeyPair, createPresharedKey, TUNNEL_PORT } from '../lab/tunnel.ts';
import { IFNAME } from './keeper.ts';
import { type End, SIDES, type Site } from './site.ts';

export interface Reconfiguration {
  readonly name: string;
  /** Whether packets under way may be lost to it. */
  readonly mayLose: boolean;
  /** @param turn how often this was done before */
  readonly apply: (end: End, site: Site, turn: number) => Promise<void>;
}

const OTHER_PORT = TUNNEL_PORT + 1;
/** Plenty for the first packet from a new port. */
const FOLLOW_MS = 500;
const MARK = '0x50a';
const KEEPALIVE_S = 25;
const MTUS = [1_380, 1_420] as const;
const PRESHARED_KEY = '/run/soak-psk';
const SYNCED = '/run/soak-sync.conf';
const CLIENTS = 4;

/** Writes the configuration as it is, with one peer more, and lets wg(8) find the difference. */
const SYNC = `
umask 077
wg showconf ${IFNAME} >${SYNCED}
cp ${SYNCED} ${SYNCED}.more
printf '[Peer]\\nPublicKey = %s\\nAllowedIPs = 10.78.0.0/24\\n' "$1" >>${SYNCED}.more
wg syncconf ${IFNAME} ${SYNCED}.more
wg syncconf ${IFNAME} ${SYNCED}
`;

export const RECONFIGURATIONS: readonly Reconfiguration[] = [
  {
    name: 'peer added and removed',
    mayLose: false,
    apply: async (end) => {
      const { publicKey } = createKeyPair();
      await end.set(`peer ${publicKey} allowed-ips 10.79.0.0/24,fd00:79::/64`);
      await end.set(`peer ${publicKey} remove`);
    },
  },
  {
    name: 'allowed IPs of another peer',
    mayLose: false,
    apply: (end, _, turn) =>
      end.set(`peer ${end.bystanderKey} allowed-ips 10.77.${turn % 256}.0/24,fd00:77::/64`),
  },
  {
    // The other side follows the first packet from there. Its state knows that after a minute, or
    // with the next change by the operator, such as one that changes nothing; a daemon killed before
    // that calls the old port, and docs/crash-safety.md says so.
    name: 'port',
    mayLose: true,
    apply: async (end, site, turn) => {
      await end.set(`listen-port ${(turn >> 1) % 2 === 0 ? OTHER_PORT : TUNNEL_PORT}`);
      await sleep(FOLLOW_MS);
      const other = site[end.side === 'left' ? 'right' : 'left'];
      await other.set(`peer ${other.bystanderKey} persistent-keepalive off`);
    },
  },
  {
    name: 'mark',
    mayLose: false,
    apply: (end, _, turn) => end.set(`fwmark ${(turn >> 1) % 2 === 0 ? MARK : 'off'}`),
  },
  {
    name: 'keepalive',
    mayLose: false,
    apply: (end, _, turn) => {
      const interval = (turn >> 1) % 2 === 0 ? KEEPALIVE_S : 'off';
      return end.set(`peer ${end.peerKey} persistent-keepalive ${interval}`);
    },
  },
  {
    name: 'preshared key',
    mayLose: false,
    apply: async (_, site) => {
      const key = createPresharedKey();
      for (const side of SIDES) {
        const { host, peerKey } = site[side];
        await host.writeFile(PRESHARED_KEY, key);
        await site[side].set(`peer ${peerKey} preshared-key ${PRESHARED_KEY}`);
      }
    },
  },
  {
    name: 'wg syncconf',
    mayLose: false,
    apply: async (end) => {
      await end.host.run('sh', ['-euc', SYNC, 'sh', createKeyPair().publicKey]);
    },
  },
  {
    name: 'words of tswg',
    mayLose: false,
    apply: async (end, _, turn) => {
      const words = ['wgpeer', end.bystanderKey, 'wgdescr', `bystander ${turn}`];
      await end.host.run('tswg', [IFNAME, ...words, 'wgaip', `10.77.${turn % 256}.0/24`]);
    },
  },
  {
    name: 'MTU',
    mayLose: false,
    apply: async (_, site, turn) => {
      for (const side of SIDES) {
        await site[side].host.ip(`link set ${IFNAME} mtu ${MTUS[turn % MTUS.length]}`);
      }
    },
  },
  {
    name: 'several clients',
    mayLose: false,
    apply: async (end) => {
      const ask = () => end.host.run('wg', ['show', IFNAME, 'dump']);
      const show = end.host.run('tswg', [IFNAME]);
      await Promise.all([show, ...Array.from({ length: CLIENTS }, ask)]);
    },
  },
];
