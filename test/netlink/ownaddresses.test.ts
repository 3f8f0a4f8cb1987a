import { afterEach, beforeAll, expect, it } from 'vitest';
import { Netlink } from '../../src/netlink/netlink.ts';
import { gatherOwnAddresses } from '../../src/netlink/ownaddresses.ts';
import { formatAddress } from '../../src/packet/address.ts';
import { describeInNamespace, enterNamespace, ip, sysctl } from '../lab/namespace.ts';

describeInNamespace('our own addresses', () => {
  let netlink: Netlink;
  let index = 0;

  beforeAll(() => {
    enterNamespace();
    netlink = new Netlink();
    ip('link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'up1');
    ip('link', 'add', 'wg9', 'type', 'veth', 'peer', 'name', 'wg8');
    for (const name of ['up0', 'up1', 'wg8', 'wg9']) {
      ip('link', 'set', name, 'addrgenmode', 'none');
      ip('link', 'set', name, 'up');
    }
    ip('addr', 'add', '192.0.2.1/24', 'dev', 'up0');
    ip('addr', 'add', 'fe80::1/64', 'dev', 'up0', 'nodad');
    index = netlink.linkByName('wg9')!.index;
  });
  afterEach(() => {
    ip('addr', 'flush', 'dev', 'wg9');
    ip('-6', 'addr', 'flush', 'dev', 'up0', 'scope', 'global');
  });

  function gather() {
    const { all, answer4, answer6 } = gatherOwnAddresses(netlink, index, [])!;
    const text = (address: Uint8Array | null) => address && formatAddress(address);
    return { all: all.map(text).sort(), answer4: text(answer4), answer6: text(answer6) };
  }

  it('are all, but for the link-local ones of other links', () => {
    ip('addr', 'add', '10.9.0.1/24', 'dev', 'wg9');
    ip('addr', 'add', 'fe80::9/64', 'dev', 'wg9', 'nodad');
    expect(gather().all).toEqual(['10.9.0.1', '127.0.0.1', '192.0.2.1', '::1', 'fe80::9']);
  });

  it('are also what a route alone makes local, but for the link-local ones of other links', () => {
    const ours = () =>
      gatherOwnAddresses(netlink, index, netlink.localRoutes())!.localRoutes.map(
        ({ address, length }) => `${formatAddress(address)}/${length}`,
      );
    const before = ['127.0.0.0/8', '127.0.0.1/32', '192.0.2.1/32', '::1/128'];
    expect(ours().sort()).toEqual(before);
    const added = ['10.9.0.0/16', '10.9.3.0/24', 'fd09::/64', '2001:db8:9::9/128'];
    for (const prefix of added) ip('route', 'add', 'local', prefix, 'dev', 'lo');
    // Neither what leads elsewhere nor another table's, which holds only for whom a rule sends there.
    ip('route', 'add', '10.10.0.0/16', 'dev', 'lo', 'table', 'local');
    ip('route', 'add', 'local', 'default', 'dev', 'lo', 'table', '100');
    expect(ours().sort()).toEqual([...before, ...added].sort());
    for (const prefix of added) ip('route', 'del', 'local', prefix, 'dev', 'lo');
    ip('route', 'del', '10.10.0.0/16', 'dev', 'lo', 'table', 'local');
    expect(ours().sort()).toEqual(before);
  });

  it('answer from the interface where the kernel takes it, else from 192.0.0.8', () => {
    expect(gather().answer4).toBe('192.0.0.8');
    ip('addr', 'add', '10.9.0.1/24', 'dev', 'wg9');
    // Without accept_local.
    expect(gather().answer4).toBe('192.0.0.8');
    netlink.takeOwnAnswers(index);
    expect(gather().answer4).toBe('10.9.0.1');
    sysctl('net/ipv4/conf/wg9/rp_filter', '1');
    expect(gather().answer4).toBe('10.9.0.1');
    ip('addr', 'flush', 'dev', 'wg9');
    expect(gather().answer4).toBeNull();
    // Unless that is where it would be sent to.
    ip('route', 'add', '192.0.0.8/32', 'dev', 'wg9');
    expect(gather().answer4).toBe('192.0.0.8');
    sysctl('net/ipv4/conf/wg9/rp_filter', '0');
  });

  it('answer in IPv6 from what is heard beyond the link, the interface first', () => {
    expect(gather().answer6).toBeNull();
    ip('addr', 'add', 'fe80::9/64', 'dev', 'wg9', 'nodad');
    expect(gather().answer6).toBe('fe80::9');
    ip('addr', 'add', '2001:db8::1/64', 'dev', 'up0', 'nodad');
    expect(gather().answer6).toBe('2001:db8::1');
    ip('addr', 'add', 'fd00:9::1/64', 'dev', 'wg9', 'nodad');
    expect(gather().answer6).toBe('fd00:9::1');
  });

  it('are none of its concern where the interface is in another network', () => {
    expect(gatherOwnAddresses(netlink, 0, netlink.localRoutes())).toEqual({
      all: [],
      localRoutes: [],
      answer4: null,
      answer6: null,
    });
  });
});
