/**
 * Ways that are said while something is known already: a session that stands elsewhere, a name that is
 * answered before a better one, addresses remembered from before a restart.
 */

import { describe, expect, it } from 'vitest';
import type { Way } from '../../src/device/ways.ts';
import { formatAddress, parseAddress } from '../../src/packet/address.ts';
import { handOver } from './successors.ts';
import { A_TO_B, B_TO_A, pair, type Site, type World } from './world.ts';

const SECOND = 1_000;
const INITIATION = 1;
/** The most that REKEY_TIMEOUT is with its jitter. */
const RETRY = 5.4 * SECOND;
/** REKEY_AFTER_TIME. */
const REKEY = 120 * SECOND;
/** How long first answers are waited for (steering.ts). */
const HOLD = SECOND;
const NAME = 'gw.example.net';
const OTHER = 'backup.example.net';
const FIRST = '192.0.2.2';
const SECOND_ADDRESS = '198.51.100.2';
const DEAD = '203.0.113.9';

type Sites = { readonly world: World; readonly a: Site; readonly b: Site };

const via = (host: string): Way => ({ host, port: 51820, near: null });
const text = ({ address }: { address: Uint8Array }) => formatAddress(address);
const liveOf = (site: Site) => text(site.device.state().peers[0].endpoint!);
const inUse = (site: Site) => site.device.state().peers[0].ways.findIndex((way) => way.isInUse);

function setWays({ a, b }: Sites, ...hosts: string[]): void {
  a.configure({ peers: [{ publicKey: b.publicKey, ways: hosts.map(via), allowedIps: [] }] });
}

/** A packet each way every 100 ms for so long; how many of A's and of B's were lost. */
function talk({ world, a, b }: Sites, ms: number): number[] {
  const before = [b.delivered.length, a.delivered.length];
  let sent = 0;
  for (const end = world.now + ms; world.now < end; sent++) {
    a.send(A_TO_B());
    world.run(40);
    b.send(B_TO_A());
    world.run(60);
  }
  return [sent - b.delivered.length + before[0], sent - a.delivered.length + before[1]];
}

const calls = (site: Site, since = 0) => site.sent(INITIATION, since).map((d) => text(d.endpoint));

describe('under a session', () => {
  /** B has two addresses, and A has just talked to the first, which it knows by address. */
  function talking(): Sites {
    const sites = pair();
    sites.b.another(SECOND_ADDRESS);
    expect(talk(sites, 10 * SECOND)).toEqual([0, 0]);
    return sites;
  }

  it('a name in the place of an address keeps the endpoint until it is known, and loses nothing', () => {
    const sites = talking();
    setWays(sites, NAME);
    expect([liveOf(sites.a), inUse(sites.a)]).toEqual([FIRST, -1]);
    expect(talk(sites, 2 * SECOND)).toEqual([0, 0]);
    sites.a.answer(NAME, FIRST);
    expect([liveOf(sites.a), inUse(sites.a)]).toEqual([FIRST, 0]);
    expect(talk(sites, SECOND)).toEqual([0, 0]);
    // It is where it was said to be: nobody is called.
    expect(calls(sites.a)).toEqual([FIRST]);
  });

  it('a name that is somewhere else is called at once, and packets follow when it has answered', () => {
    const sites = talking();
    setWays(sites, NAME);
    const since = sites.world.now;
    sites.a.answer(NAME, SECOND_ADDRESS);
    expect(liveOf(sites.a)).toBe(FIRST);
    sites.world.run(10);
    expect(calls(sites.a, since)).toEqual([SECOND_ADDRESS]);
    expect([liveOf(sites.a), inUse(sites.a)]).toEqual([SECOND_ADDRESS, 0]);
    expect(talk(sites, 10 * SECOND)).toEqual([0, 0]);
  });

  it('other ways that are dead are called, cost nothing, and are called again at each rekey', () => {
    const sites = talking();
    const since = sites.world.now;
    setWays(sites, DEAD, '203.0.113.10');
    expect(talk(sites, REKEY + 30 * SECOND)).toEqual([0, 0]);
    expect([liveOf(sites.a), inUse(sites.a)]).toEqual([FIRST, -1]);
    expect(calls(sites.a, since)).toEqual([DEAD, FIRST, '203.0.113.10', FIRST]);
  });

  it('other ways are taken as soon as the old endpoint is silent', () => {
    const sites = talking();
    setWays(sites, NAME);
    talk(sites, 2 * SECOND);
    sites.a.answer(NAME, DEAD, SECOND_ADDRESS);
    sites.world.filter = ({ endpoint, source }) =>
      ![endpoint, source].some((end) => [FIRST, DEAD].includes(text(end)));
    const before = sites.world.now;
    while (sites.world.now - before < 60 * SECOND && liveOf(sites.a) !== SECOND_ADDRESS) {
      talk(sites, 100);
    }
    const seconds = (sites.world.now - before) / SECOND;
    console.log(`new ways, the old one dies with them: ${seconds.toFixed(1)} s`);
    expect(seconds).toBeLessThan(4 * 5.4);
  });

  it('a peer that moves by itself meanwhile is followed, and stays there', () => {
    const sites = talking();
    setWays(sites, NAME);
    sites.b.endpoint = sites.b.another('198.51.100.77');
    sites.b.others.splice(0);
    sites.b.send(B_TO_A());
    sites.world.run(10);
    const since = sites.world.now;
    sites.a.answer(NAME, DEAD);
    sites.world.run(10 * SECOND);
    expect([liveOf(sites.a), inUse(sites.a), calls(sites.a, since)]).toEqual([
      '198.51.100.77',
      -1,
      [],
    ]);
  });

  it('an idle one is called once, and is silent again', () => {
    const sites = talking();
    sites.world.run(30 * SECOND);
    const since = sites.world.now;
    setWays(sites, DEAD);
    sites.world.run(600 * SECOND);
    // The second is the first's repetition, which the endpoint answers.
    expect(calls(sites.a, since)).toEqual([DEAD, FIRST]);
  });

  it('is continued after an upgrade in the midst of it', () => {
    const sites = talking();
    setWays(sites, NAME);
    const successor = handOver(sites.world, sites.a);
    const after = { ...sites, a: successor };
    expect([liveOf(successor), inUse(successor)]).toEqual([FIRST, -1]);
    expect(talk(after, 10 * SECOND)).toEqual([0, 0]);
    successor.answer(NAME, SECOND_ADDRESS);
    sites.world.run(10);
    expect([liveOf(successor), inUse(successor)]).toEqual([SECOND_ADDRESS, 0]);
    expect(talk(after, 10 * SECOND)).toEqual([0, 0]);
  });
});

