/**
 * From a seed to what will happen: sites, links, flows of packets and troubles, as plain data that
 * can be printed and cut down. Knows no Device. Each list is drawn in the order of time, so that
 * fewer hours of the same seed are the beginning of more.
 */

import { Random } from './random.ts';

export interface SitePlan {
  /** Place in `sites`; part of every address the site has. */
  readonly number: number;
  readonly name: string;
  readonly family: 4 | 6;
  readonly isBehindNat: boolean;
  /** What its monotonic clock shows at the start, ms. */
  readonly monotonicStartMs: number;
  /** By how much its wall clock is off at the start, ms. */
  readonly wallOffsetMs: number;
  /** How long a turn of its event loop takes while handshakes wait, ms. */
  readonly turnMs: number;
}

export interface LinkPlan {
  readonly number: number;
  /** Numbers of its two sites. */
  readonly ends: readonly [number, number];
  /** Seconds, 0 is off; of each end. */
  readonly keepalives: readonly [number, number];
  readonly hasPresharedKey: boolean;
  /** Each end knows the other by name and by its second address. */
  readonly hasWays: boolean;
  /** One way, ms. */
  readonly latencyMs: number;
}

export interface FlowPlan {
  readonly number: number;
  readonly link: number;
  /** From the first end to the second. */
  readonly isForward: boolean;
  readonly family: 4 | 6;
  readonly from: number;
  readonly duration: number;
  /** Between two bursts. */
  readonly everyMs: number;
  readonly burst: number;
  /** Payload of each packet, and of the last of a burst. */
  readonly bytes: number;
  readonly lastBytes: number;
  readonly ecn: number;
}

/** Kind -> what it does to whom; the order is that of the coverage table. */
export const TROUBLES = {
  loss: 'datagrams of a link are lost',
  duplication: 'datagrams of a link arrive twice',
  reordering: 'datagrams of a link overtake each other',
  delay: 'datagrams of a link come late',
  stall: 'datagrams of a link are held, and all arrive at once',
  corruption: 'bits of datagrams of a link flip',
  truncation: 'datagrams of a link are cut short',
  congestion: 'datagrams of a link are marked congestion-experienced, capable or not',
  belated: 'bursts of a link come minutes late, when their session may have ended',
  partition: 'a site reaches nobody',
  oneWay: 'a link carries one direction only',
  relay: 'datagrams of a link pass through another address',
  natRebinding: 'the NAT before a site gives it another port',
  roaming: 'a site has another address',
  wayDead: 'one of the two addresses of a site is dead',
  nameFailure: 'the name of a site cannot be looked up',
  restart: 'a site starts anew with the same keys',
  upgrade: 'a site is upgraded in place, up to three times in a row',
  upgradeInVain: 'a site is upgraded, but the successor fails before it begins',
  upgradeForAWhile: 'a site is upgraded, but the successor fails after it has begun',
  interfaceDown: 'the interface of a site goes down, and up again',
  clockStep: "a site's wall clock steps",
  clockDrift: "a site's wall clock runs fast or slow",
  pskChange: 'a link gets another preshared key, one end after the other',
  keyChange: 'a site gets another private key, and its peers are told later',
  noKey: 'a site has no private key for a while',
  peerRemoval: 'one end of a link forgets the other for a while',
  keepaliveChange: 'an end of a link has a persistent keepalive for a while',
  prefixMove: 'a prefix inside the range of one peer of a site is given to another',
  scarcity: 'the packet memory of a site is nearly used up',
  spoofing: 'hosts behind a site send under foreign source addresses',
  strays: 'hosts behind a site send malformed packets, and to nobody',
  garbage: 'somebody sends noise to a site',
  replay: 'somebody repeats recorded messages of all kinds',
  tampering: 'somebody repeats recorded messages with a bit flipped',
  intrusion: 'somebody puts altered and repeated datagrams in the midst of bursts of a link',
  forgery: 'somebody who knows the public keys forges messages of all kinds',
  stranger: 'somebody calls whose key is no peer',
  cookieLoad: 'forged initiations keep a site under load',
  cookieTheft: 'somebody with a cookie uses it under another address, and too often',
  flood: 'forged initiations overflow the queue of a site',
} as const;

export type TroubleKind = keyof typeof TROUBLES;
export const TROUBLE_KINDS = Object.keys(TROUBLES) as readonly TroubleKind[];

export interface Trouble {
  readonly number: number;
  readonly kind: TroubleKind;
  readonly from: number;
  readonly duration: number;
  /** Number of the site or link it befalls, as its kind says; for a link also which end. */
  readonly place: number;
  readonly end: 0 | 1;
  /** A probability, a number of ms or of messages, as its kind says. */
  readonly amount: number;
}

