/** What the kernel of a network says, asked by doctor. */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeClock, sampleClock } from '../../../src/doctor/gather/clock.ts';
import { readKernelCounters } from '../../../src/doctor/gather/counters.ts';
import { gatherLinks } from '../../../src/doctor/gather/links.ts';
import { gainOf, look } from '../../../src/doctor/gather/looking.ts';
import { gatherManagers } from '../../../src/doctor/gather/managers.ts';
import { run } from '../../../src/doctor/gather/program.ts';
import { askRoutes, gatherRules, gatherTable } from '../../../src/doctor/gather/routes.ts';
import { gainDrops, gatherSockets } from '../../../src/doctor/gather/sockets.ts';
import { gatherSysctls } from '../../../src/doctor/gather/sysctls.ts';
import { Netlink } from '../../../src/netlink/netlink.ts';
import { describeInNamespace, enterNamespace, ip, sysctl } from '../../lab/namespace.ts';

describeInNamespace('evidence of the machine', () => {
  let netlink: Netlink;

  beforeAll(() => {
    enterNamespace();
    ip('link', 'add', 'opv0', 'type', 'veth', 'peer', 'name', 'opv1');
    ip('tuntap', 'add', 'wg0', 'mode', 'tun');
    for (const name of ['opv0', 'opv1', 'wg0']) ip('link', 'set', name, 'up');
    ip('addr', 'add', '198.51.100.10/24', 'dev', 'opv0');
    ip('addr', 'add', '10.99.0.1', 'peer', '10.99.0.2', 'dev', 'wg0');
    ip('route', 'add', '10.20.0.0/16', 'dev', 'wg0');
    ip('route', 'add', '10.20.3.0/24', 'via', '198.51.100.1');
    ip('route', 'add', 'default', 'via', '198.51.100.1', 'metric', '50');
    ip('route', 'add', 'blackhole', '10.66.0.0/16');
    netlink = new Netlink();
  });
  afterAll(() => netlink.close());

  it('has the links with their addresses', () => {
    const links = gatherLinks(netlink);
    expect(links.find(({ name }) => name === 'wg0')).toMatchObject({
      ...{ kind: 'tun', mtu: 1_500, isUp: true, isPersistent: true },
      addresses: [
        { address: '10.99.0.1', length: 32, destination: '10.99.0.2', isLinkLocal: false },
      ],
    });
    expect(links.find(({ name }) => name === 'lo')!.flags).toEqual(['UP', 'LOOPBACK', 'RUNNING']);
  });

  it('has the way that each packet takes, with the entry that says so', () => {
    const links = gatherLinks(netlink);
    const ask = (destination: string) =>
      askRoutes(netlink, links, [
        {
          ...{ purpose: 'endpoint', peer: null, about: destination, destination, mark: 0 },
          ...{ ports: { source: 51_820, destination: 51_820 }, scope: 0, near: null },
        },
      ])[0].answer;
    expect(ask('10.20.0.7')).toEqual({
      kind: 'route',
      route: {
        ...{ family: 4, type: 'unicast', table: 254, prefix: '10.20.0.0/16', link: 'wg0' },
        ...{ gateway: null, source: '10.99.0.1', metric: 0 },
      },
    });
    expect(ask('10.20.3.7')).toMatchObject({ route: { link: 'opv0', prefix: '10.20.3.0/24' } });
    expect(ask('8.8.8.8')).toMatchObject({
      route: { prefix: '0.0.0.0/0', gateway: '198.51.100.1', source: '198.51.100.10', metric: 50 },
    });
    expect(ask('10.66.0.1')).toEqual({ kind: 'none', error: 'EINVAL' });
    expect(ask('fd00::1')).toEqual({ kind: 'none', error: 'ENETUNREACH' });
    expect(ask('198.51.100.10')).toMatchObject({ route: { type: 'local', link: 'lo' } });
  });

  it('leaves from the address or the interface that it has to', () => {
    const links = gatherLinks(netlink);
    const question = {
      ...{ peer: null, about: '', destination: '8.8.8.8', mark: 0 },
      ...{ ports: null, scope: 0 },
    } as const;
    const ask = (near: Parameters<typeof askRoutes>[2][number]['near']) =>
      askRoutes(netlink, links, [{ ...question, purpose: 'endpoint', near }])[0].answer;
    expect(ask({ kind: 'address', address: Uint8Array.of(10, 1, 1, 1) })).toEqual({
      kind: 'none',
      error: 'ENETUNREACH',
    });
    expect(ask({ kind: 'interface', name: 'wg0' })).toMatchObject({ route: { link: 'wg0' } });
  });

  it('has the routes over the interface, and those in the way', () => {
    const links = gatherLinks(netlink);
    const prefixes = (allowedIps: string[]) =>
      gatherTable(netlink, links, 'wg0', allowedIps).map(({ prefix, link }) => `${prefix} ${link}`);
    const own = ['10.20.0.0/16 wg0', '10.99.0.2/32 wg0'];
    expect(prefixes([]).sort()).toEqual(own);
    expect(prefixes(['10.20.0.0/16']).sort()).toEqual(
      [...own, '0.0.0.0/0 opv0', '10.20.3.0/24 opv0'].sort(),
    );
    // Ours first, whatever else there is.
    expect(prefixes(['10.20.0.0/16'])[0]).toContain('wg0');
  });

  it('has the policy rules of both families', () => {
    ip('rule', 'add', 'fwmark', '7', 'table', '7');
    expect(gatherRules(netlink)).toContainEqual(
      expect.objectContaining({ family: 4, action: 'lookup', table: 7, mark: 7, from: null }),
    );
    expect(gatherRules(netlink).some(({ family }) => family === 6)).toBe(true);
  });

  it('has the owner of a port, and what was dropped', async () => {
    const socket = createSocket('udp4').bind(4_600, '198.51.100.10');
    await once(socket, 'listening');
    const found = gatherSockets(4_600);
    expect(found).toMatchObject([
      { family: 4, address: '198.51.100.10', port: 4_600, process: { pid: process.pid } },
    ]);
    const [one] = found;
    expect(gainDrops([one], [{ ...one, drops: one.drops + 3 }])[0].gainedDrops).toBe(3);
    // One that was not there before has lost nothing that is known of.
    expect(gainDrops([], [{ ...one, drops: 5 }])[0].gainedDrops).toBe(0);
    expect(gatherSockets(4_600, 1)).toEqual(found);
    socket.close();
    expect(gatherSockets(4_601)).toEqual([]);
  });

  it('has the parameters of this network', () => {
    sysctl('net/ipv4/conf/opv0/rp_filter', '1');
    const parameters = gatherSysctls(gatherLinks(netlink), 'wg0');
    expect(parameters).toMatchObject({ 'ipv4/conf/opv0/rp_filter': '1', 'ipv4/ip_forward': '0' });
    expect(parameters['ipv4/conf/wg0/forwarding']).toBe('0');
    expect(parameters['ipv4/conf/nosuch/forwarding']).toBeUndefined();
  });

  it('has what is counted, and by how much it rose', async () => {
    const before = readKernelCounters();
    const links = netlink.linkStatistics();
    const socket = createSocket('udp4');
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => socket.send('x', 9, '127.0.0.1', resolve));
    }
    socket.close();
    const gained = gainOf(before, readKernelCounters());
    expect(gained['Udp.NoPorts']).toBe(3);
    expect(gained['Ip.ForwDatagrams']).toBeUndefined();
    const lo = (all: typeof links) => all.find(({ name }) => name === 'lo')!.counters;
    expect(gainOf(lo(links), lo(netlink.linkStatistics())).tx_packets).toBeGreaterThanOrEqual(3);
  });
});