it('without a session other ways take the place of the endpoint, known or not', () => {
  const sites = pair();
  setWays(sites, NAME);
  expect(sites.a.device.state().peers[0].endpoint).toBeNull();
  setWays(sites, DEAD);
  expect([liveOf(sites.a), inUse(sites.a)]).toEqual([DEAD, 0]);
});

describe('at the start', () => {
  /** A knows B by two names, or a name and an address, and wants to send. */
  function starting(...hosts: string[]): Sites {
    const sites = pair();
    sites.b.another(SECOND_ADDRESS);
    const { a, b } = sites;
    a.configure({ peers: [{ publicKey: b.publicKey, endpoint: null, allowedIps: [] }] });
    setWays(sites, ...hosts);
    a.send(A_TO_B());
    return sites;
  }

  it.each([
    [[NAME, FIRST] as const, [OTHER, SECOND_ADDRESS] as const],
    [[OTHER, SECOND_ADDRESS] as const, [NAME, FIRST] as const],
  ])(
    'the preferred of two names is taken, in whatever order they are answered: %s',
    (...answers) => {
      const sites = starting(NAME, OTHER);
      for (const [host, address] of answers) {
        sites.world.run(200);
        sites.a.answer(host, address);
      }
      sites.world.run(10);
      expect([inUse(sites.a), calls(sites.a)]).toEqual([0, [FIRST]]);
      expect(sites.b.delivered).toHaveLength(1);
    },
  );

  it('it is not waited for long, nor for one that has failed', () => {
    for (const isFailed of [false, true]) {
      const sites = starting(NAME, OTHER);
      sites.world.run(200);
      sites.a.answer(OTHER, SECOND_ADDRESS);
      if (isFailed) sites.a.answer(NAME, 'EAI_NONAME');
      sites.world.run(isFailed ? 10 : HOLD - 200 - 10);
      expect(calls(sites.a)).toEqual(isFailed ? [SECOND_ADDRESS] : []);
      sites.world.run(20);
      expect([inUse(sites.a), calls(sites.a)]).toEqual([1, [SECOND_ADDRESS]]);
      expect(sites.b.delivered).toHaveLength(1);
    }
  });

  it('it is waited for by a successor, too, which asks again', () => {
    const sites = starting(NAME, SECOND_ADDRESS);
    sites.world.run(500);
    const successor = handOver(sites.world, sites.a);
    expect(successor.device.state().peers[0].endpoint).toBeNull();
    sites.world.run(10);
    successor.answer(NAME, FIRST);
    sites.world.run(10);
    expect([inUse(successor), calls(successor)]).toEqual([0, [FIRST]]);
    expect(sites.b.delivered).toHaveLength(1);
  });

  it('it takes the place of a worse one that has not answered yet', () => {
    const sites = starting(NAME, DEAD);
    sites.world.run(HOLD + 10);
    expect([inUse(sites.a), calls(sites.a)]).toEqual([1, [DEAD]]);
    sites.a.answer(NAME, FIRST);
    expect([inUse(sites.a), liveOf(sites.a)]).toEqual([0, FIRST]);
    sites.world.run(RETRY);
    expect(calls(sites.a)).toEqual([DEAD, FIRST]);
  });

  it('it takes the place of a worse one with a session at the next rekey, and nothing is lost', () => {
    const sites = starting(NAME, SECOND_ADDRESS);
    sites.world.run(HOLD + 10);
    const begun = sites.world.now;
    sites.a.answer(NAME, FIRST);
    expect(talk(sites, 10 * SECOND)).toEqual([0, 0]);
    expect(inUse(sites.a)).toBe(1);
    while (inUse(sites.a) === 1 && sites.world.now < 3 * REKEY) {
      expect(talk(sites, 100)).toEqual([0, 0]);
    }
    const seconds = (sites.world.now - begun) / SECOND;
    console.log(
      `a preferred name known after the session began: moved after ${seconds.toFixed(1)} s`,
    );
    expect(seconds).toBeLessThanOrEqual(121);
  });
});

