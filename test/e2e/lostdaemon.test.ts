import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { waitForControl } from '../lab/tunnel.ts';

const LOST =
  'no daemon serves it any longer: `tswg netstart wg0`, `tswgd --persist wg0` or its service takes it over, `tswg wg0 destroy` removes it';
const COMMANDS = ['wg0 stats', 'wg0 up', 'wg0 down', 'wg0 mtu 1400', 'wg0 wgport 7', 'wg0 debug'];

/** A persistent interface whose daemon is gone, with its state saved. */
async function lose(host: Host, signal: 'SIGKILL' | 'SIGTERM', afterwards: string): Promise<void> {
  await host.run('mount', ['-t', 'tmpfs', 'tmpfs', '/var/lib']);
  const daemon = host.spawn('tswgd', ['-f', '--persist', 'wg0']);
  await waitForControl(host, 'wg0', daemon);
  await host.run('tswg', ['wg0', 'inet', '10.99.0.1/30', 'wgport', '0']);
  await waitFor(
    async () => (await host.sh('test -e /var/lib/tswg/wg0/state')).status === 0,
    'the state',
  );
  await daemon.stop(signal);
  await host.run('sh', ['-euc', afterwards]);
}

async function remains(host: Host): Promise<string> {
  return host.run('sh', [
    '-c',
    'ls -A /var/lib/tswg /run/wireguard /run/tswg 2>/dev/null | grep wg0; ip -brief link show dev wg0 2>/dev/null || :',
  ]);
}

describeInLab('an interface of ours whose daemon is gone', ['wg'], () => {
  it.each([
    [
      'killed, its socket removed by its starter or by wg(8) since',
      'SIGKILL',
      'wg show interfaces',
    ],
    ['stopped', 'SIGTERM', 'test ! -e /run/wireguard/wg0.sock'],
  ] as const)('is told by every command, and removed: %s', (_, signal, afterwards) =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await lose(host, signal, afterwards);
      for (const words of ['wg0', 'wg', '']) {
        const told = await host.sh(`tswg ${words}`);
        expect([told.status, told.stderr], words).toEqual([0, `tswg: wg0: ${LOST}\n`]);
        expect(told.stdout).toContain('inet 10.99.0.1');
      }
      const before = await host.run('ip', ['-d', 'address', 'show', 'wg0']);
      for (const words of COMMANDS) {
        const told = await host.sh(`tswg ${words}`);
        expect(told, words).toEqual({ status: 1, stdout: '', stderr: `tswg: wg0: ${LOST}\n` });
      }
      expect((await host.sh('tswg wg0 upgrade')).stderr).toBe(`tswg: wg0: upgrade: ${LOST}\n`);
      expect(await host.run('ip', ['-d', 'address', 'show', 'wg0'])).toBe(before);
      expect(await host.sh('tswg wg0 destroy')).toMatchObject({ status: 0, stderr: '' });
      expect(await remains(host)).toBe('');
    }),
  );

  it('gets another daemon by netstart', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await lose(host, 'SIGTERM', ':');
      await host.writeFile('/etc/hostname.wg0', 'wgport 7007\n');
      expect(await host.sh('tswg netstart wg0')).toMatchObject({ status: 0, stderr: '' });
      expect(await host.run('wg', ['show', 'wg0', 'listen-port'])).toBe('7007\n');
      expect(await host.run('tswg', ['wg0'])).toContain('inet 10.99.0.1');
    }));

  it('leaves a state that is told of when the interface is gone, until destroy removes it', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await lose(host, 'SIGTERM', 'ip link delete wg0');
      const told = (await host.sh('tswg wg0')).stderr;
      expect(told).toBe(
        'tswg: wg0: no such interface; a daemon ended without removing its state or socket; `tswg wg0 destroy` removes them\n',
      );
      await host.run('tswg', ['wg0', 'destroy']);
      expect(await remains(host)).toBe('');
    }));
});

describeInLab('a daemon', ['ps', 'ss'], () => {
  it('is known to the system’s tools by its own name, and so is its successor', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await host.run('tswgd', ['wg0']);
      await host.run('tswg', ['wg0', 'inet', '10.99.0.1/30', 'wgport', '7007']);
      const names = async () => {
        const { stdout } = await host.sh('ps -C tswgd -o comm=,args= | grep -v defunct');
        expect(stdout).toMatch(/^tswgd +tswgd wg0\n/);
        // The sockets are opened when the kernel has told the daemon that its link is up.
        await waitFor(async () => {
          const sockets = (await host.sh('ss -Huap sport = :7007')).stdout;
          return sockets.match(/users:\(\("tswgd",/g)?.length === 2;
        }, 'both sockets under the daemon’s name');
      };
      await names();
      await host.run('tswg', ['wg0', 'upgrade']);
      await names();
    }));
});
