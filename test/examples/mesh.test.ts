import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { REKEY_ATTEMPT_TIME_MS } from '../../src/noise/constants.ts';
import { type Child, HANG_MS, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, PingTrain, ping } from '../lab/probes.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { withLab } from '../lab/suite.ts';
import { transfer } from '../lab/transfer.ts';
import { type KeyPair, parseDump } from '../lab/tunnel.ts';
import { describeExample, type Example } from './example.ts';
import { addLan, Internet } from './internet.ts';

const WANS: Readonly<Record<number, string>> = {
  1: '203.0.113.10',
  2: '192.0.2.10',
  3: '192.0.2.130',
  4: '198.51.100.10',
  5: '198.51.100.130',
};
const NUMBERS = [1, 2, 3, 4, 5] as const;
const machineOf = (site: number): string => `10.0.${site}.5`;
/** What a site passes on in the tunnel beside itself: the hub adds one. */
const DIRECTLY = 2;
const BY_WAY_OF_SITE_1 = 3;
/** Of a packet that nobody has forwarded. */
const TTL = 64;
const INTERVAL_MS = 10;
/** Of a file that is under way while a key is replaced. */
const FILE_BYTES = 400_000_000;

interface Mesh {
  readonly internet: Internet;
  /** By their numbers; the first place is empty. */
  readonly gateways: readonly Host[];
  readonly machines: readonly Host[];
  readonly keys: ReadonlyMap<string, KeyPair>;
}

async function build(lab: Lab, example: Example): Promise<Mesh> {
  const [, ...gateways] = await lab.hosts('', 'site1', 'site2', 'site3', 'site4', 'site5');
  const machines = await lab.hosts('m1', 'm2', 'm3', 'm4', 'm5');
  const internet = await Internet.open(lab);
  for (const [i, n] of NUMBERS.entries()) {
    await internet.connect(gateways[i], 'wan', `${WANS[n]}/25`);
    const network = { gateway: `10.0.${n}.1/24`, machine: `${machineOf(n)}/24` };
    await addLan(gateways[i], machines[i], [network]);
  }
  const keys = await example.install(...gateways);
  const numbered = <T>(list: readonly T[]): T[] => Object.assign([], { ...[list[0], ...list] });
  return { internet, gateways: numbered(gateways), machines: numbered(machines), keys };
}

/** Boots the sites, and starts on each what its unit starts. */
async function boot({ gateways }: Mesh, example: Example): Promise<void> {
  for (const n of NUMBERS) {
    await example.boot(gateways[n]);
    await startHook(gateways[n], example);
  }
}

async function startHook(gateway: Host, example: Example): Promise<Child> {
  const unit = example.text(gateway.name, 'systemd/system/mesh.service');
  const child = gateway.spawn('sh', ['-c', /^ExecStart=(.*)$/m.exec(unit)![1]]);
  await waitFor(async () => {
    const stats = await gateway.run('tswg', ['wg0', 'stats', '--json']);
    return /"events_?[fF]ollowers":\s*[1-9]/.test(stats);
  }, `the hook of ${gateway.name}`);
  return child;
}

/** By how many sites, and which, an answer has come: the TTL tells. */
async function hops({ machines }: Mesh, from: number, to: number): Promise<number> {
  const { text } = await ping(machines[from], machineOf(to), { deadlineMs: 1000 });
  return TTL - Number(/ttl=(\d+)/.exec(text)?.[1] ?? TTL);
}

/** Cuts what the internet passes between sites. */
async function cut({ internet }: Mesh, ...pairs: readonly (readonly [number, number])[]) {
  const rules = pairs.flatMap(([a, b]) => [
    `ip saddr ${WANS[a]} ip daddr ${WANS[b]} drop`,
    `ip saddr ${WANS[b]} ip daddr ${WANS[a]} drop`,
  ]);
  const chain = ['type filter hook forward priority 0;', ...rules].join('\n');
  await internet.router.nft(`table ip cut {\nchain passed {\n${chain}\n}\n}`);
}

