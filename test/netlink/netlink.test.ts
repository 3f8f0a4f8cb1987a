import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { Netlink } from '../../src/netlink/netlink.ts';
import { SystemError } from '../../src/sys/libc.ts';
import { describeInNamespace, enterNamespace, ip, openDescriptors } from '../lab/namespace.ts';

const v4 = (...bytes: number[]) => Uint8Array.from(bytes);
const v6 = (last: number) => Uint8Array.of(0xfd, ...new Array(14).fill(0), last);

function errorOf(body: () => void): SystemError {
  try {
    body();
  } catch (error) {
    if (error instanceof SystemError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describeInNamespace('netlink', () => {
  let netlink: Netlink;
  let index: number;

  beforeAll(() => {
    enterNamespace();
    netlink = new Netlink();
  });
  afterAll(() => netlink.close());
  beforeEach(() => {
    ip('tuntap', 'add', 'wg9', 'mode', 'tun');
    index = netlink.linkByName('wg9')!.index;
  });
  afterEach(() => {
    if (netlink.linkByName('wg9') !== null) ip('link', 'del', 'wg9');
  });

  it('lists links and finds them by name and index', () => {
    expect(netlink.links().map(({ name }) => name)).toEqual(expect.arrayContaining(['lo', 'wg9']));
    const link = netlink.linkByName('wg9')!;
    expect(link).toMatchObject({ kind: 'tun', mtu: 1500, isUp: false, alias: '' });
    expect(link.isPersistent).toBe(true);
    expect(netlink.linkByName('lo')!.isPersistent).toBe(false);
    expect(netlink.linkByIndex(index)).toEqual(link);
    expect(netlink.linkByName('wg8')).toBeNull();
    expect(netlink.linkByName('a-name-that-is-too-long')).toBeNull();
    expect(netlink.linkByIndex(99_999)).toBeNull();
  });

  it('sets mtu, alias, up and down', () => {
    netlink.setLink(index, { mtu: 1380, alias: 'Büro, 2nd floor', isUp: true });
    expect(netlink.linkByName('wg9')).toMatchObject({
      mtu: 1380,
      alias: 'Büro, 2nd floor',
      isUp: true,
    });
    netlink.setLink(index, { isUp: false, alias: '' });
    expect(netlink.linkByName('wg9')).toMatchObject({ mtu: 1380, alias: '', isUp: false });
  });

  it('adds, lists and deletes addresses of both families', () => {
    const address = { linkIndex: index, address: v4(10, 99, 0, 1), prefixLength: 30 };
    const second = { linkIndex: index, address: v6(1), prefixLength: 64 };
    netlink.addAddress({ ...address, broadcast: v4(10, 99, 0, 3) });
    netlink.addAddress(second);
    expect(ip('-o', 'addr', 'show', 'wg9')).toMatch(/10\.99\.0\.1\/30 brd 10\.99\.0\.3/);
    expect(netlink.addresses(index)).toMatchObject([
      { address: address.address, prefixLength: 30, peer: null, broadcast: v4(10, 99, 0, 3) },
      { address: second.address, prefixLength: 64, scope: 0 },
    ]);
    expect(errorOf(() => netlink.addAddress(address)).code).toBe('EEXIST');
    netlink.addAddress(address, true);
    netlink.deleteAddress(address);
    netlink.deleteAddress(second);
    expect(netlink.addresses(index)).toEqual([]);
    const error = errorOf(() => netlink.deleteAddress(address));
    expect(error.code).toBe('EADDRNOTAVAIL');
    expect(error.message).toMatch(/^delete address: [^\n]+ \(netlink: EADDRNOTAVAIL\)$/);
  });

  it('takes a point-to-point address', () => {
    const address = {
      linkIndex: index,
      address: v4(10, 0, 0, 1),
      peer: v4(10, 0, 0, 2),
      prefixLength: 32,
    };
    netlink.addAddress(address);
    expect(ip('-o', 'addr', 'show', 'wg9')).toContain('10.0.0.1 peer 10.0.0.2/32');
    expect(netlink.addresses(index)).toMatchObject([
      { address: address.address, peer: address.peer },
    ]);
  });

  it('adds routes, tells which one a packet takes, and deletes them', () => {
    netlink.setLink(index, { isUp: true });
    netlink.addAddress({ linkIndex: index, address: v4(10, 99, 0, 1), prefixLength: 30 });
    const route = { linkIndex: index, destination: v4(10, 20, 0, 0), prefixLength: 24, metric: 5 };
    netlink.addRoute(route);
    expect(ip('route', 'show', '10.20.0.0/24')).toMatch(/dev wg9 .*metric 5/);
    expect(netlink.getRoute({ destination: v4(10, 20, 0, 7), source: null })).toMatchObject({
      linkIndex: index,
      preferredSource: v4(10, 99, 0, 1),
    });
    expect(
      netlink.getRoute({ destination: v4(10, 20, 0, 7), source: v4(10, 99, 0, 1) })?.linkIndex,
    ).toBe(index);
    expect(
      netlink.getRoute({ destination: v4(10, 20, 0, 7), source: v4(192, 0, 2, 1) }),
    ).toBeNull();
    expect(netlink.getRoute({ destination: v4(10, 21, 0, 7), source: null })).toBeNull();
    ip('rule', 'add', 'fwmark', '7', 'unreachable', 'priority', '9');
    expect(netlink.getRoute({ destination: v4(10, 20, 0, 7), source: null, mark: 7 })).toBeNull();
    netlink.deleteRoute(route);
    expect(netlink.getRoute({ destination: v4(10, 20, 0, 7), source: null })).toBeNull();
    expect(errorOf(() => netlink.deleteRoute(route)).code).toBe('ESRCH');

    netlink.addAddress({ linkIndex: index, address: v6(1), prefixLength: 128 });
    netlink.addRoute({ linkIndex: index, destination: v6(0), prefixLength: 16 });
    expect(netlink.getRoute({ destination: v6(9), source: null })?.linkIndex).toBe(index);
  });

  it('passes on what the kernel explains', () => {
    const error = errorOf(() => netlink.setLink(index, { mtu: 70_000 }));
    expect(error.code).toBe('EINVAL');
    expect(error.message).toBe(
      'set interface mtu 70000: mtu greater than device maximum (netlink: EINVAL)',
    );
  });

  it('deletes links', () => {
    netlink.deleteLink(index);
    expect(netlink.linkByName('wg9')).toBeNull();
    expect(errorOf(() => netlink.deleteLink(index)).code).toBe('ENODEV');
  });

  it('lists more addresses than one datagram from the kernel holds', () => {
    for (let i = 0; i < 1500; i++) {
      const address = v4(10, 1, i >> 8, i & 255);
      netlink.addAddress({ linkIndex: index, address, prefixLength: 32 });
    }
    expect(netlink.addresses(index)).toHaveLength(1500);
  });

  it('leaves nothing open', () => {
    const before = openDescriptors();
    const other = new Netlink();
    other.links();
    other.close();
    other.close();
    expect(openDescriptors()).toBe(before);
  });
});
