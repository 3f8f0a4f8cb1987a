/** What doctor sends and hears, between two networks of one test. */

import { execFileSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { gatherConnections } from '../../../src/doctor/gather/conntrack.ts';
import {
  describeFirewall,
  sampleAgain,
  sampleFirewall,
} from '../../../src/doctor/gather/firewall.ts';
import { listenToIcmp } from '../../../src/doctor/gather/icmplistener.ts';
import { InnerTap } from '../../../src/doctor/gather/innertap.ts';
import { CannotLook, look } from '../../../src/doctor/gather/looking.ts';
import { OpenPing } from '../../../src/doctor/gather/pings.ts';
import { OpenProbe } from '../../../src/doctor/gather/probes.ts';
import { run } from '../../../src/doctor/gather/program.ts';
import { tapHandshakes } from '../../../src/doctor/gather/tap.ts';
import { parseKey } from '../../../src/keytext.ts';
import { Netlink } from '../../../src/netlink/netlink.ts';
import {
  describeInNamespace,
  enterNamespace,
  eventually,
  ip,
  OtherNamespace,
  openDescriptors,
  sysctl,
} from '../../lab/namespace.ts';
import { OUR_KEY, PEER_KEY } from '../healthy.ts';

const HERE = '198.51.100.10';
const THERE = '198.51.100.20';
const TARGET = { peer: PEER_KEY, address: THERE, port: 9, scope: 0, mark: 0, near: null };

describeInNamespace('evidence of the network', () => {
  let there: OtherNamespace;

  beforeAll(() => {
    enterNamespace();
    there = new OtherNamespace();
    ip('link', 'add', 'opv0', 'type', 'veth', 'peer', 'name', 'opv1', 'netns', there.path);
    for (const [name, last] of [
      ['opv0', 10],
      ['opv1', 20],
    ] as const) {
      const configure = (): void => {
        ip('addr', 'add', `198.51.100.${last}/24`, 'dev', name);
        ip('addr', 'add', `fd00::${last}/64`, 'dev', name, 'nodad');
        ip('link', 'set', name, 'up');
      };
      if (name === 'opv0') configure();
      else there.run(configure);
    }
    there.run(() => {
      // However often it has been told.
      sysctl('net/ipv4/icmp_ratelimit', '0');
      sysctl('net/ipv6/icmp/ratelimit', '0');
    });
  });
  afterAll(() => there.close());

  async function bound(port: number): Promise<Socket> {
    const socket = createSocket('udp4').bind(port, HERE);
    await once(socket, 'listening');
    return socket;
  }

  it('has what is said of a probe: by whom, and what', async () => {
    const probe = new OpenProbe({ ...TARGET, neededMtu: 1_480 });
    await eventually(() => probe.take().errors.length > 0, 'an ICMP error for the probe');
    expect(probe.take()).toMatchObject({
      ...{ peer: PEER_KEY, source: HERE, connectError: null, pathMtu: 1_500, neededMtu: 1_480 },
      sent: [
        { bytes: 29, error: null },
        { bytes: 1_480, error: null },
      ],
    });
    expect(probe.take().errors[0]).toEqual({
      ...{ error: 'ECONNREFUSED', origin: 'icmp', meaning: 'portUnreachable', from: THERE, mtu: 0 },
    });
    probe.close();
  });

  it('has what the kernel here says of a probe at once', () => {
    const large = new OpenProbe({ ...TARGET, neededMtu: 1_600 });
    expect(large.take().sent[1]).toEqual({ bytes: 1_600, error: 'EMSGSIZE' });
    large.close();
    const lost = new OpenProbe({ ...TARGET, address: '203.0.113.1', neededMtu: null });
    expect(lost.take()).toMatchObject({ connectError: 'ENETUNREACH', source: null, sent: [] });
    lost.close();
  });

  it('probes over IPv6, and from where it has to', async () => {
    const probe = new OpenProbe({ ...TARGET, address: 'fd00::20', neededMtu: null });
    await eventually(() => probe.take().errors.length > 0, 'an ICMPv6 error for the probe');
    expect(probe.take()).toMatchObject({
      source: 'fd00::10',
      errors: [{ meaning: 'portUnreachable', from: 'fd00::20' }],
    });
    probe.close();
    const near = { kind: 'address', address: Uint8Array.of(127, 0, 0, 1) } as const;
    const bare = new OpenProbe({ ...TARGET, neededMtu: null, near });
    expect(bare.take().source ?? '127.0.0.1').toBe('127.0.0.1');
    bare.close();
    const foreign = { kind: 'address', address: Uint8Array.of(10, 1, 1, 1) } as const;
    expect(() => new OpenProbe({ ...TARGET, neededMtu: null, near: foreign })).toThrow(
      'EADDRNOTAVAIL',
    );
  });

  it('hears the ICMP errors that quote our port, and no others', async () => {
    const listener = listenToIcmp(({ sourcePort }) => (sourcePort === 4_700 ? 'daemon' : null));
    const [ours, others] = [await bound(4_700), await bound(4_701)];
    for (let i = 0; i < 2; i++) {
      others.send('x', 9, THERE);
      ours.send('x', 9, THERE);
    }
    await eventually(() => listener.errors()[0]?.count === 2, 'two ICMP errors');
    expect(listener.errors()).toEqual([
      {
        ...{ from: THERE, meaning: 'portUnreachable', type: 3, code: 3, mtu: 0 },
        ...{ source: HERE, sourcePort: 4_700, destination: THERE, destinationPort: 9 },
        ...{ about: 'daemon', count: 2 },
      },
    ]);
    listener.close();
    ours.close();
    others.close();
  });

  it('sees handshakes on the links, both ways, and no data', async () => {
    const tap = tapHandshakes(4_702, parseKey(OUR_KEY), (index) => `link ${index}`);
    const socket = await bound(4_702);
    const message = (type: number, length: number) => {
      const bytes = new Uint8Array(length);
      bytes[0] = type;
      return bytes;
    };
    socket.send(message(4, 148), 4_702, THERE);
    socket.send(message(1, 148), 4_702, THERE);
    there.run(() => {
      const words = `import socket;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.sendto(bytes([2]+[0]*91),("${HERE}",4702))`;
      execFileSync('python3', ['-c', words]);
    });
    await eventually(() => tap.flows().length === 2, 'two handshake messages');
    const flows = tap.flows().sort((a, b) => b.direction.localeCompare(a.direction));
    expect(flows).toMatchObject([
      {
        direction: 'out',
        source: HERE,
        destination: THERE,
        message: 'initiation',
        hasOurMac1: null,
      },
      { direction: 'in', source: THERE, destination: HERE, message: 'response', hasOurMac1: false },
    ]);
    tap.close();
    socket.close();
  });

  it('sees who talks on the interface itself', async () => {
    const netlink = new Netlink();
    const tap = new InnerTap(netlink.linkByName('opv0')!.index);
    netlink.close();
    const socket = await bound(4_703);
    socket.send(new Uint8Array(1_000), 9, THERE);
    socket.send(new Uint8Array(10), 9, THERE);
    const out = () =>
      tap.flows().find(({ direction, source }) => direction === 'out' && source === HERE);
    await eventually(() => out()?.packets === 2, 'two packets');
    expect(out()).toEqual({
      ...{ direction: 'out', source: HERE, destination: THERE, packets: 2, largest: 1_028 },
    });
    tap.close();
    socket.close();
  });

  it('pings in sizes, and says which passed', async () => {
    const ping = new OpenPing('opv0', {
      ...{ peer: PEER_KEY, destination: THERE, known: 'allowedIp', sizes: [84, 1_500] },
    });
    there.run(() => ip('link', 'set', 'opv1', 'mtu', '1400'));
    ping.send();
    await eventually(() => ping.isAlive, 'an echo');
    ping.add([1_000, 84, 1_600]);
    ping.send();
    await eventually(() => ping.take(HERE).echoes[1].received > 0, 'the echo of 1,000 bytes');
    const { echoes, source } = ping.take(HERE);
    expect(source).toBe(HERE);
    expect(echoes.map(({ bytes }) => bytes)).toEqual([84, 1_000, 1_500, 1_600]);
    expect(echoes[0]).toMatchObject({ sent: 1, received: 1, error: null });
    expect(echoes[0].rttMs).toBeGreaterThan(0);
    // Larger than the link: the kernel says so.
    expect(echoes[3]).toMatchObject({ received: 0, error: 'EMSGSIZE' });
    ping.close();
    there.run(() => ip('link', 'set', 'opv1', 'mtu', '1500'));
  });

  it('pings over IPv6, and hears that nobody is there', async () => {
    const ping = new OpenPing('opv0', {
      ...{ peer: PEER_KEY, destination: 'fd00::20', known: 'guess', sizes: [104] },
    });
    await eventually(() => {
      if (!ping.isAnswered) ping.send();
      return ping.isAnswered;
    }, 'an echo over IPv6');
    ping.close();
    // From an address of its own: the other end tells each one of few errors in a second.
    ip('addr', 'add', '10.8.0.1/32', 'dev', 'opv0');
    ip('route', 'add', '10.7.0.0/24', 'via', THERE, 'src', '10.8.0.1');
    const lost = new OpenPing('opv0', {
      ...{ peer: PEER_KEY, destination: '10.7.0.1', known: 'guess', sizes: [84] },
    });
    there.run(() => {
      execFileSync('sh', ['-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
      ip('route', 'add', 'prohibit', '10.7.0.0/24');
      ip('route', 'add', '10.8.0.1', 'via', HERE);
    });
    lost.send();
    await eventually(() => lost.take(null).errors.length > 0, 'an ICMP error for the echo');
    expect(lost.take(null).errors).toEqual([{ from: THERE, meaning: 'prohibited', mtu: 0 }]);
    lost.close();
  });

  it('has what the firewall counted, in nft and in iptables, and each rule once', async () => {
    const rules =
      'table inet t {\nchain o {\ntype filter hook output priority 0; policy accept\nudp dport 9 counter\n}\n}';
    execFileSync('nft', ['-f', '-'], { input: rules });
    execFileSync('iptables', ['-A', 'OUTPUT', '-p', 'udp', '--dport', '9', '-j', 'ACCEPT']);
    const before = await sampleFirewall();
    const socket = await bound(4_704);
    await new Promise((resolve) => socket.send('x', 9, THERE, resolve));
    const { rules: found, chains } = describeFirewall(before, await sampleFirewall());
    expect(found).toMatchObject([
      { tool: 'nft', table: 't', chain: 'o', text: 'udp dport 9 counter', gainedPackets: 1 },
      { tool: 'iptables', chain: 'OUTPUT', verdict: 'accept', gainedPackets: 1 },
    ]);
    expect(chains.map(({ tool, name, hook }) => `${tool} ${name} ${hook}`)).toContain(
      'nft o output',
    );
    socket.close();
    // Without anybody who tracks, there is nothing; that is no failure.
    expect(await look(() => gatherConnections(4_704, [], []))).toMatchObject({ ok: true });
    execFileSync('nft', ['flush', 'ruleset']);
  });

  it('asks a program of the firewall only where it has something to tell', async () => {
    const asked: string[] = [];
    const ask = (program: string, args: readonly string[]): Promise<string> => {
      asked.push([program, ...args].join(' '));
      return run(program, args);
    };
    const take = (): string[] => asked.splice(0);
    expect(await sampleAgain(await sampleFirewall(ask), ask)).toMatchObject({ rules: [] });
    expect(take()).toEqual([]);

    execFileSync('nft', ['add', 'table', 'inet', 't']);
    await sampleAgain(await sampleFirewall(ask), ask);
    expect(take()).toEqual(['nft -j list ruleset', 'nft -s -a list ruleset']);

    const rules =
      'table inet t {\nchain o {\ntype filter hook output priority 0\nudp dport 9 counter drop\n}\n}';
    execFileSync('nft', ['-f', '-'], { input: rules });
    execFileSync('iptables', ['-A', 'OUTPUT', '-p', 'udp', '--dport', '9', '-j', 'ACCEPT']);
    const before = await sampleFirewall(ask);
    expect(take()).toEqual([
      ...['nft -j list ruleset', 'nft -s -a list ruleset', 'iptables-save -c'],
    ]);
    const socket = await bound(4_707);
    await new Promise((resolve) => socket.send('x', 9, THERE, resolve));
    const { rules: found } = describeFirewall(before, await sampleAgain(before, ask));
    expect(take()).toEqual(['nft -j list ruleset']);
    expect(found).toMatchObject([
      { tool: 'nft', text: 'udp dport 9 counter drop', gainedPackets: 1 },
      { tool: 'iptables', chain: 'OUTPUT', gainedPackets: 0 },
    ]);
    socket.close();
    execFileSync('nft', ['flush', 'ruleset']);
  });

  it('has what the firewall counted in the older tables, beside those of today', async () => {
    execFileSync('iptables', ['-A', 'OUTPUT', '-p', 'udp', '--dport', '9', '-j', 'ACCEPT']);
    execFileSync('iptables-legacy', ['-A', 'OUTPUT', '-p', 'udp', '--dport', '9', '-j', 'DROP']);
    const before = await sampleFirewall();
    const socket = await bound(4_706);
    await new Promise((resolve) => socket.send('x', 9, THERE, resolve));
    const { rules, unseen } = describeFirewall(before, await sampleFirewall());
    expect(rules).toMatchObject([
      { tool: 'iptables', chain: 'OUTPUT', position: 1, verdict: 'accept' },
      { tool: 'iptables-legacy', chain: 'OUTPUT', position: 1, verdict: 'drop', gainedPackets: 1 },
    ]);
    expect(unseen).toEqual([]);
    socket.close();
    // Who has the tables and not the program is told what was not looked at.
    const without = await sampleFirewall((program, args) => {
      if (!program.includes('legacy')) return run(program, args);
      return Promise.reject(new CannotLook(`${program} is not installed`));
    });
    expect(without.unseen).toEqual([
      'iptables-legacy-save is not installed, and there are such tables (filter)',
    ]);
    // Where `iptables` is of the older kind, nothing is listed twice, and nothing of nft is left out.
    const older = await sampleFirewall((program, args) => {
      if (program.startsWith('nft')) return run(program, args);
      return run(program.replace('-save', '-legacy-save'), args);
    });
    expect(older.rules).toMatchObject([
      { tool: 'nft', chain: 'OUTPUT', verdict: 'accept' },
      { tool: 'iptables', chain: 'OUTPUT', verdict: 'drop' },
    ]);
    execFileSync('iptables-legacy', ['-F']);
    execFileSync('nft', ['flush', 'ruleset']);
  });

  it('leaves nothing open', async () => {
    const before = openDescriptors();
    const probe = new OpenProbe({ ...TARGET, neededMtu: null });
    const listener = listenToIcmp(() => null);
    const tap = tapHandshakes(4_705, null, String);
    const ping = new OpenPing('opv0', {
      ...{ peer: PEER_KEY, destination: THERE, known: 'guess', sizes: [84] },
    });
    for (const one of [probe, listener, tap, ping]) one.close();
    expect(openDescriptors()).toBe(before);
  });
});