export interface Scenario {
  readonly seed: number;
  readonly durationMs: number;
  readonly topology: Topology;
  readonly sites: readonly SitePlan[];
  readonly links: readonly LinkPlan[];
  readonly flows: readonly FlowPlan[];
  readonly troubles: readonly Trouble[];
}

export type Topology = 'pair' | 'star' | 'mesh' | 'pairs';

export const DEVICES_MAX = 50;
export const MS_PER_HOUR = 3_600_000;

/** @param devices 2 to 50; drawn from the seed when it is left out. */
export function createScenario(seed: number, hours: number, devices?: number): Scenario {
  const random = new Random(`scenario ${seed}`);
  const durationMs = hours * MS_PER_HOUR;
  const shape = random.fork('shape');
  const size = drawSize(shape);
  const count = devices ?? size;
  const topology =
    count === 2 ? 'pair' : shape.weighted({ star: 4, mesh: count <= 8 ? 4 : 1, pairs: 1 });
  const sites = Array.from({ length: count }, (_, number) => drawSite(random, number, topology));
  const links = drawEnds(topology, count).map((ends, number) =>
    drawLink(random, number, ends, sites),
  );
  const flows = links.flatMap((link) => drawFlows(random, link, durationMs));
  flows.sort((a, b) => a.from - b.from || a.number - b.number);
  const troubles = [
    ...drawTroubles(random.fork('troubles'), sites, links, durationMs),
    ...drawUpgrades(random.fork('upgrades'), sites, durationMs),
    ...drawIntrusions(random.fork('intrusions'), links, durationMs),
  ];
  troubles.sort((a, b) => a.from - b.from || a.number - b.number);
  return { seed, durationMs, topology, sites, links, flows, troubles };
}

/** Mostly few devices, sometimes many: what few do wrong is easier to read. */
function drawSize(random: Random): number {
  const kind = random.weighted({ pair: 50, few: 40, several: 8, many: 2 });
  const within = random.fraction();
  const [least, most] = { pair: [2, 2], few: [3, 6], several: [7, 16], many: [17, DEVICES_MAX] }[
    kind
  ];
  return least + Math.floor(within * (most - least + 1));
}

function drawSite(parent: Random, number: number, topology: Topology): SitePlan {
  const random = parent.fork(`site ${number}`);
  return {
    number,
    name: siteName(number),
    family: random.chance(0.7) ? 4 : 6,
    // Two behind NATs find each other only by chance; the hub of a star is found by everybody.
    isBehindNat: random.chance(0.5) && (topology === 'star' ? number > 0 : number % 2 === 1),
    monotonicStartMs: Math.floor(random.between(0, 1e9)),
    wallOffsetMs: Math.floor(random.between(-1, 1) * 60_000),
    turnMs: random.between(0.2, 2),
  };
}

/** A to Z, then A2 to X2. */
function siteName(number: number): string {
  const letter = String.fromCharCode(65 + (number % 26));
  return number < 26 ? letter : `${letter}${1 + Math.floor(number / 26)}`;
}

function drawEnds(topology: Topology, count: number): [number, number][] {
  const ends: [number, number][] = [];
  for (let a = 0; a < count; a++) {
    for (let b = a + 1; b < count; b++) {
      if (topology === 'star' && a > 0) continue;
      if (topology === 'pairs' && (a % 2 !== 0 || b !== a + 1)) continue;
      // A full mesh of many is too many sessions: each knows its nearest.
      if (topology === 'mesh' && count > 8 && b - a > 3) continue;
      ends.push([a, b]);
    }
  }
  // An odd one out of pairs joins the last pair.
  if (topology === 'pairs' && count % 2 === 1) ends.push([count - 2, count - 1]);
  return ends;
}

function drawLink(
  parent: Random,
  number: number,
  ends: [number, number],
  sites: readonly SitePlan[],
): LinkPlan {
  const random = parent.fork(`link ${number}`);
  const keepalive = (site: number) => {
    const wanted = random.chance(sites[site].isBehindNat ? 0.6 : 0.15);
    const seconds = random.pick([5, 15, 25, 25, 60]);
    return wanted ? seconds : 0;
  };
  return {
    number,
    ends,
    keepalives: [keepalive(ends[0]), keepalive(ends[1])],
    hasPresharedKey: random.chance(0.4),
    latencyMs: random.chance(0.8) ? random.between(0.1, 20) : random.between(20, 120),
    hasWays: ends.every((end) => !sites[end].isBehindNat) && random.chance(0.5),
  };
}

