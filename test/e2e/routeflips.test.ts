import { expect, it } from 'vitest';
import { Capture } from '../lab/capture.ts';
import { sleep } from '../lab/command.ts';
import { firstPing } from '../lab/probes.ts';
import { describeOnBothPaths, withLab } from '../lab/suite.ts';
import { INNER, TunnelEnd } from '../lab/tunnel.ts';

const [LEFT, RIGHT] = INNER[4];
/** Behind both uplinks of the left side. */
const SERVER = '203.0.113.7';
const FIRST = ['192.0.2.1', '192.0.2.2'] as const;
const SECOND = ['198.51.100.1', '198.51.100.2'] as const;

describeOnBothPaths('a route that flips to another uplink', ['wg', 'tcpdump'], (env) => {
  it.each([
    ['is replaced', `ip route replace ${SERVER} via ${SECOND[1]}`],
    [
      'comes after changes of others',
      `ip route add 10.77.0.0/24 via ${FIRST[1]}; ip route add 10.78.0.0/24 via ${FIRST[1]}; ` +
        `ip route replace ${SERVER} via ${SECOND[1]}`,
    ],
  ])('takes the source address along before the next datagram: it %s', (_, flip) =>
    withLab(env, async (lab) => {
      const [left, right] = await lab.hosts('left', 'right');
      for (const [ifname, addresses] of Object.entries({ one: FIRST, two: SECOND })) {
        await left.connect(ifname, right, ifname);
        await left.configure(ifname, `${addresses[0]}/24`);
        await right.configure(ifname, `${addresses[1]}/24`);
      }
      await right.ip(`address add ${SERVER}/32 dev lo`);
      await left.ip(`route add ${SERVER} via ${FIRST[1]}`);
      const client = await TunnelEnd.start(left, [`${LEFT}/24`]);
      const server = await TunnelEnd.start(right, [`${RIGHT}/24`]);
      await server.addPeer({ publicKey: client.keys.publicKey, allowedIps: [`${LEFT}/32`] });
      await client.addPeer({
        publicKey: server.keys.publicKey,
        allowedIps: [`${RIGHT}/32`],
        endpoint: `${SERVER}:51820`,
      });
      await firstPing(left, RIGHT);
      expect((await server.peerDump()).endpoint).toBe(`${FIRST[0]}:51820`);
      // So long that the daemon waits for what comes first.
      await sleep(1_000);
      const wire = await Capture.start(left, 'two', 'udp');

      const { status, stdout } = await left.sh(`${flip}; ping -n -c 1 -W 2 ${RIGHT}`);

      expect(status, stdout).toBe(0);
      const sent = (await wire.stop()).filter(({ destination }) => destination === SERVER);
      expect(sent.length).toBeGreaterThan(0);
      expect([...new Set(sent.map(({ source }) => source))]).toEqual([SECOND[0]]);
      expect((await server.peerDump()).endpoint).toBe(`${SECOND[0]}:51820`);
    }),
  );
});
