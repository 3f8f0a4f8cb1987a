/**
 * A short flood and a restart under load, as tests: what must hold on any machine. That the flood
 * was one is asserted, how fast anything was is not: `npm run flood` measures.
 */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TSWG } from '../bench/implementation.ts';
import { rssMb } from '../bench/processes.ts';
import { sleep } from '../lab/command.ts';
import { PingTrain } from '../lab/probes.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { OUR_DAEMON } from '../lab/tunnel.ts';
import { Crowd } from './crowd.ts';
import { GateWatch } from './gatewatch.ts';
import { tryRecovery } from './recoverytrial.ts';
import { type RecoveryRow, ROWS } from './rows.ts';
import { dropped } from './sessiontrial.ts';
import { type Assault, Site, VICTIM } from './site.ts';
import { framesPerSecond, received } from './traffic.ts';

/** What a core sends beside all that a busy machine does; below it nothing would be shown. */
const FLOOD_AT_LEAST = 20_000;
const WARM_UP_S = 3;
const LEAD_MS = 1_000;
/** Beyond it somebody is locked out; how long it takes is measured elsewhere. */
const HANG_S = 180;
const TIMEOUT_MS = 300_000;
const NEWCOMERS = 2;
const GROWTH_LIMIT_MB = 20;
const MIX: Assault = { kind: 'mix', sources: 'random', rate: 'max' };
/** The newcomers' and the client's own addresses, among others' kinds of messages. */
const OWN: Assault = { kind: 'mix', sources: 'own', rate: 'max' };

describeInLab('a flood at the rate of one core', ['wg', 'tcpdump', 'nft'], () => {
  it(
    'leaves a session and the memory alone, and every datagram is accounted for',
    () =>
      withLab({}, async (lab) => {
        const site = await Site.open(lab, OUR_DAEMON, 4);
        // What a flood is the first to need (room for young objects, compiled code) is there then.
        await (await site.flood(MIX, 'tunnel', WARM_UP_S)).finished();
        const before = { ...received(site.victim.host, 'attacker'), drops: await dropped(site) };
        const memoryBefore = rssMb(site.victimPid);
        const watch = GateWatch.over(site.victim);
        const train = new PingTrain(site.client, VICTIM);
        const volley = await (await site.flood(MIX, 'tunnel', WARM_UP_S)).finished();
        const report = await train.stop();
        const arrived = received(site.victim.host, 'attacker').frames - before.frames;
        expect(arrived / volley.seconds).toBeGreaterThan(FLOOD_AT_LEAST);
        expect(watch.stop()).toBe('shut');
        expect(report.sent).toBeGreaterThan(20);
        // The kernel's queue before all sockets overflows, too, and is beyond any of them.
        expect(report.received).toBeGreaterThan(0.5 * report.sent);
        const drops = (await dropped(site)) - before.drops;
        expect(drops / arrived).toBeGreaterThan(0.95);
        expect(drops / arrived).toBeLessThan(1.1);
        expect(rssMb(site.victimPid) - memoryBefore).toBeLessThan(GROWTH_LIMIT_MB);
      }),
    TIMEOUT_MS,
  );

  it(
    'has a control that nobody is told of, or it would cost more than the flood',
    () =>
      withLab({}, async (lab) => {
        const site = await Site.open(lab, OUR_DAEMON, 4);
        await (await site.flood({ ...OWN, rate: 5_000 }, 'closed port', 1)).finished();
        expect(counted(site, 'Udp', 'NoPorts')).toBeGreaterThan(0);
        expect(counted(site, 'Icmp', 'OutDestUnreachs')).toBe(0);
      }),
    TIMEOUT_MS,
  );

  describe.each(['calling', 'called'] as const)('with newcomers %s', (direction) => {
    it(
      'lets them in, although it forges their own addresses',
      () =>
        withLab({}, async (lab) => {
          const site = await Site.open(lab, OUR_DAEMON, 4);
          const crowd = await Crowd.gather(site, NEWCOMERS, direction, HANG_S);
          const watch = GateWatch.over(site.victim);
          const flood = await site.flood(OWN, 'tunnel', HANG_S + WARM_UP_S, NEWCOMERS);
          const first = received(site.victim.host, 'attacker');
          await sleep(LEAD_MS);
          const { seconds } = await crowd.connect();
          const last = received(site.victim.host, 'attacker');
          await flood.stop();
          expect(framesPerSecond(first, last)).toBeGreaterThan(FLOOD_AT_LEAST);
          expect(watch.stop()).toBe('shut');
          console.log(`${direction}: connected after ${seconds.map((s) => s.toFixed(1))} s`);
          expect(seconds.every((each) => Number.isFinite(each))).toBe(true);
        }),
      TIMEOUT_MS,
    );
  });
});

/** A number of the victim's /proc/net/snmp, which has a line of names and one of numbers for each. */
function counted(site: Site, protocol: string, name: string): number {
  const text = readFileSync(`/proc/${site.victim.host.pid}/net/snmp`, 'utf8');
  const lines = text.split('\n').filter((line) => line.startsWith(`${protocol}:`));
  const [names, numbers] = lines.map((line) => line.split(' '));
  return Number(numbers[names.indexOf(name)]);
}

describeInLab('a restart under the peer’s own data', ['wg', 'nft'], () => {
  it(
    'comes to an end although the restarted end is silent',
    async () => {
      const id = 'recovery/receiver-restarts/silent/12000';
      const row = ROWS.find((each): each is RecoveryRow => each.id === id)!;
      const settings = { rounds: 1, seconds: 1, newcomers: 1, limit: HANG_S };
      const { seconds, arrivedPerSecond } = await tryRecovery(row, TSWG, settings);
      expect(arrivedPerSecond).toBeGreaterThan(row.rate / 2);
      console.log(`connected again after ${seconds[0].toFixed(1)} s`);
      expect(Number.isFinite(seconds[0])).toBe(true);
    },
    TIMEOUT_MS,
  );
});
