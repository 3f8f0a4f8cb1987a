/** A Device whose place another one takes while packets are on their way, and what nobody notices. */

import { describe, expect, it } from 'vitest';
import { Endpoint } from '../../src/device/endpoint.ts';
import { type DeviceHandover, type PeerHandover, wipeHandover } from '../../src/device/handover.ts';
import { REJECT_AFTER_TIME_MS, REKEY_AFTER_TIME_MS } from '../../src/noise/constants.ts';
import { INITIATION_BYTES } from '../../src/noise/messages.ts';
import {
  become,
  connected,
  counterOf,
  DATA,
  goAhead,
  handOver,
  INITIATION,
  inAnotherProcess,
  only,
  prepare,
  receiverOf,
  replace,
  SECOND,
  setPeer,
} from './successors.ts';
import { A_TO_B, B_TO_A, pair, Site, type World } from './world.ts';

describe('a session', () => {
  it.each([
    ['initiator', 'a'],
    ['responder', 'b'],
  ] as const)('goes on both ways without a handshake when the %s is replaced', (_, which) => {
    const { world, a, b } = connected();
    const there = { a: A_TO_B, b: B_TO_A };
    const [old, other] = which === 'a' ? [a, b] : [b, a];
    old.send(there[which](1));
    other.send(there[which === 'a' ? 'b' : 'a'](2));
    world.run(10);
    const before = old.sent(DATA).at(-1)!;
    const begun = world.wire.length;

    const successor = handOver(world, old);
    const delivered = other.delivered.length;
    for (let tag = 3; tag < 6; tag++) {
      successor.send(there[which](tag));
      other.send(there[which === 'a' ? 'b' : 'a'](tag));
      world.run(10);
    }
    expect(other.delivered).toHaveLength(delivered + 3);
    expect(other.delivered.at(-1)).toEqual(there[which](5));
    expect(successor.delivered).toHaveLength(3);
    expect(world.wire.slice(begun).map(({ bytes }) => bytes[0])).toEqual(new Array(6).fill(DATA));
    const sent = successor.sent(DATA);
    const first = counterOf(before) + 1;
    expect(sent.map(counterOf)).toEqual([first, first + 1, first + 2]);
    expect(new Set([before, ...sent].map(receiverOf)).size).toBe(1);
  });

  it('is followed by one under the keys of before, the preshared one too', () => {
    const { world, a, b } = connected();
    const presharedKey = new Uint8Array(32).fill(0x5a);
    setPeer(a, b, { presharedKey });
    setPeer(b, a, { presharedKey });
    const { privateKey } = a.device.state();
    for (const old of [a, b]) {
      const successor = handOver(world, old);
      const other = world.sites.find((one) => one !== successor)!;
      expect(only(successor).handshake.copyPresharedKey()).toEqual(presharedKey);
      if (old === a) expect(successor.device.state().privateKey).toEqual(privateKey);
      world.run(REJECT_AFTER_TIME_MS);
      const begun = world.wire.length;
      const delivered = other.delivered.length;
      successor.send(old === a ? A_TO_B(7) : B_TO_A(7));
      world.run(10);
      expect(world.wire.slice(begun).some(({ bytes }) => bytes[0] === INITIATION)).toBe(true);
      expect(only(successor).counts.handshakesCompleted).toBeGreaterThan(0);
      expect(other.delivered).toHaveLength(delivered + 1);
    }
  });

  it('refuses what its predecessor took, and takes what came late', () => {
    const { world, a, b } = connected();
    b.send(B_TO_A(1));
    world.run(10);
    world.filter = () => false;
    b.send(B_TO_A(2));
    world.filter = () => true;
    b.send(B_TO_A(3));
    world.run(10);
    const [, taken, lost, last] = [undefined, ...b.sent(DATA).slice(-3)];
    expect(a.delivered).toHaveLength(2);

    const successor = handOver(world, a);
    for (const datagram of [taken, last, lost, lost]) {
      world.inject(b, successor, datagram!.bytes);
      world.run(10);
    }
    expect(successor.delivered).toEqual([B_TO_A(2)]);
    expect(successor.device.core.drops.get('replayedPacket')).toBe(3);
  });

  it('opens what is still on its way under the one before it', () => {
    const { world, a, b } = connected();
    world.run(REKEY_AFTER_TIME_MS + SECOND);
    world.filter = () => false;
    b.send(B_TO_A(1));
    const late = b.sent(DATA).at(-1)!;
    world.filter = () => true;
    a.send(A_TO_B());
    world.run(100);
    expect(only(a).previous!.localIndex).toBe(receiverOf(late));
    const successor = handOver(world, a);
    world.inject(b, successor, late.bytes);
    world.run(10);
    expect(successor.delivered).toEqual([B_TO_A(1)]);
    expect(only(successor).previous!.replay.greatest).toBe(counterOf(late));
  });

  it('that was answered for is confirmed by the first packet, and used only then', () => {
    const { world, a, b } = pair();
    // A's answer is on its way while A is replaced.
    world.latencyMs = 50;
    b.send(B_TO_A(1));
    world.run(60);
    expect(only(a).next).not.toBe(null);
    const successor = handOver(world, a);
    expect(only(successor).current).toBe(null);
    world.run(200);
    expect(successor.delivered).toEqual([B_TO_A(1)]);
    expect(only(successor).current).not.toBe(null);
    expect(only(successor).next).toBe(null);
    successor.send(A_TO_B(2));
    world.run(200);
    expect(b.delivered).toEqual([A_TO_B(2)]);
    expect(successor.sent(INITIATION)).toEqual([]);
  });

  it('is passed over when its index or its place is taken', () => {
    const { world, a, b } = connected();
    const successor = handOver(world, a, (handover) => {
      const [one] = handover.peers;
      const [first] = one!.sessions;
      const others = [
        { ...first!, place: 'previous' as const },
        { ...first!, localIndex: first!.localIndex ^ 1 },
        { ...first!, place: 'next' as const, localIndex: 0 },
      ];
      return { ...handover, peers: [{ ...one!, sessions: [first!, ...others] }] };
    });
    const { current, previous, next } = only(successor);
    expect([previous, next]).toEqual([null, null]);
    expect(current!.localIndex).toBe(only(a).current!.localIndex);
    expect(successor.device.core.indices.size).toBe(1);
    b.send(B_TO_A(1));
    world.run(10);
    expect(successor.delivered).toHaveLength(1);
  });
});

