import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { describeInLab } from '../lab/suite.ts';
import { createKeyPair, createPresharedKey } from '../lab/tunnel.ts';

describeInLab('the words of tswg', ['wg'], () => {
  let lab: Lab;
  let host: Host;
  const peer = createKeyPair().publicKey;
  beforeEach(async () => {
    lab = await Lab.open();
    host = await lab.host('host');
  });
  afterEach(() => lab.close());

  /** Runs `tswg wg0` with these words, which the shell splits. */
  const tswg = (words: string) => host.run('sh', ['-c', `tswg wg0 ${words}`]);
  const mistaken = (words: string) => host.sh(`tswg ${words}`);
  /** Everything that a word could have changed, apart from time. */
  const whole = async () => {
    const [tunnel, link] = await Promise.all([
      host.exec('wg', ['showconf', 'wg0']),
      host.exec('ip', ['-d', 'address', 'show', 'wg0']),
    ]);
    return tunnel.stdout + link.stdout;
  };

  it('any setting word creates a missing interface', async () => {
    await tswg(`wgpeer ${peer} wgendpoint 203.0.113.10 51820`);
    expect(await host.run('wg', ['show', 'wg0', 'endpoints'])).toBe(
      `${peer}\t203.0.113.10:51820\n`,
    );
  });

  it('say in a line that what they print is not taken, and doctor that it does not judge then', async () => {
    await tswg('create');
    const line = 'tswg: standard output: no space left on device (ENOSPC)\n';
    for (const words of ['help', 'metrics', 'wg0', 'wg0 events --since 0', 'wg0 --json']) {
      const said = await mistaken(`${words} >/dev/full`);
      expect(said, words).toMatchObject({ status: 1, stderr: line });
    }
    const judged = await mistaken('wg0 doctor --quick >/dev/full');
    expect(judged).toMatchObject({ status: 2, stderr: line });
  });

  it('create fails for an interface that is there, and may be followed by other words', async () => {
    await tswg('create wgport 7111 mtu 1300');
    expect(await host.run('wg', ['show', 'wg0', 'listen-port'])).toBe('7111\n');
    const again = await mistaken('wg0 create mtu 1400');
    expect(again).toMatchObject({ status: 1, stdout: '' });
    expect(again.stderr).toMatch(/^tswg: wg0: create: .*\n$/);
    expect(await host.run('cat', ['/sys/class/net/wg0/mtu'])).toBe('1300\n');
  });

  it('destroy removes interface, daemon and socket', async () => {
    await tswg('create');
    await tswg('destroy');
    expect((await host.sh('ls /var/run/wireguard')).stdout).toBe('');
    expect(await mistaken('wg0')).toMatchObject({ status: 1, stderr: /no such interface/ });
  });

  it('every WireGuard word reaches the interface', async () => {
    const [own, presharedKey] = [createKeyPair(), createPresharedKey()];
    await host.writeFile('/etc/wg/private.key', `${own.privateKey}\n`);
    await host.writeFile('/etc/wg/peer.psk', `${presharedKey}\n`);
    await tswg(
      `wgkeyfile /etc/wg/private.key wgport 7112 wgfwmark 0x1f wgpeer ${peer} wgdescr 'a laptop' \
       wgpskfile /etc/wg/peer.psk wgpka 25 wgendpoint 2001:db8::7 4500 wgaip 10.7.0.0/16 wgaip fd07::/64`,
    );
    const shown = await host.run('tswg', ['wg0']);
    for (const line of [
      '\twgport 7112\n\twgfwmark 0x1f\n',
      `\twgpubkey ${own.publicKey}\n\twgpeer ${peer}\n\t\twgdescr: a laptop\n`,
      '\t\twgpsk (present)\n\t\twgpka 25 (sec)\n\t\twgendpoint 2001:db8::7 4500\n\t\ttx: 0, rx: 0\n',
      '\t\twgaip 10.7.0.0/16\n\t\twgaip fd07::/64\n',
    ]) {
      expect(shown).toContain(line);
    }
    expect(await host.run('wg', ['show', 'wg0', 'preshared-keys'])).toContain(presharedKey);

    await tswg(`wgpeer ${peer} -wgpsk -wgdescr -wgendpoint -wgaip 10.7.0.0/16 wgpka 0`);
    const bare = (await host.run('tswg', ['wg0'])).replace(/.*\twgpeer/s, '\twgpeer');
    expect(bare).toMatch(
      /^\twgpeer .*\n\t\ttx: 0, rx: 0\n\t\tstate: idle since .*\n\t\twgaip fd07::\/64\n(?!\t\t)/,
    );

    await tswg(`wgpeer ${peer} wgaip 10.8.0.0/16`);
    expect(await host.run('wg', ['show', 'wg0', 'allowed-ips'])).toBe(`${peer}\t10.8.0.0/16\n`);
    await tswg(`-wgpeer ${peer} wgpeer ${createKeyPair().publicKey}`);
    expect(await host.run('wg', ['show', 'wg0', 'peers'])).not.toContain(peer);
    await tswg('-wgpeerall');
    expect(await host.run('wg', ['show', 'wg0', 'peers'])).toBe('');
  });

  it('addresses come and go, and bring the interface up', async () => {
    const addresses = async () => {
      const json = JSON.parse(await host.run('ip', ['-j', 'address', 'show', 'wg0']));
      const infos: { scope: string; local: string; prefixlen: number }[] = json[0].addr_info;
      return infos
        .filter((info) => info.scope === 'global')
        .map((info) => `${info.local}/${info.prefixlen}`);
    };
    await tswg('create');
    expect(await host.run('cat', ['/sys/class/net/wg0/flags'])).toBe('0x90\n');
    await tswg('inet 10.1.0.1/24');
    expect(await host.run('cat', ['/sys/class/net/wg0/flags'])).toBe('0x91\n');
    await tswg('inet alias 10.2.0.1 netmask 255.255.0.0');
    await tswg('inet6 fd01::1');
    await tswg('inet6 fd02::1 prefixlen 48 alias');
    expect((await addresses()).sort()).toEqual([
      '10.1.0.1/24',
      '10.2.0.1/16',
      'fd01::1/64',
      'fd02::1/48',
    ]);
    await tswg('inet 10.2.0.1 delete');
    await tswg('inet6 fd01::1 -alias');
    await tswg('10.3.0.1/30');
    expect((await addresses()).sort()).toEqual(['10.3.0.1/30', 'fd02::1/48']);
  });

  it('mtu, up, down, description and debug are those of the interface', async () => {
    await tswg('mtu 1300 up description "to the Berlin office" debug');
    expect(await host.run('tswg', ['wg0'])).toMatch(
      /^wg0: flags=\w+<UP,DEBUG,.*> mtu 1300\n\tdescription: to the Berlin office\n/,
    );
    expect(await host.run('ip', ['link', 'show', 'wg0'])).toContain('alias to the Berlin office');
    await tswg('down -description -debug');
    const shown = await host.run('tswg', ['wg0']);
    expect(shown).not.toMatch(/UP|DEBUG|description/);
  });

  it('a mistake anywhere leaves the interface as it was and names what was expected', async () => {
    await host.writeFile('/etc/wg/loose.key', createKeyPair().privateKey, '644');
    await tswg(`inet 10.1.0.1/24 mtu 1400 wgport 7113 wgpeer ${peer} wgaip 10.7.0.0/16`);
    const before = await whole();
    const good = `mtu 1300 inet 10.5.0.1/24 description x wgfwmark 9 -wgpeerall wgpeer ${peer}`;
    for (const [words, answer] of [
      ['wgendpoint 203.0.113.10 70000', 'wgendpoint: port 70000: expected 1 to 65535'],
      ['wgport 65536', /wgport: 65536: expected 0 to 65535/],
      ['wgpka 43201', /wgpka: 43201: expected 0 to 43200/],
      ['wgaip 10.0.0.0/33', /wgaip: .*10\.0\.0\.0\/33/],
      ['wgendpoint 203.0.113.10', /wgendpoint: /],
      ['wgpsk short', /wgpsk: .*44/],
      ['wgpot 5', /wgpot: unknown word; did you mean wgport\?/],
      ['wgrtable 5', /wgfwmark/],
      ['wgkeyfile /etc/wg/loose.key', /chmod 600 \/etc\/wg\/loose\.key/],
      ['wgkeyfile /etc/wg/none.key', /\/etc\/wg\/none\.key/],
      ['wgendpoint no..such.host.invalid 51820', /no\.\.such\.host\.invalid/],
    ] as const) {
      const result = await mistaken(`wg0 ${good} ${words}`);
      expect(result, words).toMatchObject({ status: 1, stdout: '' });
      expect(result.stderr, words).toMatch(/^tswg: [^\n]*\n$/);
      expect(result.stderr, words).toMatch(answer);
      expect(await whole(), words).toBe(before);
      await mistaken(`wg9 ${good} ${words}`);
      expect((await host.exec('ip', ['link', 'show', 'wg9'])).status, words).not.toBe(0);
    }
  });

  it('a port that is taken leaves the interface as it was', async () => {
    await tswg('inet 10.1.0.1/24 mtu 1400 wgport 7114');
    await host.run('tswg', ['wg1', 'inet', '10.2.0.1/24', 'wgport', '7115']);
    const before = await whole();
    const result = await mistaken(`wg0 mtu 1300 inet 10.5.0.1/24 wgpeer ${peer} wgport 7115`);
    expect(result).toMatchObject({ status: 1, stdout: '' });
    expect(result.stderr).toMatch(/^tswg: [^\n]*(7115|in use)[^\n]*\n$/);
    expect(await whole()).toBe(before);
  });

  it('--json says what the text says, and no secret', async () => {
    const [own, presharedKey] = [createKeyPair(), createPresharedKey()];
    await host.writeFile('/etc/wg/private.key', `${own.privateKey}\n`);
    await host.writeFile('/etc/wg/peer.psk', `${presharedKey}\n`);
    await tswg(
      `inet 10.1.0.1/24 wgkeyfile /etc/wg/private.key wgpeer ${peer} wgpskfile /etc/wg/peer.psk wgaip 10.7.0.0/16`,
    );
    const text = await host.run('tswg', ['wg0', '--json']);
    expect(JSON.parse(text)).toMatchObject({
      name: 'wg0',
      mtu: 1420,
      addresses: expect.arrayContaining([
        expect.objectContaining({ address: '10.1.0.1', prefixLength: 24 }),
      ]),
      wireguard: {
        publicKey: own.publicKey,
        peers: [{ publicKey: peer, hasPresharedKey: true, allowedIps: ['10.7.0.0/16'] }],
      },
    });
    expect(text).not.toContain(own.privateKey);
    expect(text).not.toContain(presharedKey);
  });

  it('keys are those of wg(8)', async () => {
    const script =
      'umask 077; tswg genkey >/etc/wg/k; tswg pubkey </etc/wg/k; wg pubkey </etc/wg/k';
    const [ours, theirs] = (await host.run('sh', ['-euc', script])).split('\n');
    expect(ours).toBe(theirs);
    expect(await host.run('tswg', ['genpsk'])).toMatch(/^[\w+/]{43}=\n$/);
  });
});
