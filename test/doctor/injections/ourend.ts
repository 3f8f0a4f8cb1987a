/** What is missing or wrong at our own end of the tunnel, before anything reaches the network. */

import { waitFor } from '../../lab/command.ts';
import { OUR_DAEMON } from '../../lab/tunnel.ts';
import type { Case } from '../case.ts';
import { daemonPid, IFNAME, PORT, type Sites, tswg, writeHostnameFile } from '../sites.ts';

/** 44 characters of base64 for 32 zeros: takes the private key away. */
const NO_KEY = `${'A'.repeat(43)}=`;
const SHORT_MS = 1_000;
/** A UDP socket of somebody else's; says so when it is there. */
const THIEF = `require('dgram').createSocket('udp4').bind(${PORT}, () => console.log('bound'))`;

export const OUR_END: readonly Case[] = [
  {
    id: 'noInterface/destroyed',
    code: 'noInterface',
    inject: async (sites) => {
      await writeHostnameFile(sites.a, sites.words(sites.a));
      await tswg(sites.a, 'destroy');
    },
    talks: [],
    says: /tswg netstart wg0/,
  },
  {
    id: 'noInterface/killed',
    code: 'noInterface',
    inject: async (sites) => {
      await writeHostnameFile(sites.a, sites.words(sites.a));
      await killDaemon(sites);
      const isThere = () => sites.a.host.exec('ip', ['link', 'show', IFNAME]);
      await waitFor(async () => (await isThere()).status !== 0, `the end of ${IFNAME}`);
    },
    talks: [],
  },
  {
    id: 'daemonGone',
    code: 'daemonGone',
    inject: async (sites) => {
      const { host } = sites.a;
      await tswg(sites.a, 'destroy');
      await host.run('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/var/lib']);
      await host.run(OUR_DAEMON, ['--persist', IFNAME]);
      await tswg(sites.a, sites.words(sites.a));
      await killDaemon(sites);
    },
    talkMs: SHORT_MS,
    says: /tswgd --persist wg0/,
  },
  {
    id: 'noPrivateKey',
    code: 'noPrivateKey',
    inject: async ({ a }) => {
      await tswg(a, `wgkey ${NO_KEY}`);
    },
    talkMs: SHORT_MS,
    says: /wgkeyfile/,
  },
  {
    id: 'portTaken',
    code: 'portTaken',
    inject: async ({ a }) => {
      await tswg(a, 'down');
      await a.host.spawn('node', ['-e', THIEF]).waitForOutput(/bound/);
      await a.host.exec('tswg', [IFNAME, 'up']);
    },
    talkMs: SHORT_MS,
    says: new RegExp(`node \\(process \\d+\\) has UDP port ${PORT}.*wgport`, 's'),
  },
  {
    id: 'interfaceDown',
    code: 'interfaceDown',
    inject: async ({ a }) => {
      await tswg(a, 'down');
    },
    talkMs: SHORT_MS,
    says: /tswg wg0 up/,
  },
  {
    id: 'noPeer',
    code: 'noPeer',
    inject: async ({ a, b }) => {
      await tswg(a, `-wgpeer ${b.keys.publicKey}`);
    },
    talkMs: SHORT_MS,
    says: /wgpeer/,
  },
];

/** Without a chance to clean up. */
async function killDaemon({ a }: Sites): Promise<undefined> {
  const pid = await daemonPid(a);
  await a.host.run('kill', ['-9', `${pid}`]);
  await a.host.waitForExit(pid);
}