/** A and B talk at random, lose packets, renew sessions and roam, as the seed will have it. */
function* talk(world: World, a: Site, b: Site, seed: number): Generator<void> {
  let state = seed;
  const below = (n: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % n;
  };
  let step = 0;
  let cutUntil = 0;
  world.filter = () => step > cutUntil && below(8) > 0;
  for (; step < 60; step++) {
    const roll = below(20);
    if (roll < 8) a.send(A_TO_B(step));
    else if (roll < 16) b.send(B_TO_A(step));
    else if (roll === 19) cutUntil = step + 6;
    else if (roll === 16) b.endpoint = new Endpoint(b.endpoint.address, 1 + below(60_000));
    world.run(roll < 12 ? below(50) : below(40) * SECOND);
    yield;
  }
}

/** The counters of `stats`, without its words on trouble, which is not handed over. */
function counted(site: Site) {
  const { counters, peers } = site.device.stats(site.world.now);
  return [counters, ...peers.map((peer) => peer.counters)];
}

/** All that is known of a site. `calls`: of a call that is to be made again nothing else is. */
function whole(site: Site, calls = false) {
  const { device, world } = site;
  const state = device.state();
  const handover = device.handOver(world.now);
  const memories = device.memories();
  return { state, memories, handover: calls ? withoutCall(handover) : handover };
}

/** A call that was under way is to be made anew: all but that. */
function withoutCall(handover: DeviceHandover) {
  const [{ isCalling: _, initiationAgeMs: __, deadlines, ...rest }] = handover.peers as [
    PeerHandover,
  ];
  return { ...handover, peers: [{ ...rest, deadlines: { ...deadlines, retransmitHandshake: 0 } }] };
}

