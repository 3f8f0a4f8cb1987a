import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { Netlink } from '../../src/netlink/netlink.ts';
import { parseUdpSocket, udpSocketsAt } from '../../src/netlink/socketdiag.ts';
import { ERRNO } from '../../src/sys/libc.ts';
import { describeInNamespace, enterNamespace, ip } from '../lab/namespace.ts';

describeInNamespace('the kernel, asked', () => {
  beforeAll(enterNamespace);

  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.close();
  });

  async function bound(type: 'udp4' | 'udp6', port: number, address: string): Promise<Socket> {
    const socket = createSocket({ type, ipv6Only: type === 'udp6' });
    sockets.push(socket);
    socket.bind(port, address);
    await once(socket, 'listening');
    return socket;
  }

  it('tells of the UDP sockets at a port, of both families, and of no others', async () => {
    await bound('udp4', 4_500, '127.0.0.1');
    await bound('udp6', 4_500, '::');
    await bound('udp4', 4_501, '127.0.0.1');
    const found = udpSocketsAt(4_500);
    expect(found.map(({ family, address, port }) => [family, [...address], port])).toEqual([
      [4, [127, 0, 0, 1], 4_500],
      [6, new Array(16).fill(0), 4_500],
    ]);
    for (const { uid, inode, receiveBuffer, drops } of found) {
      expect([uid, drops]).toEqual([0, 0]);
      expect(inode).toBeGreaterThan(0);
      expect(receiveBuffer).toBeGreaterThan(1_000);
    }
    expect(udpSocketsAt(4_502)).toEqual([]);
  });

  it('tells by which entry of a table a packet would go, and why by none', () => {
    const netlink = new Netlink();
    ip('link', 'add', 'opv0', 'type', 'veth', 'peer', 'name', 'opv1');
    ip('link', 'set', 'opv1', 'up');
    ip('addr', 'add', '10.7.0.1/24', 'dev', 'opv0');
    ip('link', 'set', 'opv0', 'up');
    ip('route', 'add', '10.8.0.0/16', 'via', '10.7.0.2', 'metric', '77');
    ip('route', 'add', 'prohibit', '10.9.0.0/16');
    const destination = Uint8Array.of(10, 8, 3, 4);
    const flow = { destination, source: null };
    expect(netlink.askRoute({ ...flow, asEntry: true })).toMatchObject({
      destination: Uint8Array.of(10, 8, 0, 0),
      prefixLength: 16,
      metric: 77,
      gateway: Uint8Array.of(10, 7, 0, 2),
    });
    expect(netlink.askRoute(flow)).toMatchObject({ preferredSource: Uint8Array.of(10, 7, 0, 1) });
    const to = (...address: number[]) => ({ destination: Uint8Array.from(address), source: null });
    expect(netlink.askRoute(to(10, 9, 0, 1))).toBe(ERRNO.EACCES);
    expect(netlink.askRoute(to(10, 10, 0, 1))).toBe(ERRNO.ENETUNREACH);
    expect(netlink.getRoute(to(10, 10, 0, 1))).toBeNull();
    netlink.close();
  });

  it('tells the policy rules, as wg-quick makes them', () => {
    const netlink = new Netlink();
    ip('rule', 'add', 'not', 'fwmark', '51820', 'table', '51820');
    ip('rule', 'add', 'table', 'main', 'suppress_prefixlength', '0');
    ip('-6', 'rule', 'add', 'from', 'fd00::/8', 'iif', 'lo', 'blackhole', 'priority', '9');
    const rules = netlink.rules(4);
    expect(rules).toContainEqual({
      family: 4,
      priority: 32_765,
      table: 51_820,
      action: 1,
      isInverted: true,
      mark: 51_820,
      mask: 0xffff_ffff,
      from: null,
      to: null,
      inputLink: null,
      outputLink: null,
      suppressLength: null,
    });
    expect(rules).toContainEqual(
      expect.objectContaining({ table: 254, suppressLength: 0, isInverted: false }),
    );
    expect(netlink.rules(6)).toContainEqual(
      expect.objectContaining({
        priority: 9,
        action: 6,
        from: { address: Uint8Array.of(0xfd, ...new Array(15).fill(0)), length: 8 },
        inputLink: 'lo',
      }),
    );
    netlink.close();
  });
});

it('a message that is cut short is none of a socket', () => {
  const whole = new Uint8Array(72);
  whole[0] = 2;
  expect(parseUdpSocket(whole)).toMatchObject({ family: 4, port: 0, drops: 0 });
  for (let length = 0; length < 72; length++) {
    expect(parseUdpSocket(whole.subarray(0, length))).toBeNull();
  }
  whole[0] = 16;
  expect(parseUdpSocket(whole)).toBeNull();
});
