import { describe, expect, it } from 'vitest';
import { Endpoint } from '../../src/device/endpoint.ts';
import { parseAddress, parsePrefix } from '../../src/packet/address.ts';
import { A_TO_B, B_TO_A, ipv4, ipv6, pair, type Site, World } from './world.ts';

const DATA = 4;
const drops = (site: ReturnType<typeof pair>['a']) => site.device.core.drops;

function connected() {
  const sites = pair();
  sites.a.send(A_TO_B());
  sites.world.run(10);
  return sites;
}

describe('what goes in comes out', () => {
  it.each([20, 21, 35, 36, 37, 100, 1_380, 1_399, 1_400])(
    'an IPv4 packet of %i bytes',
    (length) => {
      const { world, a, b } = connected();
      const packet = ipv4('10.0.0.5', '10.20.0.5', length - 20, 1);
      a.send(packet);
      world.run(10);
      expect(b.delivered.at(-1)).toEqual(packet);
      expect(a.sent(DATA).at(-1)!.bytes.length).toBe(
        32 + Math.min(1_420, Math.ceil(length / 16) * 16),
      );
    },
  );

  it('an IPv6 packet, and packets both ways under both families', () => {
    const { world, a, b } = connected();
    a.send(ipv6('fd00::5', 'fd20::5'));
    b.send(ipv6('fd20::5', 'fd00::5'));
    b.send(B_TO_A());
    world.run(10);
    expect(b.delivered.at(-1)).toEqual(ipv6('fd00::5', 'fd20::5'));
    expect(a.delivered).toEqual([ipv6('fd20::5', 'fd00::5'), B_TO_A()]);
  });

  it('padding stops at the MTU', () => {
    const { world, a, b } = connected();
    a.device.setMtu(1_406);
    const packet = ipv4('10.0.0.5', '10.20.0.5', 1_405 - 20);
    a.send(packet);
    world.run(10);
    expect(a.sent(DATA).at(-1)!.bytes.length).toBe(32 + 1_406);
    expect(b.delivered.at(-1)).toEqual(packet);
  });
});

describe('cryptokey routing', () => {
  it('a source outside the allowed IPs of the peer that sent it is refused', () => {
    const { world, a, b } = connected();
    a.send(ipv4('10.0.1.5', '10.20.0.5'));
    a.send(ipv6('fd00:1::5', 'fd20::5'));
    world.run(10);
    expect(b.delivered.length).toBe(1);
    expect(drops(b).get('disallowedSource')).toBe(2);
    expect(b.record(a).drops.get('disallowedSource')).toBe(2);
  });

  it('a more specific prefix of another peer takes its part away', () => {
    const { world, a, b } = connected();
    const c = world.site('192.0.2.3');
    b.peer(c, ['10.0.0.5/32']);
    a.send(A_TO_B());
    world.run(10);
    expect(drops(b).get('disallowedSource')).toBe(1);
  });

  it('what no peer is allowed is answered with host unreachable, and multicast is not', () => {
    const { a } = pair();
    a.send(ipv4('10.0.0.5', '172.16.0.1'));
    expect(drops(a).get('noPeer')).toBe(1);
    const [answer] = a.delivered;
    expect([answer[0] >> 4, answer[9], answer[20], answer[21]]).toEqual([4, 1, 3, 1]);
    expect(answer.subarray(16, 20)).toEqual(parseAddress('10.0.0.5'));
    a.delivered = [];
    a.send(ipv6('fd00::5', '2001:db8::1'));
    expect([a.delivered[0][6], a.delivered[0][40], a.delivered[0][41]]).toEqual([58, 1, 3]);
    a.delivered = [];
    a.send(ipv4('10.0.0.5', '224.0.0.251'));
    a.send(ipv6('fd00::5', 'ff02::2'));
    expect(a.delivered).toEqual([]);
  });

  it('a peer without an endpoint is unreachable too', () => {
    const { world, a } = pair();
    const c = world.site('192.0.2.9');
    a.peer(c, ['10.30.0.0/24'], { endpoint: null });
    a.send(ipv4('10.0.0.5', '10.30.0.1'));
    expect(drops(a).get('noEndpoint')).toBe(1);
    expect(a.delivered.length).toBe(1);
  });

  it('answers are bounded, the packets counted all the same', () => {
    const { a } = pair();
    for (let i = 0; i < 500; i++) a.send(ipv4('10.0.0.5', '172.16.0.1'));
    expect(a.delivered.length).toBe(50);
    expect(drops(a).get('noPeer')).toBe(500);
  });

  it.each([
    ['empty', new Uint8Array(0)],
    ['version 5', new Uint8Array(40).fill(0x50)],
    ['IPv4 cut short', ipv4('10.0.0.5', '10.20.0.5').subarray(0, 19)],
    ['IPv6 cut short', ipv6('fd00::5', 'fd20::5').subarray(0, 39)],
  ])('a packet from the interface that is no IP is counted: %s', (_, packet) => {
    const { a } = pair();
    a.send(packet);
    expect(drops(a).get('malformedPacket')).toBe(1);
  });
});

