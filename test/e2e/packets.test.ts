import { expect, it } from 'vitest';
import { Capture, type CapturedPacket } from '../lab/capture.ts';
import { HANG_MS, sleep, waitFor } from '../lab/command.ts';
import { firstPing, ping } from '../lab/probes.ts';
import { describeOnBothPaths, withLab } from '../lab/suite.ts';
import { buildPair, createKeyPair, INNER, TunnelEnd } from '../lab/tunnel.ts';

const [LEFT, RIGHT] = INNER[4];
const PROTOCOL_ICMP = 1;
const DATA_MESSAGE = 4;
const HANDSHAKE_BYTES = new Map([
  [1, 148],
  [2, 92],
]);
/** Assured forwarding class 4, low drop, as the kernel marks handshakes. */
const AF41 = 0x88;

describeOnBothPaths('packets', ['wg', 'nft', 'tcpdump'], (env) => {
  it('are plaintext on the interface and ciphertext on the wire', () =>
    withLab(env, async (lab) => {
      const { left } = await buildPair(lab);
      const [inside, outside] = await Promise.all([
        Capture.start(left.host, 'wg0'),
        Capture.start(left.host, 'wan', 'udp'),
      ]);
      await ping(left.host, RIGHT, { count: 3, size: 100, deadlineMs: HANG_MS });
      await waitFor(() => inside.packets.length >= 6, 'six packets');
      const plain = await inside.stop();
      expect(plain).toHaveLength(6);
      for (const packet of plain) {
        expect(packet).toMatchObject({ family: 4, protocol: PROTOCOL_ICMP, length: 128 });
      }
      const [echo] = plain;
      expect(echo).toMatchObject({ source: LEFT, destination: RIGHT });

      const sealed = await outside.stop();
      const pattern = echo.payload.subarray(24, 64);
      for (const packet of sealed) expect(packet.payload.includes(pattern)).toBe(false);
      // Initiation, response, and data from then on: padded to 16 bytes, 32 more of WireGuard.
      const lengths = sealed.map((packet) => packet.length - (14 + 20 + 8));
      expect(lengths.slice(0, 2)).toEqual([148, 92]);
      expect(lengths.filter((length) => length === 128 + 32).length).toBe(6);
    }));

  it('of a handshake are marked AF41, and of data not', () =>
    withLab(env, async (lab) => {
      const { left } = await buildPair(lab);
      const capture = await Capture.start(left.host, 'wan', 'udp');
      const isData = (packet: CapturedPacket) => packet.payload[0] === DATA_MESSAGE;
      const isHandshake = (packet: CapturedPacket) => HANDSHAKE_BYTES.has(packet.payload[0]);
      await firstPing(left.host, RIGHT);
      await ping(left.host, RIGHT);
      await waitFor(() => capture.packets.filter(isData).length >= 4, 'two pings on the wire');
      const packets = await capture.stop();
      // A busy machine may have the handshake repeated.
      const handshakes = packets.filter(isHandshake);
      expect(new Set(handshakes.map(({ payload }) => payload[0]))).toEqual(new Set([1, 2]));
      for (const packet of handshakes) expect(packet.trafficClass).toBe(AF41);
      const data = packets.filter(isData);
      expect(data.length).toBeGreaterThanOrEqual(4);
      for (const packet of data) expect(packet.trafficClass).toBe(0);
    }));

  it('carry congestion marks across the tunnel as RFC 6040 says', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab);
      await firstPing(left.host, RIGHT);
      await right.host.nft(`table ip congestion {
        chain prerouting {
          type filter hook prerouting priority -300
          iifname "wan" udp dport 51820 ip ecn != not-ect ip ecn set ce
        }
      }`);
      const [outside, inside] = await Promise.all([
        Capture.start(left.host, 'wan', 'udp and src host 192.0.2.1'),
        Capture.start(right.host, 'wg0', `icmp and src host ${LEFT}`),
      ]);
      // Inner ECN and DSCP -> outer byte, and what comes out where every capable packet is marked.
      const rows = [
        { sent: 0b00, outer: 0b00, received: 0b00 },
        { sent: 0b01, outer: 0b01, received: 0b11 },
        { sent: 0b10, outer: 0b10, received: 0b11 },
        { sent: 0b11, outer: 0b11, received: 0b11 },
        { sent: 0xb8 | 0b10, outer: 0b10, received: 0xb8 | 0b11 },
      ];
      for (const { sent } of rows) {
        const args = ['-c', '1', '-W', '1', '-Q', `${sent}`, RIGHT];
        expect((await left.host.exec('ping', args)).status).toBe(0);
      }
      const outerBytes = (await outside.stop())
        .filter((packet) => packet.payload[0] === DATA_MESSAGE && packet.payload.length > 100)
        .map((packet) => packet.trafficClass);
      expect(outerBytes).toEqual(rows.map((row) => row.outer));
      const innerBytes = (await inside.stop()).map((packet) => packet.trafficClass);
      expect(innerBytes).toEqual(rows.map((row) => row.received));
    }));

  it('that no peer is allowed are answered as unreachable', () =>
    withLab(env, async (lab) => {
      const { left } = await buildPair(lab);
      await left.host.ip('route add 10.50.0.0/16 dev wg0');
      await left.host.ip('route add fd50::/16 dev wg0');
      const ipv4 = await ping(left.host, '10.50.0.1');
      expect(ipv4.text).toMatch(/Destination Host Unreachable/);
      const ipv6 = await ping(left.host, 'fd50::1');
      expect(ipv6.text).toMatch(/Destination unreachable: Address unreachable/);
    }));

  it('for a peer without an endpoint are answered as unreachable', () =>
    withLab(env, async (lab) => {
      const { left } = await buildPair(lab);
      await left.addPeer({
        publicKey: createKeyPair().publicKey,
        allowedIps: ['10.50.0.0/16', 'fd50::/16'],
      });
      await left.host.ip('route add 10.50.0.0/16 dev wg0');
      await left.host.ip('route add fd50::/16 dev wg0');
      expect((await ping(left.host, '10.50.0.1')).text).toMatch(/Destination Host Unreachable/);
      expect((await ping(left.host, 'fd50::1')).text).toMatch(/Address unreachable/);
    }));

  it('whose source is not the peer’s do not come out', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab);
      await firstPing(left.host, RIGHT);
      await left.host.ip('address add 10.66.0.1/32 dev wg0');
      await right.host.ip('route add 10.66.0.0/16 dev wg0');
      const capture = await Capture.start(right.host, 'wg0');
      const report = await ping(left.host, RIGHT, { from: '10.66.0.1', deadlineMs: 300 });
      expect(report.received).toBe(0);
      expect((await ping(left.host, RIGHT)).received).toBe(1);
      const sources = new Set((await capture.stop()).map((packet) => packet.source));
      expect([...sources].sort()).toEqual([LEFT, RIGHT]);
      const stats = await right.host.run('tswg', ['wg0', 'stats']);
      expect(stats).toMatch(/1 +disallowedSource/);
    }));

  it('wait for the handshake, so that the first one arrives', () =>
    withLab(env, async (lab) => {
      const { left } = await buildPair(lab);
      const report = await ping(left.host, RIGHT, { count: 1 });
      expect(report.received, report.text).toBe(1);
    }));

  it('carry the firewall mark that was set', () =>
    withLab(env, async (lab) => {
      const { left } = await buildPair(lab);
      await left.host.nft(`table inet marks {
        counter seven { }
        counter nine { }
        chain output {
          type filter hook output priority 0
          meta mark 7 udp dport 51820 counter name seven
          meta mark 9 udp dport 51820 counter name nine
        }
      }`);
      const count = async (name: string) => {
        const text = await left.host.run('nft', ['list', 'counter', 'inet', 'marks', name]);
        return Number(/packets (\d+)/.exec(text)?.[1]);
      };
      await left.set('fwmark 7');
      expect((await ping(left.host, RIGHT)).received).toBe(1);
      const marked = await count('seven');
      expect(marked).toBeGreaterThanOrEqual(2);
      await left.set('fwmark 9');
      await ping(left.host, RIGHT);
      await left.set('fwmark off');
      await ping(left.host, RIGHT);
      await sleep(20);
      expect(await count('nine')).toBe(1);
      expect(await count('seven')).toBe(marked);
    }));

  it('follow a route through an interface that takes all of a machine’s traffic', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab);
      const everything = ['0.0.0.0/0', '::/0'];
      await left.addPeer({
        publicKey: right.keys.publicKey,
        allowedIps: everything,
        endpoint: '192.0.2.2:51820',
      });
      await left.set('fwmark 51820');
      await left.host.ip('route add default dev wg0 table 51820');
      await left.host.ip('rule add not fwmark 51820 table 51820');
      await left.host.ip('rule add table main suppress_prefixlength 0');
      await right.host.ip('address add 203.0.113.99/32 dev lo');
      const report = await ping(left.host, '203.0.113.99', { count: 2 });
      expect(report.received, report.text).toBe(2);
    }));

  it('pass between two interfaces of one machine', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab);
      const third = await lab.host('third');
      await right.host.connect('lan', third, 'wan');
      await right.host.configure('lan', '203.0.113.1/24');
      await third.configure('wan', '203.0.113.2/24');
      await right.host.forward();
      const far = await TunnelEnd.start(third, ['10.8.0.2/24']);
      const near = await TunnelEnd.start(right.host, ['10.8.0.1/24'], {
        ifname: 'wg1',
        port: 51_821,
      });
      await far.addPeer({
        publicKey: near.keys.publicKey,
        endpoint: '203.0.113.1:51821',
        allowedIps: ['10.8.0.0/24', '10.9.0.0/24'],
      });
      await near.addPeer({ publicKey: far.keys.publicKey, allowedIps: ['10.8.0.2/32'] });
      await left.set(
        `peer ${right.keys.publicKey} allowed-ips ${RIGHT}/32,10.8.0.0/24,fd00:9::2/128`,
      );
      await third.ip('route add 10.9.0.0/24 dev wg0');
      await left.host.ip('route add 10.8.0.0/24 dev wg0');
      await firstPing(third, '10.8.0.1');
      const report = await ping(left.host, '10.8.0.2', { count: 2, size: 1300 });
      expect(report.received, report.text).toBe(2);
    }));
});
