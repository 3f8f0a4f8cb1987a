/**
 * A gateway with two lines to one address: its example word for word, and what is lost when a line is
 * unplugged in the midst of a ping every 10 ms and of a download. The daemon is confined as always.
 */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { REKEY_TIMEOUT_MS } from '../../src/noise/constants.ts';
import { sleep, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, PingTrain } from '../lab/probes.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { transfer } from '../lab/transfer.ts';
import { createKeyPair, TUNNEL_PORT, TunnelEnd } from '../lab/tunnel.ts';

const LINES = {
  wan1: ['192.0.2.1', '192.0.2.2'],
  wan2: ['198.51.100.1', '198.51.100.2'],
} as const;
type LineName = keyof typeof LINES;
const SITE_B = '203.0.113.10';
const INNER_B = '10.99.0.2';
const DOWNLOAD_BYTES = 200 * 1024 * 1024;

interface Gateway {
  readonly host: Host;
  readonly siteB: TunnelEnd;
}

/** @param edit of the example's text */
async function build(lab: Lab, edit = (text: string): string => text): Promise<Gateway> {
  const [host, far] = await lab.hosts('gateway', 'siteB');
  for (const [i, name] of (['wan1', 'wan2'] as const).entries()) {
    await host.connect(name, far, name);
    await host.configure(name, `${LINES[name][0]}/24`);
    await far.configure(name, `${LINES[name][1]}/24`);
    await host.ip(`route add default via ${LINES[name][1]} dev ${name} metric ${100 * (i + 1)}`);
  }
  await far.ip(`address add ${SITE_B}/32 dev lo`);
  const siteB = await TunnelEnd.start(far, [`${INNER_B}/30`]);
  const keys = createKeyPair();
  await siteB.addPeer({
    publicKey: keys.publicKey,
    allowedIps: ['10.99.0.1/32', '10.0.0.0/24'],
  });
  await host.writeFile('/etc/wg/private.key', `${keys.privateKey}\n`);
  const example = readFileSync(path.join(REPOSITORY, 'examples', 'hostname.two-lines'), 'utf8');
  const wanted = edit(example).replace(
    '#wgpeer PUBLIC_KEY_OF_SITE_B',
    `wgpeer ${siteB.keys.publicKey}`,
  );
  await host.writeFile('/etc/hostname.wg0', wanted);
  const { status, stderr } = await host.exec('tswg', ['netstart', 'wg0']);
  expect([status, stderr]).toEqual([0, '']);
  await firstPing(host, INNER_B);
  return { host, siteB };
}

async function waitForLine({ siteB }: Gateway, name: LineName): Promise<void> {
  const expected = `${LINES[name][0]}:${TUNNEL_PORT}`;
  await waitFor(async () => (await siteB.peerDump()).endpoint === expected, `peer at ${expected}`);
}

/** Pulls the cable of a line at its other end, or plugs it in. */
async function plug({ siteB }: Gateway, name: LineName, state: 'up' | 'down'): Promise<void> {
  await siteB.host.ip(`link set ${name} ${state}`);
}

describeInLab('two lines to one address', ['wg', 'tswg', 'stdbuf'], () => {
  it.each([
    ['by their interfaces', (text: string) => text],
    [
      'by their addresses',
      (text: string) =>
        text
          .replace('via wan1', `via ${LINES.wan1[0]}`)
          .replace('via wan2', `via ${LINES.wan2[0]}`),
    ],
  ])('carry a ping and a download over the one that is plugged in: %s', (how, edit) =>
    withLab({}, async (lab) => {
      const gateway = await build(lab, edit);
      const { host, siteB } = gateway;
      await waitForLine(gateway, 'wan1');
      expect(await host.run('tswg', ['wg0', 'stats'])).toMatch(/sandbox seccomp: all threads/);
      const steps: readonly [what: string, from: LineName, to: LineName][] = [
        ['line 1 is unplugged', 'wan1', 'wan2'],
        ['line 2 is unplugged, line 1 is back', 'wan2', 'wan1'],
      ];
      for (const [what, from, to] of steps) {
        // Handshakes keep that much time between them: the next one can leave at once.
        await sleep(REKEY_TIMEOUT_MS);
        const train = new PingTrain(host, INNER_B, 10);
        await waitFor(async () => train.received > 20, 'answers');
        const sent = (await siteB.peerDump()).txBytes;
        const download = transfer(siteB.host, host, INNER_B, DOWNLOAD_BYTES);
        const isUnderWay = async () =>
          (await siteB.peerDump()).txBytes > sent + DOWNLOAD_BYTES / 20;
        await waitFor(isUnderWay, 'a download');
        await plug(gateway, from, 'down');
        await waitForLine(gateway, to);
        const before = train.received;
        await waitFor(async () => train.received > before + 20, `answers after: ${what}`);
        const { lost } = await train.stop();
        const { sentDigest, receivedDigest, seconds } = await download;
        const figures = `${lost * 10} ms of the ping lost, the download took ${seconds.toFixed(1)} s`;
        console.info(`two lines, ${how}: ${what}: ${figures}`);
        expect(receivedDigest).toBe(sentDigest);
        await plug(gateway, from, 'up');
      }
      await host.run('tswg', ['wg0', 'destroy']);
    }),
  );

  it('are asked for one after the other by a peer that has gone silent on one of them', () =>
    withLab({}, async (lab) => {
      const gateway = await build(lab);
      await waitForLine(gateway, 'wan1');
      // Somewhere in the middle of the line: no end of it sees anything.
      await gateway.siteB.host.ip(`address delete ${LINES.wan1[1]}/24 dev wan1`);
      await gateway.host.ip(`neigh replace ${LINES.wan1[1]} lladdr 02:00:00:00:00:01 dev wan1`);
      const train = new PingTrain(gateway.host, INNER_B, 10);
      await waitForLine(gateway, 'wan2');
      await waitFor(async () => train.received > 20, 'answers');
      const { lost } = await train.stop();
      console.info(`two lines: line 1 is silent: ${lost * 10} ms lost`);
      await gateway.host.run('tswg', ['wg0', 'destroy']);
    }));
});
