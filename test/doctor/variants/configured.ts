/** Healthy tunnels that are configured in different ways. */

import { firstPing } from '../../lab/probes.ts';
import { createKeyPair, createPresharedKey } from '../../lab/tunnel.ts';
import type { Case } from '../case.ts';
import { keepPinging } from '../injections/means.ts';
import { IFNAME, PORT, type Sites, tswg } from '../sites.ts';
import { well } from './well.ts';

const LANS = { plan: { lans: true } } as const;
const KEY_FILE = '/etc/wg/private.key';
const MANY = 200;
/** So many peers fit into one command line. */
const AT_ONCE = 50;

const use = ({ a, b }: Sites) => firstPing(a.host, b.inner[4]);

/** Others that are configured here and have never been heard of. */
async function addSpokes({ a }: Sites): Promise<void> {
  for (let first = 3; first < MANY + 2; first += AT_ONCE) {
    const numbers = Array.from(
      { length: Math.min(AT_ONCE, MANY + 2 - first) },
      (_, n) => first + n,
    );
    const words = numbers.map((n) => `wgpeer ${createKeyPair().publicKey} wgaip 10.99.0.${n}/32`);
    await tswg(a, words.join(' '));
  }
}

/** A third site, C, whose only way to B leads over A. */
async function buildSpoke({ lab, router, a, b }: Sites): Promise<void> {
  const c = await lab.host('gateway c');
  const keys = createKeyPair();
  await c.connect('wan', router, 'wan-c');
  await router.configure('wan-c', '192.0.2.1/24');
  await c.configure('wan', '192.0.2.10/24');
  await c.ip('route add default via 192.0.2.1');
  await c.writeFile('/etc/wg/private.key', `${keys.privateKey}\n`);
  await c.run('tswg', [
    ...`${IFNAME} create wgkeyfile /etc/wg/private.key inet 10.99.0.3/24`.split(' '),
    ...`wgpeer ${a.keys.publicKey} wgendpoint ${a.wan[4]} ${PORT} wgaip 10.99.0.0/24`.split(' '),
  ]);
  await tswg(a, `wgpeer ${keys.publicKey} wgdescr third wgaip 10.99.0.3/32`);
  await tswg(b, `wgpeer ${a.keys.publicKey} wgaip 10.99.0.0/24 wgaip fd00:99::1/128`);
  await a.host.forward();
  await firstPing(c, b.inner[4]);
  keepPinging(c, b.inner[4]);
}

/** As wg-quick has it: a single address, and a route for each allowed IP. */
async function useSingleAddresses({ a, b }: Sites): Promise<void> {
  for (const side of [a, b]) {
    const other = side === a ? b : a;
    await tswg(side, `inet ${side.inner[4]}/32`);
    await side.host.ip(`route replace ${other.inner[4]}/32 dev ${IFNAME}`);
  }
}

/** The gateways have no address of the tunnel's own. */
async function takeAddresses({ a, b }: Sites): Promise<void> {
  for (const side of [a, b]) {
    const other = side === a ? b : a;
    await side.host.ip(`-4 address flush dev ${IFNAME}`);
    await side.host.ip(`-6 address flush dev ${IFNAME} scope global`);
    await side.host.ip(`link set ${IFNAME} up`);
    const { publicKey } = other.keys;
    await tswg(side, `wgpeer ${publicKey} wgaip ${other.lan[4]}.0/24 wgaip ${other.lan[6]}:/64`);
    await side.host.ip(`route replace ${other.lan[4]}.0/24 dev ${IFNAME} src ${side.lan[4]}.1`);
    await side.host.ip(`route replace ${other.lan[6]}:/64 dev ${IFNAME} src ${side.lan[6]}:1`);
  }
  keepPinging(a.behind!, '10.20.0.5');
}

export const CONFIGURED: readonly Case[] = [
  well('with wgpka', use, { plan: { keepalive: 5 }, talks: [] }),
  well('with a preshared key', use, { plan: { presharedKey: createPresharedKey() } }),
  well('200 peers', async (sites) => {
    await addSpokes(sites);
    await use(sites);
  }),
  well('a hub', buildSpoke),
  well('a spoke of a hub', buildSpoke, { side: 'b' }),
  well(
    'a hub whose route is wider than what its spokes have',
    async (sites) => {
      await sites.a.host.ip(`route replace 10.16.0.0/12 dev ${IFNAME}`);
      await use(sites);
    },
    LANS,
  ),
  well(
    'a spoke with its own LAN within what the hub has',
    async ({ a, b }) => {
      await tswg(a, `wgpeer ${b.keys.publicKey} wgaip 10.0.0.0/8 wgaip fd00:99::2/128`);
      await a.host.ip(`route delete fd00:b::/64 dev ${IFNAME}`);
      await a.host.ip(`route replace 10.0.0.0/8 dev ${IFNAME}`);
      keepPinging(a.behind!, '10.20.0.5');
    },
    LANS,
  ),
  well('single addresses with a route each', useSingleAddresses),
  well('no addresses but the LANs’ own', takeAddresses, { ...LANS, talks: [] }),
  well('a port that the system picked', async (sites) => {
    await tswg(sites.a, 'wgport 0');
    await use(sites);
  }),
  well('a peer with a name of many characters', async (sites) => {
    const { a, b } = sites;
    await a.host.run('tswg', [IFNAME, 'wgpeer', b.keys.publicKey, 'wgdescr', 'Zürich "büro" \\n']);
    await use(sites);
  }),
  well('two tunnels', async (sites) => {
    const { a, b } = sites;
    await a.host.run('tswg', [
      ...'wg1 create wgkeyfile /etc/wg/private.key wgport 51821 inet 10.98.0.1/24'.split(' '),
      ...`wgpeer ${createKeyPair().publicKey} wgaip 10.98.0.2/32`.split(' '),
    ]);
    await use({ a, b } as Sites);
  }),
  well('another tunnel that had its name before', async (sites) => {
    const { a } = sites;
    await tswg(a, 'destroy');
    await tswg(a, 'create');
    await a.host.ip(`link set ${IFNAME} name old0`);
    await tswg(a, `create ${sites.words(a)}`);
    await use(sites);
  }),
  well('a private key of 32 random bytes', async (sites) => {
    const { a, b } = sites;
    // Of the same public key: the bits that clamping sets are not those of genkey.
    const key = Buffer.from(a.keys.privateKey, 'base64');
    key[0] |= 1;
    await a.host.writeFile(KEY_FILE, `${key.toString('base64')}\n`);
    await a.host.run('wg', ['set', IFNAME, 'private-key', KEY_FILE]);
    await use({ a, b } as Sites);
  }),
];
