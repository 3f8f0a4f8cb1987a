import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { type Child, waitFor } from '../lab/command.ts';
import { buildHandbook, type Site } from '../lab/handbook.ts';
import type { Host } from '../lab/host.ts';
import { NotifySocket } from '../lab/notifysocket.ts';
import { ping } from '../lab/probes.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { createKeyPair, type KeyPair, parseDump, waitForControl } from '../lab/tunnel.ts';

const FILE = '/etc/hostname.wg0';
const SOCKET = '/var/run/wireguard/wg0.sock';
const WELL = { status: 0, stdout: '', stderr: '' };

function example(name: string): string {
  return readFileSync(path.join(REPOSITORY, 'examples', name), 'utf8');
}

/** Site A's file for site A, or with the differences that it names for site B. */
function hostnameFile(letter: 'a' | 'b', otherPublicKey: string): string {
  const fileA = example('hostname.wg0').replace(
    '#wgpeer PUBLIC_KEY_OF_SITE_B',
    `wgpeer ${otherPublicKey}`,
  );
  if (letter === 'a') return fileA;
  return fileA
    .replace('inet 10.99.0.1', 'inet 10.99.0.2')
    .replace("wgdescr 'site B'", "wgdescr 'site A'")
    .replace('wgendpoint 203.0.113.10', 'wgendpoint 198.51.100.10')
    .replace('wgaip 10.99.0.2/32', 'wgaip 10.99.0.1/32')
    .replaceAll(/(wgaip|replace) 10\.20\.0\.0\/24/g, '$1 10.0.0.0/24');
}

/** What a gateway of the handbook finds when it boots. */
async function prepare(site: Site, letter: 'a' | 'b', own: KeyPair, other: KeyPair) {
  await site.gateway.writeFile('/etc/wg/private.key', `${own.privateKey}\n`);
  await site.gateway.writeFile(FILE, hostnameFile(letter, other.publicKey));
}

/** The words of the lines of a directive, without systemd's prefixes, for the interface wg0. */
function wordsOf(key: string, unit: string): string[] {
  const lines = example(unit).matchAll(new RegExp(`^${key}=[-+]*(.*)$`, 'gm'));
  return [...lines].flatMap(([, value]) => value.replaceAll('%i', 'wg0').split(' '));
}

const UNITS = { tunnel: 'tswg@.service', lines: 'tswg-config@.service' } as const;

/** A gateway on which the unit files' lines are run as systemd would run them. */
class Service {
  readonly tunnel: NotifySocket;
  readonly lines: NotifySocket;
  readonly daemon: Child;
  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
    // The same sockets as seen from outside and from inside of the host.
    this.tunnel = new NotifySocket(`/proc/${host.pid}/root/run/tunnel`);
    this.lines = new NotifySocket(`/proc/${host.pid}/root/run/lines`);
    const kept = wordsOf('CapabilityBoundingSet', UNITS.tunnel).map(
      (one) => `+${one.toLowerCase().replace('cap_', '')}`,
    );
    const limits = ['--no-new-privs', '--bounding-set', ['-all', ...kept].join(',')];
    this.daemon = host.spawn('setpriv', [...limits, ...wordsOf('ExecStart', UNITS.tunnel)], {
      env: { NOTIFY_SOCKET: '/run/tunnel', LOG_LEVEL: 'debug' },
    });
  }

  /** Resolves to the keeper of the lines, once it is ready. */
  async start(): Promise<Child> {
    await waitFor(() => this.tunnel.states.length > 0, 'READY=1');
    const [program, ...args] = wordsOf('ExecStart', UNITS.lines);
    const env = { NOTIFY_SOCKET: '/run/lines' };
    const keeper = this.#host.spawn(program, args, { env });
    await waitFor(() => this.lines.states.includes('READY=1'), 'READY=1 of the lines', 20_000);
    return keeper;
  }

  async reload(): Promise<void> {
    const [program, ...args] = wordsOf('ExecReload', UNITS.tunnel);
    expect(await this.#host.exec(program, args)).toEqual(WELL);
  }

  close(): void {
    this.tunnel.close();
    this.lines.close();
  }
}

async function expectAcross(siteA: Site, siteB: Site): Promise<void> {
  const there = await ping(siteA.host, siteB.hostAddress, { count: 3 });
  expect(there.received, there.text).toBe(3);
  const back = await ping(siteB.host, siteA.hostAddress, { count: 3 });
  expect(back.received, back.text).toBe(3);
}

