/**
 * Ends of resources, as an operator meets them: what the machine refuses is counted or told with
 * its reason, the daemon lives on, and packets pass again when the machine takes them again.
 */

import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { firstPing, ping } from '../lab/probes.ts';
import { compiledProgram } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { transfer } from '../lab/transfer.ts';
import { buildPair, INNER, OUTER_LEFT, OUTER_RIGHT, TUNNEL_PORT } from '../lab/tunnel.ts';

const [LEFT, RIGHT] = INNER[4];
const FIREWALL = `table inet t {
  chain o { type filter hook output priority 0; udp dport ${TUNNEL_PORT} drop; }
}`;

const HEX_PORT_51821 = 'CA6D';
const PORT_THIEF = `
  require('dgram').createSocket('udp4').bind(${TUNNEL_PORT}, () => console.log('bound'))`;

const IDLERS = `
  let connected = 0;
  const greet = () => ++connected === 20 && console.log('connected');
  for (let i = 0; i < 20; i++) {
    require('net').connect('/var/run/wireguard/wg0.sock', greet).on('error', () => {});
  }
  setTimeout(() => {}, 60_000)`;

const stats = (host: Host): Promise<string> => host.run('tswg', ['wg0', 'stats']);

/** The number in front of a counter's name, or behind a fact's; 0 when it is not shown. */
async function counted(host: Host, name: string): Promise<number> {
  const text = await stats(host);
  const found = new RegExp(`^\\t+ *(?:(\\d+) +${name}(?: |$)|${name}: (\\d+)$)`, 'm').exec(text);
  return Number(found?.[1] ?? found?.[2] ?? 0);
}

describeInLab('a running tunnel', ['wg', 'nft'], () => {
  it('counts what the machine refuses to send, by the reason, and goes on when it no longer does', () =>
    withLab({}, async (lab) => {
      const { left } = await buildPair(lab);
      const { host } = left;
      await firstPing(host, RIGHT);
      const refusals: [
        error: string,
        begin: () => Promise<unknown>,
        end: () => Promise<unknown>,
      ][] = [
        ['EPERM', () => host.nft(FIREWALL), () => host.nft('')],
        [
          'ENETUNREACH',
          () => host.ip(`address delete ${OUTER_LEFT}/24 dev wan`),
          () => host.ip(`address add ${OUTER_LEFT}/24 dev wan`),
        ],
        [
          'EHOSTUNREACH',
          () => host.ip(`route add unreachable ${OUTER_RIGHT}`),
          () => host.ip(`route delete unreachable ${OUTER_RIGHT}`),
        ],
        [
          'EACCES',
          () => host.ip(`route add prohibit ${OUTER_RIGHT}`),
          () => host.ip(`route delete prohibit ${OUTER_RIGHT}`),
        ],
      ];
      for (const [error, begin, end] of refusals) {
        const failed = await counted(host, 'sendFailed');
        await begin();
        const report = await ping(host, RIGHT, { count: 3, intervalMs: 20, deadlineMs: 200 });
        expect(report.received, error).toBe(0);
        expect(await counted(host, `udp ${error}`), error).toBe(3);
        expect(await counted(host, 'sendFailed'), error).toBe(failed + 3);
        await end();
        await firstPing(host, RIGHT);
      }
      const lines = left.daemon.stderr.match(/(?<=ERROR: .{26}).*/g);
      expect(lines).toEqual([
        'udp: IPv4: cannot send: a firewall of this machine forbids it (sendmsg: EPERM)',
        'udp: IPv4: cannot send: no route leads there (sendmsg: ENETUNREACH)',
        'udp: IPv4: cannot send: a route of this machine says that the host is unreachable (sendmsg: EHOSTUNREACH)',
        'udp: IPv4: cannot send: a route of this machine prohibits it (sendmsg: EACCES)',
      ]);
    }));

  it('carries whole packets over a cable that became too narrow for them', () =>
    withLab({}, async (lab) => {
      const { left, right } = await buildPair(lab);
      await firstPing(left.host, RIGHT);
      for (const { host } of [left, right]) await host.ip('link set wan mtu 1300');
      expect((await ping(left.host, RIGHT, { size: 1392, dontFragment: true })).received).toBe(1);
      const report = await transfer(left.host, right.host, LEFT, 2_000_000);
      expect(report.receivedDigest).toBe(report.sentDigest);
      expect(await counted(left.host, 'sendFailed')).toBe(0);
    }));

  it('goes on over IPv4 when IPv6 is disabled, and says why nothing goes to an IPv6 endpoint', () =>
    withLab({}, async (lab) => {
      const { left, right } = await buildPair(lab, { outer: 6 });
      const { host } = left;
      const peer = right.keys.publicKey;
      await firstPing(host, RIGHT);
      await host.sysctl('net.ipv6.conf.all.disable_ipv6', 1);
      expect((await ping(host, RIGHT, { deadlineMs: 200 })).received).toBe(0);
      expect(await counted(host, 'udp EADDRNOTAVAIL')).toBe(1);
      expect(left.daemon.stderr).toMatch(
        /udp: IPv6: cannot send: this machine has no address to send from \(sendmsg: EADDRNOTAVAIL\)\n/,
      );
      await left.set(`peer ${peer} endpoint ${OUTER_RIGHT}:${TUNNEL_PORT}`);
      await firstPing(host, RIGHT);
      await host.sysctl('net.ipv6.conf.all.disable_ipv6', 0);
      await host.configure('wan', '2001:db8::1/64');
      await left.set(`peer ${peer} endpoint [2001:db8::2]:${TUNNEL_PORT}`);
      await firstPing(host, RIGHT);
    }));

  it('says that its port was taken while it was down', () =>
    withLab({}, async (lab) => {
      const { left } = await buildPair(lab);
      const { host, daemon } = left;
      await firstPing(host, RIGHT);
      await host.ip('link set wg0 down');
      const thief = host.spawn(process.execPath, ['-e', PORT_THIEF]);
      await thief.waitForOutput(/bound/);
      await host.ip('link set wg0 up');
      const cause = `open UDP port ${TUNNEL_PORT}: another program has this port; choose another one (bind: EADDRINUSE)`;
      await daemon.waitForOutput(/ERROR: .* Interface is up, but there is no socket: .*\n/);
      expect(daemon.stderr).toContain(`Interface is up, but there is no socket: ${cause}\n`);
      const shown = await stats(host);
      expect(shown).toContain(`\ttrouble: socket: ${cause}\n`);
      expect(shown).not.toContain('down:');
      // Down again it wants none, and a port that is set is only for later.
      await host.ip('link set wg0 down');
      await waitFor(async () => !(await stats(host)).includes('socket:'), 'the end of the trouble');
      await left.set('listen-port 51821');
      expect(await host.run('cat', ['/proc/net/udp'])).not.toContain(`:${HEX_PORT_51821} `);
      await host.ip('link set wg0 up');
      await firstPing(host, RIGHT);
      expect(await host.run('cat', ['/proc/net/udp'])).toContain(`:${HEX_PORT_51821} `);
      expect(await stats(host)).not.toContain('socket:');
    }));

  it('lives on without file descriptors, and says what it lacks', () =>
    withLab({}, async (lab) => {
      const { left } = await buildPair(lab);
      const { host, daemon } = left;
      const cause = 'open an IPv4 UDP socket: too many open files in this process (socket: EMFILE)';
      await firstPing(host, RIGHT);
      const pid = await counted(host, 'pid');
      // By then its rehearsal has ended and given back what it had.
      await waitFor(async () => (await counted(host, 'uptime seconds')) >= 3, 'three seconds');
      await limit(host, pid, await firstFree(host, pid));
      expect(await host.run('wg', ['show', 'wg0'])).toContain('interface: wg0');
      expect(await host.exec('wg', ['set', 'wg0', 'listen-port', '51821'])).toMatchObject({
        status: 1,
        stderr: 'Unable to modify interface: Too many open files\n',
      });
      expect(await host.exec('tswg', ['wg0', 'wgport', '51821'])).toMatchObject({
        status: 1,
        stderr: 'tswg: wgport: wg0: refused by its daemon: too many open files (EMFILE)\n',
      });
      expect(daemon.stderr).toContain(`set refused: ${cause}\n`);
      expect((await ping(host, RIGHT)).received).toBe(1);

      // Clients that stand still take what its sockets had, and more than there is.
      await host.ip('link set wg0 down');
      const idlers = host.spawn(process.execPath, ['-e', IDLERS]);
      await idlers.waitForOutput(/connected/);
      await host.ip('link set wg0 up');
      await daemon.waitForOutput(/ERROR: .* Interface is up, but there is no socket: /);
      // Of the first descriptors that become free again, one may be enough for IPv4.
      expect(await stats(host)).toMatch(
        /\ttrouble: socket: open an IPv[46] UDP socket: too many open files /,
      );
      await limit(host, pid, 1024);
      await left.set('listen-port 51821');
      await firstPing(host, RIGHT);
      expect(await stats(host)).not.toContain('socket:');
      // It still knows where its interface is, and would follow it.
      expect(daemon.stderr).not.toContain('namespace');
    }));
});