describe('another program', () => {
  it('that is not there is said to be not installed', async () => {
    expect(await look(() => run('nosuchprogram', []))).toEqual({
      ok: false,
      because: process.geteuid?.() === 0 ? 'nosuchprogram is not installed' : expect.any(String),
    });
  });

  it('that fails says why, in a line', async () => {
    const looked = await look(() => run('sh', ['-c', 'echo one >&2; echo two >&2; exit 1']));
    expect(looked).toMatchObject({ ok: false });
  });

  it('gets no environment but PATH', async () => {
    const looked = await look(() => run('env', []));
    const names = looked.ok ? looked.value.match(/^\w+(?==)/gm) : [];
    expect(names?.sort()).toEqual(['LC_ALL', 'PATH']);
  });
});

it('a bug of ours is thrown, a refusal of the system is told', async () => {
  await expect(look(() => JSON.parse('{'))).rejects.toThrow(SyntaxError);
  const gone = Object.assign(new Error('gone'), { code: 'ENOENT' });
  expect(await look(() => Promise.reject(gone))).toEqual({ ok: false, because: 'gone' });
});

it('a clock that jumped is told from time that passed', () => {
  const before = sampleClock();
  const after = { wallMs: before.wallMs - 60_000, monotonicMs: before.monotonicMs + 500 };
  const { jumpedMs, bootedMs, nowMs } = describeClock(before, after);
  expect(jumpedMs).toBe(-60_500);
  expect(nowMs - bootedMs).toBe(Math.round(after.monotonicMs));
});

describe('who manages an interface', () => {
  const root = mkdtempSync(join(tmpdir(), 'tswg-managers-'));
  afterAll(() => rmSync(root, { recursive: true }));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(root + path), { recursive: true });
    writeFileSync(root + path, text);
  };

  it('is told by files alone', () => {
    expect(gatherManagers('wg0', 3, root)).toEqual([]);
    write('/etc/wireguard/wg0.conf', '[Interface]\nPrivateKey = secret\n');
    write('/etc/systemd/network/50-all.network', '[Match]\nName=wg*\n');
    write('/etc/systemd/network/other.network', '[Match]\nName=eth0\n');
    write('/run/systemd/netif/links/3', '# private\nADMIN_STATE=configured\n');
    write('/run/NetworkManager/devices/3', '[device]\nmanaged=true\n');
    write(
      '/etc/NetworkManager/system-connections/office.nmconnection',
      '[connection]\ninterface-name=wg0\n[wireguard]\nprivate-key=secret\n',
    );
    const wants = '/etc/systemd/system/multi-user.target.wants';
    mkdirSync(root + wants, { recursive: true });
    symlinkSync('/lib/systemd/system/wg-quick@.service', `${root}${wants}/wg-quick@wg0.service`);
    const found = gatherManagers('wg0', 3, root);
    expect(found.map(({ kind, isActive, line }) => [kind, isActive, line].join(' '))).toEqual([
      'wg-quick true ',
      'wg-quick false ',
      'systemd-networkd false Name=wg*',
      'systemd-networkd true ADMIN_STATE=configured',
      'NetworkManager false interface-name=wg0',
      'NetworkManager true managed=true',
    ]);
    expect(JSON.stringify(found)).not.toContain('secret');
    // Of another link these say nothing, nor do they when they leave it alone.
    write('/run/systemd/netif/links/4', 'ADMIN_STATE=unmanaged\n');
    write('/run/NetworkManager/devices/4', '[device]\nmanaged=false\n');
    expect(gatherManagers('wg1', 4, root).map(({ line }) => line)).toEqual(['Name=wg*']);
  });

  it('is not told of what cannot be read', () => {
    chmodSync(root, 0o755);
    expect(gatherManagers('wg0', null, join(root, 'nowhere'))).toEqual([]);
  });
});
