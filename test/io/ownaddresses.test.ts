import { afterEach, beforeAll, expect, it } from 'vitest';
import { Netlink } from '../../src/io/netlink.ts';
import { gatherOwnAddresses } from '../../src/io/ownaddresses.ts';
import { formatAddress } from '../../src/packet/address.ts';
import { describeInNamespace, enterNamespace, ip, sysctl } from './namespace.ts';

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
    const { all, answer4, answer6 } = gatherOwnAddresses(netlink, index)!;
    const text = (address: Uint8Array | null) => address && formatAddress(address);
    return { all: all.map(text).sort(), answer4: text(answer4), answer6: text(answer6) };
  }

  it('are all, but for the link-local ones of other links', () => {
    ip('addr', 'add', '10.9.0.1/24', 'dev', 'wg9');
    ip('addr', 'add', 'fe80::9/64', 'dev', 'wg9', 'nodad');
    expect(gather().all).toEqual(['10.9.0.1', '127.0.0.1', '192.0.2.1', '::1', 'fe80::9']);
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
    expect(gatherOwnAddresses(netlink, 0)).toEqual({ all: [], answer4: null, answer6: null });
  });
});