/** All that a second run must leave as it is. */
async function stateOf(host: Host): Promise<unknown> {
  const { peers, ...device } = parseDump(await host.run('wg', ['show', 'wg0', 'dump']));
  const addresses = await host.ip('-brief address show dev wg0');
  const routes = await host.ip('route show dev wg0');
  return {
    device,
    addresses,
    routes,
    peers: peers.map((one) => ({ ...one, rxBytes: 0, txBytes: 0 })),
  };
}

describeInLab('the systemd unit', ['setpriv', 'wg'], () => {
  it('brings both sites up, tells systemd so, and reloads without disturbing the tunnel', () =>
    withLab({}, async (lab) => {
      const { siteA, siteB } = await buildHandbook(lab);
      const [keysA, keysB] = [createKeyPair(), createKeyPair()];
      await prepare(siteA, 'a', keysA, keysB);
      await prepare(siteB, 'b', keysB, keysA);
      const services = [siteA, siteB].map((site) => new Service(site.gateway));
      for (const keeper of await Promise.all(services.map((service) => service.start()))) {
        expect(await keeper.exited).toBe(0);
        expect([keeper.stdout, keeper.stderr]).toEqual(['', '']);
      }
      await expectAcross(siteA, siteB);

      const before = await stateOf(siteA.gateway);
      await services[0].reload();
      expect(await stateOf(siteA.gateway)).toEqual(before);
      await expectAcross(siteA, siteB);

      for (const service of services) {
        const { daemon, tunnel } = service;
        expect(tunnel.states).toEqual(['READY=1']);
        expect(await daemon.stop()).toBe(0);
        expect(tunnel.states).toEqual(['READY=1', 'STOPPING=1']);
        expect(daemon.stderr).not.toMatch(/^error|No rehearsal|EPERM/m);
        service.close();
      }
      expect((await siteA.gateway.exec('test', ['-e', SOCKET])).status).toBe(1);
    }));

  it('tells of a line that is missing, and carries it out later, while the tunnel works', () =>
    withLab({}, async (lab) => {
      const { siteA, siteB } = await buildHandbook(lab);
      const [keysA, keysB] = [createKeyPair(), createKeyPair()];
      await prepare(siteA, 'a', keysA, keysB);
      await prepare(siteB, 'b', keysB, keysA);
      const { gateway } = siteA;
      const text = hostnameFile('a', keysB.publicKey);
      await gateway.writeFile(FILE, `!test -e /run/later\n!echo once\nwgpotr 7\n${text}`);
      const services = [siteA, siteB].map((site) => new Service(site.gateway));
      const [keeper] = await Promise.all(services.map((service) => service.start()));
      await expectAcross(siteA, siteB);
      const [lines] = services.map((service) => service.lines);
      const missing = [
        'hostname.wg0:1: !test -e /run/later: exit code 1',
        'hostname.wg0:3: wgpotr: unknown word; did you mean wgport?',
      ];
      await waitFor(() => lines.states.length > 1, 'STATUS=');
      expect(lines.states).toEqual(['READY=1', `STATUS=Not carried out: 2; ${missing.join('; ')}`]);
      await gateway.writeFile(FILE, `!test -e /run/later\n!echo once\n${text}`);
      await gateway.run('touch', ['/run/later']);
      expect(await keeper.exited).toBe(0);
      expect(lines.states.at(-1)).toBe('STATUS=Every line has been carried out');
      expect(keeper.stdout).toBe('once\n');
      const said = keeper.stderr.replaceAll('tswg: ', '').trimEnd().split('\n');
      expect(said.slice(0, 2).sort()).toEqual(missing);
      expect(said.slice(2)).toEqual(
        expect.arrayContaining([
          'hostname.wg0:1: carried out',
          'wg0: every line has been carried out',
        ]),
      );
      for (const service of services) {
        await service.daemon.stop();
        service.close();
      }
    }));
});

