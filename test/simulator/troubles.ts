/**
 * What each kind of trouble does when it begins and when it ends, and which links it disturbs so
 * that nobody may expect them to work. What the network does to datagrams is network.ts's, what an
 * attacker sends is attacker.ts's; here is what happens to sites.
 */

import { isZero } from '../../src/crypto/bytes.ts';
import { parsePrefix } from '../../src/packet/address.ts';
import type { Attacker } from './attacker.ts';
import { checkKeysGone } from './invariants.ts';
import { DELAY_MAX_MS, type Network } from './network.ts';
import type { Random } from './random.ts';
import {
  isOfLink,
  type LinkPlan,
  type Scenario,
  type Trouble,
  type TroubleKind,
} from './scenario.ts';
import { rangeName, type Site } from './site.ts';
import { createTemplate, prefixText } from './traffic.ts';
import { strike } from './upgrades.ts';

/** What the troubles act upon. */
export interface Stage {
  readonly scenario: Scenario;
  readonly sites: readonly Site[];
  readonly network: Network;
  readonly attacker: Attacker;
  readonly random: Random;
  /** Numbers of the sites whose names cannot be looked up. */
  readonly failingNames: Set<number>;
  now(): number;
  later(delayMs: number, action: () => void): void;
  /** No expectations of the link until then. */
  disturb(link: LinkPlan, until: number): void;
  /** Something happened to the link that its ends may speak about. */
  touch(link: LinkPlan): void;
  /** The site is about to be upgraded. */
  upgrading(site: Site): void;
  /** The site has another public key from now on. */
  keyChanged(site: Site): void;
}

/**
 * Whose links are disturbed, and how long: as long as it lasts, at its beginning, or not at all. An
 * unnoticed one is not even a reason to speak.
 */
type Disturbance = 'whole' | 'begin' | 'none' | 'unnoticed';

interface Rule {
  readonly disturbs: Disturbance;
  begin(stage: Stage, trouble: Trouble): void;
  end?(stage: Stage, trouble: Trouble): void;
}

/** After a trouble, what it held up may still arrive. */
const AFTERMATH_MS = DELAY_MAX_MS + 1_000;

const siteOf = ({ sites }: Stage, { place }: Trouble) => sites[place];
const linkOf = ({ scenario }: Stage, { place }: Trouble) => {
  return scenario.links.find(({ number }) => number === place)!;
};
/** The end of the link that the trouble is about, and the other one. */
const endsOf = (stage: Stage, trouble: Trouble) => {
  const { ends } = linkOf(stage, trouble);
  return [stage.sites[ends[trouble.end]], stage.sites[ends[1 - trouble.end]]] as const;
};

const ofNetwork: Rule = {
  disturbs: 'whole',
  begin: ({ network }, trouble) => network.begin(trouble),
  end: ({ network }, trouble) => network.end(trouble),
};
const harmless: Rule = { ...ofNetwork, disturbs: 'none' };
/** Until the last of what is held up has come: where from is where its sender is taken to be. */
const belating: Rule = {
  ...ofNetwork,
  disturbs: 'none',
  begin: (stage, trouble) => {
    stage.network.begin(trouble);
    const lastAt = stage.now() + trouble.duration + trouble.amount;
    stage.disturb(linkOf(stage, trouble), lastAt + AFTERMATH_MS);
  },
};
/** Forgeries do not hinder anybody; only a queue that overflows does. */
const ofAttacker: Rule = {
  disturbs: 'none',
  begin: ({ attacker }, trouble) => attacker.strike(trouble),
};

/** Whom nobody may notice; only a successor that fails disturbs, and from when it is tried. */
const ofUpgrade: Rule = {
  disturbs: 'unnoticed',
  begin: (stage, trouble) =>
    strike(stage, trouble, (ms) => {
      for (const link of linksTouched(stage, trouble))
        stage.disturb(link, stage.now() + ms + AFTERMATH_MS);
    }),
};

