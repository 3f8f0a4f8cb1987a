import { expect, it } from 'vitest';
import { Capture, type CapturedPacket } from '../lab/capture.ts';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, ping, stream } from '../lab/probes.ts';
import { withLab } from '../lab/suite.ts';
import { transfer } from '../lab/transfer.ts';
import { describeExample, type Example } from './example.ts';
import { Internet } from './internet.ts';

const PC_A = '192.168.1.5';
const PC_B = '192.168.1.6';
const BROADCAST = '192.168.1.255';
/** Bytes of an Ethernet header, of a tag in it, and of what a frame carries at most. */
const HEADER_BYTES = 14;
const TAG_BYTES = 4;
const FULL_BYTES = 1500;
/** Of the payload of a ping that makes a packet of as many bytes. */
const sizeFor = (packetBytes: number): number => packetBytes - 28;
/** What fits into the tunnel's 1420 with VXLAN's 50. */
const WHOLE_BYTES = 1370;
const FILE_BYTES = 20_000_000;
/** IEEE's own for experiments, and VLAN 7. */
const EXPERIMENTAL = [0x88, 0xb5];
const TAG = [0x81, 0x00, 0x00, 0x07];

interface Buildings {
  readonly internet: Internet;
  readonly a: Host;
  readonly b: Host;
  readonly pcA: Host;
  readonly pcB: Host;
}

async function build(lab: Lab, example: Example): Promise<Buildings> {
  const [a, b, pcA, pcB] = await lab.hosts('building-a', 'building-b', 'pc a', 'pc b');
  const internet = await Internet.open(lab);
  await internet.connect(a, 'wan', '198.51.100.10/24');
  await internet.connect(b, 'wan', '203.0.113.10/24');
  await pcA.connect('eth0', a, 'lan');
  await pcB.connect('eth0', b, 'lan');
  // Of what comes to the internet, what is no datagram of the tunnel, or is one in pieces.
  await internet.router.nft(`table ip arriving {
    counter pieces { }
    counter others { }
    chain came {
      type filter hook prerouting priority -450;
      ip frag-off & 0x3fff != 0 counter name pieces accept
      udp sport 51820 udp dport 51820 accept
      icmp type destination-unreachable accept
      counter name others
    }
  }`);
  await example.install(a, b);
  await example.boot(a);
  await example.boot(b);
  return { internet, a, b, pcA, pcB };
}

async function came({ internet }: Buildings, counter: string): Promise<number> {
  const text = await internet.router.run('nft', ['list', 'counter', 'ip', 'arriving', counter]);
  return Number(/packets (\d+)/.exec(text)![1]);
}

async function macOf(host: Host): Promise<string> {
  return /link\/ether (\S+)/.exec(await host.ip('link show dev eth0'))![1];
}

const bytesOf = (mac: string): number[] => mac.split(':').map((part) => Number.parseInt(part, 16));

/** Puts a frame on the wire of a host as it is. */
async function sendFrame(host: Host, frame: Uint8Array): Promise<void> {
  const script = 'base64 -d | socat -u - INTERFACE:eth0';
  await host.run('sh', ['-euc', script], { input: Buffer.from(frame).toString('base64') });
}

/** Sends a frame and resolves to what arrives of it. */
async function pass(from: Host, to: Host, head: readonly number[], bytes: number) {
  const capture = await Capture.start(to, 'eth0', 'ether proto 0x88b5 or vlan', 2000);
  const macs = [...bytesOf(await macOf(to)), ...bytesOf(await macOf(from))];
  const payload = Uint8Array.from({ length: bytes }, (_, i) => i);
  await sendFrame(from, Uint8Array.from([...macs, ...head, ...EXPERIMENTAL, ...payload]));
  const isFrame = ({ length }: CapturedPacket): boolean => length >= HEADER_BYTES + bytes;
  const frame = await waitFor(
    () => capture.packets.find(isFrame),
    'the frame in the other building',
  );
  await capture.stop();
  return { length: frame.length, body: [...frame.payload], payload: [...payload] };
}