describe('hostile datagrams', () => {
  it('a replayed packet is refused, in and behind the window', () => {
    const { world, a, b } = connected();
    const [first] = a.sent(DATA);
    world.inject(a, b, first.bytes);
    world.run(10);
    expect(drops(b).get('replayedPacket')).toBe(1);
    a.record(b).current!.sendCounter += 9_000;
    a.send(A_TO_B());
    world.run(10);
    world.inject(a, b, first.bytes);
    world.run(10);
    expect(drops(b).get('replayedPacket')).toBe(2);
    expect(b.delivered.length).toBe(2);
  });

  it('a replay is not worth opening', () => {
    const { world, a, b } = connected();
    const { opener } = b.record(a).current!;
    let opened = 0;
    const open = opener.open.bind(opener);
    opener.open = (...place) => {
      opened++;
      return open(...place);
    };
    for (let i = 0; i < 20; i++) world.inject(a, b, a.sent(DATA)[0].bytes);
    a.send(A_TO_B());
    world.run(10);
    expect(opened).toBe(1);
    expect(drops(b).get('replayedPacket')).toBe(20);
  });

  it('strangers whose initiations come to nothing put us under load, though the queue is short', () => {
    const { world, a, b } = connected();
    const [initiation] = a.sent(1);
    for (let i = 0; i < 999; i++) {
      world.inject(a, b, initiation.bytes);
      world.run(0.5);
    }
    expect(b.device.stats(world.now).troubles).toEqual([]);
    world.inject(a, b, initiation.bytes);
    world.run(1);
    expect(b.device.stats(world.now).troubles).toEqual([{ code: 'underLoad' }]);
    world.inject(a, b, initiation.bytes);
    world.run(1);
    expect(drops(b).get('cookieRequired')).toBe(1);
  });

  it('every flipped bit of a data packet is refused under a reason', () => {
    const { world, a, b } = connected();
    const [first] = a.sent(DATA);
    const counted = () =>
      drops(b)
        .entries()
        .reduce((sum, [, n]) => sum + n, 0);
    for (let bit = 0; bit < first.bytes.length * 8; bit++) {
      const forged = first.bytes.slice();
      forged[bit >> 3] ^= 1 << (bit & 7);
      const before = counted();
      world.inject(a, b, forged);
      world.run(2);
      expect(counted(), `bit ${bit}`).toBe(before + 1);
    }
    expect(b.delivered.length).toBe(1);
  });

  it.each([0, 1, 4, 31, 32, 63, 64, 91, 92, 147, 148, 149, 1_500])(
    'garbage of %i bytes is counted and nothing else',
    (length) => {
      const { world, a, b } = connected();
      for (let type = 0; type < 6; type++) {
        const bytes = new Uint8Array(length).fill(0xa5);
        bytes.set([type, 0, 0, 0].slice(0, length));
        const wire = world.wire.length;
        world.inject(a, b, bytes);
        world.run(2);
        expect(world.wire.length).toBe(wire);
      }
      expect(b.delivered.length).toBe(1);
    },
  );

  it('a stranger is not answered, and remembered for the operator', () => {
    const { world, b } = pair();
    const c = world.site('192.0.2.66');
    c.peer(b, ['10.20.0.0/24']);
    c.send(ipv4('10.66.0.1', '10.20.0.5'));
    world.run(100);
    expect(b.sent(2)).toEqual([]);
    expect(drops(b).get('unknownPeer')).toBe(1);
    const publicKey = Buffer.from(c.publicKey).toString('base64');
    const stranger = { code: 'stranger', publicKey, address: '192.0.2.66', port: 51_820 };
    expect(b.device.stats(world.now).troubles).toEqual([{ ...stranger, agoMs: 99 }]);
    world.run(100_000);
    c.configure({ replacePeers: true });
    world.run(300_000);
    expect(b.device.stats(world.now).troubles).toEqual([]);
  });

  it('a handshake that is not for our key is told of for five minutes, and counted for good', () => {
    const { world, a, b } = pair();
    const initiation = new Uint8Array(148).fill(0xa5);
    initiation.set([1, 0, 0, 0]);
    world.inject(a, b, initiation);
    world.run(1_000);
    const troubles = () => b.device.stats(world.now).troubles;
    const from = { address: '192.0.2.1', port: 51_820, agoMs: 999 };
    expect(troubles()).toEqual([{ code: 'badMac1', messages: 1, ...from }]);
    world.run(300_000);
    expect(troubles()).toEqual([]);
    world.inject(a, b, initiation);
    world.run(1_000);
    expect(troubles()).toEqual([{ code: 'badMac1', messages: 2, ...from }]);
  });

  it('a replayed initiation is refused', () => {
    const { world, a, b } = connected();
    world.run(1_000);
    world.inject(a, b, a.sent(1)[0].bytes);
    world.run(10);
    expect(drops(b).get('replayedInitiation')).toBe(1);
    expect(b.sent(2).length).toBe(1);
  });

  it('under load, sources without a cookie get one, and one source with a cookie is limited', () => {
    const { world, a, b } = pair();
    b.device.core.handshakeQueue.isUnderLoad = () => true;
    a.send(A_TO_B());
    world.run(6_000);
    expect(drops(b).get('cookieRequired')).toBe(1);
    expect(b.delivered.length).toBe(1);
    // The very same valid message with its cookie, again and again: the limiter lets few through.
    const withCookie = a.sent(1)[1].bytes;
    for (let i = 0; i < 50; i++) world.inject(a, b, withCookie);
    world.run(100);
    expect(drops(b).get('rateLimited')).toBeGreaterThan(40);
  });

  it.each([
    ['stays under load while', 'more than is answered', 50, true],
    ['is so no longer than a second when', 'no more than a crowd behind one router', 20, false],
  ])('%s a single source with a cookie sends %s', (_, __, atOnce, stays) => {
    const { world, a, b } = pair();
    const { handshakeQueue } = b.device.core;
    handshakeQueue.press(world.now);
    a.send(A_TO_B());
    world.run(6_000);
    expect(drops(b).get('cookieRequired')).toBe(1);
    const withCookie = a.sent(1)[1].bytes;
    handshakeQueue.press(world.now);
    let isSteady = true;
    for (let times = 0; times < 120; times++) {
      // Fewer than make a queue.
      for (let i = 0; i < atOnce; i++) world.inject(a, b, withCookie);
      world.run(10);
      isSteady &&= handshakeQueue.isUnderLoad(world.now);
    }
    expect(isSteady).toBe(stays);
    world.run(3_000);
    expect(handshakeQueue.isUnderLoad(world.now)).toBe(false);
  });
});

