import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, ping } from '../lab/probes.ts';
import { describeOnBothPaths, withLab } from '../lab/suite.ts';
import { buildPair, INNER, OUTER_RIGHT, type Pair } from '../lab/tunnel.ts';

const [, RIGHT] = INNER[4];
/** Each packet that was sent, and what else there may be; a loop makes thousands of each. */
const FEW_PACKETS = 50;
const LINE = 'route: wgendpoint is routed into this interface';

/** A mark that no rule knows: whoever sets one makes the rules, and no way around is looked for. */
const IDLE_MARK = 7;

describeOnBothPaths('an endpoint that is routed into the tunnel', ['wg', 'tswg'], (env) => {
  it.each([
    [4, OUTER_RIGHT],
    [6, '2001:db8::2'],
  ] as const)('is reached around it: IPv%i', (outer, address) =>
    withLab(env, async (lab) => {
      const { left } = await buildEverything(lab, outer);
      const { host } = left;
      await host.ip(`route add ${address} dev wg0`);
      // What is sent before the kernel has told of the route goes that way, and is dropped.
      await firstPing(host, RIGHT);
      const before = await entered(host);
      const report = await ping(host, RIGHT, { count: 5 });
      expect(report.received, report.text).toBe(5);
      expect((await entered(host)) - before).toBeLessThan(FEW_PACKETS);
      expect(await host.run('tswg', ['wg0'])).not.toContain(LINE);
      expect(left.daemon.stderr).not.toContain('is routed into the tunnel itself');
    }),
  );

  it.each([
    [4, OUTER_RIGHT],
    [6, '2001:db8::2'],
  ] as const)('ends in no loop with a mark: IPv%i', (outer, address) =>
    withLab(env, async (lab) => {
      const { left } = await buildEverything(lab, outer);
      const { host } = left;
      await left.set(`fwmark ${IDLE_MARK}`);
      await host.ip(`route add ${address} dev wg0`);
      const before = await entered(host);
      const lost = await ping(host, RIGHT, { count: 5, deadlineMs: 1_000 });

      expect(lost.received).toBe(0);
      expect((await entered(host)) - before).toBeLessThan(FEW_PACKETS);
      expect(await host.run('tswg', ['wg0'])).toContain(LINE);
      expect(await host.run('tswg', ['wg0', 'stats'])).toMatch(/[5-9] {2}routingLoop/);
      await ping(host, RIGHT, { count: 2, deadlineMs: 1_000 });
      expect(left.daemon.stderr.match(/is routed into the tunnel itself/g)?.length).toBe(1);

      await host.ip(`route delete ${address} dev wg0`);
      const back = await ping(host, RIGHT);
      expect(back.received, back.text).toBe(1);
      expect(await host.run('tswg', ['wg0'])).not.toContain(LINE);
      expect(left.daemon.stderr).toContain('is not routed into the tunnel any more');
    }),
  );

  it('is known by rules too, and left as soon as the mark is that which they ask for', () =>
    withLab(env, async (lab) => {
      const { left } = await buildEverything(lab, 4);
      const { host } = left;
      await left.set(`fwmark ${IDLE_MARK}`);
      await host.ip('route add default dev wg0 table 51820');
      await host.ip('rule add not fwmark 51820 table 51820');
      const before = await entered(host);
      expect((await ping(host, RIGHT, { count: 3, deadlineMs: 1_000 })).received).toBe(0);
      expect((await entered(host)) - before).toBeLessThan(FEW_PACKETS);
      expect(await host.run('tswg', ['wg0'])).toContain(LINE);

      await left.set('fwmark 51820');
      const back = await ping(host, RIGHT);
      expect(back.received, back.text).toBe(1);
      await host.ip('rule delete not fwmark 51820 table 51820');
      await left.set('fwmark 0');
      expect((await ping(host, RIGHT)).received).toBe(1);
    }));

  it('is known when the uplink goes down and leaves only the way into the tunnel', () =>
    withLab(env, async (lab) => {
      const { left } = await buildEverything(lab, 4);
      const { host } = left;
      await host.ip('route add default dev wg0');
      await host.ip('link set wan down');
      const before = await entered(host);
      expect((await ping(host, RIGHT, { count: 3, deadlineMs: 1_000 })).received).toBe(0);
      expect((await entered(host)) - before).toBeLessThan(FEW_PACKETS);
      expect(await host.run('tswg', ['wg0'])).toContain(LINE);
      await host.ip('link set wan up');
      await firstPing(host, RIGHT);
    }));

  it('is none where the interface is in another network, where its number means another link', () =>
    withLab(env, async (lab) => {
      const { left } = await buildEverything(lab, 4);
      const { host, daemon } = left;
      const other = await lab.host('container');
      await host.moveLink('wg0', other);
      await other.configure('wg0', `${INNER[4][0]}/24`);
      await firstPing(other, RIGHT);
      const index = (await other.run('cat', ['/sys/class/net/wg0/ifindex'])).trim();
      await host.ip(`link add name same index ${index} type veth peer name end`);
      await host.ip('link set same up');
      await host.ip(`route add ${OUTER_RIGHT} dev same`);
      expect((await ping(other, RIGHT, { deadlineMs: 1_000 })).received).toBe(0);
      expect(daemon.stderr).not.toContain('routed into the tunnel');
      await host.ip(`route delete ${OUTER_RIGHT} dev same`);
      await firstPing(other, RIGHT);
    }));
});

/** A pair with a session, in which everything is allowed to the right side. */
async function buildEverything(lab: Lab, outer: 4 | 6): Promise<Pair> {
  const pair = await buildPair(lab, { outer });
  await pair.left.set(`peer ${pair.right.keys.publicKey} allowed-ips 0.0.0.0/0,::/0`);
  await firstPing(pair.left.host, RIGHT);
  await waitFor(async () => (await pair.left.peerDump()).latestHandshake > 0, 'a handshake');
  return pair;
}

/** Packets that the kernel has put into the interface. */
async function entered(host: Host): Promise<number> {
  return Number(await host.run('cat', ['/sys/class/net/wg0/statistics/tx_packets']));
}
