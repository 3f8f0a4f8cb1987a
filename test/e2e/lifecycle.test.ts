import { expect, it } from 'vitest';
import { Capture } from '../lab/capture.ts';
import { type Child, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { firstPing, ping } from '../lab/probes.ts';
import { compiledProgram } from '../lab/repository.ts';
import { describeInLab, describeOnBothPaths, withLab } from '../lab/suite.ts';
import { transfer } from '../lab/transfer.ts';
import { buildPair, INNER, OUR_DAEMON, TUNNEL_PORT, waitForControl } from '../lab/tunnel.ts';

const [LEFT, RIGHT] = INNER[4];
/** Ethernet, IPv4 and UDP around a message. */
const UDP_IPV4_BYTES = 42;
/** A data message's header and authenticator. */
const DATA_OVERHEAD_BYTES = 32;
const SOCKET = '/var/run/wireguard/wg0.sock';
const SERVED_BY_ANOTHER =
  'tswgd: create interface wg0: another program serves this interface (TUNSETIFF: EBUSY)\n';

describeOnBothPaths('a running tunnel', ['wg', 'tcpdump'], (env) => {
  it('comes back within the protocol’s time when the peer was restarted', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab);
      await firstPing(left.host, RIGHT);
      await right.daemon.stop('SIGKILL');
      await right.startDaemon();
      await right.host.configure('wg0', `${RIGHT}/24`);
      // KEEPALIVE_TIMEOUT + REKEY_TIMEOUT without an answer begin a new handshake: 15 seconds.
      const elapsedMs = await firstPing(left.host, RIGHT);
      console.info(`the peer was restarted: ${(elapsedMs / 1000).toFixed(2)} s to the first ping`);
    }));

  it('comes back at once when the restarted peer begins', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab, { bothKnow: true });
      await firstPing(left.host, RIGHT);
      await right.daemon.stop('SIGKILL');
      await right.startDaemon();
      await right.host.configure('wg0', `${RIGHT}/24`);
      const elapsedMs = await firstPing(right.host, LEFT);
      console.info(`the restarted peer begins: ${(elapsedMs / 1000).toFixed(2)} s`);
      expect((await ping(left.host, RIGHT)).received).toBe(1);
    }));

  it('stops when the link goes down and goes on when it comes up', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab);
      await firstPing(left.host, RIGHT);
      await right.host.ip('link set wg0 down');
      expect((await ping(left.host, RIGHT, { deadlineMs: 500 })).received).toBe(0);
      expect(await listens(right.host)).toBe(false);
      await right.host.ip('link set wg0 up');
      await left.host.ip('link set wg0 down');
      await left.host.ip('link set wg0 up');
      await firstPing(left.host, RIGHT);
      await firstPing(right.host, LEFT);
    }));

  it('follows changes of the MTU', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab);
      for (const mtu of [1280, 1420, 576, 1400]) {
        for (const end of [left, right]) await end.host.ip(`link set wg0 mtu ${mtu}`);
        const whole = { size: mtu - 28, dontFragment: true };
        await firstPing(left.host, RIGHT);
        const capture = await Capture.start(left.host, 'wan', 'udp');
        const fits = await ping(left.host, RIGHT, whole);
        expect(fits.received, `${mtu}: ${fits.text}`).toBe(1);
        // Padded to 16 bytes, but never beyond the MTU.
        const lengths = (await capture.stop())
          .map((packet) => packet.length - UDP_IPV4_BYTES)
          .filter((length) => length >= mtu);
        expect(lengths, `${mtu}`).toEqual([mtu + DATA_OVERHEAD_BYTES, mtu + DATA_OVERHEAD_BYTES]);
        const exceeds = await ping(left.host, RIGHT, { ...whole, size: mtu - 27 });
        expect(exceeds.text).toMatch(new RegExp(`mtu[= ]${mtu}`));
        const report = await transfer(left.host, right.host, LEFT, 500_000);
        expect(report.receivedDigest).toBe(report.sentDigest);
      }
    }));

  it('carries packets larger than 1500 bytes over a cable that takes them', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab);
      for (const end of [left, right]) {
        await end.host.ip('link set wan mtu 9000');
        await end.host.ip('link set wg0 mtu 8920');
      }
      const report = await ping(left.host, RIGHT, { size: 8892, dontFragment: true });
      expect(report.received, report.text).toBe(1);
      const file = await transfer(left.host, right.host, LEFT, 4_000_000);
      expect(file.receivedDigest).toBe(file.sentDigest);
    }));

  it('works from another namespace after its interface moved there', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab);
      await firstPing(left.host, RIGHT);
      const inside = await lab.host('container');
      await left.host.moveLink('wg0', inside);
      await inside.configure('wg0', `${LEFT}/24`);
      await firstPing(inside, RIGHT);
      // The daemon, which stayed behind, still hears of the link there.
      await inside.ip('link set wg0 down');
      expect((await ping(right.host, LEFT, { deadlineMs: 500 })).received).toBe(0);
      expect(await listens(left.host)).toBe(false);
      await inside.configure('wg0');
      await firstPing(inside, RIGHT);
      await inside.ip('link set wg0 mtu 1300');
      const report = await transfer(inside, right.host, LEFT, 500_000);
      expect(report.receivedDigest).toBe(report.sentDigest);
      await inside.ip('link delete wg0');
      expect(await left.daemon.exited).toBe(0);
      await expectNoTrace(left.host);
    }));
});