type Span = readonly [least: number, most: number];

const FLOW_KINDS: Record<
  'trickle' | 'bursts' | 'stream' | 'heap',
  { readonly every: Span; readonly burst: Span; readonly duration: Span }
> = {
  /** A packet now and then. */
  trickle: { every: [1_000, 40_000], burst: [1, 1], duration: [60_000, 600_000] },
  /** A few packets, then nothing until the next. */
  bursts: { every: [5_000, 60_000], burst: [3, 20], duration: [30_000, 400_000] },
  /** A call: steady for a while. */
  stream: { every: [50, 500], burst: [1, 2], duration: [2_000, 20_000] },
  /** More at once than may wait for a session. */
  heap: { every: [20_000, 30_000], burst: [130, 260], duration: [1_000, 30_000] },
};

/** Times of talk, in one direction or both, and times of silence between them. */
function drawFlows(parent: Random, link: LinkPlan, durationMs: number): FlowPlan[] {
  const random = parent.fork(`flows ${link.number}`);
  const flows: FlowPlan[] = [];
  let at = random.between(0, 20_000);
  for (let spell = 0; at < durationMs; spell++) {
    const kind = FLOW_KINDS[random.weighted({ trickle: 10, bursts: 8, stream: 2, heap: 1 })];
    const direction = random.weighted({ both: 5, forward: 3, back: 3 });
    const duration = random.between(...kind.duration);
    for (const isForward of [true, false]) {
      // Numbers say nothing but which: they are unique without knowing how many there will be.
      const number = link.number * 1_000_000 + 2 * spell + (isForward ? 0 : 1);
      const drawn: Omit<FlowPlan, 'lastBytes'> = {
        number,
        link: link.number,
        isForward,
        family: random.chance(0.6) ? 4 : 6,
        from: Math.floor(at + random.between(0, 50)),
        duration: Math.floor(duration),
        everyMs: Math.floor(random.between(...kind.every)),
        burst: Math.floor(random.between(kind.burst[0], kind.burst[1] + 1)),
        bytes: random.chance(0.9) ? 8 + random.below(100) : 8 + random.below(1_380),
        ecn: random.pick([0, 0, 1, 2]),
      };
      const flow = { ...drawn, lastBytes: drawLast(random.fork(`last ${number}`), drawn.bytes) };
      if (direction === 'both' || isForward === (direction === 'forward')) flows.push(flow);
    }
    const silence = random.weighted({ none: 4, short: 4, long: 3, night: 0.5 });
    const [least, most] = {
      none: [0, 5_000],
      short: [10_000, 200_000],
      long: [200_000, 1_500_000],
      night: [3_600_000, 30_000_000],
    }[silence];
    at += duration + random.between(least, most);
  }
  return flows;
}

/** Of most bursts the last packet is like the others; it is never longer. */
function drawLast(random: Random, bytes: number): number {
  return random.chance(0.6) ? bytes : 1 + random.below(bytes);
}

type Place = 'site' | 'link';

/**
 * Whom a kind befalls, how likely it is, how long it lasts and how much of it there may be. Upgrades,
 * and what befalls whole bursts, are drawn by themselves.
 */
const DRAWS: Record<
  TroubleKind,
  {
    readonly place: Place;
    readonly weight: number;
    readonly duration: Span;
    readonly amount: Span;
  }
