import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { compiledProgram } from '../lab/repository.ts';
import { describeInLab } from '../lab/suite.ts';
import { createKeyPair, createPresharedKey, OUR_DAEMON, parseDump } from '../lab/tunnel.ts';

const SOCKET = '/var/run/wireguard/wg0.sock';

describeInLab('wg(8)', ['wg'], () => {
  let lab: Lab;
  let host: Host;
  beforeEach(async () => {
    lab = await Lab.open();
    host = await lab.host('host');
    await host.run(OUR_DAEMON, ['wg0']);
  });
  afterEach(() => lab.close());

  const wg = (...args: string[]) => host.run('wg', args);
  const dump = async () => parseDump(await wg('show', 'wg0', 'dump'));
  /** Runs a wg verb that reads a configuration. */
  const configure = (verb: string, text: string) =>
    host.run('sh', ['-c', 'cat | wg "$1" wg0 /dev/stdin', 'sh', verb], {
      input: text,
      timeoutMs: 60_000,
    });

  it('set, show, show dump and showconf agree on everything that can be set', async () => {
    const [own, peer] = [createKeyPair(), createKeyPair()];
    const presharedKey = createPresharedKey();
    await configure(
      'setconf',
      `[Interface]
      PrivateKey = ${own.privateKey}
      ListenPort = 41414
      FwMark = 0x1f
      [Peer]
      PublicKey = ${peer.publicKey}
      PresharedKey = ${presharedKey}
      Endpoint = [2001:db8::7]:4500
      AllowedIPs = 10.1.0.0/16, fd01::/48, 192.0.2.1
      PersistentKeepalive = 25`,
    );
    expect(await dump()).toEqual({
      privateKey: own.privateKey,
      publicKey: own.publicKey,
      listenPort: 41_414,
      fwmark: '0x1f',
      peers: [
        {
          publicKey: peer.publicKey,
          presharedKey,
          endpoint: '[2001:db8::7]:4500',
          allowedIps: expect.arrayContaining(['10.1.0.0/16', 'fd01::/48', '192.0.2.1/32']),
          latestHandshake: 0,
          rxBytes: 0,
          txBytes: 0,
          keepalive: '25',
        },
      ],
    });
    const shown = await wg('show', 'wg0');
    expect(shown).toContain(`public key: ${own.publicKey}`);
    expect(shown).toContain('persistent keepalive: every 25 seconds');
    const saved = await wg('showconf', 'wg0');
    await configure('setconf', '[Interface]\n');
    expect((await dump()).peers).toEqual([]);
    await configure('setconf', saved);
    expect(await wg('showconf', 'wg0')).toBe(saved);
    expect(await wg('show', 'interfaces')).toBe('wg0\n');
  });

  it('set changes one thing and leaves the others', async () => {
    const [own, peer] = [createKeyPair(), createKeyPair()];
    await configure('setconf', `[Interface]\nPrivateKey = ${own.privateKey}\n`);
    const peerWords = ['set', 'wg0', 'peer', peer.publicKey];
    await wg(...peerWords, 'endpoint', '192.0.2.7:1', 'allowed-ips', '10.0.0.0/8,fd00::/8');
    await wg(...peerWords, 'persistent-keepalive', '7');
    await wg(...peerWords, 'allowed-ips', '10.2.0.0/16');
    expect((await dump()).peers).toMatchObject([
      { endpoint: '192.0.2.7:1', keepalive: '7', allowedIps: ['10.2.0.0/16'] },
    ]);
    await wg(...peerWords, 'persistent-keepalive', 'off');
    await wg('set', 'wg0', 'fwmark', '0xca6c');
    expect(await dump()).toMatchObject({ fwmark: '0xca6c', peers: [{ keepalive: 'off' }] });
    await wg(...peerWords, 'remove');
    expect((await dump()).peers).toEqual([]);
    await wg('set', 'wg0', 'private-key', '/dev/null', 'fwmark', 'off');
    expect(await dump()).toMatchObject({ privateKey: '(none)', fwmark: 'off' });
  });

  it('addconf adds, and a prefix belongs to the peer that got it last', async () => {
    const [first, second] = [createKeyPair(), createKeyPair()];
    const section = (key: string, ips: string) =>
      `[Peer]\nPublicKey = ${key}\nAllowedIPs = ${ips}\n`;
    await configure('setconf', section(first.publicKey, '10.1.0.0/16, 10.2.0.0/16'));
    await configure('addconf', section(second.publicKey, '10.2.0.0/16'));
    const { peers } = await dump();
    const ips = new Map(peers.map((peer) => [peer.publicKey, peer.allowedIps]));
    expect(ips.get(first.publicKey)).toEqual(['10.1.0.0/16']);
    expect(ips.get(second.publicKey)).toEqual(['10.2.0.0/16']);
  });

  it('syncconf touches only what differs', async () => {
    const [own, kept, gone, added] = Array.from({ length: 4 }, createKeyPair);
    const conf = (keys: readonly string[]) =>
      [
        `[Interface]\nPrivateKey = ${own.privateKey}\nListenPort = 41415`,
        ...keys.map((key, i) => `[Peer]\nPublicKey = ${key}\nAllowedIPs = 10.${i}.0.0/16`),
      ].join('\n');
    await configure('setconf', conf([kept.publicKey, gone.publicKey]));
    await configure('syncconf', conf([kept.publicKey, added.publicKey]));
    const { peers, listenPort } = await dump();
    expect(peers.map((peer) => peer.publicKey).sort()).toEqual(
      [kept.publicKey, added.publicKey].sort(),
    );
    expect(listenPort).toBe(41_415);
  });

  it('gives one peer 65,000 allowed IPs in one call, and shows them', async () => {
    const peer = createKeyPair();
    const lines = Array.from(
      { length: 65_000 },
      (_, i) => `AllowedIPs = 10.1.${i >> 8}.${i & 255}`,
    );
    await configure('setconf', `[Peer]\nPublicKey = ${peer.publicKey}\n${lines.join('\n')}\n`);
    const [{ allowedIps }] = (await dump()).peers;
    expect(new Set(allowedIps).size).toBe(65_000);
    expect(allowedIps).toContain('10.1.253.231/32');
  });

  it('adds 1,000 peers in one call, and shows them', async () => {
    const keys = Array.from({ length: 1000 }, () => createKeyPair().publicKey);
    const sections = keys.map(
      (key, i) => `[Peer]\nPublicKey = ${key}\nAllowedIPs = 10.${i >> 8}.${i & 255}.0/24\n`,
    );
    await configure('setconf', sections.join(''));
    const { peers } = await dump();
    expect(new Set(peers.map((peer) => peer.publicKey))).toEqual(new Set(keys));
  });

  it('reports a port that is taken, and changes nothing', async () => {
    const peer = createKeyPair();
    await host.configure('wg0', '10.9.0.1/24');
    await wg('set', 'wg0', 'listen-port', '41416');
    await host.run(OUR_DAEMON, ['wg1']);
    await host.configure('wg1', '10.9.1.1/24');
    await wg('set', 'wg1', 'listen-port', '41417');
    const args = ['set', 'wg1', 'listen-port', '41416', 'peer', peer.publicKey];
    const result = await host.exec('wg', [...args, 'allowed-ips', '10.0.0.0/8']);
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/Unable to modify interface: Address (already )?in use/);
    expect(parseDump(await wg('show', 'wg1', 'dump'))).toMatchObject({
      listenPort: 41_417,
      peers: [],
    });
  });

  describe('on the socket itself', () => {
    const hex = (base64: string) => Buffer.from(base64, 'base64').toString('hex');
    const ask = (request: string) =>
      host.run(process.execPath, [compiledProgram('test/lab/uapirequest.ts'), SOCKET], {
        input: request,
      });
    const EINVAL = 'errno=-22\n\n';
    const EPROTO = 'errno=-71\n\n';

    it('applies nothing of a set that fails, and answers with a negative errno', async () => {
      const [own, peer, other] = Array.from({ length: 3 }, createKeyPair);
      const good = `private_key=${hex(own.privateKey)}\npublic_key=${hex(peer.publicKey)}\nallowed_ip=10.0.0.0/8\n`;
      expect(await ask(`set=1\n${good}\n`)).toBe('errno=0\n\n');
      const before = await ask('get=1\n\n');
      const replaced = `replace_peers=true\nfwmark=7\npublic_key=${hex(other.publicKey)}\n`;
      for (const [mistake, answer] of [
        ['allowed_ip=10.0.0.0/33', EINVAL],
        ['endpoint=192.0.2.1', EINVAL],
        ['persistent_keepalive_interval=65536', EINVAL],
        ['preshared_key=abc', EINVAL],
        ['no_such_key=1', EINVAL],
        ['no equals sign', EPROTO],
      ]) {
        expect(await ask(`set=1\n${replaced}${mistake}\n\n`), mistake).toBe(answer);
        expect(await ask('get=1\n\n'), mistake).toBe(before);
      }
    });

    it('answers several requests on one connection', async () => {
      const peer = createKeyPair();
      const answer = await ask(`set=1\npublic_key=${hex(peer.publicKey)}\n\n`);
      expect(answer).toBe('errno=0\n\n');
      expect(await ask('get=1\n\n')).toMatch(
        new RegExp(`public_key=${hex(peer.publicKey)}\n(.*\n)*errno=0\n\n$`),
      );
    });
  });
});

