/**
 * The session between tswg and wireguard-go, or two of tswg, when it is replaced for its age. In a
 * file of its own, since it takes the protocol's own two minutes: it begins first and others run
 * meanwhile.
 */

import { expect, it } from 'vitest';
import { HANG_MS, waitFor } from '../lab/command.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, PingTrain } from '../lab/probes.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { buildPair, INNER, OUR_DAEMON, type PairOptions } from '../lab/tunnel.ts';

const GO = 'wireguard-go';
const RIGHT = INNER[4][1];
const REKEY_AFTER_TIME_S = 120;

describeInLab('a session that grows old', ['wg', GO], () => {
  const combinations = [
    { title: 'tswg begins', left: OUR_DAEMON, right: GO },
    { title: 'wireguard-go begins', left: GO, right: OUR_DAEMON },
    { title: 'both are tswg', left: OUR_DAEMON, right: OUR_DAEMON },
  ];

  it(`is replaced after ${REKEY_AFTER_TIME_S} seconds without losing a packet`, async () => {
    // The combinations wait together, each in a lab of its own.
    await Promise.all(
      combinations.map(({ title, left, right }) =>
        withLab({}, (lab) => expectSeamlessRekey(lab, title, { left, right })),
      ),
    );
  }, 400_000);
});

async function expectSeamlessRekey(lab: Lab, title: string, options: PairOptions): Promise<void> {
  const { left, right } = await buildPair(lab, options);
  await firstPing(left.host, RIGHT);
  const first = (await left.peerDump()).latestHandshake;
  const train = new PingTrain(left.host, RIGHT, 100);
  await waitFor(
    async () => (await left.peerDump()).latestHandshake >= first + REKEY_AFTER_TIME_S - 1,
    `${title}: the next handshake`,
    REKEY_AFTER_TIME_S * 1000 + HANG_MS,
  );
  const before = train.received;
  await waitFor(() => train.received > before + 30, `${title}: pings in the new session`);
  const report = await train.stop();
  expect(report.lost, `${title}: ${report.text.slice(-200)}`).toBe(0);
  expect((await right.peerDump()).latestHandshake).toBeGreaterThan(first);
}