describe('a successor', () => {
  it('has all that its predecessor had, at any moment', () => {
    let sessions = 0;
    let calls = 0;
    for (let seed = 1; seed <= 4; seed++) {
      const { world, a, b } = pair(seed);
      setPeer(a, b, { persistentKeepalive: seed % 2 === 0 ? 25 : 0 });
      let step = seed;
      for (const _ of talk(world, a, b, seed)) {
        if (step++ % 3 !== 0) continue;
        const at = `seed ${seed}, ${world.now} ms`;
        const handover = a.device.handOver(world.now);
        const other = new Site(world, '192.0.2.9', 1);
        other.device.down();
        const { change, memories, received } = inAnotherProcess(a, handover);
        other.configure(change);
        other.device.takeOver(received, memories);
        expect(counted(other), at).toEqual(counted(a));
        const { txBytes, rxBytes, lastHandshakeMs } = a.device.state().peers[0];
        const [known] = other.device.state().peers;
        expect(known, at).toMatchObject({ txBytes, rxBytes, lastHandshakeMs });
        const { isCalling, sessions: held } = handover.peers[0];
        const passedOn = other.device.handOver(world.now);
        expect(passedOn.peers[0].isCalling).toBe(false);
        if (isCalling) expect(withoutCall(passedOn), at).toEqual(withoutCall(handover));
        else expect(passedOn, at).toEqual(handover);
        sessions += held.length;
        calls += isCalling ? 1 : 0;
      }
    }
    expect(sessions).toBeGreaterThan(80);
    expect(calls).toBeGreaterThan(5);
  });

  it('has it all, too, when it was configured some time ahead', () => {
    let moved = 0;
    for (let seed = 1; seed <= 4; seed++) {
      const { world, a, b } = pair(seed);
      setPeer(a, b, { persistentKeepalive: seed % 2 === 0 ? 25 : 0 });
      let ahead = goAhead(a);
      let step = 0;
      let before = only(a).endpoint;
      for (const _ of talk(world, a, b, seed)) {
        if (++step % 4 !== 0) continue;
        const other = new Site(world, '192.0.2.9', 1);
        other.device.down();
        prepare(other, ahead.text);
        const contents = ahead.pack();
        expect(contents.followsAhead).toBe(true);
        become(other, contents);
        const at = `seed ${seed}, ${world.now} ms`;
        const [{ isCalling }] = a.device.handOver(world.now).peers;
        expect(whole(other, isCalling), at).toEqual(whole(a, isCalling));
        expect(only(other).places).toEqual([only(other).endpoint]);
        if (!before!.sameRemote(only(a).endpoint!)) moved++;
        ahead = goAhead(a);
        before = only(a).endpoint;
      }
    }
    expect(moved).toBeGreaterThan(3);
  });

  it('has the configuration of the last moment, whatever went ahead', () => {
    const { world, a, b } = connected();
    const others = [1, 2, 3].map((n) => ({
      publicKey: new Uint8Array(32).fill(n),
      allowedIps: [],
    }));
    a.configure({
      peers: others.slice(0, 2),
      fwmark: 7,
      debug: true,
      bind: { kind: 'interface', name: 'eth0' },
    });
    const ahead = goAhead(a);
    setPeer(a, b, { description: 'another one', persistentKeepalive: 9 });
    a.configure({
      peers: [{ ...others[0]!, remove: true }, others[2]!],
      ...{ fwmark: 0, debug: false, bind: null },
    });
    const other = new Site(world, '192.0.2.9', 1);
    other.device.down();
    prepare(other, ahead.text);
    const contents = ahead.pack();
    expect(contents.followsAhead).toBe(false);
    become(other, contents);
    expect(whole(other)).toEqual(whole(a));
    expect(other.device.core.peers.size).toBe(3);
    expect(other.device.core.isDebugging).toBe(false);
  });

  it('has all of one that did not wait for what went ahead', () => {
    const { world, a } = connected();
    const ahead = goAhead(a);
    const other = new Site(world, '192.0.2.9', 1);
    other.device.down();
    become(other, ahead.pack(false));
    expect(whole(other)).toEqual(whole(a));
  });

  it('has peers that have never spoken, with their preshared keys', () => {
    const { world, a } = connected();
    const quiet = Array.from({ length: 40 }, (_, i) => ({
      publicKey: new Uint8Array(32).fill(0x30 + i),
      ...(i % 3 === 0 ? { presharedKey: new Uint8Array(32).fill(i + 1) } : {}),
      ...(i % 2 === 0 ? { endpoint: new Endpoint(Uint8Array.of(192, 0, 2, i), 5_000 + i) } : {}),
      allowedIps: [],
    }));
    a.configure({ peers: quiet.slice(0, 20) });
    world.run(5 * SECOND);
    a.configure({ peers: quiet.slice(20) });
    const ahead = goAhead(a);
    const [, ...peers] = a.device.core.peers.values();
    // One of them is silent no more.
    peers[10]!.txBytes = 5;
    const contents = ahead.pack();
    expect(ahead.text).toContain('public_key=');
    expect(ahead.text).not.toMatch(/private_key|preshared_key/);
    const { device } = contents;
    expect(device.peers).toEqual([]);
    expect(device.rows!.sessions.values).toHaveLength(device.rows!.sessions.columns.length);
    expect(device.rows!.peers.values).toHaveLength(2 * device.rows!.peers.columns.length);
    expect(device.quiet.map(({ from, count }) => [from, count])).toEqual([
      [1, 10],
      [12, 9],
      [21, 20],
    ]);
    const other = new Site(world, '192.0.2.9', 1);
    other.device.down();
    prepare(other, ahead.text);
    world.run(SECOND);
    become(other, contents);
    expect(whole(other)).toEqual(whole(a));
    for (const { presharedKeys } of device.quiet) {
      expect(presharedKeys!.every((byte) => byte === 0)).toBe(true);
    }
  });

  it('knows the way to the peer, and the MTU', () => {
    const { world, a } = connected();
    a.device.setMtu(1_280);
    const { endpoint } = only(a);
    endpoint!.source = Uint8Array.of(192, 0, 2, 1);
    endpoint!.sourceInterface = 3;
    const successor = handOver(world, a);
    expect(only(successor).endpoint).toMatchObject({
      source: Uint8Array.of(192, 0, 2, 1),
      sourceInterface: 3,
    });
    expect(successor.device.core.mtu).toBe(1_280);
  });

  it('knows what was counted, and what was asked for already', () => {
    const { world, a } = connected();
    a.device.core.counts.cookiesSent = 4;
    a.device.core.counts.unreachablesSent = 5;
    a.device.core.drop('replayedPacket', only(a), null, 3);
    a.device.core.drop('arenaExhausted', null, null, 2);
    only(a).sentLastMinuteHandshake = true;
    const successor = handOver(world, a);
    expect(counted(successor)).toEqual(counted(a));
    expect(successor.device.core.drops.entries()).toEqual(a.device.core.drops.entries());
    expect(only(successor).drops.entries()).toEqual([['replayedPacket', 3]]);
    expect(only(successor).sentLastMinuteHandshake).toBe(true);
  });

  it('is down when its predecessor was', () => {
    const { world, a, b } = connected();
    setPeer(a, b, { persistentKeepalive: 25 });
    a.turn(() => a.device.down());
    const successor = handOver(world, a);
    expect(successor.device.isUp).toBe(false);
    world.run(60 * SECOND);
    expect([...successor.sent(INITIATION), ...successor.sent(DATA)]).toEqual([]);
  });

  it('passes over a peer that it is not configured with, and erases its keys too', () => {
    const { world, a, b } = connected();
    const saved = inAnotherProcess(a, a.device.handOver(world.now));
    const [known] = saved.received.peers;
    const stranger = {
      ...known!,
      publicKey: new Uint8Array(32).fill(9),
      sessions: known!.sessions.map((one) => ({ ...one, keys: one.keys.slice() })),
    };
    const successor = replace(world, a);
    successor.configure(saved.change);
    const received = { ...saved.received, peers: [stranger, known!] };
    successor.device.takeOver(received, saved.memories);
    expect(successor.device.core.peers.size).toBe(1);
    b.send(B_TO_A(1));
    world.run(10);
    expect(successor.delivered).toHaveLength(1);
    const keys = [stranger, known!].flatMap(({ sessions }) => sessions.map((one) => one.keys));
    expect(keys).toEqual([new Uint8Array(64), new Uint8Array(64)]);
  });

  it('passes over counts that it does not keep', () => {
    const { world, a } = connected();
    const successor = handOver(world, a, (handover) => ({
      ...handover,
      counts: { ...handover.counts, later: 1 },
      drops: { ...handover.drops, later: 1 },
      peers: handover.peers.map((one) => ({ ...one, counts: { ...one.counts, later: 1 } })),
    }));
    expect(Object.keys(successor.device.core.counts)).toEqual(Object.keys(a.device.core.counts));
    expect(Object.keys(only(successor).counts)).toEqual(Object.keys(only(a).counts));
  });
});

