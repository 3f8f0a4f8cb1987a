import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressSet, NO_OWN_ADDRESSES } from '../../src/device/ownaddresses.ts';
import { parseAddress, parsePrefix } from '../../src/packet/address.ts';
import { A_TO_B, ipv4, ipv6, pair } from './world.ts';

const addresses = (...texts: string[]) => texts.map((text) => parseAddress(text)!);

function connected() {
  const sites = pair();
  sites.a.send(A_TO_B());
  sites.world.run(10);
  sites.b.delivered = [];
  return sites;
}

function own({ b }: ReturnType<typeof pair>, ...texts: string[]): void {
  b.device.setOwnAddresses({
    ...NO_OWN_ADDRESSES,
    all: addresses(...texts),
  });
}

function ownRoutes({ b }: ReturnType<typeof pair>, ...texts: string[]): void {
  const localRoutes = texts.map((text) => parsePrefix(text)!);
  b.device.setOwnAddresses({ ...NO_OWN_ADDRESSES, localRoutes });
}

describe('a packet that carries an address of ours as its source', () => {
  it('is dropped under a reason of its own, in both families', () => {
    const sites = connected();
    const { world, a, b } = sites;
    own(sites, '10.0.0.5', '192.0.2.2', 'fd00::5');
    a.send(ipv4('10.0.0.5', '10.20.0.5'));
    a.send(ipv6('fd00::5', 'fd20::5'));
    a.send(ipv4('10.0.0.6', '10.20.0.5'));
    a.send(ipv6('fd00::6', 'fd20::5'));
    world.run(10);
    expect(b.record(a).drops.get('ownSource')).toBe(2);
    expect(b.delivered).toEqual([ipv4('10.0.0.6', '10.20.0.5'), ipv6('fd00::6', 'fd20::5')]);
  });

  it('is let in again when the address is not ours any more', () => {
    const sites = connected();
    const { world, a, b } = sites;
    own(sites, '10.0.0.5');
    own(sites, '10.0.0.7');
    a.send(ipv4('10.0.0.5', '10.20.0.5'));
    world.run(10);
    expect(b.delivered.length).toBe(1);
  });

  it('is dropped, too, from a peer that is allowed the address later', () => {
    const sites = connected();
    const { world, a, b } = sites;
    own(sites, '172.16.0.1');
    b.peer(a, ['0.0.0.0/0']);
    a.send(ipv4('172.16.0.1', '10.20.0.5'));
    a.send(ipv4('172.16.0.2', '10.20.0.5'));
    world.run(10);
    expect(b.record(a).drops.get('ownSource')).toBe(1);
    expect(b.delivered).toEqual([ipv4('172.16.0.2', '10.20.0.5')]);
  });

  it.each([
    ['within the allowed IPs', ['10.0.0.128/25', 'fd00::8000/113']],
    ['around them', ['10.0.0.0/8', 'fd00::/8']],
    ['the same', ['10.0.0.0/24', 'fd00::/64']],
    ['of one address', ['10.0.0.133/32', 'fd00::8005/128']],
    ['of all there are', ['0.0.0.0/0', '::/0']],
  ])('is dropped where a prefix is ours by a route: %s', (_, routes) => {
    const sites = connected();
    const { world, a, b } = sites;
    ownRoutes(sites, ...routes);
    a.send(ipv4('10.0.0.133', '10.20.0.5'));
    a.send(ipv6('fd00::8005', 'fd20::5'));
    world.run(10);
    expect(b.record(a).drops.get('ownSource')).toBe(2);
    ownRoutes(sites, '10.0.0.0/25', 'fd00::/113');
    a.send(ipv4('10.0.0.133', '10.20.0.5'));
    a.send(ipv6('fd00::8005', 'fd20::5'));
    world.run(10);
    expect(b.record(a).drops.get('ownSource')).toBe(2);
    expect(b.delivered).toHaveLength(2);
    ownRoutes(sites, ...routes);
    ownRoutes(sites);
    a.send(ipv4('10.0.0.133', '10.20.0.5'));
    world.run(10);
    expect(b.delivered).toHaveLength(3);
  });

  it('is looked for among single addresses where a route is one', () => {
    const sites = connected();
    ownRoutes(sites, '10.0.0.133/32', 'fd00::8005/128');
    expect(sites.b.record(sites.a).ownPrefixes).toBeNull();
    expect(sites.b.record(sites.a).ownSources).not.toBeNull();
  });

  it('is dropped, too, where both an address and a prefix of ours are allowed the peer', () => {
    const sites = connected();
    const { world, a, b } = sites;
    b.device.setOwnAddresses({
      ...NO_OWN_ADDRESSES,
      all: addresses('10.0.0.5', 'fd00::5'),
      localRoutes: [parsePrefix('10.0.0.128/25')!, parsePrefix('fd00::8000/113')!],
    });
    for (const host of [5, 133, 6]) a.send(ipv4(`10.0.0.${host}`, '10.20.0.5'));
    for (const host of ['5', '8005', '6']) a.send(ipv6(`fd00::${host}`, 'fd20::5'));
    world.run(10);
    expect(b.record(a).drops.get('ownSource')).toBe(4);
    expect(b.delivered).toEqual([ipv4('10.0.0.6', '10.20.0.5'), ipv6('fd00::6', 'fd20::5')]);
  });

  it('is dropped, too, from a peer that is allowed a part of a prefix later', () => {
    const sites = connected();
    const { world, a, b } = sites;
    ownRoutes(sites, '172.16.0.0/12');
    b.peer(a, ['172.16.9.0/24']);
    a.send(ipv4('172.16.9.1', '10.20.0.5'));
    world.run(10);
    expect(b.record(a).drops.get('ownSource')).toBe(1);
  });

  it('costs a peer nothing that is allowed none of them', () => {
    const sites = connected();
    own(sites, '192.0.2.2', '2001:db8::2');
    ownRoutes(sites, '127.0.0.0/8', '10.0.1.0/24', 'fd01::/64');
    const { ownSources, ownPrefixes } = sites.b.record(sites.a);
    expect([ownSources, ownPrefixes]).toEqual([null, null]);
  });
});

it('whoever is told that nobody is there is told so from our address', () => {
  const { a } = pair();
  const [answer4, answer6] = addresses('10.0.0.1', 'fd00::1');
  a.device.setOwnAddresses({ ...NO_OWN_ADDRESSES, answer4, answer6 });
  a.send(ipv4('10.0.0.5', '172.16.0.1'));
  a.send(ipv6('fd00::5', '2001:db8::1'));
  expect(a.delivered.map((answer) => answer.subarray(12, 16))[0]).toEqual(answer4);
  expect(a.delivered[1].subarray(8, 24)).toEqual(answer6);
});

it('a set of addresses is what a slow set is', () => {
  const octet = fc.constantFrom(0, 1, 2, 128, 255);
  const address = (length: number) => fc.array(octet, { minLength: length, maxLength: length });
  const any = fc.oneof(address(4), address(16));
  fc.assert(
    fc.property(
      fc.array(any, { maxLength: 200 }),
      fc.array(any, { maxLength: 50 }),
      (ours, asked) => {
        const set = new AddressSet();
        for (const one of ours) set.add(Uint8Array.from(one));
        const slow = new Set(ours.map(String));
        for (const one of [...asked, ...ours]) {
          const bytes = Uint8Array.from([9, ...one]);
          const isFound = one.length === 4 ? set.has4(bytes, 1) : set.has6(bytes, 1);
          expect(isFound).toBe(slow.has(String(one)));
        }
      },
    ),
  );
});
