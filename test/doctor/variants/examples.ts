/** Each file of examples/, carried out on both sites as it stands there. */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { waitFor } from '../../lab/command.ts';
import { NameServer, useNameServers } from '../../lab/nameserver.ts';
import { firstPing, ping } from '../../lab/probes.ts';
import { REPOSITORY } from '../../lab/repository.ts';
import { waitForControl } from '../../lab/tunnel.ts';
import type { Case } from '../case.ts';
import { keepPinging } from '../injections/means.ts';
import { IFNAME, type Site, type Sites, tswg } from '../sites.ts';
import { well } from './well.ts';

const LANS = { plan: { lans: true } } as const;
const HOSTNAME_FILE = `/etc/hostname.${IFNAME}`;

const example = (name: string): string => path.join(REPOSITORY, 'examples', name);

async function clear({ a, b }: Sites): Promise<void> {
  for (const side of [a, b]) await tswg(side, 'destroy');
}

/** As each site's boot does it, the other's key beside ours. */
async function boot(side: Site, other: Site, name: string): Promise<void> {
  const file = `/etc/wg/site-${other.letter}.pub`;
  await side.host.writeFile(file, `${other.keys.publicKey}\n`);
  await side.host.run('sh', [example(name)]);
}

async function bootBoth(sites: Sites): Promise<void> {
  await clear(sites);
  await boot(sites.a, sites.b, 'site-a.sh');
  await boot(sites.b, sites.a, 'site-b.sh');
  await firstPing(sites.a.behind!, '10.20.0.5');
  keepPinging(sites.a.behind!, '10.20.0.5');
}

/** The file with the peer's key in it; that of site B as the file itself says. */
function hostnameFile({ letter }: Site, other: Site): string {
  const text = readFileSync(example('hostname.wg0'), 'utf8')
    .replace('#wgpeer', 'wgpeer')
    .replace('PUBLIC_KEY_OF_SITE_B', other.keys.publicKey);
  if (letter === 'a') return text;
  return text
    .replace('inet 10.99.0.1', 'inet 10.99.0.2')
    .replace("'site B'", "'site A'")
    .replace('203.0.113.10', '198.51.100.10')
    .replace('wgaip 10.99.0.2/32 wgaip 10.20.0.0/24', 'wgaip 10.99.0.1/32 wgaip 10.0.0.0/24')
    .replace('replace 10.20.0.0/24', 'replace 10.0.0.0/24');
}

async function netstart(side: Site, other: Site): Promise<void> {
  await side.host.writeFile(HOSTNAME_FILE, hostnameFile(side, other));
  await side.host.run('tswg', ['netstart', IFNAME]);
}

/** Of a machine whose whole traffic goes through B, at A's inner addresses. */
async function netstartFullTunnel({ a, b }: Sites): Promise<void> {
  await tswg(a, 'destroy');
  const text = readFileSync(example('hostname.full-tunnel'), 'utf8')
    .replace('#wgpeer', 'wgpeer')
    .replace('PUBLIC_KEY_OF_SERVER', b.keys.publicKey)
    .replace('inet 10.99.0.2', 'inet 10.99.0.1')
    .replace('inet6 fd00:99::2', 'inet6 fd00:99::1');
  await a.host.writeFile(HOSTNAME_FILE, text);
  await a.host.run('tswg', ['netstart', IFNAME]);
  await firstPing(a.host, b.inner[4]);
}

/** Of a gateway with two lines, the second one beside the first that A has. */
async function netstartTwoLines({ a, b, router }: Sites): Promise<void> {
  await tswg(a, 'destroy');
  await a.host.connect('wan2', router, 'wan-a2');
  await router.configure('wan-a2', '198.51.102.1/24');
  await a.host.configure('wan2', '198.51.102.10/24');
  await a.host.ip('route add default via 198.51.102.1 metric 200');
  const text = readFileSync(example('hostname.two-lines'), 'utf8')
    .replace('#wgpeer', 'wgpeer')
    .replace('PUBLIC_KEY_OF_SITE_B', b.keys.publicKey)
    .replace('via wan1', 'via wan');
  await a.host.writeFile(HOSTNAME_FILE, text);
  await a.host.run('tswg', ['netstart', IFNAME]);
  await firstPing(a.host, b.inner[4]);
}