describeExample('ethernet', ['nft', 'tcpdump', 'socat', 'busybox', 'iperf3'], (example) => {
  it('carries ARP, broadcasts, multicasts and DHCP from building to building', () =>
    withLab({}, async (lab) => {
      const buildings = await build(lab, example);
      const { a, b, pcA, pcB } = buildings;
      await pcA.configure('eth0', `${PC_A}/24`);
      await pcB.ip('link set eth0 up');
      // A machine of building B gets its address from a server in building A.
      await pcA.writeFile(
        '/run/udhcpd.conf',
        [
          ...['start 192.168.1.6', 'end 192.168.1.6', 'interface eth0'],
          ...['opt subnet 255.255.255.0', `opt mtu ${WHOLE_BYTES}`],
          ...['lease_file /run/udhcpd.leases', 'pidfile /run/udhcpd.pid', ''],
        ].join('\n'),
      );
      await pcA.sh('touch /run/udhcpd.leases');
      pcA.spawn('busybox', ['udhcpd', '-f', '/run/udhcpd.conf']);
      const bind = [
        '#!/bin/sh',
        '[ "$1" = bound ] || exit 0',
        'ip address add "$ip/$mask" dev "$interface"',
        'echo "told: $ip mtu $mtu"',
      ].join('\n');
      await pcB.writeFile('/run/bind', bind, '755');
      const words = ['udhcpc', '-f', '-n', '-q', '-t', '20', '-i', 'eth0', '-s', '/run/bind'];
      expect(await pcB.run('busybox', words)).toContain(`told: ${PC_B} mtu ${WHOLE_BYTES}`);

      await firstPing(pcA, PC_B);
      expect(await pcA.ip('neigh show')).toContain(`${PC_B} dev eth0 lladdr ${await macOf(pcB)}`);
      await pcB.sysctl('net.ipv4.icmp_echo_ignore_broadcasts', 0);
      expect(await pcA.run('ping', ['-n', '-b', '-c', '1', BROADCAST])).toContain(
        `bytes from ${PC_B}`,
      );
      // Neighbour discovery is multicast.
      const addresses = await pcB.ip('-6 -o address show dev eth0 scope link');
      const [, linkLocal] = /inet6 (fe80:\S+)\/64/.exec(addresses)!;
      await firstPing(pcA, `${linkLocal}%eth0`);
      expect(await a.run('bridge', ['fdb', 'show', 'br', 'br0'])).toContain(
        `${await macOf(pcB)} dev vxlan0`,
      );
      expect(await came(buildings, 'others')).toBe(0);
      await example.expectHealthy(a, b);
    }));

  it('carries frames of 1500 bytes, and those of a VLAN with their tag', () =>
    withLab({}, async (lab) => {
      const buildings = await build(lab, example);
      const { pcA, pcB } = buildings;
      await pcA.configure('eth0', `${PC_A}/24`);
      await pcB.configure('eth0', `${PC_B}/24`);
      await firstPing(pcA, PC_B);
      for (const [from, to] of [
        [pcA, pcB],
        [pcB, pcA],
      ]) {
        const plain = await pass(from, to, [], FULL_BYTES);
        expect(plain.length).toBe(HEADER_BYTES + FULL_BYTES);
        expect(plain.body).toEqual(plain.payload);
        const tagged = await pass(from, to, TAG, FULL_BYTES);
        expect(tagged.length).toBe(HEADER_BYTES + TAG_BYTES + FULL_BYTES);
        expect(tagged.body).toEqual([...TAG.slice(2), ...EXPERIMENTAL, ...tagged.payload]);
        const small = await pass(from, to, TAG, 100);
        expect(small.body).toEqual([...TAG.slice(2), ...EXPERIMENTAL, ...small.payload]);
      }
      expect(await came(buildings, 'pieces')).toBe(0);
      expect(await came(buildings, 'others')).toBe(0);
    }));

  it('passes packets of 1500 bytes in two pieces, or says 1370 to who forbids that', () =>
    withLab({}, async (lab) => {
      const buildings = await build(lab, example);
      const { pcA, pcB } = buildings;
      await pcA.configure('eth0', `${PC_A}/24`);
      await pcB.configure('eth0', `${PC_B}/24`);
      // Without "don't fragment", which ping sets by itself.
      const size = `${sizeFor(FULL_BYTES)}`;
      await pcA.run('ping', ['-n', '-c', '1', '-M', 'dont', '-s', size, PC_B]);
      const refused = await ping(pcA, PC_B, {
        size: sizeFor(FULL_BYTES),
        dontFragment: true,
        deadlineMs: 2000,
      });
      expect(refused.text).toMatch(new RegExp(`mtu ?= ?${WHOLE_BYTES}\\b`));
      const whole = await ping(pcB, PC_A, { size: sizeFor(WHOLE_BYTES), dontFragment: true });
      expect(whole.received, whole.text).toBe(1);
      const file = await transfer(pcB, pcA, PC_B, FILE_BYTES);
      expect(file.receivedDigest).toBe(file.sentDigest);
      const { bitsPerSecond } = await stream(pcA, pcB, PC_B);
      console.info(
        `ethernet: TCP between the buildings: ${(bitsPerSecond / 1e6).toFixed(0)} Mbit/s`,
      );
      expect(await came(buildings, 'pieces')).toBe(0);
    }));

  it('sends nothing in the clear while the tunnel is down, and is whole with the next daemon', () =>
    withLab({}, async (lab) => {
      const buildings = await build(lab, example);
      const { a, pcA, pcB } = buildings;
      await pcA.configure('eth0', `${PC_A}/24`);
      await pcB.configure('eth0', `${PC_B}/24`);
      await firstPing(pcA, PC_B);
      // While it is down, wg0 keeps its address, from which VXLAN would send to another route.
      for (const word of ['down', 'destroy']) {
        await a.run('tswg', ['wg0', word]);
        expect((await ping(pcA, PC_B, { deadlineMs: 1000 })).received).toBe(0);
        expect(await came(buildings, 'others'), word).toBe(0);
      }
      await example.boot(a);
      await firstPing(pcA, PC_B);
    }));
});