describe('roaming', () => {
  it('follows any authenticated packet, and answers go to the new endpoint', () => {
    const { world, a, b } = connected();
    a.endpoint = new Endpoint(parseAddress('198.51.100.77')!, 4_000);
    a.send(A_TO_B());
    world.run(10);
    b.send(B_TO_A());
    world.run(10);
    expect(b.record(a).endpoint!.port).toBe(4_000);
    expect(b.record(a).counts.roams).toBe(1);
    expect(a.delivered.length).toBe(1);
  });

  it('does not follow a forgery, a replay or a cookie reply', () => {
    const { world, a, b } = connected();
    const mallory = world.site('203.0.113.66');
    const forged = a.sent(DATA)[0].bytes.slice();
    world.inject(mallory, b, forged);
    forged[30] ^= 1;
    world.inject(mallory, b, forged);
    world.run(10);
    expect(b.record(a).endpoint!.sameRemote(a.endpoint)).toBe(true);
    expect(b.record(a).counts.roams).toBe(0);
  });
});

describe('ECN (RFC 6040)', () => {
  it.each([
    ['not-ECT in, CE outside: dropped', 0, 3, null],
    ['ECT(0) in, CE outside: CE', 2, 3, 3],
    ['ECT(1) in, CE outside: CE', 1, 3, 3],
    ['ECT(0) in, ECT(0) outside', 2, 2, 2],
    ['CE in, nothing outside', 3, 0, 3],
  ])('%s', (_, inner, outer, result) => {
    const { world, a, b } = connected();
    const packet = ipv4('10.0.0.5', '10.20.0.5');
    packet[1] = 0xb8 | inner;
    world.filter = () => false;
    a.send(packet);
    const sent = a.sent(DATA).at(-1)!;
    expect(sent.trafficClass).toBe(inner);
    b.delivered = [];
    b.receive({ ...sent, trafficClass: outer });
    if (result === null) {
      expect(b.delivered).toEqual([]);
      expect(drops(b).get('ecnViolation')).toBe(1);
    } else expect(b.delivered[0][1]).toBe(0xb8 | result);
  });

  it('handshake messages leave as AF41', () => {
    const { a, b } = connected();
    expect([...a.sent(1), ...b.sent(2)].map((d) => d.trafficClass)).toEqual([0x88, 0x88]);
  });
});

