import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, ping } from '../lab/probes.ts';
import { compiledProgram } from '../lab/repository.ts';
import { describeInLab, describeOnBothPaths, withLab } from '../lab/suite.ts';
import { transfer } from '../lab/transfer.ts';
import {
  buildPair,
  createPresharedKey,
  INNER,
  OUR_DAEMON,
  OUTER_RIGHT,
  type Pair,
  type TunnelEnd,
} from '../lab/tunnel.ts';

const GO = 'wireguard-go';
const [LEFT, RIGHT] = INNER[4];
const FILE_BYTES = 5_000_000;
const KEEPALIVE_BYTES = 32;
const FLOOD_SECONDS = 240;

/** Which side begins: it is the one that knows the other's endpoint. */
const DIRECTIONS = [
  { title: 'tswg begins', left: OUR_DAEMON, right: GO },
  { title: 'wireguard-go begins', left: GO, right: OUR_DAEMON },
];

async function expectUnharmed({ left, right }: Pair): Promise<void> {
  for (const family of [4, 6] as const) {
    const report = await ping(left.host, INNER[family][1], { count: 3 });
    expect(report.received, report.text).toBe(3);
  }
  const there = await transfer(left.host, right.host, LEFT, FILE_BYTES);
  expect(there.receivedDigest).toBe(there.sentDigest);
  const back = await transfer(right.host, left.host, RIGHT, FILE_BYTES);
  expect(back.receivedDigest).toBe(back.sentDigest);
}

describeOnBothPaths('with wireguard-go', ['wg', GO], (env) => {
  for (const { title, left, right } of DIRECTIONS) {
    for (const outer of [4, 6] as const) {
      it(`${title}, over IPv${outer}`, () =>
        withLab(env, async (lab) => expectUnharmed(await buildPair(lab, { left, right, outer }))));
    }

    it(`${title}, with a preshared key`, () =>
      withLab(env, async (lab) => {
        const presharedKey = createPresharedKey();
        await expectUnharmed(await buildPair(lab, { left, right, presharedKey }));
      }));

    it(`${title}, and fails while the preshared keys differ`, () =>
      withLab(env, async (lab) => {
        const pair = await buildPair(lab, { left, right, presharedKey: createPresharedKey() });
        await setPresharedKey(pair.right, pair.left, createPresharedKey());
        const report = await ping(pair.left.host, RIGHT, { deadlineMs: 1000 });
        expect(report.received).toBe(0);
        expect((await pair.left.peerDump()).latestHandshake).toBe(0);
        const agreed = createPresharedKey();
        await setPresharedKey(pair.right, pair.left, agreed);
        await setPresharedKey(pair.left, pair.right, agreed);
        await firstPing(pair.left.host, RIGHT);
      }));
  }

  it('keeps the way open by persistent keepalives', () =>
    withLab(env, async (lab) => {
      for (const direction of DIRECTIONS) {
        const pair = await buildPair(lab, { ...direction, keepalive: 1 });
        await waitFor(
          async () => (await pair.left.peerDump()).latestHandshake > 0,
          'a handshake without any traffic',
        );
        const begun = performance.now();
        const count = async () => {
          const { rxBytes, txBytes } = await pair.left.peerDump();
          return (rxBytes + txBytes) / KEEPALIVE_BYTES;
        };
        const before = await count();
        await waitFor(async () => (await count()) >= before + 3, 'three keepalives');
        // Each side's timer begins again with every packet of either: about one a second in all.
        const keepalives = (await count()) - before;
        const seconds = (performance.now() - begun) / 1000;
        expect(keepalives, `in ${seconds} s`).toBeLessThanOrEqual(2 * (seconds + 1));
      }
    }));
});

describeInLab('with wireguard-go under load', ['wg', GO], () => {
  for (const { title, left, right } of DIRECTIONS) {
    it(`${title} and gets through by a cookie`, () =>
      withLab({}, async (lab) => {
        const pair = await buildPair(lab, { left, right });
        const flood = await startFlood(lab, pair.right);
        // The first initiation is answered with a cookie, the next, 5 seconds later, bears it. One
        // that comes while the flood has ebbed for a moment is none: then the peers meet again.
        await waitFor(
          async () => {
            await forget(pair.left);
            await firstPing(pair.left.host, RIGHT);
            return hasCookie(pair.left, left);
          },
          'an initiation that was answered with a cookie',
          FLOOD_SECONDS * 1000,
        );
        expect(flood.status, 'the flood still runs').toBe(null);
        await flood.stop();
      }));
  }
});

async function setPresharedKey(end: TunnelEnd, other: TunnelEnd, key: string): Promise<void> {
  await end.host.writeFile('/etc/wg/psk', key);
  await end.set(`peer ${other.keys.publicKey} preshared-key /etc/wg/psk`);
}

/** Strangers send initiations that cost a Diffie-Hellman each, from one address of their own. */
async function startFlood(lab: Lab, target: TunnelEnd) {
  const stranger: Host = await lab.host('stranger');
  await target.host.connect('dark', stranger, 'wan');
  await target.host.configure('dark', '198.18.0.1/24');
  await stranger.configure('wan', '198.18.0.2/24');
  await stranger.ip(`route add ${OUTER_RIGHT}/32 via 198.18.0.1`);
  const program = compiledProgram('test/lab/flood.ts');
  const args = [program, OUTER_RIGHT, '51820', target.keys.publicKey, `${FLOOD_SECONDS}`];
  const flood = stranger.spawn(process.execPath, args);
  await flood.waitForOutput(/asked for a cookie/);
  return flood;
}

/** Makes the end forget its session with its only peer, as if the two had never met. */
async function forget(end: TunnelEnd): Promise<void> {
  const { publicKey, endpoint, allowedIps } = await end.peerDump();
  await end.set(`peer ${publicKey} remove`);
  await end.set(`peer ${publicKey} endpoint ${endpoint} allowed-ips ${allowedIps.join(',')}`);
}

/** Whether the daemon of the end was given a cookie. */
async function hasCookie(end: TunnelEnd, program: string): Promise<boolean> {
  if (program === GO) return /Receiving cookie response/.test(end.daemon.stdout);
  return /[1-9]\d* +cookies received/.test(await end.host.run('tswg', ['wg0', 'stats']));
}
