import { expect, it } from 'vitest';
import { Capture } from '../lab/capture.ts';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, PingTrain, ping } from '../lab/probes.ts';
import { describeOnBothPaths, withLab } from '../lab/suite.ts';
import { buildPair, INNER, OUTER_LEFT, OUTER_RIGHT, TunnelEnd } from '../lab/tunnel.ts';

const [LEFT, RIGHT] = INNER[4];
const SECOND_RIGHT = '192.0.2.202';

describeOnBothPaths('roaming', ['wg', 'nft', 'tcpdump', 'stdbuf'], (env) => {
  it('follows a client that changes its address in the middle of a flow', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab);
      await firstPing(left.host, RIGHT);
      expect((await right.peerDump()).endpoint).toBe(`${OUTER_LEFT}:51820`);
      const { latestHandshake } = await left.peerDump();
      const train = new PingTrain(left.host, RIGHT);
      await waitFor(() => train.received > 5, 'a running train');

      await left.host.ip('address add 192.0.2.77/24 dev wan');
      await left.host.ip(`address delete ${OUTER_LEFT}/24 dev wan`);
      // Deleting a primary address takes its secondaries along unless told otherwise.
      await left.host.exec('ip', ['address', 'add', '192.0.2.77/24', 'dev', 'wan']);

      await waitFor(
        async () => (await right.peerDump()).endpoint === '192.0.2.77:51820',
        'the new endpoint',
      );
      const before = train.received;
      await waitFor(() => train.received > before + 10, 'answers from the new address');
      const report = await train.stop();
      console.info(`another address: ${report.lost} of ${report.sent} pings lost`);
      // No new handshake was needed for it.
      expect((await left.peerDump()).latestHandshake).toBe(latestHandshake);
      // The server finds the client by itself, too.
      expect((await ping(right.host, LEFT)).received).toBe(1);
    }));

  it('follows a client whose NAT forgets it in the middle of a flow', () =>
    withLab(env, async (lab) => {
      const { client, server, nat } = await buildNat(lab);
      await rebind(nat, 40_000);
      await firstPing(client.host, RIGHT);
      expect((await server.peerDump()).endpoint).toBe('198.51.100.2:40000');
      const { latestHandshake } = await client.peerDump();
      const train = new PingTrain(client.host, RIGHT);
      await waitFor(() => train.received > 5, 'a running train');

      await rebind(nat, 40_001);

      await waitFor(
        async () => (await server.peerDump()).endpoint === '198.51.100.2:40001',
        'the new port',
      );
      const before = train.received;
      await waitFor(() => train.received > before + 10, 'answers through the new binding');
      const report = await train.stop();
      console.info(`another binding: ${report.lost} of ${report.sent} pings lost`);
      // No new handshake was needed for it.
      expect((await client.peerDump()).latestHandshake).toBe(latestHandshake);
    }));

  it('answers from the address that was asked, and from another when that one goes', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab);
      await right.host.ip(`address add ${SECOND_RIGHT}/24 dev wan`);
      await left.set(`peer ${right.keys.publicKey} endpoint ${SECOND_RIGHT}:51820`);
      const capture = await Capture.start(left.host, 'wan', 'udp');
      const report = await ping(left.host, RIGHT, { count: 3 });
      expect(report.received, report.text).toBe(3);
      const packets = await capture.stop();
      const sources = new Set(packets.map((packet) => packet.source));
      expect([...sources].sort()).toEqual([OUTER_LEFT, SECOND_RIGHT]);
      expect((await left.peerDump()).endpoint).toBe(`${SECOND_RIGHT}:51820`);

      await right.host.ip(`address delete ${SECOND_RIGHT}/24 dev wan`);

      const after = await ping(right.host, LEFT, { count: 5 });
      expect(after.received, after.text).toBeGreaterThanOrEqual(4);
      expect((await left.peerDump()).endpoint).toBe(`${OUTER_RIGHT}:51820`);
      expect((await ping(left.host, RIGHT)).received).toBe(1);
    }));

  it('answers from the IPv6 address that was asked', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab, { outer: 6 });
      await right.host.ip('address add 2001:db8::beef/64 dev wan nodad');
      await left.set(`peer ${right.keys.publicKey} endpoint [2001:db8::beef]:51820`);
      const report = await ping(left.host, RIGHT, { count: 3 });
      expect(report.received, report.text).toBe(3);
      expect((await left.peerDump()).endpoint).toBe('[2001:db8::beef]:51820');
    }));

  it('goes on when either side changes its listen port in the middle of a flow', () =>
    withLab(env, async (lab) => {
      const { left, right } = await buildPair(lab);
      await firstPing(left.host, RIGHT);
      const { latestHandshake } = await left.peerDump();
      const trains = [new PingTrain(left.host, RIGHT), new PingTrain(right.host, LEFT)];
      await waitFor(() => trains.every((train) => train.received > 5), 'running trains');

      await left.set('listen-port 40100');
      await waitFor(
        async () => (await right.peerDump()).endpoint === `${OUTER_LEFT}:40100`,
        'the new port of the left side',
      );
      await right.set('listen-port 40200');
      await waitFor(
        async () => (await left.peerDump()).endpoint === `${OUTER_RIGHT}:40200`,
        'the new port of the right side',
      );
      for (const train of trains) {
        const before = train.received;
        await waitFor(() => train.received > before + 10, 'answers through the new ports');
      }
      for (const train of trains) {
        const report = await train.stop();
        console.info(`other ports: ${report.lost} of ${report.sent} pings lost`);
      }
      expect((await left.peerDump()).latestHandshake).toBe(latestHandshake);
      expect((await left.dump()).listenPort).toBe(40_100);
    }));
});

interface Nat {
  readonly client: TunnelEnd;
  readonly server: TunnelEnd;
  readonly nat: Host;
}

/** A client in a private network, behind a NAT, of a server on the Internet. */
async function buildNat(lab: Lab): Promise<Nat> {
  const [inside, nat, outside] = await lab.hosts('client', 'nat', 'server');
  await inside.connect('lan', nat, 'lan');
  await nat.connect('wan', outside, 'wan');
  await inside.configure('lan', '192.168.1.5/24');
  await nat.configure('lan', '192.168.1.1/24');
  await nat.configure('wan', '198.51.100.2/24');
  await outside.configure('wan', '198.51.100.1/24');
  await inside.ip('route add default via 192.168.1.1');
  await nat.forward();
  const client = await TunnelEnd.start(inside, [`${LEFT}/24`]);
  const server = await TunnelEnd.start(outside, [`${RIGHT}/24`]);
  await server.addPeer({ publicKey: client.keys.publicKey, allowedIps: [`${LEFT}/32`] });
  await client.addPeer({
    publicKey: server.keys.publicKey,
    allowedIps: [`${RIGHT}/32`],
    endpoint: '198.51.100.1:51820',
  });
  return { client, server, nat };
}

/** Makes the NAT forget its bindings and use another port from now on. */
async function rebind(nat: Host, port: number): Promise<void> {
  await nat.nft(`table ip nat {
    chain postrouting {
      type nat hook postrouting priority 100
      oifname "wan" meta l4proto udp masquerade to :${port}
    }
  }`);
  // When an address goes, masquerading drops the connections that used it.
  await nat.ip('address delete 198.51.100.2/24 dev wan');
  await nat.ip('address add 198.51.100.2/24 dev wan');
}