describeInLab('tswg with wireguard-go', ['wg', 'wireguard-go'], () => {
  it('configures and shows its interface as its own', async () => {
    const lab = await Lab.open();
    try {
      const host = await lab.host('host');
      const [own, peer] = [createKeyPair(), createKeyPair()];
      await host.run('wireguard-go', ['wg0']);
      await host.writeFile('/etc/wg/private.key', `${own.privateKey}\n`);
      const words = `wgkeyfile /etc/wg/private.key wgport 41418 wgpeer ${peer.publicKey} wgpka 25
        wgendpoint 192.0.2.7 51820 wgaip 10.7.0.0/16`;
      await host.run('tswg', ['wg0', ...words.split(/\s+/)]);
      expect(parseDump(await host.run('wg', ['show', 'wg0', 'dump']))).toMatchObject({
        privateKey: own.privateKey,
        listenPort: 41_418,
        peers: [{ endpoint: '192.0.2.7:51820', keepalive: '25', allowedIps: ['10.7.0.0/16'] }],
      });
      const shown = await host.run('tswg', ['wg0']);
      expect(shown).toContain(`\twgpubkey ${own.publicKey}\n\twgpeer ${peer.publicKey}\n`);
      expect(shown).toContain('\t\twgendpoint 192.0.2.7 51820\n');
      await host.run('tswg', ['wg0', 'destroy']);
      expect((await host.exec('ip', ['link', 'show', 'wg0'])).status).not.toBe(0);
    } finally {
      await lab.close();
    }
  });
});
