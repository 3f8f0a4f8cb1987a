import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import { NameServer, useNameServers } from '../lab/nameserver.ts';
import { firstPing } from '../lab/probes.ts';
import { describeOnBothPaths, withLab } from '../lab/suite.ts';
import { createKeyPair, INNER, OUR_DAEMON, parseDump, TunnelEnd } from '../lab/tunnel.ts';
import { withoutKernelWireguard } from '../lab/wgquick.ts';

const [LEFT, RIGHT] = INNER[4];
const SERVER = '192.0.2.2';

describeOnBothPaths('wg-quick', ['wg', 'wg-quick', 'nft', 'sysctl'], (env) => {
  const quick = { env: { WG_QUICK_USERSPACE_IMPLEMENTATION: OUR_DAEMON } };

  for (const [what, allowedIps] of [
    ['the peer’s address', `${RIGHT}/32`],
    ['all addresses, which takes a fwmark and a routing table', '0.0.0.0/0, ::/0'],
  ]) {
    it(`up, traffic and down, with ${what}`, () =>
      withLab(env, async (lab) => {
        const [client, serverHost] = await lab.hosts('client', 'server');
        await client.connect('wan', serverHost, 'wan');
        await client.configure('wan', '192.0.2.1/24');
        await serverHost.configure('wan', `${SERVER}/24`);
        await client.ip(`route add default via ${SERVER}`);
        const keys = createKeyPair();
        const server = await TunnelEnd.start(serverHost, [`${RIGHT}/24`]);
        await server.addPeer({ publicKey: keys.publicKey, allowedIps: [`${LEFT}/32`] });
        await withoutKernelWireguard(client);
        const conf = `[Interface]
          PrivateKey = ${keys.privateKey}
          Address = ${LEFT}/32
          PostUp = echo up %i >/run/lab/hook
          PreDown = echo down %i >/run/lab/hook
          [Peer]
          PublicKey = ${server.keys.publicKey}
          Endpoint = ${SERVER}:51820
          AllowedIPs = ${allowedIps}`;
        await client.writeFile('/etc/wireguard/wg0.conf', conf);

        for (const round of ['first', 'second']) {
          await client.run('wg-quick', ['up', 'wg0'], quick);
          await firstPing(client, RIGHT);
          const { peers } = parseDump(await client.run('wg', ['show', 'wg0', 'dump']));
          expect(peers[0].latestHandshake, round).toBeGreaterThan(0);
          expect(await client.run('cat', ['/run/lab/hook'])).toBe('up wg0\n');
          expect(await client.run('cat', ['/sys/class/net/wg0/mtu'])).toBe('1420\n');

          await client.run('wg-quick', ['down', 'wg0'], quick);
          expect(await client.run('cat', ['/run/lab/hook'])).toBe('down wg0\n');
          const isGone = async () => (await client.run('wg', ['show', 'interfaces'])) === '';
          await waitFor(isGone, 'the end of the daemon');
          expect((await client.exec('ip', ['link', 'show', 'wg0'])).status).not.toBe(0);
          expect((await client.sh('ls /var/run/wireguard')).stdout).toBe('');
        }
      }));
  }

  it('resolves a name by itself, once, and the daemon has an address and no resolver', () =>
    withLab(env, async (lab) => {
      const [client, serverHost] = await lab.hosts('client', 'server');
      await client.connect('wan', serverHost, 'wan');
      await client.configure('wan', '192.0.2.1/24');
      await serverHost.configure('wan', `${SERVER}/24`);
      const keys = createKeyPair();
      const server = await TunnelEnd.start(serverHost, [`${RIGHT}/24`]);
      await server.addPeer({ publicKey: keys.publicKey, allowedIps: [`${LEFT}/32`] });
      await withoutKernelWireguard(client);
      const names = await NameServer.start(client, ['127.0.0.1']);
      await names.set('gw.example.net', [SERVER]);
      await useNameServers(client, ['127.0.0.1']);
      const conf = `[Interface]
        PrivateKey = ${keys.privateKey}
        Address = ${LEFT}/32
        [Peer]
        PublicKey = ${server.keys.publicKey}
        Endpoint = gw.example.net:51820
        AllowedIPs = ${RIGHT}/32`;
      await client.writeFile('/etc/wireguard/wg0.conf', conf);
      await client.run('wg-quick', ['up', 'wg0'], quick);
      await firstPing(client, RIGHT);
      const asked = names.queries('gw.example.net').length;
      expect(await client.run('tswg', ['wg0'])).toContain(`wgendpoint ${SERVER} 51820\n`);
      expect(await client.run('wg', ['showconf', 'wg0'])).toContain(`Endpoint = ${SERVER}:51820`);
      await client.ip('route add 203.0.113.0/24 dev wan');
      await firstPing(client, RIGHT);
      expect(names.queries('gw.example.net')).toHaveLength(asked);
      expect((await client.exec('pgrep', ['-x', 'tswgd-resolver'])).status).toBe(1);
      await client.run('wg-quick', ['down', 'wg0'], quick);
    }));

  it('up, and down after a persistent daemon was killed and started again', () =>
    withLab(env, async (lab) => {
      const host = await lab.host('host');
      await host.run('mount', ['-t', 'tmpfs', 'tmpfs', '/var/lib']);
      await withoutKernelWireguard(host);
      const persistent = { env: { ...quick.env, TSWG_PERSIST: '1' } };
      const conf = `[Interface]
        PrivateKey = ${createKeyPair().privateKey}
        ListenPort = 51820
        Address = ${LEFT}/24
        [Peer]
        PublicKey = ${createKeyPair().publicKey}
        AllowedIPs = 0.0.0.0/0`;
      await host.writeFile('/etc/wireguard/wg0.conf', conf);
      await host.run('wg-quick', ['up', 'wg0'], persistent);
      const shown = () => host.run('wg', ['showconf', 'wg0']);
      const before = await shown();
      expect(before).toContain('FwMark');
      const isSaved = 'grep -q allowed_ip /var/lib/tswg/wg0/state';
      await waitFor(async () => (await host.sh(isSaved)).status === 0, 'all of its state');
      // The brackets keep the pattern from finding the shell that looks for it.
      await host.run('sh', [
        '-c',
        `
        for process in /proc/[0-9]*; do
          ! tr '\\0' ' ' <$process/cmdline | grep -q '[t]swgd wg0' || kill -9 \${process#/proc/}
        done`,
      ]);
      await waitFor(async () => (await host.exec('wg', ['show', 'wg0'])).status !== 0, 'its end');
      await host.run(OUR_DAEMON, ['--persist', 'wg0']);
      expect(await shown()).toBe(before);
      await host.run('wg-quick', ['down', 'wg0'], quick);
      const gone = '! ip link show wg0 && test -z "$(ls /var/lib/tswg; ls /var/run/wireguard)"';
      await waitFor(async () => (await host.sh(gone)).status === 0, 'the end of everything');
    }));

  it('strip and syncconf reload a configuration without dropping a ping', () =>
    withLab(env, async (lab) => {
      const host = await lab.host('host');
      await withoutKernelWireguard(host);
      const [own, peer] = [createKeyPair(), createKeyPair()];
      const conf = (keepalive: number) => `[Interface]
        PrivateKey = ${own.privateKey}
        Address = ${LEFT}/24
        [Peer]
        PublicKey = ${peer.publicKey}
        AllowedIPs = ${RIGHT}/32
        PersistentKeepalive = ${keepalive}`;
      await host.writeFile('/etc/wireguard/wg0.conf', conf(25));
      await host.run('wg-quick', ['up', 'wg0'], quick);
      await host.writeFile('/etc/wireguard/wg0.conf', conf(10));
      await host.run('sh', ['-c', 'wg-quick strip wg0 | wg syncconf wg0 /dev/stdin']);
      const { peers } = parseDump(await host.run('wg', ['show', 'wg0', 'dump']));
      expect(peers).toMatchObject([{ publicKey: peer.publicKey, keepalive: '10' }]);
      await host.run('wg-quick', ['down', 'wg0'], quick);
    }));
});