/** Of a branch whose head office has two names, here of one address. */
async function netstartByName({ a, b }: Sites): Promise<void> {
  await tswg(a, 'destroy');
  const server = await NameServer.start(a.host, ['127.0.0.1']);
  await server.setAll({ '*': { addresses: [b.wan[4]] } });
  await useNameServers(a.host, ['127.0.0.1']);
  const text = readFileSync(example('hostname.by-name'), 'utf8')
    .replace('#wgpeer', 'wgpeer')
    .replace('PUBLIC_KEY_OF_HEAD_OFFICE', b.keys.publicKey);
  await a.host.writeFile(HOSTNAME_FILE, text);
  await a.host.run('tswg', ['netstart', IFNAME]);
  await waitFor(
    async () => (await ping(a.host, b.inner[4], { deadlineMs: 1_000 })).received === 1,
    'an answer',
  );
}

/** Only those files that there are. */
function wellIfThere(name: string, change: (sites: Sites) => Promise<void>): readonly Case[] {
  return readdirSync(example('')).includes(name) ? [well(`examples/${name}`, change, LANS)] : [];
}

async function netstartBoth(sites: Sites): Promise<void> {
  await clear(sites);
  await netstart(sites.a, sites.b);
  await netstart(sites.b, sites.a);
  await firstPing(sites.a.behind!, '10.20.0.5');
}

/** What the two units of examples/ run, without systemd around it. */
async function runUnits(sites: Sites): Promise<void> {
  await clear(sites);
  for (const side of [sites.a, sites.b]) {
    const other = side === sites.a ? sites.b : sites.a;
    // A state directory of the host's own.
    await side.host.run('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/var/lib']);
    const program = (unit: string): string[] =>
      /^ExecStart=(.*)$/m
        .exec(readFileSync(example(unit), 'utf8'))![1]
        .replace('%i', IFNAME)
        .split(' ');
    await side.host.writeFile(HOSTNAME_FILE, hostnameFile(side, other));
    const [daemon, ...words] = program('tswg@.service');
    const child = side.host.spawn(daemon, words, {
      env: { TSWG_PERSIST: '1', LOG_LEVEL: 'error' },
    });
    await waitForControl(side.host, IFNAME, child);
    const [keeper, ...keeperWords] = program('tswg-config@.service');
    side.host.spawn(keeper, keeperWords);
  }
  await waitFor(
    async () => (await ping(sites.a.host, '10.99.0.2', { deadlineMs: 1_000 })).received === 1,
    'an answer',
  );
}

/** Those of monitoring, which only ask: the unit's command, more often than its timer has it run. */
const MONITORING = readdirSync(example('')).filter((name) => /^tswg-(metrics|alerts)/.test(name));

async function askForMetrics({ a, b }: Sites): Promise<void> {
  const unit = readFileSync(example('tswg-metrics.service'), 'utf8');
  const command = /^ExecStart=\/bin\/sh -euc '([\s\S]*?)'$/m.exec(unit)![1].replaceAll('$$', '$');
  const script = `while :; do ${command.replaceAll('\\\n', '')}; sleep 1; done`;
  a.host.spawn('sh', ['-euc', script], { env: { DIRECTORY: '/run' } });
  await firstPing(a.host, b.inner[4]);
}

export const EXAMPLES: readonly Case[] = [
  ...MONITORING.map((name) => well(`examples/${name}`, askForMetrics)),
  well('examples/site-a.sh', bootBoth, LANS),
  well('examples/site-b.sh', bootBoth, { ...LANS, side: 'b' }),
  // The network of the demo, which makes its two sites with the same scripts.
  well('examples/demo.ts', bootBoth, { ...LANS, talks: ['a', 'b'] }),
  well('examples/hostname.wg0', netstartBoth, LANS),
  well('examples/hostname.full-tunnel', netstartFullTunnel),
  well('examples/hostname.by-name', netstartByName, LANS),
  ...wellIfThere('hostname.two-lines', netstartTwoLines),
  well('examples/tswg@.service', runUnits, LANS),
  well('examples/tswg-config@.service', runUnits, { ...LANS, side: 'b' }),
];