describe('configuration', () => {
  // Handshakes wait for their turn, and the key may go meanwhile; down is another matter.
  it.each([
    [
      'the private key goes',
      'noPrivateKey',
      ({ device }: Site, now: number) =>
        device.configure(now, { privateKey: new Uint8Array(32), peers: [] }),
    ],
    ['the interface goes down', 'interfaceDown', ({ device }: Site) => device.down()],
  ] as const)('a handshake that waits when %s is counted as %s', (_, reason, change) => {
    const { world, a, b } = pair();
    world.filter = () => false;
    a.send(A_TO_B());
    const [initiation] = a.sent(1);
    b.receive(initiation);
    expect(b.device.queuedHandshakes).toBe(1);
    b.turn(() => change(b, world.now));
    b.turn(() => b.device.handleTimeout(world.now));
    expect(drops(b).entries()).toEqual([[reason, 1]]);
  });

  it('down erases sessions and drops what waits; up calls peers with a persistent keepalive', () => {
    const { world, a, b } = connected();
    const keypair = a.record(b).current!;
    a.peer(b, ['10.20.0.0/24'], { persistentKeepalive: 25 });
    a.device.down();
    expect(keypair.isWiped).toBe(true);
    a.send(A_TO_B());
    expect(drops(a).get('interfaceDown')).toBe(1);
    world.run(1_000_000);
    expect(a.device.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
    a.turn(() => a.device.up(world.now));
    world.run(100);
    expect(a.sent(1).length).toBe(2);
    a.send(A_TO_B());
    world.run(10);
    expect(b.delivered.length).toBe(2);
  });

  it('a removed peer leaves nothing behind', () => {
    const { world, a, b } = connected();
    const record = a.record(b);
    a.configure({ peers: [{ publicKey: b.publicKey, remove: true, allowedIps: [] }] });
    expect(a.device.core.peers.size).toBe(0);
    expect(a.device.core.allowedIps.size).toBe(0);
    expect(a.device.core.indices.size).toBe(0);
    expect(record.current).toBe(null);
    world.run(1_000_000);
    expect(a.device.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
  });

  it('our own key is not a peer, and becomes none when the private key is set', () => {
    const world = new World();
    const a = world.site('192.0.2.1');
    a.peer(a, ['10.0.0.0/8']);
    expect(a.device.core.peers.size).toBe(0);
    const b = world.site('192.0.2.2');
    a.peer(b, ['10.0.0.0/8']);
    a.configure({ privateKey: b.privateKey });
    expect(a.device.core.peers.size).toBe(0);
  });

  it('update_only leaves an unknown peer unknown', () => {
    const { world, a } = pair();
    const c = world.site('192.0.2.9');
    a.peer(c, ['10.30.0.0/24'], { updateOnly: true });
    expect(a.device.core.peers.size).toBe(1);
  });

  it('a new private key ends sessions made under the old one', () => {
    const { a, b, world } = connected();
    const keypair = a.record(b).current!;
    const fresh = new Uint8Array(32);
    world.random(fresh);
    a.configure({ privateKey: fresh });
    expect(keypair.isWiped).toBe(true);
  });

  it('the private key that there is, however it is spelt, ends no session', () => {
    const { a, b } = connected();
    const keypair = a.record(b).current!;
    const unclamped = a.device.core.copyPrivateKey()!;
    unclamped[0] |= 7;
    unclamped[31] |= 0x80;
    a.configure({ privateKey: unclamped });
    expect(keypair.isWiped).toBe(false);
    expect(a.record(b).current).toBe(keypair);
    // How it is spelt is told nevertheless: most public keys are unclamped.
    const form = () => a.device.ownStats(a.world.now).facts.key_form;
    expect(form()).toBe('unclamped');
    a.configure({ privateKey: a.device.core.copyPrivateKey()! });
    expect(form()).toBe('unclamped');
  });

  it('packets that wait for want of a private key go when there is one', () => {
    const { world, a, b } = pair();
    a.configure({ privateKey: new Uint8Array(32) });
    a.send(A_TO_B(7));
    world.run(60_000);
    expect(b.delivered).toEqual([]);
    a.configure({ privateKey: a.privateKey });
    world.run(100);
    expect(b.delivered).toEqual([A_TO_B(7)]);
  });

  it('a changed preshared key counts from the next handshake', () => {
    const { world, a, b } = connected();
    const psk = new Uint8Array(32).fill(7);
    a.configure({ peers: [{ publicKey: b.publicKey, presharedKey: psk, allowedIps: [] }] });
    a.send(A_TO_B());
    world.run(10);
    expect(b.delivered.length).toBe(2);
    world.run(200_000);
    a.send(A_TO_B());
    world.run(10_000);
    expect(b.delivered.length).toBe(2);
    expect(a.device.stats(world.now).peers[0].troubles).toEqual([
      { code: 'undecipherable', responses: 2 },
    ]);
    b.configure({ peers: [{ publicKey: a.publicKey, presharedKey: psk, allowedIps: [] }] });
    world.run(10_000);
    expect(b.delivered.length).toBeGreaterThan(2);
    expect(a.device.stats(world.now).peers[0].troubles).toEqual([]);
  });

  it.each([
    ['another preshared key', (key: Uint8Array) => ({ presharedKey: key })],
    ['another endpoint', () => ({ endpoint: null })],
  ])('%s ends what was wrong with the one before', (_what, change) => {
    const { world, a, b } = connected();
    const psk = new Uint8Array(32).fill(7);
    const configure = (settings: object) =>
      a.configure({ peers: [{ publicKey: b.publicKey, allowedIps: [], ...settings }] });
    configure({ presharedKey: psk });
    world.run(200_000);
    a.send(A_TO_B());
    world.run(10_000);
    const troubles = () => a.device.stats(world.now).peers[0].troubles.map(({ code }) => code);
    expect(troubles()).toEqual(['undecipherable']);
    configure(change(psk));
    expect(troubles()).not.toContain('undecipherable');
  });

  it('state shows what was configured', () => {
    const { a, b } = connected();
    a.peer(b, ['10.20.0.0/24'], { persistentKeepalive: 25, description: 'site B' });
    const [peer] = a.device.state().peers;
    expect(peer.persistentKeepalive).toBe(25);
    expect(peer.description).toBe('site B');
    expect(peer.allowedIps).toContainEqual(parsePrefix('10.20.0.0/24'));
    expect(peer.lastHandshakeMs).toBeGreaterThan(Date.UTC(2026, 0, 1) - 1);
    // The initiation, the packet, and the keepalive with which a persistent one begins.
    expect(peer.txBytes).toBe(148 + (32 + 48) + 32);
  });

  it('tells why no handshake comes about', () => {
    const { world, a } = pair();
    world.filter = () => false;
    a.send(A_TO_B());
    world.run(30_000);
    expect(a.device.stats(world.now).peers[0].troubles).toEqual([
      { code: 'noAnswer', initiations: 6, silentMs: 30_000 },
    ]);
  });
});