describeInLab('netstart', [], () => {
  it('brings both sites up on a system without systemd, and once more', () =>
    withLab({}, async (lab) => {
      const { siteA, siteB } = await buildHandbook(lab);
      const [keysA, keysB] = [createKeyPair(), createKeyPair()];
      await prepare(siteA, 'a', keysA, keysB);
      await prepare(siteB, 'b', keysB, keysA);
      for (const run of ['first', 'second']) {
        for (const { gateway } of [siteA, siteB]) {
          expect(await gateway.exec('tswg', ['netstart']), run).toEqual(WELL);
        }
        await expectAcross(siteA, siteB);
      }
    }));

  it('starts another daemon for a persistent interface that has lost its own', () =>
    withLab({}, async (lab) => {
      const { siteA, siteB } = await buildHandbook(lab);
      const [keysA, keysB] = [createKeyPair(), createKeyPair()];
      await prepare(siteA, 'a', keysA, keysB);
      await prepare(siteB, 'b', keysB, keysA);
      const { gateway } = siteA;
      await gateway.run('mount', ['-t', 'tmpfs', 'tmpfs', '/var/lib']);
      const first = gateway.spawn('tswgd', ['-f', '--persist', 'wg0']);
      await waitForControl(gateway, 'wg0', first);
      for (const one of [gateway, siteB.gateway]) {
        expect(await one.exec('tswg', ['netstart'])).toEqual(WELL);
      }
      await expectAcross(siteA, siteB);
      await first.stop('SIGKILL');
      expect(await gateway.exec('tswg', ['netstart'])).toEqual(WELL);
      await expectAcross(siteA, siteB);
      // It persists, too.
      const pid = (await gateway.run('pgrep', ['-ofx', '.*tswgd wg0'])).trim();
      await gateway.run('kill', ['-9', pid]);
      await waitFor(
        async () => (await gateway.exec('wg', ['show', 'wg0'])).status !== 0,
        'the end of the second daemon',
      );
      expect((await gateway.exec('ip', ['link', 'show', 'wg0'])).status).toBe(0);
      expect(await gateway.exec('tswg', ['wg0', 'destroy'])).toEqual(WELL);
    }));

  it('makes the private key that the file asks for', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('gateway');
      // As it is shipped: the other site's key is not known yet.
      await host.writeFile(FILE, example('hostname.wg0'));
      expect(await host.exec('tswg', ['netstart', 'wg0'])).toEqual(WELL);
      const made = await host.sh('tswg pubkey </etc/wg/private.key');
      expect(await host.run('tswg', ['wg0'])).toContain(`wgpubkey ${made.stdout}`);
      expect((await host.run('stat', ['-c', '%a', '/etc/wg/private.key'])).trim()).toBe('600');
    }));

  it('-n prints a script that does the same', () =>
    withLab({}, async (lab) => {
      const [host, other] = await lab.hosts('one', 'other');
      await host.writeFile(FILE, hostnameFile('a', createKeyPair().publicKey));
      const plan = await host.run('tswg', ['netstart', '-n']);
      expect(await host.run('ip', ['-brief', 'link'])).not.toContain('wg0');
      expect((await host.exec('test', ['-e', '/etc/wg/private.key'])).status).toBe(1);

      const key = createKeyPair().privateKey;
      for (const one of [host, other]) await one.writeFile('/etc/wg/private.key', key);
      expect(await host.exec('tswg', ['netstart'])).toEqual(WELL);
      expect(await other.sh(plan)).toEqual(WELL);
      // Since when a peer is idle, each knows for itself.
      const show = async (one: Host) =>
        (await one.run('tswg', ['wg0'])).replace(/(?<=state: idle) since .*/, '');
      const shown = await show(host);
      expect(shown).toContain('wgendpoint 203.0.113.10 51820');
      expect(await show(other)).toBe(shown);
    }));

  it('leaves everything as it is for one mistake, or for a file that others can read', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('gateway');
      await host.writeFile(FILE, '!touch /run/touched\nup\nwgport x\n');
      await host.writeFile('/etc/hostname.wg1', '!touch /run/touched\nup\n', '640');
      expect(await host.exec('tswg', ['netstart'])).toEqual({
        status: 1,
        stdout: '',
        stderr:
          'tswg: hostname.wg0:3: wgport: x: expected 0 to 65535\n' +
          'tswg: /etc/hostname.wg1: other users can access this file (mode 640); fix it with: chmod 600 /etc/hostname.wg1\n',
      });
      expect(await host.run('ip', ['-brief', 'link'])).not.toContain('wg');
      expect((await host.exec('test', ['-e', '/run/touched'])).status).toBe(1);
    }));
});