describe('names remembered from before a restart', () => {
  const remembered = [{ host: NAME, addresses: [parseAddress(FIRST)!] }];

  /** A has just been started, and is configured with a name, before it is up. */
  function restarted(): Sites {
    const sites = pair();
    const { a, b, world } = sites;
    a.turn(() => a.device.down());
    a.device.rememberNames(remembered);
    expect(a.device.nameMemories()).toEqual(remembered);
    a.configure({ peers: [{ publicKey: b.publicKey, endpoint: null, allowedIps: [] }] });
    setWays(sites, NAME);
    expect(a.asked).toEqual([]);
    a.turn(() => a.device.up(world.now));
    a.send(A_TO_B());
    expect(a.asked).toEqual([NAME]);
    return sites;
  }

  it('are called where no name server answers', () => {
    const sites = restarted();
    sites.world.run(HOLD - 10);
    expect(calls(sites.a)).toEqual([]);
    sites.world.run(20);
    expect(calls(sites.a)).toEqual([FIRST]);
    expect(sites.b.delivered).toHaveLength(1);
  });

  it('are called at once where the lookup fails, and are shown with what failed', () => {
    const sites = restarted();
    sites.world.run(10);
    sites.a.answer(NAME, 'EAI_AGAIN');
    sites.world.run(10);
    expect(calls(sites.a)).toEqual([FIRST]);
    expect(sites.a.device.state().peers[0].ways).toMatchObject([{ error: 'EAI_AGAIN' }]);
    expect(sites.a.device.nameMemories()).toEqual(remembered);
  });

  it('are nothing any more when there is an answer', () => {
    const sites = restarted();
    sites.b.another(SECOND_ADDRESS);
    sites.world.run(10);
    sites.a.answer(NAME, SECOND_ADDRESS);
    sites.world.run(10);
    expect(calls(sites.a)).toEqual([SECOND_ADDRESS]);
    expect(sites.a.device.nameMemories()).toEqual([
      { host: NAME, addresses: [parseAddress(SECOND_ADDRESS)!] },
    ]);
  });

  it('are asked for again as if they had never been answered', () => {
    const sites = restarted();
    sites.a.answer(NAME, 'EAI_AGAIN');
    sites.world.run(2 * SECOND);
    expect(sites.a.asked).toEqual([NAME]);
  });

  it('that nobody names are forgotten as soon as somebody names another', () => {
    const { a, b } = pair();
    a.device.rememberNames(remembered);
    a.configure({ peers: [{ publicKey: b.publicKey, ways: [via(OTHER)], allowedIps: [] }] });
    expect(a.device.nameMemories()).toEqual([]);
  });
});

it('a name that leads into the tunnel is asked for again, and what leads out is called then', () => {
  const sites = pair();
  const { a, b, world } = sites;
  a.leadsInside = (endpoint) => text(endpoint) === '10.20.0.5';
  a.configure({ peers: [{ publicKey: b.publicKey, endpoint: null, allowedIps: [] }] });
  setWays(sites, NAME);
  a.answer(NAME, '10.20.0.5');
  for (let i = 0; i < 100; i++) {
    a.send(A_TO_B());
    world.run(100);
  }
  expect([world.wire, a.asked]).toEqual([[], [NAME]]);
  a.configure({ peers: [{ publicKey: b.publicKey, persistentKeepalive: 25, allowedIps: [] }] });
  a.answer(NAME, '10.20.0.5', FIRST);
  world.run(10);
  expect([calls(a), a.record(b).counts.handshakesCompleted]).toEqual([[FIRST], 1]);
});

it('a line that comes back with another number continues at once, with the same session', () => {
  const sites = pair();
  const { a, b, world } = sites;
  a.another('203.0.113.1');
  a.interfaces.set('ppp0', 2);
  const ways = [{ ...via(FIRST), near: { kind: 'interface', name: 'ppp0' } as const }];
  a.configure({ peers: [{ publicKey: b.publicKey, ways, allowedIps: [] }] });
  talk(sites, 10 * SECOND);
  const { handshakesCompleted } = a.record(b).counts;
  for (const index of [0, 5]) {
    if (index === 0) a.interfaces.delete('ppp0');
    else a.interfaces.set('ppp0', index);
    a.isReachable = ({ sourceInterface }) => sourceInterface === index;
    a.turn(() => a.device.pathsChanged(world.now));
  }
  expect(a.record(b).endpoint!.sourceInterface).toBe(5);
  world.run(10);
  expect(a.record(b).counts.handshakesCompleted).toBe(handshakesCompleted);
});
