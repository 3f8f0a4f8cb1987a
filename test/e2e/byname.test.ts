/**
 * A branch that knows its head office by two names: its example word for word, from a boot without a
 * name server to lines that die and a name that moves. The daemon is confined as always.
 */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { NameServer, useNameServers } from '../lab/nameserver.ts';
import { PingTrain, ping } from '../lab/probes.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { createKeyPair, TunnelEnd } from '../lab/tunnel.ts';

const GW = 'gw.example.net';
const BACKUP = 'backup.example.net';
/** Of the head office; the AAAA that is served in the end is nobody's. */
const FIRST = '203.0.113.10';
const SECOND = '198.51.100.20';
const MOVED = '203.0.113.77';
const CABLE = '192.0.2.2';
const DEAD = '2001:db8::dead';
const INNER_OFFICE = '10.99.0.2';

interface Branch {
  readonly host: Host;
  readonly office: TunnelEnd;
  readonly server: NameServer;
}

/** The head office is there; the branch has carried out the example, and no name is known yet. */
async function build(lab: Lab): Promise<Branch> {
  const [host, far] = await lab.hosts('branch', 'office');
  await host.connect('wan', far, 'wan');
  await host.configure('wan', '192.0.2.1/24', '2001:db8::1/64');
  await far.configure('wan', `${CABLE}/24`);
  await host.ip(`route add default via ${CABLE}`);
  for (const address of [FIRST, SECOND, MOVED]) await far.ip(`address add ${address}/32 dev lo`);
  const office = await TunnelEnd.start(far, [`${INNER_OFFICE}/30`]);
  const keys = createKeyPair();
  const allowedIps = ['10.99.0.1/32', '10.0.0.0/24'];
  await office.addPeer({ publicKey: keys.publicKey, allowedIps });
  const server = await NameServer.start(host, ['127.0.0.1']);
  await server.setAll({ '*': 'failing' });
  await useNameServers(host, ['127.0.0.1']);
  await host.writeFile('/etc/wg/private.key', `${keys.privateKey}\n`);
  const example = readFileSync(path.join(REPOSITORY, 'examples', 'hostname.by-name'), 'utf8');
  const wanted = example.replace(
    '#wgpeer PUBLIC_KEY_OF_HEAD_OFFICE',
    `wgpeer ${office.keys.publicKey}`,
  );
  await host.writeFile('/etc/hostname.wg0', wanted);
  const { status, stderr } = await host.exec('tswg', ['netstart', 'wg0']);
  expect([status, stderr]).toEqual([0, '']);
  return { host, office, server };
}

/**
 * Nothing comes to these addresses any more, nor from them, and nobody who sends is told so. Nor from the
 * office's end of the cable, which the office would call us from, and we would follow it there.
 */
async function kill({ host, office }: Branch, addresses: string): Promise<void> {
  const chain = 'chain input { type filter hook input priority 0;';
  await office.host.nft(`table ip dead { ${chain} ip daddr { ${addresses} } drop; }; }`);
  await host.nft(`table ip dead { ${chain} ip saddr { ${addresses}, ${CABLE} } drop; }; }`);
}

/** Waits until `tswg wg0` says so of the ways. */
async function waitForLine(host: Host, line: string): Promise<void> {
  const isSaid = async () => (await host.run('tswg', ['wg0'])).includes(`wgendpoint ${line}`);
  await waitFor(isSaid, line).catch(async (error: Error) => {
    throw new Error(`${error.message}\n${await host.run('tswg', ['wg0'])}`);
  });
}

describeInLab('a head office by name', ['wg', 'tswg', 'stdbuf', 'nft'], () => {
  it('is found when its name comes, over the second name when it dies, and where it moves to', () =>
    withLab({}, async (lab) => {
      const branch = await build(lab);
      const { host, server } = branch;
      await waitForLine(host, `${GW} 51820 (not resolved: EAI_AGAIN)`);
      // One after the other: the peer is called where it is first known to be.
      await server.set(GW, [FIRST]);
      // As long as the peer is nowhere, a ping ends with the error that says so.
      const isThere = async () =>
        (await ping(host, INNER_OFFICE, { deadlineMs: 200 })).received > 0;
      await waitFor(isThere, 'the head office');
      await waitForLine(host, `${GW} 51820 (${FIRST}, in use)`);
      await server.set(BACKUP, [SECOND]);
      await waitForLine(host, `${BACKUP} 51820 (${SECOND})`);

      const steps: readonly [what: string, dead: string, line: string][] = [
        ['the first line dies', FIRST, `${BACKUP} 51820 (${SECOND}, in use)`],
        [
          'the second one dies, the first has moved',
          `${FIRST}, ${SECOND}`,
          `${GW} 51820 (${MOVED}, in use)`,
        ],
      ];
      for (const [what, dead, line] of steps) {
        const train = new PingTrain(host, INNER_OFFICE, 10);
        await waitFor(async () => train.received > 20, 'answers');
        await kill(branch, dead);
        await waitForLine(host, line);
        const before = train.received;
        await waitFor(async () => train.received > before + 20, `answers after: ${what}`);
        const { lost } = await train.stop();
        console.info(`a head office by name: ${what}: ${lost * 10} ms of the ping lost`);
        await server.set(GW, [DEAD, MOVED]);
      }
      expect(await host.run('tswg', ['wg0', 'stats'])).toMatch(/resolver sandbox seccomp: all/);
      await host.run('tswg', ['wg0', 'destroy']);
    }));
});