const RULES: Record<TroubleKind, Rule> = {
  loss: ofNetwork,
  duplication: harmless,
  reordering: harmless,
  delay: ofNetwork,
  stall: ofNetwork,
  corruption: ofNetwork,
  truncation: ofNetwork,
  congestion: ofNetwork,
  belated: belating,
  partition: ofNetwork,
  oneWay: ofNetwork,
  relay: ofNetwork,
  garbage: ofAttacker,
  replay: ofAttacker,
  tampering: ofAttacker,
  intrusion: {
    disturbs: 'none',
    begin: ({ attacker }, trouble) => attacker.join(trouble),
    end: ({ attacker }, trouble) => attacker.leave(trouble),
  },
  forgery: ofAttacker,
  stranger: ofAttacker,
  cookieLoad: ofAttacker,
  cookieTheft: ofAttacker,
  flood: { ...ofAttacker, disturbs: 'whole' },
  natRebinding: {
    disturbs: 'begin',
    begin: (stage, trouble) => stage.network.rebind(trouble.place),
  },
  roaming: {
    disturbs: 'begin',
    begin: (stage, trouble) => {
      const { network, sites } = stage;
      network.move(trouble.place, trouble.end === 0 ? 4 : 6);
      // Who knew its address by configuration will read the new one, but only at the next start.
      for (const site of sites) {
        const acquaintance = site.acquaintances.get(trouble.place);
        if (acquaintance?.endpoint) acquaintance.endpoint = network.addressOf(trouble.place);
      }
    },
    // Somebody noticed, and told those who have it in their configuration.
    end: (stage, trouble) => {
      for (const site of stage.sites) {
        const acquaintance = site.acquaintances.get(trouble.place);
        if (!acquaintance?.endpoint || acquaintance.ways.length > 0) continue;
        if (site.record(trouble.place) === undefined) continue;
        site.configure({ peers: [site.peerChange(trouble.place)] });
      }
    },
  },
  wayDead: {
    disturbs: 'none',
    begin: (stage, trouble) => {
      stage.network.begin(trouble);
      // Those that know another way are to take it.
      for (const link of linksTouched(stage, trouble)) {
        stage.disturb(link, stage.now() + (link.hasWays ? 0 : trouble.duration + AFTERMATH_MS));
      }
    },
    end: (stage, trouble) => {
      stage.network.end(trouble);
      for (const link of linksTouched(stage, trouble)) stage.disturb(link, stage.now());
    },
  },
  nameFailure: {
    disturbs: 'none',
    begin: (stage, trouble) => stage.failingNames.add(trouble.place),
    end: (stage, trouble) => stage.failingNames.delete(trouble.place),
  },
  restart: {
    disturbs: 'whole',
    begin: (stage, trouble) => siteOf(stage, trouble).stop(trouble.amount < 0.5),
    end: (stage, trouble) => {
      const site = siteOf(stage, trouble);
      if (site.device === null && site.acquaintances.size > 0) site.start();
    },
  },
  upgrade: ofUpgrade,
  upgradeInVain: ofUpgrade,
  upgradeForAWhile: ofUpgrade,
  interfaceDown: {
    disturbs: 'whole',
    begin: (stage, trouble) => {
      const site = siteOf(stage, trouble);
      site.turn('configuration', (_now, device) => device.down());
      checkKeysGone(site, 'down');
    },
    end: (stage, trouble) =>
      siteOf(stage, trouble).turn('configuration', (now, device) => device.up(now)),
  },
  clockStep: {
    disturbs: 'none',
    begin: (stage, trouble) => {
      const site = siteOf(stage, trouble);
      site.setWallClock(trouble.amount, site.wallRate);
    },
  },
  clockDrift: {
    disturbs: 'none',
    begin: (stage, trouble) => siteOf(stage, trouble).setWallClock(0, 1 + trouble.amount),
    end: (stage, trouble) => siteOf(stage, trouble).setWallClock(0, 1),
  },
  pskChange: {
    disturbs: 'whole',
    begin: (stage, trouble) => {
      const [site, other] = endsOf(stage, trouble);
      const { presharedKey } = site.acquaintances.get(other.number)!;
      const changed = new Uint8Array(32);
      // Sometimes it is taken away, sometimes it is the first one.
      if (isZero(presharedKey) || trouble.number % 3 > 0)
        stage.random.fork(`psk ${trouble.number}`).fill(changed);
      setPresharedKey(site, other, changed);
    },
    end: (stage, trouble) => {
      const [site, other] = endsOf(stage, trouble);
      setPresharedKey(other, site, site.acquaintances.get(other.number)!.presharedKey);
    },
  },
  keyChange: {
    disturbs: 'whole',
    begin: (stage, trouble) => {
      const site = siteOf(stage, trouble);
      site.drawKey();
      stage.keyChanged(site);
      site.configure({ privateKey: site.privateKey });
    },
    end: (stage, trouble) => {
      const changed = siteOf(stage, trouble);
      for (const site of stage.sites) {
        const acquaintance = site.acquaintances.get(changed.number);
        if (acquaintance === undefined) continue;
        const { publicKey } = acquaintance;
        acquaintance.publicKey = changed.publicKey;
        const change = site.peerChange(changed.number);
        site.configure({ peers: [{ publicKey, remove: true, allowedIps: [] }, change] });
      }
    },
  },
  noKey: {
    disturbs: 'whole',
    begin: (stage, trouble) => siteOf(stage, trouble).configure({ privateKey: new Uint8Array(32) }),
    end: (stage, trouble) => {
      const site = siteOf(stage, trouble);
      site.configure({ privateKey: site.privateKey });
    },
  },
  peerRemoval: {
    disturbs: 'whole',
    begin: (stage, trouble) => {
      const [site, other] = endsOf(stage, trouble);
      const { publicKey } = site.acquaintances.get(other.number)!;
      site.configure({ peers: [{ publicKey, remove: true, allowedIps: [] }] });
    },
    end: (stage, trouble) => {
      const [site, other] = endsOf(stage, trouble);
      site.configure({ peers: [site.peerChange(other.number)] });
    },
  },
  keepaliveChange: {
    disturbs: 'none',
    // By the same word of the operator's a peer with ways is left with the first of them alone.
    begin: (stage, trouble) => setKeepalive(stage, trouble, Math.round(trouble.amount), 1),
    end: (stage, trouble) => {
      const link = linkOf(stage, trouble);
      setKeepalive(stage, trouble, link.keepalives[trouble.end], Number.POSITIVE_INFINITY);
    },
  },
  prefixMove: {
    disturbs: 'none',
    begin: (stage, trouble) => {
      const site = siteOf(stage, trouble);
      const peers = [...site.acquaintances.keys()].filter((number) => site.record(number));
      if (peers.length < 2) return;
      moveInnerRange(site, peers[0], peers[1], false);
    },
    end: (stage, trouble) => {
      const site = siteOf(stage, trouble);
      for (const [range, owner] of [...site.routes]) {
        if (range.startsWith('inner ')) moveInnerRange(site, Number(range.slice(6)), owner, true);
      }
    },
  },
  scarcity: {
    disturbs: 'whole',
    begin: (stage, trouble) => {
      siteOf(stage, trouble).arenaBytes = Math.floor(trouble.amount);
    },
    end: (stage, trouble) => {
      siteOf(stage, trouble).arenaBytes = Number.POSITIVE_INFINITY;
    },
  },
  spoofing: { disturbs: 'none', begin: spoof },
  strays: { disturbs: 'none', begin: stray },
};

