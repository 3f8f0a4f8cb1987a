/** Healthy tunnels that are used in different ways, or not at all. */

import { sleep, waitFor } from '../../lab/command.ts';
import { firstPing, stream } from '../../lab/probes.ts';
import { compiledProgram } from '../../lab/repository.ts';
import type { Case } from '../case.ts';
import { keepPinging, otherEnd, restartDaemon } from '../injections/means.ts';
import { IFNAME, PORT, type Site, type Sites, tswg } from '../sites.ts';
import { well } from './well.ts';

const IDLE_S = 600;
/** What test/e2e/suspendprobe.ts makes of one signal; importing it would give us such a clock, too. */
const SUSPENDED_S = 200;
const STREAM_S = 2;
const STARTS = 3;
/** Later than doctor is asked, and earlier than the second call. */
const LATE_S = 3;

const use = ({ a, b }: Sites) => firstPing(a.host, b.inner[4]);

/** Datagrams to a port where nobody answers, nor says that he does not. */
const SYSLOG = `
const socket = require('dgram').createSocket('udp4');
setInterval(() => socket.send('a line', 514, process.argv[1]), 200);
`;
const TAKE_SILENTLY = `
const socket = require('dgram').createSocket('udp4');
socket.bind(514);
`;

/** Ten minutes pass for the daemon at once, in as many parts as the probe makes of them. */
async function idle(side: Site): Promise<void> {
  const pid = await side.host.run('pidof', ['tswgd']);
  for (let passed = 0; passed < IDLE_S; passed += SUSPENDED_S) {
    await side.host.run('kill', ['-WINCH', pid.trim()]);
    await sleep(500);
  }
}

async function idleForTenMinutes(sites: Sites): Promise<void> {
  const preload = `--import=${compiledProgram('test/e2e/suspendprobe.ts')}`;
  for (const side of [sites.a, sites.b]) {
    await restartDaemon(side, sites.words(side), { NODE_OPTIONS: preload });
  }
  await use(sites);
  await Promise.all([idle(sites.a), idle(sites.b)]);
}

/** Doctor is asked at once after each of three starts, the last time by the case itself. */
async function startOften(sites: Sites): Promise<void> {
  const { a, b } = sites;
  const words = sites.words(a);
  for (let start = 0; start < STARTS - 1; start++) {
    await restartDaemon(a, words);
    const train = a.host.spawn('ping', ['-n', '-q', '-i', '0.5', '-w', '60', b.inner[4]]);
    const { status, stdout } = await a.host.exec('tswg', [IFNAME, 'doctor']);
    await train.stop('SIGINT');
    if (status !== 0) throw new Error(`just started, doctor says: ${stdout}`);
  }
  await restartDaemon(a, words);
}

/** The first call is lost, and what comes of the second one is waited for. */
async function answerLate({ b }: Sites): Promise<void> {
  await b.host.nft(`table inet late {
    chain input {
      type filter hook input priority filter;
      udp dport ${PORT} drop
    }
  }`);
  b.host.spawn('sh', ['-c', `sleep ${LATE_S}; nft delete table inet late`]);
}

export const USES: readonly Case[] = [
  well('plain', use),
  well('never used', async () => {}, { talks: [], talkMs: 500 }),
  well('never used, with --quick', async () => ['--quick'], { talks: [], talkMs: 500 }),
  well('used, with --quick', async (sites) => {
    await use(sites);
    return ['--quick'];
  }),
  well('just started', startOften, { talkMs: 0 }),
  well('answers the second call', answerLate, { talkMs: 1_000 }),
  well('used, and then not', use, { talks: [], talkMs: 15_000 }),
  // 600 s of the daemons' own clocks; a second or two of the lab's.
  well('idle for ten minutes', idleForTenMinutes, { talks: [] }),
  well('only the other end talks', async () => {}, { talks: ['b'] }),
  well('both ends talk', use, { talks: ['a', 'b'] }),
  // Calls that cross each other are in vain, and the next ones are not.
  well('both ends begin at once', async () => {}, { talks: ['a', 'b'], talkMs: 0 }),
  well('busy', async ({ a, b }) => {
    await stream(a.host, b.host, b.inner[4], { seconds: STREAM_S, udpRate: '20M' });
  }),
  well(
    'one way only',
    async ({ a, b }) => {
      b.host.spawn('node', ['-e', TAKE_SILENTLY]);
      a.host.spawn('node', ['-e', SYSLOG, b.inner[4]]);
    },
    { talks: [], talkMs: 15_000 },
  ),
  well(
    'a peer that filters pings',
    async ({ a, b }) => {
      await use({ a, b } as Sites);
      await b.host.nft(`
table inet filter {
  chain input {
    type filter hook input priority filter;
    iifname "${IFNAME}" icmp type echo-request drop
    iifname "${IFNAME}" icmpv6 type echo-request drop
  }
}`);
      b.host.spawn('iperf3', ['-s']);
      await waitFor(
        async () => (await b.host.sh('ss -ltn | grep -q :5201')).status === 0,
        'a server',
      );
      a.host.spawn('iperf3', ['-c', b.inner[4], '-b', '1M', '-t', '60']);
    },
    { talks: [] },
  ),
  well('after an upgrade in place', async (sites) => {
    await use(sites);
    await tswg(sites.a, 'upgrade');
  }),
  well('after a restart', async (sites) => {
    await use(sites);
    await restartDaemon(sites.a, sites.words(sites.a));
  }),
  well('after the peer roamed', async ({ a, b }) => {
    await use({ a, b } as Sites);
    await b.host.ip('-4 address flush dev wan');
    await b.host.ip('address add 203.0.113.77/24 dev wan');
    await b.host.ip('route add default via 203.0.113.1');
    await firstPing(b.host, a.inner[4]);
    keepPinging(b.host, a.inner[4]);
  }),
  well('down and up again', async (sites) => {
    await use(sites);
    await tswg(sites.a, 'down');
    await tswg(sites.a, 'up');
  }),
  well('the other end agrees', async (sites) => {
    await use(sites);
    return otherEnd(sites.b, sites.a);
  }),
];