describe('a Device that handed over', () => {
  it('is as it was, at any moment, and goes on', () => {
    for (let seed = 1; seed <= 2; seed++) {
      const worlds = [pair(seed), pair(seed)] as const;
      const [one, two] = worlds.map(({ world, a, b }) => talk(world, a, b, seed));
      while (one!.next().done !== true) {
        two!.next();
        const { a, world } = worlds[1];
        const before = [a.device.state(), a.device.stats(world.now), a.device.nextTimeout()];
        wipeHandover(a.device.handOver(world.now));
        const after = [a.device.state(), a.device.stats(world.now), a.device.nextTimeout()];
        expect(after, `seed ${seed}, ${world.now} ms`).toEqual(before);
      }
      const [plain, other] = worlds.map(({ world }) =>
        world.wire.map(({ at, bytes }) => `${at} ${Buffer.from(bytes).toString('hex')}`),
      );
      expect(other).toEqual(plain);
      expect(plain!.length).toBeGreaterThan(40);
    }
  });

  it('gives copies: what becomes of them is nothing to it', () => {
    const { world, a, b } = connected();
    const [one] = a.device.handOver(world.now).peers;
    for (const { keys, seen } of one!.sessions) {
      expect(keys.some((byte) => byte !== 0)).toBe(true);
      keys.fill(0);
      seen.fill(0xff);
    }
    a.send(A_TO_B(1));
    b.send(B_TO_A(1));
    world.run(10);
    expect([a.delivered.length, b.delivered.length]).toEqual([1, 2]);
  });

  it('takes back all but the sessions: it calls, and uses no old counter', () => {
    const { world, a, b } = connected();
    a.send(A_TO_B(1));
    world.run(10);
    const old = only(a).current!;
    const { stats } = { stats: a.device.stats(world.now) };
    a.device.handOver(world.now);
    const begun = world.wire.length;
    a.turn(() => expect(a.device.takeBack(world.now)).toBe(1));
    expect(old.isWiped).toBe(true);
    expect(a.device.core.indices.lookup(old.localIndex)).toBeUndefined();
    expect(a.device.stats(world.now).peers[0].counters).toEqual({
      ...stats.peers[0].counters,
      bytes_sent: stats.peers[0].counters.bytes_sent! + INITIATION_BYTES,
      initiations_sent: stats.peers[0].counters.initiations_sent! + 1,
    });
    a.send(A_TO_B(2));
    world.run(100);
    b.send(B_TO_A(3));
    world.run(100);
    expect(b.delivered.at(-1)).toEqual(A_TO_B(2));
    expect(a.delivered.at(-1)).toEqual(B_TO_A(3));
    const sent = world.wire.slice(begun).filter((one) => one.from === a && one.bytes[0] === DATA);
    expect(sent.map(receiverOf)).not.toContain(old.remoteIndex);
  });

  it('takes back what waits, and a call that was under way', () => {
    const { world, a, b } = pair();
    world.filter = () => false;
    a.send(A_TO_B(1));
    world.run(SECOND);
    world.filter = () => true;
    a.device.handOver(world.now);
    // Nobody ever had a session with it: the call is made again when its time comes.
    a.turn(() => expect(a.device.takeBack(world.now)).toBe(0));
    world.run(10 * SECOND);
    expect(b.delivered).toEqual([A_TO_B(1)]);
  });

  it('calls nobody when it is down', () => {
    const { world, a } = connected();
    a.turn(() => a.device.down());
    a.device.handOver(world.now);
    a.turn(() => expect(a.device.takeBack(world.now)).toBe(0));
    world.run(10 * SECOND);
    expect(a.sent(INITIATION)).toHaveLength(1);
  });
});