/** The trouble begins now; what it changed is put right by itself when its time is over. */
export function begin(stage: Stage, trouble: Trouble): void {
  const rule = RULES[trouble.kind];
  const links = linksTouched(stage, trouble);
  if (rule.disturbs !== 'unnoticed') for (const link of links) stage.touch(link);
  if (rule.disturbs === 'whole' || rule.disturbs === 'begin') {
    const lasts = rule.disturbs === 'begin' ? 0 : trouble.duration;
    for (const link of links) stage.disturb(link, stage.now() + lasts + AFTERMATH_MS);
  }
  rule.begin(stage, trouble);
  const { end } = rule;
  if (end === undefined) return;
  stage.later(trouble.duration, () => {
    for (const link of links) stage.touch(link);
    end(stage, trouble);
  });
}

function linksTouched(stage: Stage, trouble: Trouble): LinkPlan[] {
  if (isOfLink(trouble.kind)) return [linkOf(stage, trouble)];
  return stage.scenario.links.filter(({ ends }) => ends.includes(trouble.place));
}

function setPresharedKey(site: Site, other: Site, presharedKey: Uint8Array): void {
  const acquaintance = site.acquaintances.get(other.number)!;
  acquaintance.presharedKey = presharedKey;
  const { publicKey } = acquaintance;
  site.configure({ peers: [{ publicKey, updateOnly: true, presharedKey, allowedIps: [] }] });
}

