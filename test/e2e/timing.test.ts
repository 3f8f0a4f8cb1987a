/**
 * How long an operator waits. Durations are the machine's: they are printed here, and the benchmark
 * judges them as ratios.
 */

import { expect, it } from 'vitest';
import { sleep, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { firstPing, ping } from '../lab/probes.ts';
import { describeInLab, describeOnBothPaths, withLab } from '../lab/suite.ts';
import {
  buildPair,
  createKeyPair,
  INNER,
  OUR_DAEMON,
  OUTER_LEFT,
  OUTER_RIGHT,
  TunnelEnd,
} from '../lab/tunnel.ts';

const [LEFT, RIGHT] = INNER[4];
/** Longer than what is done beside it takes; it is ended then. */
const STREAM_SECONDS = 280;
const STREAM_BEGUN_BYTES = 10_000_000;
const ATTEMPTS = 5;

describeOnBothPaths('under a saturating stream', ['wg', 'iperf3'], (env) => {
  it('pings, handshakes and the control socket are answered', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab);
      await firstPing(left.host, RIGHT);
      const server = right.host.spawn('iperf3', ['-s', '-1', '--forceflush', '-B', RIGHT]);
      await server.waitForOutput(/Server listening/);
      const streaming = left.host.spawn('iperf3', ['-c', RIGHT, '-t', `${STREAM_SECONDS}`]);
      await expectToGrow(right.host, STREAM_BEGUN_BYTES);
      const pings = await ping(left.host, RIGHT, { count: 20, intervalMs: 50 });
      print('a ping beside a stream', [pings.averageMs]);
      // A full queue may drop one, and then another one.
      expect(pings.received, pings.text).toBeGreaterThan(0);
      const answers = await repeat(ATTEMPTS, async () => {
        await left.host.run('wg', ['show', 'wg0']);
      });
      print('wg show beside a stream', answers);
      // A peer forgotten and added again begins anew, beside the stream of its packets.
      const [before] = (await right.dump()).peers;
      await left.set(`peer ${right.keys.publicKey} remove`);
      await left.addPeer({
        publicKey: right.keys.publicKey,
        allowedIps: [`${RIGHT}/32`],
        endpoint: `${OUTER_RIGHT}:51820`,
      });
      await firstPing(left.host, RIGHT);
      expect((await right.peerDump()).latestHandshake).toBeGreaterThan(before.latestHandshake);
      // It was there all the time.
      await expectToGrow(right.host, 1);
      expect(streaming.status).toBe(null);
      await Promise.all([streaming.stop('SIGKILL'), server.stop('SIGKILL')]);
    }));
});

describeInLab('timing', ['wg'], () => {
  it('of an answer of tswg wg0', () =>
    withLab({}, async (lab) => {
      const { left } = await buildPair(lab);
      await firstPing(left.host, RIGHT);
      const durations = await repeat(ATTEMPTS, async () => {
        await left.host.run('tswg', ['wg0']);
      });
      print('tswg wg0 answers', durations);
    }));

  it('from tswgd to the first ping', () =>
    withLab({}, async (lab) => {
      const [client, serverHost] = await lab.hosts('client', 'server');
      await client.connect('wan', serverHost, 'wan');
      await client.configure('wan', `${OUTER_LEFT}/24`);
      await serverHost.configure('wan', `${OUTER_RIGHT}/24`);
      const keys = createKeyPair();
      const server = await TunnelEnd.start(serverHost, [`${RIGHT}/24`]);
      await server.addPeer({ publicKey: keys.publicKey, allowedIps: [`${LEFT}/32`] });
      const conf = `[Interface]\nPrivateKey = ${keys.privateKey}
        [Peer]\nPublicKey = ${server.keys.publicKey}
        Endpoint = ${OUTER_RIGHT}:51820\nAllowedIPs = ${RIGHT}/32\n`;
      await client.writeFile('/etc/wg/wg0.conf', conf);
      const durations: number[] = [];
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const [duration] = await repeat(1, async () => {
          await client.run(OUR_DAEMON, ['wg0']);
          await client.run('wg', ['setconf', 'wg0', '/etc/wg/wg0.conf']);
          await client.configure('wg0', `${LEFT}/24`);
          await firstPing(client, RIGHT);
        });
        durations.push(duration);
        await client.ip('link delete wg0');
        // The server takes initiations of one peer only so often.
        await sleep(100);
      }
      print('tswgd to the first ping', durations);
    }));
});

async function repeat(times: number, action: () => Promise<void>): Promise<number[]> {
  const durations: number[] = [];
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await action();
    durations.push(performance.now() - start);
  }
  return durations;
}

function print(what: string, durationsMs: readonly number[]): void {
  console.info(`${what}: ${durationsMs.map((ms) => ms.toFixed(1)).join(', ')} ms`);
}

/** Waits until so many more bytes have come out of the host's tunnel. */
async function expectToGrow(host: Host, bytes: number): Promise<void> {
  const carried = async () =>
    Number(await host.run('cat', ['/sys/class/net/wg0/statistics/rx_bytes']));
  const before = await carried();
  await waitFor(async () => (await carried()) >= before + bytes, 'the stream');
}
