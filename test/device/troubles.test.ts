/** What a Device knows is wrong, row by row of what an operator does wrong; the words are the CLI's. */

import { describe, expect, it } from 'vitest';
import { NO_OWN_ADDRESSES } from '../../src/device/ownaddresses.ts';
import { formatKey } from '../../src/keytext.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { A_TO_B, B_TO_A, ipv4, pair, type Site } from './world.ts';

const SECOND = 1_000;
const MINUTES = 60 * SECOND;

const troubles = (site: Site) => site.device.stats(site.world.now).troubles;
const troublesOf = (site: Site) => site.device.stats(site.world.now).peers[0]!.troubles;
const keyOf = (site: Site): string => formatKey(site.publicKey);

describe('of the Device', () => {
  it('an interface that is down is told as long as there is a peer', () => {
    const { a, world } = pair();
    a.device.down();
    expect(troubles(a)).toEqual([{ code: 'interfaceDown' }]);
    a.configure({ replacePeers: true });
    expect(troubles(a)).toEqual([]);
    a.device.up(world.now);
    expect(troubles(a)).toEqual([]);
  });

  it('packets to what is no peer’s are told with the last address, for five minutes', () => {
    const { a, world } = pair();
    a.send(ipv4('10.0.0.5', '10.33.8.1'));
    world.run(2 * SECOND);
    a.send(ipv4('10.0.0.5', '10.33.8.2'));
    world.run(SECOND);
    const told = { code: 'unroutable', address: '10.33.8.2', packets: 2 };
    expect(troubles(a)).toEqual([{ ...told, agoMs: SECOND }]);
    world.run(5 * MINUTES);
    expect(troubles(a)).toEqual([]);
  });

  it.each(['224.0.0.251', '255.255.255.255', '239.1.2.3'])(
    'a packet to %s, which the kernel sends by itself, is nobody’s mistake',
    (destination) => {
      const { a } = pair();
      a.send(ipv4('10.0.0.5', destination));
      expect(a.device.stats(a.world.now).counters.drop_noPeer).toBe(1);
      expect(troubles(a)).toEqual([]);
    },
  );

  it('who calls with a key of ours that is none is told with the address', () => {
    const { a, b, world } = pair();
    const wrong = new Uint8Array(148).fill(7);
    wrong.set([1, 0, 0, 0]);
    world.inject(a, b, wrong);
    world.run(SECOND);
    const { address, port } = { address: '192.0.2.1', port: 51_820 };
    const [told] = troubles(b);
    expect(told).toMatchObject({ code: 'badMac1', messages: 1, address, port });
  });

  it('a key that called before it became a peer is no stranger’s', () => {
    const { a, b, world } = pair();
    b.configure({ replacePeers: true });
    a.send(A_TO_B());
    world.run(SECOND);
    expect(troubles(b)).toMatchObject([{ code: 'stranger', publicKey: keyOf(a) }]);
    b.peer(a, ['10.0.0.0/24']);
    expect(troubles(b)).toEqual([]);
  });
});

