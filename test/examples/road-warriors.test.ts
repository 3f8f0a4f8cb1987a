import { expect, it } from 'vitest';
import { type Result, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { NameServer } from '../lab/nameserver.ts';
import { PingTrain, ping } from '../lab/probes.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { withLab } from '../lab/suite.ts';
import { TunnelEnd } from '../lab/tunnel.ts';
import { describeExample, type Example } from './example.ts';
import { addLan, Internet } from './internet.ts';
import { LeakWatch } from './leaks.ts';
import { pictureOfTerminal } from './qrcode.ts';

const OFFICE = { 4: '10.20.0.5', 6: '2001:db8:b::5' } as const;
const WEB = { 4: '198.18.0.80', 6: '2001:db8:80::80' } as const;
/** Of the gateway, as Capture writes it. */
const GATEWAYS = ['203.0.113.10', '2001:db8:1:0:0:0:0:10'];
const INNER = ['10.99.0.1', '2001:db8:99::1'] as const;
/** A network of both families, in which either could leave. */
const BOTH = ['198.51.100.12/24', '2001:db8:2::12/64'] as const;
/** Where each laptop is at the moment: one in a network of IPv4, one of both, one of IPv6 only. */
const LINES = {
  'laptop-split': ['192.0.2.11/24'],
  'laptop-firewall': BOTH,
  'laptop-blackhole': ['2001:db8:3::13/64'],
} as const;
type Laptop = keyof typeof LINES;

interface Network {
  readonly internet: Internet;
  readonly gateway: Host;
  readonly web: Host;
  readonly laptops: readonly Host[];
}

/** The gateway runs; the laptops are switched off, their files in place. */
async function build(lab: Lab, example: Example, ...names: readonly Laptop[]): Promise<Network> {
  const [gateway, office, web] = await lab.hosts('gateway', 'office', 'web');
  const laptops = await lab.hosts(...names);
  const internet = await Internet.open(lab);
  await internet.connect(gateway, 'wan', '203.0.113.10/24', '2001:db8:1::10/64');
  await internet.connect(web, 'wan', `${WEB[4]}/24`, `${WEB[6]}/64`);
  for (const prefix of ['2001:db8:99::/64', '2001:db8:b::/64']) {
    await internet.router.ip(`-6 route add ${prefix} via 2001:db8:1::10`);
  }
  await addLan(gateway, office, [
    { gateway: '10.20.0.1/24', machine: `${OFFICE[4]}/24` },
    { gateway: '2001:db8:b::1/64', machine: `${OFFICE[6]}/64` },
  ]);
  // The gateway has a line for each laptop, and so the key of each, whether it is here or not.
  const absent = (Object.keys(LINES) as Laptop[]).filter((name) => !names.includes(name));
  const others = await lab.hosts(...absent);
  await example.install(gateway, ...laptops, ...others);
  await example.boot(gateway);
  const server = await NameServer.start(gateway, INNER);
  await server.setAll({
    'www.example.net': { addresses: [WEB[4], WEB[6]] },
    'intranet.example.net': { addresses: [OFFICE[4], OFFICE[6]] },
  });
  return { internet, gateway, web, laptops };
}

/** Switches a laptop on; its boot is over when its tunnel is up. */
async function switchOn({ internet }: Network, example: Example, laptop: Host): Promise<void> {
  await example.beforeNetwork(laptop);
  await internet.connect(laptop, 'wan', ...LINES[laptop.name as Laptop]);
  await example.startTunnels(laptop);
}

async function addressesOf(host: Host, name: string): Promise<string[]> {
  const { stdout } = await host.exec('getent', ['ahosts', name]);
  return [...new Set(stdout.split('\n').flatMap((line) => line.split(' ')[0] || []))].sort();
}

async function expectReached(host: Host, ...addresses: readonly string[]): Promise<void> {
  for (const address of addresses) await reach(host, address);
}

/** Waits for an answer; while the peer is nowhere a ping ends with the error that says so. */
async function reach(host: Host, address: string): Promise<void> {
  const isThere = async () => (await ping(host, address, { deadlineMs: 500 })).received > 0;
  await waitFor(isThere, `${address} from ${host.name}`);
}

describeExample('road-warriors', ['nft', 'wg', 'tcpdump', 'stdbuf'], (example) => {
  it.concurrent('a split tunnel carries the office and its names, and leaves the rest alone', () =>
    withLab({}, async (lab) => {
      const network = await build(lab, example, 'laptop-split');
      const [laptop] = network.laptops;
      await switchOn(network, example, laptop);
      await expectReached(laptop, OFFICE[4], OFFICE[6], WEB[4]);
      expect(await addressesOf(laptop, 'intranet.example.net')).toEqual([OFFICE[4], OFFICE[6]]);
      const wire = { host: network.internet.router, ifname: network.internet.interfaces[2] };
      const watch = await LeakWatch.start(laptop, wire, [OFFICE[4], OFFICE[6]], GATEWAYS, false);
      await watch.tryAll();
      const { leaks, tunnelled } = await watch.stop();
      expect(leaks).toEqual([]);
      expect(tunnelled).toBeGreaterThan(0);
      const other = await LeakWatch.start(laptop, wire, [WEB[4], OFFICE[6]], GATEWAYS, false);
      await other.tryAll();
      expect((await other.stop()).leaks).toContain(`protocol 1: 192.0.2.11 -> ${WEB[4]} port 0`);
      await example.expectHealthy(network.gateway, laptop);
    }));

  it.concurrent.each([
    ['laptop-firewall', true],
    ['laptop-blackhole', false],
  ] as const)('a full tunnel is all that leaves, with its daemon and without: %s', (name, bound) =>
    withLab({}, async (lab) => {
      const network = await build(lab, example, name);
      const [laptop] = network.laptops;
      const { internet } = network;
      await example.beforeNetwork(laptop);
      const ifname = await internet.connect(laptop, 'wan', ...BOTH);
      const wire = { host: internet.router, ifname };
      const watch = await LeakWatch.start(laptop, wire, [WEB[4], WEB[6]], GATEWAYS, bound);
      const expectSilence = async (what: string): Promise<void> => {
        await watch.tryAll();
        for (const address of [WEB[4], WEB[6]]) {
          const { received } = await ping(laptop, address, { deadlineMs: 300 });
          expect(received, `${what}: ${address}`).toBe(0);
        }
      };
      const expectInternet = async (): Promise<void> => {
        await expectReached(laptop, WEB[4], WEB[6], OFFICE[4], OFFICE[6]);
        await watch.tryAll();
        expect(await addressesOf(laptop, 'www.example.net')).toEqual([WEB[4], WEB[6]]);
      };

      await expectSilence('not yet started at boot');
      await example.startTunnels(laptop);
      await expectInternet();
      await example.expectHealthy(laptop);
      const [, pid] = /^\tpid: (\d+)$/m.exec(await laptop.run('tswg', ['wg0', 'stats']))!;
      await laptop.run('kill', ['-KILL', pid]);
      await expectSilence('killed');
      await example.startTunnels(laptop);
      await expectInternet();
      expect(await laptop.run('tswg', ['wg0', 'upgrade'])).toContain('now served by');
      await expectInternet();
      await laptop.run('tswg', ['wg0', 'destroy']);
      await expectSilence('stopped');
      await example.startTunnels(laptop);
      await expectInternet();

      const { leaks, tunnelled } = await watch.stop();
      expect(leaks).toEqual([]);
      expect(tunnelled).toBeGreaterThan(0);
    }),
  );

  it.concurrent('one laptop is removed, and no packet of the others is lost', () =>
    withLab({}, async (lab) => {
      const names = ['laptop-split', 'laptop-firewall', 'laptop-blackhole'] as const;
      const network = await build(lab, example, ...names);
      const { gateway, laptops } = network;
      for (const laptop of laptops) {
        await switchOn(network, example, laptop);
        await expectReached(laptop, OFFICE[4], OFFICE[6]);
      }
      const [removed, ...others] = laptops;
      const trains = others.flatMap((host) => [
        new PingTrain(host, OFFICE[4]),
        new PingTrain(host, OFFICE[6]),
      ]);
      const train = new PingTrain(removed, OFFICE[4]);
      const waitForAll = async (): Promise<void> => {
        const counts = trains.map((one) => one.received + 20);
        await waitFor(() => trains.every((one, i) => one.received > counts[i]), 'answers');
      };
      await waitForAll();
      await waitFor(() => train.received > 10, 'answers of the one to be removed');
      // As the file says how.
      const [command] = /tswg wg0 -wgpeer .*laptop-split.*/.exec(
        example.text('gateway', 'hostname.wg0'),
      )!;
      expect(await gateway.sh(command)).toEqual({ status: 0, stdout: '', stderr: '' });
      const last = train.received;
      await waitForAll();
      expect(train.received).toBeLessThanOrEqual(last + 1);
      await train.stop();
      const reports = await Promise.all(trains.map((one) => one.stop()));
      expect(reports.map(({ lost }) => lost)).toEqual(trains.map(() => 0));
      expect((await ping(removed, OFFICE[4], { deadlineMs: 500 })).received).toBe(0);
    }));
});

const FOR_TELEPHONE = ['wg', 'wg-quick', 'wireguard-go', 'zbarimg', 'npx'];

describeExample('road-warriors', FOR_TELEPHONE, (example) => {
  it('a telephone reads its file from the QR code, in the terminal and in a picture', () =>
    withLab({}, async (lab) => {
      const { internet, gateway } = await build(lab, example);
      const shown = await addTelephone(gateway);
      expect(shown.stderr).toBe('');
      await gateway.writeFile('/run/shown.pgm', pictureOfTerminal(shown.stdout));
      const first = await decode(gateway, '/run/shown.pgm');
      expect(await addTelephone(gateway)).toEqual({
        status: 1,
        stdout: '',
        stderr: '/etc/wg/telephone.sh: there is a telephone: /etc/wg/telephone.pub\n',
      });
      await removeTelephone(gateway);

      expect(await addTelephone(gateway, '/run/picture.png')).toMatchObject({ stderr: '' });
      const file = await decode(gateway, '/run/picture.png');
      const withoutKey = (text: string): string => text.replace(/^PrivateKey = .*$/m, '');
      expect(withoutKey(file)).toBe(withoutKey(first));
      expect(file).not.toBe(first);

      // Not of ours: what the file says is what the others understand.
      const telephone = await lab.host('telephone');
      await internet.connect(telephone, 'wan', '192.0.2.99/24');
      const daemon = 'wireguard-go';
      await TunnelEnd.start(telephone, ['10.99.0.14/32', '2001:db8:99::14/128'], { daemon });
      await telephone.writeFile('/etc/wireguard/wg0.conf', file);
      await telephone.run('sh', [
        ...['-euc', 'wg-quick strip wg0 >/run/wg0.conf; wg setconf wg0 /run/wg0.conf'],
      ]);
      for (const address of [OFFICE[4], OFFICE[6]]) {
        await telephone.ip(`route add ${address} dev wg0`);
        await reach(telephone, address);
      }
      expect(await gateway.run('tswg', ['wg0'])).toContain('wgdescr: telephone\n');
    }));
});

/** Runs the script from the repository, where npx finds the encoder without a network. */
function addTelephone(gateway: Host, ...words: readonly string[]): Promise<Result> {
  const command = 'cd "$1"; shift; exec sh /etc/wg/telephone.sh "$@"';
  return gateway.exec('sh', ['-euc', command, 'sh', REPOSITORY, ...words]);
}

/** As the script says how. */
async function removeTelephone(gateway: Host): Promise<void> {
  await gateway.run('sh', [
    '-euc',
    `tswg wg0 -wgpeer "$(cat /etc/wg/telephone.pub)"
    rm /etc/wg/telephone.pub
    sed -i '/wgdescr telephone/d' /etc/hostname.wg0`,
  ]);
}

/** What a camera reads. */
function decode(host: Host, picture: string): Promise<string> {
  return host.run('zbarimg', ['--quiet', '--raw', '-Sdisable', '-Sqrcode.enable', picture]);
}