function setKeepalive(
  stage: Stage,
  trouble: Trouble,
  persistentKeepalive: number,
  waysMax: number,
): void {
  const [site, other] = endsOf(stage, trouble);
  const acquaintance = site.acquaintances.get(other.number)!;
  const before = acquaintance.keepalive;
  if (persistentKeepalive === 0 || (before > 0 && persistentKeepalive > before))
    acquaintance.slowedAt = stage.now();
  acquaintance.keepalive = persistentKeepalive;
  const { publicKey, ways } = acquaintance;
  const said = ways.length > 0 ? { ways: ways.slice(0, waysMax) } : {};
  site.configure({
    peers: [{ publicKey, updateOnly: true, persistentKeepalive, allowedIps: [], ...said }],
  });
}

/** Gives the range of `place` that lies inside its main one to another peer, or back. */
function moveInnerRange(site: Site, place: number, owner: number, isBack: boolean): void {
  if (isBack) site.routes.delete(rangeName(place, 'inner'));
  else site.routes.set(rangeName(place, 'inner'), owner);
  const { publicKey } = site.acquaintances.get(owner)!;
  const allowedIps = ([4, 6] as const).map((family) => {
    return { prefix: parsePrefix(prefixText(place, 'inner', family))!, remove: isBack };
  });
  site.configure({ peers: [{ publicKey, updateOnly: true, allowedIps }] });
}

const SPOOFED_PACKETS = 12;
const STRAY_PACKETS = 20;
/** No site has this number, nor a range of inner addresses. */
const NO_SITE = 250;

/**
 * Sources of a third site, of nobody, of the receiver, and of the sender's own inner range, alone or
 * between packets that have a source of the sender's.
 */
function spoof(stage: Stage, trouble: Trouble): void {
  const random = stage.random.fork(`spoof ${trouble.number}`);
  const [from, to] = endsOf(stage, trouble);
  for (let i = 0; i < SPOOFED_PACKETS; i++) {
    const site = random.pick([random.below(stage.sites.length), NO_SITE, to.number, from.number]);
    const source = { site, range: random.pick(['main', 'inner'] as const) };
    const family = random.chance(0.5) ? 4 : 6;
    const destination = { site: to.number, range: 'main' } as const;
    const template = createTemplate(source, destination, family, 20, 0);
    const genuine = createTemplate(
      { site: from.number, range: 'main' },
      destination,
      family,
      20,
      0,
    );
    const isAmongGenuine = random.chance(0.5);
    stage.later(random.between(0, trouble.duration), () => {
      if (isAmongGenuine) from.send(genuine);
      from.send(template);
      if (isAmongGenuine) from.send(genuine);
    });
  }
}

/** Packets to nobody, and packets that are none. */
function stray(stage: Stage, trouble: Trouble): void {
  const random = stage.random.fork(`stray ${trouble.number}`);
  const site = siteOf(stage, trouble);
  for (let i = 0; i < STRAY_PACKETS; i++) {
    const family = random.chance(0.5) ? 4 : 6;
    const destination = { site: NO_SITE, range: 'main' } as const;
    const source = { site: site.number, range: 'main' } as const;
    const template = createTemplate(source, destination, family, 40, 0);
    // Another version, or a length that is not there.
    if (random.chance(0.5)) template.bytes[random.pick([0, 2, 4])] ^= 0xa0;
    stage.later(random.between(0, trouble.duration), () => site.send(template));
  }
}
