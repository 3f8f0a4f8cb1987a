/**
 * The place of a soak: two hosts on one cable, a persistent daemon on each, both families inside.
 * Each side has a bystander, too, a peer that never calls, for what is changed in peers. Owns keys,
 * addresses and what is set at the moment.
 */

import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing } from '../lab/probes.ts';
import {
  createKeyPair,
  createPresharedKey,
  formatEndpoint,
  INNER,
  type KeyPair,
  OUTER_LEFT,
  OUTER_RIGHT,
  TUNNEL_PORT,
} from '../lab/tunnel.ts';
import { IFNAME, Keeper } from './keeper.ts';

export type Side = 'left' | 'right';
export const SIDES = ['left', 'right'] as const;
const BYSTANDER_PREFIX = '10.77.0.0/24';
const CONFIGURATION = '/run/soak.conf';
const CABLE = 'wan';
const OUTER: Readonly<Record<Side, string>> = { left: OUTER_LEFT, right: OUTER_RIGHT };

export class End {
  readonly side: Side;
  readonly keeper: Keeper;
  /** The other side's. */
  readonly peerKey: string;
  readonly bystanderKey: string;

  constructor(side: Side, keeper: Keeper, peerKey: string, bystanderKey: string) {
    this.side = side;
    this.keeper = keeper;
    this.peerKey = peerKey;
    this.bystanderKey = bystanderKey;
  }

  get host(): Host {
    return this.keeper.host;
  }

  /** `wg set` on the interface, its words in one string. */
  async set(words: string): Promise<void> {
    await this.host.run('wg', ['set', IFNAME, ...words.split(' ')]);
  }
}

export type Site = Readonly<Record<Side, End>>;

/** Resolves when the first ping has been answered. */
export async function openSite(lab: Lab): Promise<Site> {
  const [left, right] = await lab.hosts(...SIDES);
  await left.connect(CABLE, right, CABLE);
  await left.configure(CABLE, `${OUTER_LEFT}/24`);
  await right.configure(CABLE, `${OUTER_RIGHT}/24`);
  const keys = { left: createKeyPair(), right: createKeyPair() };
  const presharedKey = createPresharedKey();
  const [leftEnd, rightEnd] = await Promise.all([
    openEnd(left, 'left', keys.left, keys.right.publicKey, presharedKey),
    openEnd(right, 'right', keys.right, keys.left.publicKey, presharedKey),
  ]);
  await firstPing(left, INNER[4][1]);
  return { left: leftEnd, right: rightEnd };
}

async function openEnd(
  host: Host,
  side: Side,
  keys: KeyPair,
  peerKey: string,
  presharedKey: string,
): Promise<End> {
  const keeper = await Keeper.start(host);
  const other = side === 'left' ? 'right' : 'left';
  const bystanderKey = createKeyPair().publicKey;
  await host.writeFile(
    CONFIGURATION,
    `[Interface]
PrivateKey = ${keys.privateKey}
ListenPort = ${TUNNEL_PORT}
[Peer]
PublicKey = ${peerKey}
PresharedKey = ${presharedKey}
Endpoint = ${formatEndpoint(OUTER[other], TUNNEL_PORT)}
AllowedIPs = ${INNER[4][SIDES.indexOf(other)]}/32, ${INNER[6][SIDES.indexOf(other)]}/128
[Peer]
PublicKey = ${bystanderKey}
AllowedIPs = ${BYSTANDER_PREFIX}
`,
  );
  await host.run('wg', ['setconf', IFNAME, CONFIGURATION]);
  // Else an interface that is taken down for a moment forgets its addresses.
  await host.sysctl('net.ipv6.conf.all.keep_addr_on_down', 1);
  const index = SIDES.indexOf(side);
  await host.configure(IFNAME, `${INNER[4][index]}/24`, `${INNER[6][index]}/64`);
  return new End(side, keeper, peerKey, bystanderKey);
}
