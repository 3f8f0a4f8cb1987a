import path from 'node:path';
import { expect, it } from 'vitest';
import { buildHandbook, type Site } from '../lab/handbook.ts';
import { ping } from '../lab/probes.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { describeOnBothPaths, withLab } from '../lab/suite.ts';
import { readTally, startTally } from '../lab/tally.ts';
import { transfer } from '../lab/transfer.ts';
import { createKeyPair, type KeyPair, TUNNEL_PORT } from '../lab/tunnel.ts';

const FILE_BYTES = 20_000_000;

async function boot(site: Site, name: string, otherName: string, own: KeyPair, other: KeyPair) {
  await site.gateway.writeFile('/etc/wg/private.key', `${own.privateKey}\n`);
  await site.gateway.writeFile(`/etc/wg/${otherName}.pub`, `${other.publicKey}\n`);
  const script = path.join(REPOSITORY, 'examples', `${name}.sh`);
  expect(await site.gateway.exec('sh', [script])).toEqual({ status: 0, stdout: '', stderr: '' });
}

describeOnBothPaths("the handbook's two sites", ['nft'], (env) => {
  it('talk through the tunnel, and nothing else passes between them', () =>
    withLab(env, async (lab) => {
      const { siteA, siteB, router, routerInterfaces } = await buildHandbook(lab);
      const [keysA, keysB] = [createKeyPair(), createKeyPair()];
      await boot(siteA, 'site-a', 'site-b', keysA, keysB);
      await boot(siteB, 'site-b', 'site-a', keysB, keysA);
      await startTally(router, routerInterfaces, TUNNEL_PORT);

      const there = await ping(siteA.host, siteB.hostAddress, { count: 3 });
      expect(there.received, there.text).toBe(3);
      const back = await ping(siteB.host, siteA.hostAddress, { count: 3 });
      expect(back.received, back.text).toBe(3);
      const report = await transfer(siteB.host, siteA.host, siteB.hostAddress, FILE_BYTES);
      expect(report.bytes).toBe(FILE_BYTES);
      expect(report.receivedDigest).toBe(report.sentDigest);

      const tally = await readTally(router);
      expect(tally.others.packets).toBe(0);
      expect(tally.tunnel.bytes).toBeGreaterThan(FILE_BYTES);
    }));

  it('are set up but for the peer while its key is missing, and whole when it is there', () =>
    withLab(env, async (lab) => {
      const { siteA, siteB } = await buildHandbook(lab);
      const [keysA, keysB] = [createKeyPair(), createKeyPair()];
      const script = path.join(REPOSITORY, 'examples', 'site-a.sh');
      expect(await siteA.gateway.exec('sh', [script])).toEqual({
        status: 1,
        stdout: '',
        stderr: `${script}: /etc/wg/site-b.pub is missing: put site B's public key there and run this again\n`,
      });
      const bare = await siteA.gateway.run('tswg', ['wg0']);
      expect(bare).toContain('\n\twgport 51820\n');
      expect(bare).toContain('\n\tinet 10.99.0.1 ');
      expect(bare).toContain('\n\twgpubkey ');

      await boot(siteA, 'site-a', 'site-b', keysA, keysB);
      await boot(siteB, 'site-b', 'site-a', keysB, keysA);
      const there = await ping(siteA.host, siteB.hostAddress, { count: 3 });
      expect(there.received, there.text).toBe(3);
      // As after any change.
      const again = await siteA.gateway.exec('sh', [script]);
      expect(again).toEqual({ status: 0, stdout: '', stderr: '' });
    }));

  it('are shown by tswg as ifconfig shows them', () =>
    withLab(env, async (lab) => {
      const { siteA, siteB } = await buildHandbook(lab);
      const [keysA, keysB] = [createKeyPair(), createKeyPair()];
      await boot(siteA, 'site-a', 'site-b', keysA, keysB);
      await boot(siteB, 'site-b', 'site-a', keysB, keysA);
      await ping(siteA.host, siteB.hostAddress);

      const shown = await siteA.gateway.run('tswg', ['wg0']);
      expect(shown).toMatch(/^wg0: flags=\w+<UP,.*RUNNING.*> mtu 1420\n/);
      expect(shown).toContain('\n\twgport 51820\n');
      expect(shown).toContain(`\n\twgpubkey ${keysA.publicKey}\n`);
      expect(shown).toContain(`\n\twgpeer ${keysB.publicKey}\n\t\twgdescr: site B\n`);
      expect(shown).toContain('\n\t\twgendpoint 203.0.113.10 51820\n');
      expect(shown).toMatch(/\n\t\ttx: \d+, rx: \d+\n\t\tlast handshake: \d+ seconds? ago\n/);
      expect(shown).toContain('\n\t\twgaip 10.99.0.2/32\n\t\twgaip 10.20.0.0/24\n');
      expect(shown).toContain('\n\tinet 10.99.0.1 ');
      expect(shown).not.toContain(keysA.privateKey);
      expect(await siteA.gateway.run('tswg')).toMatch(/^wan: flags=/m);
    }));
});