describeInLab('a machine that was suspended for longer than a session lasts', ['wg'], () => {
  const preload = `--import=${compiledProgram('test/e2e/suspendprobe.ts')}`;

  it('sends under a new session at once, and says that it resumed', () =>
    withLab({ NODE_OPTIONS: preload }, async (lab) => {
      const { left } = await buildPair(lab);
      const { host, daemon } = left;
      await firstPing(host, RIGHT);
      await host.run('kill', ['-WINCH', `${await counted(host, 'pid')}`]);
      await daemon.waitForOutput(/ERROR: .* Resumed after 200 s of suspension: /);
      // The keepalive that was due meanwhile asks for a session already.
      expect((await ping(host, RIGHT, { count: 3, intervalMs: 50 })).received).toBe(3);
      expect(await counted(host, 'handshakes completed')).toBe(2);
      expect(daemon.stderr.match(/Resumed/g)).toHaveLength(1);
    }));
});

/** The lowest number that is no open descriptor of the process. */
async function firstFree(host: Host, pid: number): Promise<number> {
  const { stdout } = await host.sh(
    `i=0; while [ -L /proc/${pid}/fd/$i ]; do i=$((i + 1)); done; echo $i`,
  );
  return Number(stdout);
}

/** The limit of open files of a running process, which only its own user or a mightier one sets. */
async function limit(host: Host, pid: number, descriptors: number): Promise<void> {
  const owner = await host.run('stat', ['-c', '--reuid=%u --regid=%g', `/proc/${pid}/task`]);
  const prlimit = ['prlimit', `--pid=${pid}`, `--nofile=${descriptors}:`];
  await host.run('setpriv', [...owner.trim().split(' '), '--keep-groups', ...prlimit]);
}
