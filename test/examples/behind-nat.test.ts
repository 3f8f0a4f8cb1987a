import { expect, it } from 'vitest';
import { sleep, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, PingTrain, ping } from '../lab/probes.ts';
import { withLab } from '../lab/suite.ts';
import { parseDump } from '../lab/tunnel.ts';
import { describeExample, type Example } from './example.ts';
import { addLan, Internet } from './internet.ts';

const OFFICE = '10.99.0.1';
const COTTAGE = '10.99.0.2';
/** Of the home router: the first one, and the one that its provider gives it then. */
const HOME = '192.0.2.10';
const HOME_LATER = '192.0.2.77';
/** For how long the home router remembers what is silent: more than the keepalive's 25 s. */
const ROUTER_FORGETS_S = 30;
/** Longer than that by the ten seconds after which who got data and has none to send says so. */
const SILENCE_MS = 50_000;

interface Network {
  readonly cottage: Host;
  readonly homeRouter: Host;
  readonly office: Host;
}

/** @param officeNat whether the office is behind NAT, too, or has the address itself */
async function build(lab: Lab, example: Example, officeNat: boolean): Promise<Network> {
  const [cottage, homeRouter, office] = await lab.hosts('cottage', 'home-router', 'office');
  const internet = await Internet.open(lab);
  await internet.connect(homeRouter, 'wan', `${HOME}/24`);
  await addLan(homeRouter, cottage, [{ gateway: '192.168.1.1/24', machine: '192.168.1.5/24' }]);
  const hosts = [cottage, homeRouter, office];
  if (officeNat) {
    const router = await lab.host('office-router');
    await internet.connect(router, 'wan', '203.0.113.10/24');
    await addLan(router, office, [{ gateway: '192.168.7.1/24', machine: '192.168.7.5/24' }]);
    await router.forward();
    hosts.push(router);
  } else {
    await internet.connect(office, 'wan', '203.0.113.10/24');
  }
  await homeRouter.forward();
  await example.install(...hosts);
  for (const host of hosts) await example.boot(host);
  for (const kind of ['udp_timeout', 'udp_timeout_stream']) {
    await homeRouter.sysctl(`net.netfilter.nf_conntrack_${kind}`, ROUTER_FORGETS_S);
  }
  return { cottage, homeRouter, office };
}

/** Where the office heard the cottage last. */
async function heardAt({ office }: Network): Promise<string> {
  const { peers } = parseDump(await office.run('wg', ['show', 'wg0', 'dump']));
  return peers[0].endpoint;
}

describeExample('behind-nat', ['nft', 'wg', 'conntrack', 'stdbuf'], (example) => {
  it.concurrent.each([
    ['one side is', false],
    ['both sides are, with one port forwarded', true],
  ])('both may begin, also after a long silence: %s', (_, officeNat) =>
    withLab({}, async (lab) => {
      const network = await build(lab, example, officeNat);
      const { cottage, office } = network;
      // The keepalive begins by itself: the office can call before the cottage has said a word.
      await waitFor(async () => (await heardAt(network)).startsWith(`${HOME}:`), 'the cottage');
      await firstPing(office, COTTAGE);
      await firstPing(cottage, OFFICE);
      await sleep(SILENCE_MS);
      const after = await ping(office, COTTAGE, { deadlineMs: 5000 });
      expect(after.received, after.text).toBe(1);
      await example.expectHealthy(cottage, office);
    }),
  );

  it.concurrent('a mapping that is lost, and an address that changes, are followed by the office', () =>
    withLab({}, async (lab) => {
      const network = await build(lab, example, true);
      const { cottage, homeRouter, office } = network;
      await firstPing(cottage, OFFICE);
      const changeAddress = async (): Promise<void> => {
        await homeRouter.ip(`address delete ${HOME}/24 dev wan`);
        await homeRouter.ip(`address add ${HOME_LATER}/24 dev wan`);
        await homeRouter.ip('route replace default via 192.0.2.1 dev wan');
      };
      const losses: readonly [
        what: string,
        from: Host,
        to: string,
        lose: () => Promise<unknown>,
      ][] = [
        ['mapping lost, the cottage talks', cottage, OFFICE, () => flush(homeRouter)],
        ['mapping lost, the office talks', office, COTTAGE, () => flush(homeRouter)],
        ['address changed, the cottage talks', cottage, OFFICE, changeAddress],
      ];
      for (const [what, from, to, lose] of losses) {
        const train = new PingTrain(from, to);
        await waitFor(() => train.received > 10, `answers before: ${what}`);
        const before = await heardAt(network);
        await lose();
        await waitFor(async () => (await heardAt(network)) !== before, `another endpoint: ${what}`);
        const received = train.received;
        await waitFor(() => train.received > received + 10, `answers after: ${what}`);
        const { lost } = await train.stop();
        console.info(`behind NAT: ${what}: ${lost * 20} ms of the ping lost`);
      }
      expect(await heardAt(network)).toMatch(new RegExp(`^${HOME_LATER}:`));
    }));
});

/** As if the router had been restarted. */
async function flush(router: Host): Promise<void> {
  await router.run('conntrack', ['-F']);
}