describeInLab('a tunnel on a machine that is not at its best', ['wg'], () => {
  it('works in the event loop of a Node.js that lacks what our own takes, and says so', () => {
    const preload = compiledProgram('test/lab/withoutmetrics.ts');
    return withLab({ NODE_OPTIONS: `--import ${preload}` }, async (lab) => {
      const { left, right } = await buildPair(lab);
      await firstPing(left.host, RIGHT);
      const report = await transfer(left.host, right.host, LEFT, 500_000);
      expect(report.receivedDigest).toBe(report.sentDigest);
      const line = "Packets wait in Node's own event loop: this Node.js has no uv_metrics_info";
      for (const { daemon } of [left, right]) {
        expect(daemon.stderr).toContain(line);
        expect(await daemon.stop()).toBe(0);
      }
    });
  });

  it('works without keeping caches warm, where that is switched off', () =>
    withLab({ TSWG_WARM: '0' }, async (lab) => {
      const { left } = await buildPair(lab);
      await firstPing(left.host, RIGHT);
      expect(left.daemon.stderr).toContain('No rehearsal of the packet path: it is switched off');
      expect((await ping(left.host, RIGHT)).received).toBe(1);
    }));
});

describeInLab('the life of a daemon', ['wg'], () => {
  const startDaemon = async (host: Host): Promise<Child> => {
    const daemon = host.spawn(OUR_DAEMON, ['-f', 'wg0'], { env: { LOG_LEVEL: 'debug' } });
    await waitForControl(host, 'wg0', daemon);
    return daemon;
  };

  it('goes to the background once wg works, and leaves no output open', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const result = await host.exec(OUR_DAEMON, ['wg0']);
      expect(result).toEqual({ status: 0, stdout: '', stderr: '' });
      expect(await host.run('wg', ['show', 'wg0'])).toContain('interface: wg0');
      expect(await host.run('stat', ['-c', '%a %F', SOCKET])).toBe('600 socket\n');
      // The brackets keep the pattern from finding the shell that looks for it.
      const pattern = `[${OUR_DAEMON[0]}]${OUR_DAEMON.slice(1)} .*wg0`;
      const { stdout } = await host.sh(`
        for process in /proc/[0-9]*; do
          tr '\\0' ' ' <$process/cmdline | grep -q '${pattern}' || continue
          readlink $process/fd/1 $process/fd/2
          # The shell that would start a successor reads from the daemon.
          grep -qx sh $process/comm || readlink $process/fd/0
        done`);
      expect(new Set(stdout.trim().split('\n'))).toEqual(new Set(['/dev/null']));
      await host.ip('link delete wg0');
      await expectNoTrace(host);
    }));

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`ends on ${signal} and takes interface and socket along`, () =>
      withLab({}, async (lab) => {
        const host = await lab.host('host');
        const daemon = await startDaemon(host);
        expect(await daemon.stop(signal)).toBe(0);
        await expectNoTrace(host);
      }));
  }

  it('ends when the interface is deleted', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const daemon = await startDaemon(host);
      await host.ip('link delete wg0');
      expect(await daemon.exited).toBe(0);
      expectCause(daemon, 'the interface was deleted');
      await expectNoTrace(host);
    }));

  it('ends when the socket is deleted', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const daemon = await startDaemon(host);
      await host.run('rm', [SOCKET]);
      expect(await daemon.exited).toBe(0);
      expectCause(daemon, 'the control socket was deleted');
      await expectNoTrace(host);
    }));

  it.runIf(OUR_DAEMON === 'tswgd')('leaves a line and no socket when it is killed', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const daemon = await startDaemon(host);
      const stats = await host.run('tswg', ['wg0', 'stats']);
      const pid = /^\tpid: (\d+)$/m.exec(stats)![1];
      await host.run('kill', ['-KILL', pid]);
      await daemon.waitForOutput(
        /ERROR: \(wg0\) [\d/]+ [\d:]+ Process \d+ has ended without a word: it was killed, or/,
      );
      expect(daemon.stderr).toContain(` Process ${pid} has `);
      await expectNoTrace(host);
    }),
  );

  it.runIf(OUR_DAEMON === 'tswgd')(
    'says at once that its starter was killed, and what is lost',
    () =>
      withLab({}, async (lab) => {
        const host = await lab.host('host');
        const daemon = await startDaemon(host);
        const pid = /^\tpid: (\d+)$/m.exec(await host.run('tswg', ['wg0', 'stats']))![1];
        await host.run('pkill', ['-KILL', '-P', pid]);
        const lost =
          'has ended: no upgrade in place; the control socket does not follow a renaming';
        await daemon.waitForOutput(/ERROR: \(wg0\) [\d/]+ [\d:]+ The starter, .*\n/);
        expect(daemon.stderr).toContain(`The starter, tswgd-starter in \`ps\`, ${lost}`);
        expect(await host.run('tswg', ['wg0'])).toContain(`\ttrouble: starter: ${lost}`);
        expect(await host.run('tswg', ['wg0', 'stats'])).toContain(`\ttrouble: starter: ${lost}`);
        await host.ip('link set wg0 name office');
        const renamed = await host.exec('tswg', ['office']);
        expect(renamed.stderr).toMatch(/^tswg: office: .* `ip link set office name wg0` .*\n$/);
        await host.ip('link set office name wg0');
        expect(await host.run('tswg', ['wg0'])).toContain(`\ttrouble: starter: ${lost}`);
        await daemon.stop('SIGTERM');
        expect(daemon.stderr.match(/The starter/g)).toHaveLength(1);
      }),
  );

  it('replaces the socket of a daemon that was killed with its starter', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await startDaemon(host);
      // The starter is stopped first, or it would remove the socket of the daemon killed before it.
      await host.run('pkill', ['-STOP', '-f', 'tswgd-starter']);
      await host.run('pkill', ['-KILL', '-f', 'tswgd']);
      await host.run('test', ['-S', SOCKET]);
      await startDaemon(host);
      expect(await host.run('wg', ['show', 'interfaces'])).toBe('wg0\n');
    }));

  it('leaves a running daemon alone when a second one is started for its name', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const daemon = await startDaemon(host);
      const second = await host.exec(OUR_DAEMON, ['-f', 'wg0']);
      expect(second.status).toBe(1);
      expect(second.stderr).toMatch(/wg0/);
      expect(second.stderr.trim().split('\n')).toHaveLength(1);
      if (OUR_DAEMON === 'tswgd') expect(second.stderr).toBe(SERVED_BY_ANOTHER);
      expect(daemon.status).toBe(null);
      expect(await host.run('wg', ['show', 'wg0'])).toContain('interface: wg0');
    }));

  it('works on a machine without IPv6', () =>
    withLab({}, async (lab) => {
      const { left, right } = await buildPair(lab, { bothKnow: true });
      await firstPing(left.host, RIGHT);
      await right.host.sysctl('net.ipv6.conf.all.disable_ipv6', 1);
      await right.host.sysctl('net.ipv6.conf.default.disable_ipv6', 1);
      await right.daemon.stop('SIGKILL');
      await right.startDaemon();
      await right.host.configure('wg0', `${RIGHT}/24`);
      await firstPing(right.host, LEFT);
    }));
});

/** What the daemon's last line says of its end; wireguard-go has words of its own. */
function expectCause(daemon: Child, cause: string): void {
  if (OUR_DAEMON === 'tswgd') expect(daemon.stderr).toContain(`Shutting down: ${cause}\n`);
}

/** Whether anything on the host listens on the tunnel's port. */
async function listens(host: Host): Promise<boolean> {
  const port = TUNNEL_PORT.toString(16).toUpperCase();
  return (await host.run('cat', ['/proc/net/udp'])).includes(`:${port} `);
}

async function expectNoTrace(host: Host): Promise<void> {
  await waitFor(
    async () => (await host.sh(`! test -e ${SOCKET} && ! ip link show wg0`)).status === 0,
    'the end of interface and socket',
  );
}
