/** Lines that come and go as interfaces, as a modem's does, and machines that have one family alone. */

import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { NameServer, useNameServers } from '../lab/nameserver.ts';
import { firstPing, PingTrain } from '../lab/probes.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { createKeyPair, TunnelEnd } from '../lab/tunnel.ts';

const NAME = 'gw.example.net';
const [INNER_NEAR, INNER_FAR] = ['10.9.0.1', '10.9.0.2'];

/** The line ppp0 of the host comes up, with another index than before. */
async function dialIn(host: Host, far: Host): Promise<number> {
  await host.connect('ppp0', far, 'ppp0');
  await far.configure('ppp0', '192.0.2.2/24');
  await host.configure('ppp0', '192.0.2.1/24');
  return Number(await host.run('cat', ['/sys/class/net/ppp0/ifindex']));
}

describeInLab('a line that comes and goes', ['wg', 'tswg', 'stdbuf'], () => {
  it.each([
    ['a way over it', 'via ppp0', []],
    ['a tunnel bound to it', '', ['wgbind ppp0']],
  ])('takes %s along, with the same session', (_, via, lines) =>
    withLab({}, async (lab) => {
      const [host, farHost] = await lab.hosts('near', 'far');
      const far = await TunnelEnd.start(farHost, [`${INNER_FAR}/24`]);
      const keys = createKeyPair();
      await far.addPeer({ publicKey: keys.publicKey, allowedIps: [`${INNER_NEAR}/32`] });
      await host.writeFile('/etc/wg/private.key', `${keys.privateKey}\n`);
      const file = [
        'wgkeyfile /etc/wg/private.key wgport 51820',
        ...lines,
        `inet ${INNER_NEAR}/24`,
        `wgpeer ${far.keys.publicKey} wgendpoint 192.0.2.2 51820 ${via} wgaip ${INNER_FAR}/32`,
        'up',
      ];
      await host.writeFile('/etc/hostname.wg0', `${file.join('\n')}\n`);
      // At boot the line is not there yet.
      const { status } = await host.exec('tswg', ['netstart', 'wg0']);
      expect(status).toBe(0);
      expect(await host.run('tswg', ['wg0'])).toMatch(/ppp0.*no such interface/);
      const index = await dialIn(host, farHost);
      console.log(
        `ppp0 is there: ${(await firstPing(host, INNER_FAR)).toFixed(0)} ms to an answer`,
      );
      const { latestHandshake } = await far.peerDump();
      for (let round = 0; round < 3; round++) {
        await host.ip('link delete ppp0');
        await waitFor(
          async () => /ppp0.*no such interface/.test(await host.run('tswg', ['wg0'])),
          'what is said of it',
        );
        // Its number is taken.
        await host.ip(`link add idle${round} type veth peer name other${round}`);
        const next = await dialIn(host, farHost);
        const back = performance.now();
        expect(next).not.toBe(index);
        const train = new PingTrain(host, INNER_FAR, 10);
        await waitFor(() => train.received > 0, 'an answer');
        const ms = (performance.now() - back).toFixed(0);
        await waitFor(() => train.received > 20, 'answers');
        await train.stop();
        console.log(`ppp0 is back with another index${via && ', via it'}: ${ms} ms to an answer`);
        expect(await host.run('tswg', ['wg0'])).not.toMatch(/no such interface/);
      }
      expect((await far.peerDump()).latestHandshake).toBe(latestHandshake);
      await host.run('tswg', ['wg0', 'destroy']);
    }),
  );
});

describeInLab('a machine without IPv4', ['wg', 'tswg'], () => {
  it.each([
    ['a name', '', []],
    ['a name, via its interface', 'via wan', []],
    ['a name, bound to its address', '', ['wgbind 2001:db8::1']],
  ])('has a tunnel to %s with an A that leads nowhere', (_, via, lines) =>
    withLab({}, async (lab) => {
      const [host, farHost] = await lab.hosts('near', 'far');
      await host.ip('address flush dev lo scope host');
      await host.ip('-6 address add ::1/128 dev lo');
      await host.connect('wan', farHost, 'wan');
      await host.configure('wan', '2001:db8::1/64');
      await farHost.configure('wan', '2001:db8::2/64');
      const far = await TunnelEnd.start(farHost, ['fd00:9::2/64']);
      const keys = createKeyPair();
      await far.addPeer({ publicKey: keys.publicKey, allowedIps: ['fd00:9::1/128'] });
      const server = await NameServer.start(host, ['::1']);
      await useNameServers(host, ['::1']);
      await server.set(NAME, ['192.0.2.2', '2001:db8::2']);
      await host.writeFile('/etc/wg/private.key', `${keys.privateKey}\n`);
      const file = [
        'wgkeyfile /etc/wg/private.key wgport 51820',
        ...lines,
        'inet6 fd00:9::1/64',
        `wgpeer ${far.keys.publicKey} wgendpoint ${NAME} 51820 ${via} wgaip fd00:9::2/128`,
        'up',
      ];
      await host.writeFile('/etc/hostname.wg0', `${file.join('\n')}\n`);
      const { status, stderr } = await host.exec('tswg', ['netstart', 'wg0']);
      expect([status, stderr]).toEqual([0, '']);
      const ms = await firstPing(host, 'fd00:9::2');
      console.log(`IPv6 alone${via && `, ${via}`}: ${ms.toFixed(0)} ms to the first answer`);
      expect(await host.run('tswg', ['wg0'])).toContain(`wgendpoint ${NAME} 51820`);
      await host.run('tswg', ['wg0', 'destroy']);
    }),
  );
});