describe('of a peer', () => {
  it('one without allowed IPs is told at once', () => {
    const { a, b } = pair();
    expect(troublesOf(a)).toEqual([]);
    a.peer(b, [], { replaceAllowedIps: true });
    expect(troublesOf(a)).toEqual([{ code: 'noAllowedIps' }]);
  });

  it('one whose name leads to ourselves is told so, and nobody is taken for a stranger', () => {
    const { a, b, world } = pair();
    a.send(A_TO_B());
    const [{ bytes }] = a.sent(1);
    world.inject(a, a, bytes);
    world.run(1);
    expect(troublesOf(a)).toEqual([{ code: 'callsUs', initiations: 1 }]);
    expect(troubles(a)).toEqual([]);
    // Another's of the same kind is no call of ours.
    world.inject(b, a, bytes.with(4, bytes[4] ^ 1));
    world.run(1);
    expect(troubles(a)).toMatchObject([{ code: 'badMac1' }]);
    world.run(SECOND);
    expect(troublesOf(a)).toEqual([]);
  });

  it('one that sends from elsewhere is told with the address, and whose that is', () => {
    const { a, b, world } = pair();
    a.send(A_TO_B());
    world.run(SECOND);
    b.configure({
      peers: [
        { publicKey: a.publicKey, allowedIps: [{ prefix: prefixOf('0.0.0.0'), remove: false }] },
      ],
    });
    b.send(ipv4('10.66.0.9', '10.0.0.5'));
    world.run(SECOND);
    const told = { code: 'foreignSource', address: '10.66.0.9', packets: 1, agoMs: 999 };
    expect(troublesOf(a)).toEqual([{ ...told, prefix: '', owner: '', ownerPrefix: '' }]);
    const other = world.site('192.0.2.99');
    a.peer(other, ['10.66.0.0/16']);
    const owned = { owner: keyOf(other), ownerPrefix: '10.66.0.0/16' };
    expect(troublesOf(a)).toEqual([{ ...told, prefix: '', ...owned }]);
    // A shorter one of its own does not help.
    a.peer(b, ['10.0.0.0/7', '10.0.0.0/8']);
    expect(troublesOf(a)).toEqual([{ ...told, prefix: '10.0.0.0/8', ...owned }]);
    // It is given to the peer: nothing is wrong any more.
    a.peer(b, ['10.66.0.0/16']);
    expect(troublesOf(a)).toEqual([]);
  });

  it('one that sends from an address of ours is told, whether that is allowed to it or not', () => {
    const { a, b, world } = pair();
    a.send(A_TO_B());
    world.run(SECOND);
    // Both ends have the address 10.20.0.7.
    b.configure({
      peers: [
        { publicKey: a.publicKey, allowedIps: [{ prefix: prefixOf('0.0.0.0'), remove: false }] },
      ],
    });
    a.device.setOwnAddresses(own('10.20.0.7'));
    b.send(ipv4('10.20.0.7', '10.0.0.5'));
    world.run(SECOND);
    const told = { code: 'ownSource', packets: 1, agoMs: 999 };
    expect(troublesOf(a)).toEqual([{ ...told, address: '10.20.0.7' }]);
    // Given another one, and the whole trouble is over.
    a.device.setOwnAddresses(own('10.20.0.8'));
    expect(troublesOf(a)).toEqual([]);
    a.device.setOwnAddresses(own('10.77.0.1'));
    b.send(ipv4('10.77.0.1', '10.0.0.5'));
    world.run(SECOND);
    expect(troublesOf(a)).toEqual([{ ...told, address: '10.77.0.1' }]);
    world.run(5 * MINUTES);
    expect(troublesOf(a)).toEqual([]);
  });

  it('one that answers data for minutes with nothing but keepalives is told, until data comes', () => {
    const { a, b, world } = pair();
    const talk = (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        a.send(A_TO_B());
        world.run(SECOND);
      }
    };
    talk(100);
    expect(troublesOf(a)).toEqual([]);
    talk(100);
    expect(troublesOf(a)).toMatchObject([{ code: 'onlyKeepalives' }]);
    expect(troublesOf(b)).toEqual([]);
    b.send(B_TO_A());
    world.run(SECOND);
    expect(troublesOf(a)).toEqual([]);
    talk(100);
    expect(troublesOf(a)).toEqual([]);
    talk(50);
    const [told] = troublesOf(a);
    expect(told).toMatchObject({ code: 'onlyKeepalives' });
    if (told.code !== 'onlyKeepalives') return;
    expect(told.packets).toBeGreaterThan(120);
    expect(told.packets).toBeLessThanOrEqual(150);
    expect(told.lastedMs).toBeGreaterThanOrEqual(2 * MINUTES);
    world.run(5 * MINUTES + 10 * SECOND);
    expect(troublesOf(a)).toEqual([]);
  });

  it('one that gets a packet now and then, or keepalives of our own, is in no trouble', () => {
    const { a, b, world } = pair();
    a.peer(b, [], { persistentKeepalive: 10 });
    b.peer(a, [], { persistentKeepalive: 10 });
    world.run(10 * MINUTES);
    expect(troublesOf(a)).toEqual([]);
    for (let i = 0; i < 10; i++) {
      a.send(A_TO_B());
      world.run(75 * SECOND);
    }
    expect(troublesOf(a)).toEqual([]);
  });

  it('one without an endpoint is told once there are packets for it', () => {
    const { a, b } = pair();
    a.peer(b, [], { endpoint: null });
    expect(troublesOf(a)).toEqual([]);
    a.send(A_TO_B());
    a.send(A_TO_B());
    expect(troublesOf(a)).toEqual([{ code: 'noEndpoint', packets: 2 }]);
    a.peer(b, []);
    expect(troublesOf(a)).toEqual([]);
  });

  it('one that nothing can be sent to is told with the error, as long as it is the last one', () => {
    const { a, world } = pair();
    world.filter = () => false;
    a.failureTo = () => ({ error: 'EPERM', at: world.now });
    a.send(A_TO_B());
    world.run(20 * SECOND);
    expect(troublesOf(a)).toMatchObject([{ code: 'cannotSend', error: 'EPERM' }]);
    // Sent since then, and only not answered.
    a.failureTo = () => ({ error: 'EPERM', at: 15 * SECOND });
    world.run(20 * SECOND);
    expect(troublesOf(a)).toMatchObject([{ code: 'noAnswer' }]);
  });

  it('one that is answered is in no trouble, whatever failed before', () => {
    const { a, b, world } = pair();
    a.failureTo = () => ({ error: 'EPERM', at: world.now });
    a.send(A_TO_B());
    world.run(SECOND);
    b.send(B_TO_A());
    world.run(SECOND);
    expect(troublesOf(a)).toEqual([]);
  });
});

describe('while debug is on', () => {
  it('a drop is told with the address that it was for', () => {
    const { a } = pair();
    a.configure({ debug: true });
    a.send(ipv4('10.0.0.5', '10.33.8.1'));
    expect(a.events.at(-1)).toEqual({
      ...{ kind: 'dropped', reason: 'noPeer', peer: null, endpoint: null, packets: 1 },
      address: '10.33.8.1',
    });
  });
});

function own(text: string) {
  return { ...NO_OWN_ADDRESSES, all: [parseAddress(text)!] };
}

function prefixOf(text: string) {
  return { address: Uint8Array.from(text.split('.').map(Number)), length: 0 };
}
