/**
 * The troubles with upgrades in place: at which moments a site is upgraded, how often in a row, and
 * what a successor does before it fails. How a Device takes over from another is handover.ts's.
 */

import type { Peer } from '../../src/device/peer.ts';
import { REJECT_AFTER_TIME_MS, REKEY_AFTER_TIME_MS } from '../../src/noise/constants.ts';
import {
  type Told,
  takeBack,
  tellAhead,
  upgrade,
  upgradeForAWhile,
  upgradeInVain,
} from './handover.ts';
import type { Random } from './random.ts';
import type { Trouble } from './scenario.ts';
import type { Site } from './site.ts';
import { createTemplate } from './traffic.ts';
import type { Stage } from './troubles.ts';

/** While no packet moves: a successor that works is fast, one that does not is waited for. */
const PAUSE_MAX_MS = 200;
const PAUSE_IN_VAIN_MAX_MS = 5_000;
/** Between two upgrades in a row. */
const AGAIN_MAX_MS = 30;
/** The clock may have been set back before: then calls are later than it says. */
const SET_BACK_MS = 20_000;
/** What a successor that will fail sends at most, beside what it has to. */
const DOOMED_PACKETS = 4;
/** What a successor does not know to be old it takes again. */
const REPLAY_AFTERWARDS = { kind: 'replay', duration: 2_000, amount: 20 } as const;

/** Times at which a hand-over is worth a try; of some peer of the site. */
const MOMENTS: Readonly<Record<string, (peer: Peer, now: number) => boolean>> = {
  'handshake under way': ({ handshake }) => handshake.state === 'createdInitiation',
  'packets waiting': ({ staged }) => staged.length > 0,
  'unconfirmed session': ({ next }) => next !== null,
  'session just begun': (peer, now) => ageOf(peer, now) < 100,
  'before rekey': (peer, now) => ageOf(peer, now) >= REKEY_AFTER_TIME_MS - 2_000,
  'after rekey': (peer, now) => ageOf(peer, now) >= REKEY_AFTER_TIME_MS,
  'session about to end': (peer, now) => ageOf(peer, now) >= REJECT_AFTER_TIME_MS - 3_000,
};

function ageOf({ current }: Peer, now: number): number {
  return current === null ? Number.NaN : now - current.createdAt;
}

/**
 * Upgrades the site at one of the moments, if it comes within the trouble's duration, or else at its
 * end. `disturb`: nothing may be expected of the site's links for so long.
 */
export function strike(stage: Stage, trouble: Trouble, disturb: (ms: number) => void): void {
  const random = stage.random.fork(`upgrade ${trouble.number}`);
  const site = stage.sites[trouble.place];
  const isMoment = MOMENTS[random.pick(Object.keys(MOMENTS))];
  const isNow = () =>
    [...site.device!.core.peers.values()].some((peer) => isMoment(peer, site.now()));
  // Of every other one; until the moment comes all may change.
  const told = trouble.number % 2 === 0 ? tellAhead(site) : null;
  site.await(isNow, trouble.duration, () => {
    if (!isUpgradable(site)) return;
    if (trouble.kind === 'upgrade') {
      if (random.chance(0.5)) stage.attacker.strike({ ...trouble, ...REPLAY_AFTERWARDS });
      upgradeRepeatedly(stage, site, random, told, Math.floor(trouble.amount));
      return;
    }
    stage.upgrading(site);
    const pauseMs = random.chance(0.5) ? 0 : random.between(0, PAUSE_IN_VAIN_MAX_MS);
    if (trouble.kind === 'upgradeInVain') {
      disturb(pauseMs);
      upgradeInVain(site, pauseMs, told, random.chance(0.5));
      return;
    }
    if (random.chance(0.2)) site.setWallClock(-SET_BACK_MS, site.wallRate);
    const lifeMs = random.chance(0.4) ? 0 : trouble.amount;
    disturb(pauseMs + lifeMs);
    upgradeForAWhile(site, pauseMs, told, () => failLater(stage, site, random, lifeMs));
  });
}

/** A site that runs, and that no other upgrade is under way at. */
function isUpgradable(site: Site): boolean {
  return site.generation !== null && site.predecessor === null && !site.isPaused;
}

function upgradeRepeatedly(
  stage: Stage,
  site: Site,
  random: Random,
  told: Told | null,
  times: number,
): void {
  if (times === 0 || !isUpgradable(site)) return;
  stage.upgrading(site);
  upgrade(site, random.chance(0.3) ? 0 : random.between(0, PAUSE_MAX_MS), told, () => {
    const delay = random.chance(0.3) ? 0 : random.between(0, AGAIN_MAX_MS);
    stage.later(delay, () => upgradeRepeatedly(stage, site, random, null, times - 1));
  });
}

/** The successor sends what it has to, and sometimes more, before it fails. */
function failLater(stage: Stage, site: Site, random: Random, lifeMs: number): void {
  const { predecessor } = site;
  const isAlive = () => predecessor !== null && site.predecessor === predecessor;
  const packets = random.below(DOOMED_PACKETS + 1);
  for (let i = 0; i < packets; i++) {
    const destination = {
      site: random.pick([...site.acquaintances.keys()]),
      range: 'main',
    } as const;
    const template = createTemplate({ site: site.number, range: 'main' }, destination, 4, 20, 0);
    stage.later(random.between(0, lifeMs), () => {
      if (isAlive()) site.send(template);
    });
  }
  stage.later(lifeMs, () => {
    if (isAlive()) takeBack(site);
  });
}
