/** A daemon that runs and does not serve: it hangs, it has no socket, it is not alone. */

import { waitFor } from '../../lab/command.ts';
import type { Host } from '../../lab/host.ts';
import type { Case } from '../case.ts';
import { daemonPid, IFNAME, PORT, type Site, type Sites, tswg } from '../sites.ts';

const SHORT_MS = 1_000;
const CONTROL_SOCKET = `/run/wireguard/${IFNAME}.sock`;
/** More than wait for a daemon to accept them. */
const CALLERS = 600;
/** More than a daemon opens by itself, and little enough to be filled by those who ask it. */
const FILES_MAX = 120;
/** Below it, ports take a right. */
const PRIVILEGED_PORT = 443;

/** Asks as many connections of a daemon as its second argument says, and says so; asks nothing over them. */
const HOLD = `
const [, path, count] = process.argv;
let waiting = Number(count);
for (let n = waiting; n > 0; n--) {
  const socket = require('net').connect(path, () => --waiting || console.log('held'));
  socket.on('error', () => {});
}
setTimeout(() => console.log('asked'), 500);
setTimeout(() => process.exit(), 120_000);
`;

export const DAEMONS: readonly Case[] = [
  {
    id: 'daemonSilent/stopped',
    code: 'daemonSilent',
    inject: async ({ a }) => {
      await stop(a);
    },
    talkMs: SHORT_MS,
    says: /tswgd \(process \d+\) is stopped[\s\S]*within 3 seconds[\s\S]*^kill -CONT \d+$/m,
    isCured: true,
  },
  {
    id: 'daemonSilent/asked for one peer',
    code: 'daemonSilent',
    inject: async ({ a, b }) => {
      await stop(a);
      return ['--peer', b.keys.publicKey];
    },
    talkMs: SHORT_MS,
  },
  {
    id: 'daemonSilent/full queue',
    code: 'daemonSilent',
    inject: async ({ a }) => {
      await stop(a);
      await hold(a.host, CALLERS, /asked/);
    },
    talkMs: SHORT_MS,
    says: /accepts no connection any more[\s\S]*^kill -CONT \d+$/m,
  },
  {
    id: 'noSocket/descriptors',
    code: 'noSocket',
    inject: async (sites) => {
      await fillDescriptors(sites);
    },
    talkMs: SHORT_MS,
    says: /EMFILE[\s\S]*has 1\d\d files open, and may have 120[\s\S]*prlimit --pid \d+ [\s\S]*^tswg wg0 wgport 51820$/m,
  },
  {
    id: 'noSocket/privileged port',
    code: 'noSocket',
    inject: losePort,
    talkMs: SHORT_MS,
    says: /no right to port 443[\s\S]*ports below 1024[\s\S]*unprivileged_port_start=443$/m,
    isCured: true,
  },
  {
    id: 'twoDaemons/interface lost',
    code: 'twoDaemons',
    inject: async (sites) => {
      const { a } = sites;
      await stop(a);
      await a.host.ip(`link delete ${IFNAME}`);
      await a.host.run('rm', [CONTROL_SOCKET]);
      await tswg(a, `create ${sites.words(a).replace(`wgport ${PORT}`, `wgport ${PORT + 1}`)}`);
    },
    says: /and has no interface[\s\S]*and has wg0 open[\s\S]*^kill -KILL \d+$/m,
    isCured: true,
  },
];

/** It ends with its host, as the kernel has it of every process there, stopped or not. */
async function stop(site: Site): Promise<void> {
  const pid = await daemonPid(site);
  await site.host.run('kill', ['-STOP', `${pid}`]);
  const isStopped = async () =>
    /^State:\s+T/m.test(await site.host.run('cat', [`/proc/${pid}/status`]));
  await waitFor(isStopped, 'the daemon to be stopped');
}

/** Connections to the daemon's control socket, until the host ends. */
async function hold(host: Host, count: number, until: RegExp): Promise<void> {
  await host.spawn('node', ['-e', HOLD, CONTROL_SOCKET, `${count}`]).waitForOutput(until);
}

/** Programs that ask the daemon and never hang up leave it no descriptors; then the link comes up. */
async function fillDescriptors(sites: Sites): Promise<void> {
  const { a } = sites;
  await tswg(a, 'destroy');
  await a.host.run('sh', [
    '-euc',
    `ulimit -n ${FILES_MAX}; tswg ${IFNAME} create ${sites.words(a)}`,
  ]);
  const pid = await daemonPid(a);
  await tswg(a, 'down');
  const open = (await a.host.run('ls', [`/proc/${pid}/fd`])).trim().split('\n').map(Number);
  // Of two UDP sockets one has room; so has, afterwards, one connection of doctor's.
  const free = FILES_MAX - open.filter((fd) => fd < FILES_MAX).length;
  await hold(a.host, free, /held/);
  await a.host.ip(`link set ${IFNAME} up`);
}

/** It may use the port when it is told, and not when its interface comes up again. */
async function losePort(sites: Sites): Promise<undefined> {
  const { a } = sites;
  await tswg(a, 'destroy');
  await a.host.sysctl('net.ipv4.ip_unprivileged_port_start', 0);
  const words = sites.words(a).replace(`wgport ${PORT}`, `wgport ${PRIVILEGED_PORT}`);
  const right = ['--bounding-set', '-net_bind_service', '--inh-caps', '-net_bind_service'];
  await a.host.run('setpriv', [...right, 'tswg', IFNAME, 'create', ...words.split(' ')]);
  await tswg(a, 'down');
  await a.host.sysctl('net.ipv4.ip_unprivileged_port_start', 1024);
  await a.host.ip(`link set ${IFNAME} up`);
}