> = {
  loss: { place: 'link', weight: 6, duration: [5_000, 200_000], amount: [0.05, 0.9] },
  duplication: { place: 'link', weight: 5, duration: [5_000, 200_000], amount: [0.1, 1] },
  reordering: { place: 'link', weight: 5, duration: [5_000, 200_000], amount: [0.1, 0.9] },
  delay: { place: 'link', weight: 3, duration: [5_000, 100_000], amount: [200, 6_000] },
  stall: { place: 'link', weight: 4, duration: [500, 25_000], amount: [0, 0] },
  corruption: { place: 'link', weight: 5, duration: [5_000, 100_000], amount: [0.1, 0.9] },
  truncation: { place: 'link', weight: 3, duration: [5_000, 100_000], amount: [0.1, 0.9] },
  congestion: { place: 'link', weight: 2, duration: [5_000, 100_000], amount: [0.2, 1] },
  belated: { place: 'link', weight: 0, duration: [20_000, 150_000], amount: [60_000, 420_000] },
  partition: { place: 'site', weight: 5, duration: [1_000, 300_000], amount: [0, 0] },
  oneWay: { place: 'link', weight: 5, duration: [1_000, 300_000], amount: [0, 0] },
  relay: { place: 'link', weight: 2, duration: [1_000, 60_000], amount: [0, 0] },
  natRebinding: { place: 'site', weight: 5, duration: [0, 0], amount: [0, 0] },
  roaming: { place: 'site', weight: 5, duration: [1_000, 300_000], amount: [0, 0] },
  wayDead: { place: 'site', weight: 6, duration: [5_000, 400_000], amount: [0, 0] },
  nameFailure: { place: 'site', weight: 2, duration: [5_000, 200_000], amount: [0, 0] },
  restart: { place: 'site', weight: 6, duration: [100, 60_000], amount: [0, 1] },
  upgrade: { place: 'site', weight: 0, duration: [0, 180_000], amount: [1, 4] },
  upgradeInVain: { place: 'site', weight: 0, duration: [0, 180_000], amount: [0, 0] },
  upgradeForAWhile: { place: 'site', weight: 0, duration: [0, 180_000], amount: [0, 5_000] },
  interfaceDown: { place: 'site', weight: 4, duration: [10, 60_000], amount: [0, 0] },
  clockStep: { place: 'site', weight: 3, duration: [0, 0], amount: [-200_000, 60_000] },
  clockDrift: { place: 'site', weight: 2, duration: [60_000, 600_000], amount: [-0.01, 0.01] },
  pskChange: { place: 'link', weight: 3, duration: [10, 200_000], amount: [0, 0] },
  keyChange: { place: 'site', weight: 3, duration: [10, 100_000], amount: [0, 0] },
  noKey: { place: 'site', weight: 1, duration: [1_000, 60_000], amount: [0, 0] },
  peerRemoval: { place: 'link', weight: 4, duration: [10, 200_000], amount: [0, 0] },
  keepaliveChange: { place: 'link', weight: 2, duration: [10_000, 300_000], amount: [1, 60] },
  prefixMove: { place: 'site', weight: 2, duration: [1_000, 200_000], amount: [0, 0] },
  scarcity: { place: 'site', weight: 2, duration: [1_000, 60_000], amount: [0, 600] },
  spoofing: { place: 'link', weight: 4, duration: [5_000, 60_000], amount: [0, 0] },
  strays: { place: 'site', weight: 3, duration: [5_000, 60_000], amount: [0, 0] },
  garbage: { place: 'site', weight: 3, duration: [1_000, 30_000], amount: [10, 60] },
  replay: { place: 'site', weight: 5, duration: [1_000, 200_000], amount: [20, 100] },
  tampering: { place: 'site', weight: 4, duration: [1_000, 100_000], amount: [20, 100] },
  intrusion: { place: 'link', weight: 0, duration: [5_000, 200_000], amount: [0.05, 0.5] },
  forgery: { place: 'site', weight: 4, duration: [1_000, 60_000], amount: [10, 60] },
  stranger: { place: 'site', weight: 2, duration: [1_000, 30_000], amount: [1, 10] },
  cookieLoad: { place: 'site', weight: 2, duration: [1_000, 12_000], amount: [514, 540] },
  cookieTheft: { place: 'site', weight: 2, duration: [1_000, 4_000], amount: [514, 530] },
  flood: { place: 'site', weight: 1, duration: [100, 3_000], amount: [1_030, 1_200] },
};

/** Of a site, if it were alone. */
const UPGRADE_EVERY_MS = 400_000;
/** Of a link, likewise. */
const INTRUSION_EVERY_MS = 600_000;

/** Episodes of one to four troubles at once, and calm between them in which all has to recover. */
function drawTroubles(
  random: Random,
  sites: readonly SitePlan[],
  links: readonly LinkPlan[],
  durationMs: number,
): Trouble[] {
  const weights = Object.fromEntries(
    TROUBLE_KINDS.map((kind) => [kind, DRAWS[kind].weight]),
  ) as Record<TroubleKind, number>;
  const troubles: Trouble[] = [];
  let at = random.between(1_000, 60_000);
  while (at < durationMs) {
    let end = at;
    const together = 1 + random.below(3) + Math.floor(sites.length / 8);
    for (let i = 0; i < together; i++) {
      const kind = random.weighted(weights);
      const { place, duration, amount } = DRAWS[kind];
      const trouble: Trouble = {
        number: troubles.length,
        kind,
        from: Math.floor(at + random.between(0, 20_000)),
        duration: Math.floor(random.between(...duration)),
        place: random.below((place === 'site' ? sites : links).length),
        end: random.chance(0.5) ? 1 : 0,
        amount: random.between(...amount),
      };
      troubles.push(trouble);
      end = Math.max(end, trouble.from + trouble.duration);
    }
    const calm = random.weighted({ short: 8, night: 1 });
    const [least, most] = { short: [30_000, 500_000], night: [3_600_000, 20_000_000] }[calm];
    at = end + random.between(least, most);
  }
  return troubles.filter(({ from }) => from < durationMs);
}