async function stateOf(gateway: Host, name: string): Promise<string> {
  const shown = await gateway.run('tswg', ['wg0']);
  return new RegExp(`wgdescr: ${name}\\n(?:.*\\n)*?\\t\\tstate: (\\w+)`).exec(shown)![1];
}

async function hasGivenUp(gateway: Host, name: string): Promise<boolean> {
  const words = ['wg0', 'events', '--on', 'handshakeFailed', '--peer', name];
  return (await gateway.run('tswg', words)) !== '';
}

async function prefixesOf(gateway: Host, publicKey: string): Promise<readonly string[] | null> {
  const { peers } = parseDump(await gateway.run('wg', ['show', 'wg0', 'dump']));
  return peers.find((peer) => peer.publicKey === publicKey)?.allowedIps ?? null;
}

describeExample('mesh', ['nft', 'wg', 'stdbuf'], (example) => {
  it('has the same hook everywhere', () => {
    for (const file of ['wg/mesh', 'wg/new-key', 'systemd/system/mesh.service']) {
      const texts = NUMBERS.map((n) =>
        readFileSync(join(REPOSITORY, 'examples/mesh', `site${n}`, file), 'utf8'),
      );
      expect(new Set(texts).size, file).toBe(1);
    }
  });

  it('has each site send to each other one directly, and over site 1 what does not pass', () =>
    withLab({}, async (lab) => {
      const mesh = await build(lab, example);
      const { gateways, machines } = mesh;
      await boot(mesh, example);
      for (const from of NUMBERS) {
        for (const to of NUMBERS.filter((n) => n > from)) {
          await firstPing(machines[from], machineOf(to));
          expect(await hops(mesh, from, to), `site ${from} to ${to}`).toBe(DIRECTLY);
        }
      }
      await example.expectHealthy(...gateways.slice(1));

      await cut(mesh, [2, 3]);
      const train = new PingTrain(machines[2], machineOf(3), INTERVAL_MS);
      await waitFor(() => train.received > 20, 'answers by way of site 1');
      expect(await hops(mesh, 2, 3)).toBe(BY_WAY_OF_SITE_1);
      expect(await hops(mesh, 3, 2)).toBe(BY_WAY_OF_SITE_1);
      expect(await hops(mesh, 2, 4)).toBe(DIRECTLY);
      const away = await train.stop();
      const back = new PingTrain(machines[2], machineOf(3), INTERVAL_MS);
      await waitFor(() => back.received > 0, 'answers');
      await cut(mesh);
      await waitFor(async () => (await hops(mesh, 2, 3)) === DIRECTLY, 'the direct way');
      const before = back.received;
      await waitFor(() => back.received > before + 20, 'answers on the direct way');
      const { lost } = await back.stop();
      const figures = `${away.lost * INTERVAL_MS} ms lost; on the way back ${lost * INTERVAL_MS} ms`;
      console.info(`mesh: sites 2 and 3 by way of site 1: ${figures}`);
    }));

  it('goes on without a site that is lost, and takes it back', () =>
    withLab({}, async (lab) => {
      const mesh = await build(lab, example);
      const { gateways, machines, internet } = mesh;
      await boot(mesh, example);
      await firstPing(machines[2], machineOf(5));
      await firstPing(machines[2], machineOf(3));
      const others = new PingTrain(machines[2], machineOf(3), INTERVAL_MS);
      const train = new PingTrain(machines[2], machineOf(5), 100);
      await waitFor(() => train.received > 2, 'answers of site 5');
      await internet.router.ip('link set to4 down');
      await waitFor(async () => (await stateOf(gateways[2], 'site5')) === 'lost', 'the loss');
      await waitFor(async () => (await hops(mesh, 2, 5)) === 0, 'no answer');
      // For longer than a handshake is tried.
      const limitMs = REKEY_ATTEMPT_TIME_MS + HANG_MS;
      await waitFor(() => hasGivenUp(gateways[2], 'site5'), 'site 2 to give up', limitMs);
      await waitFor(() => hasGivenUp(gateways[5], 'site2'), 'site 5 to give up', limitMs);
      await internet.router.ip('link set to4 up');
      const before = train.received;
      await waitFor(() => train.received > before + 2, 'answers of site 5 again');
      const lost = await train.stop();
      console.info(`mesh: site 5 was lost and is back: ${lost.lost * 100} ms without it`);
      await waitFor(async () => (await hops(mesh, 2, 5)) === DIRECTLY, 'the direct way');

      // A reboot: all others hear of it when it calls.
      await gateways[5].run('tswg', ['wg0', 'destroy']);
      await example.boot(gateways[5]);
      await firstPing(machines[2], machineOf(5));
      await firstPing(machines[4], machineOf(5));
      expect((await others.stop()).lost).toBe(0);
    }));

  it('gives a site a new key in two steps, while a file is under way to it', () =>
    withLab({}, async (lab) => {
      const mesh = await build(lab, example);
      const { gateways, machines, keys } = mesh;
      await boot(mesh, example);
      const newKey = (n: number, ...words: string[]) =>
        gateways[n].exec('sh', ['/etc/wg/new-key', ...words]);
      const others = NUMBERS.filter((n) => n !== 3);
      for (const n of others) await firstPing(machines[n], machineOf(3));

      const made = await newKey(3, 'make');
      expect([made.status, made.stderr]).toEqual([0, '']);
      for (const n of others) {
        await gateways[n].writeFile('/etc/wg/site3.new.pub', made.stdout);
        expect((await newKey(n, 'expect', '3')).status).toBe(0);
      }
      const early = await newKey(2, 'finish', '3');
      expect([early.status, early.stderr]).toEqual([
        1,
        'new-key: site 3 has not called with its new key yet\n',
      ]);

      const trains = others.map((n) => new PingTrain(machines[n], machineOf(3), INTERVAL_MS));
      for (const train of trains) await waitFor(() => train.received > 20, 'answers');
      const file = transfer(machines[3], machines[2], machineOf(3), FILE_BYTES);
      await waitFor(async () => {
        const { peers } = parseDump(await gateways[2].run('wg', ['show', 'wg0', 'dump']));
        return peers.some(({ rxBytes }) => rxBytes > FILE_BYTES / 10);
      }, 'a file under way');
      expect((await newKey(3, 'take')).status).toBe(0);
      const fresh = made.stdout.trim();
      const old = keys.get('site3')!.publicKey;
      // No outage: it ends with the answers of all, so that none still has to find out.
      for (const n of others) {
        expect(await prefixesOf(gateways[n], fresh), `site ${n}`).toHaveLength(2);
        expect(await prefixesOf(gateways[n], old)).toEqual([]);
      }
      const before = trains.map((train) => train.received);
      for (const [i, train] of trains.entries()) {
        await waitFor(() => train.received > before[i] + 20, 'answers under the new key');
      }
      for (const n of others) expect((await newKey(n, 'finish', '3')).status).toBe(0);
      const lost = await Promise.all(trains.map(async (train) => (await train.stop()).lost));
      const figures = lost.map((count) => count * INTERVAL_MS).join(', ');
      const { sentDigest, receivedDigest } = await file;
      expect(receivedDigest).toBe(sentDigest);
      console.info(`mesh: a new key of site 3: ${figures} ms lost at sites 1, 2, 4 and 5`);

      // What is now on the disks is what runs.
      for (const n of NUMBERS) {
        await example.boot(gateways[n]);
        expect(await prefixesOf(gateways[n], old)).toBeNull();
        if (n !== 3) expect(await hops(mesh, n, 3)).toBe(DIRECTLY);
      }
    }));
});
