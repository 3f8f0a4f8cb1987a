/** A daemon that runs and does not serve: it hangs, it has no socket, it is not alone. */

import { waitFor } from '../../lab/command.ts';
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

/** Callers that never hang up: as many connections as its second argument says, which may wait for ever. */
const CALL = `
const [, path, count] = process.argv;
for (let n = Number(count); n > 0; n--) require('net').connect(path).on('error', () => {});
setTimeout(() => console.log('called'), 500);
setTimeout(() => process.exit(), 120_000);
`;
/**
 * The same until the process has but one descriptor left below its limit. Some hang up at the end of
 * its input.
 */
const FILL = `
const [, path, pid, max] = process.argv;
const { connect } = require('net');
const { readdirSync } = require('fs');
const used = () => readdirSync('/proc/' + pid + '/fd').filter((fd) => Number(fd) < max).length;
const sockets = [];
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const fill = async () => {
  for (let before = used(); before < max - 1; before = used()) {
    sockets.push(connect(path).on('error', () => {}));
    for (let n = 0; n < 100 && used() <= before; n++) await wait(10);
  }
  console.log('full');
};
process.stdin.on('end', () => {
  for (const socket of sockets.splice(0, 5)) socket.destroy();
  console.log('released');
}).resume();
setTimeout(() => process.exit(), 120_000);
fill();
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
      const words = ['-e', CALL, CONTROL_SOCKET, `${CALLERS}`];
      await a.host.spawn('node', words).waitForOutput(/called/);
    },
    talkMs: SHORT_MS,
    says: /accepts no connection any more[\s\S]*^kill -CONT \d+$/m,
  },
  {
    id: 'noSocket/descriptors',
    code: 'noSocket',
    inject: fillDescriptors,
    talkMs: SHORT_MS,
    says: /EMFILE[\s\S]*has 1\d\d of at most 120 files open[\s\S]*prlimit --pid \d+ [\s\S]*^tswg wg0 wgport 51820$/m,
    // To raise the limit of another's process takes CAP_SYS_RESOURCE, which root of a container lacks:
    // its commands are tried by none.
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

/** Programs that ask the daemon and never hang up leave it no descriptors; then the link comes up. */
async function fillDescriptors(sites: Sites): Promise<undefined> {
  const { a } = sites;
  const { host } = a;
  await tswg(a, 'destroy');
  const create = `ulimit -n ${FILES_MAX}; tswg ${IFNAME} create ${sites.words(a)}`;
  await host.run('sh', ['-euc', create]);
  const pid = await daemonPid(a);
  await tswg(a, 'down');
  const filling = host.spawn('node', ['-e', FILL, CONTROL_SOCKET, `${pid}`, `${FILES_MAX}`]);
  await filling.waitForOutput(/full/);
  // Of two UDP sockets one has room; so has who asks.
  await host.ip(`link set ${IFNAME} up`);
  const isRefused = async () => /trouble: socket/.test((await host.exec('tswg', [IFNAME])).stdout);
  await waitFor(isRefused, 'a daemon without sockets');
  // It does not try again by itself, and doctor asks more than once.
  filling.closeInput();
  await filling.waitForOutput(/released/);
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