const UPGRADE_KINDS = { upgrade: 5, upgradeInVain: 2, upgradeForAWhile: 2 } as const;
const INTRUSION_KINDS = { intrusion: 6, belated: 1 } as const;
/** Their numbers begin here. */
const FIRST_UPGRADE = 1_000_000;
const FIRST_INTRUSION = 2_000_000;

/**
 * On their own, because an upgrade may happen at any time and disturbs nobody: in calm, in which
 * nobody may notice it, and in the midst of all other trouble. The duration is how long a moment is
 * waited for that is worth it (upgrades.ts).
 */
function drawUpgrades(random: Random, sites: readonly SitePlan[], durationMs: number): Trouble[] {
  const everyMs = UPGRADE_EVERY_MS / Math.sqrt(sites.length);
  return drawEver(random, UPGRADE_KINDS, FIRST_UPGRADE, everyMs, sites.length, durationMs);
}

/** On their own as well: what breaks runs has to be there whatever else is. */
function drawIntrusions(random: Random, links: readonly LinkPlan[], durationMs: number): Trouble[] {
  const everyMs = INTRUSION_EVERY_MS / Math.sqrt(links.length);
  return drawEver(random, INTRUSION_KINDS, FIRST_INTRUSION, everyMs, links.length, durationMs);
}

/** One after the other for as long as the scenario lasts. */
function drawEver<K extends TroubleKind>(
  random: Random,
  kinds: Readonly<Record<K, number>>,
  firstNumber: number,
  everyMs: number,
  places: number,
  durationMs: number,
): Trouble[] {
  const troubles: Trouble[] = [];
  for (let at = random.between(0, everyMs); at < durationMs; at += random.between(0, 2 * everyMs)) {
    const kind = random.weighted(kinds);
    const { duration, amount } = DRAWS[kind];
    troubles.push({
      number: firstNumber + troubles.length,
      kind,
      from: Math.floor(at),
      duration: Math.floor(random.between(...duration)),
      place: random.below(places),
      end: random.chance(0.5) ? 1 : 0,
      amount: random.between(...amount),
    });
  }
  return troubles;
}

export function isOfLink(kind: TroubleKind): boolean {
  return DRAWS[kind].place === 'link';
}

/** One line. */
export function describeTrouble(scenario: Scenario, trouble: Trouble): string {
  const { kind, from, duration, place, end, amount } = trouble;
  const names = scenario.sites.map(({ name }) => name);
  const link = isOfLink(kind) ? scenario.links.find(({ number }) => number === place) : undefined;
  const ends = link?.ends.map((site) => names[site]) ?? [];
  const where = isOfLink(kind)
    ? end === 0
      ? `${ends[0]} -> ${ends[1]}`
      : `${ends[1]} -> ${ends[0]}`
    : names[place];
  const size = amount === 0 ? '' : `, ${Number(amount.toPrecision(3))}`;
  const span = duration === 0 ? '' : ` for ${(duration / 1_000).toFixed(3)} s`;
  return `#${trouble.number} at ${(from / 1_000).toFixed(3)} s ${kind} ${where}${span}${size}`;
}

/** Which parts of a scenario to keep, by their numbers; null keeps all. */
export interface Selection {
  readonly links: readonly number[] | null;
  readonly troubles: readonly number[] | null;
  readonly flows: readonly number[] | null;
}

/** The scenario with only the selected parts; what belongs to a link that is gone goes with it. */
export function select(scenario: Scenario, selection: Selection): Scenario {
  const links = kept(scenario.links, selection.links);
  const isThere = (number: number) => links.some((link) => link.number === number);
  return {
    ...scenario,
    links,
    flows: kept(scenario.flows, selection.flows).filter(({ link }) => isThere(link)),
    troubles: kept(scenario.troubles, selection.troubles).filter(
      ({ kind, place }) => !isOfLink(kind) || isThere(place),
    ),
  };
}

function kept<T extends { readonly number: number }>(
  all: readonly T[],
  numbers: readonly number[] | null,
): readonly T[] {
  return numbers === null ? all : all.filter(({ number }) => numbers.includes(number));
}

/** The sites that have a link: the others take no part. */
export function connectedSites({ sites, links }: Scenario): SitePlan[] {
  return sites.filter(({ number }) => links.some(({ ends }) => ends.includes(number)));
}
