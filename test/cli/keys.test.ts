import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { x25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { readKeyFile } from '../../src/cli/keyfiles.ts';
import {
  createPresharedKeyBytes,
  createPrivateKeyBytes,
  formatKey,
  keyMistake,
  parseKey,
  publicKeyOf,
} from '../../src/cli/keys.ts';
import { parse } from '../../src/cli/parse.ts';
import { resolveChange } from '../../src/cli/resolve.ts';
import { formatAddress } from '../../src/packet/address.ts';
import { formatWay } from '../../src/uapi/way.ts';
import { FakeSystem } from './fakesystem.ts';

const KEY = `${'A'.repeat(42)}E=`;

describe('keys as text', () => {
  it('every key comes back as it was', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
        expect(parseKey(formatKey(key))).toEqual(key);
      }),
    );
  });

  it('any other text is refused and explained without repeating it', () => {
    fc.assert(
      fc.property(fc.base64String({ minLength: 44, maxLength: 44 }), (text) => {
        const isCanonical = Buffer.from(text, 'base64').length === 32;
        if (!isCanonical) expect(parseKey(text)).toBeNull();
        else if (parseKey(text) === null) {
          expect(Buffer.from(text, 'base64').toString('base64')).not.toBe(text);
        }
        expect(keyMistake('wgkey', text)).not.toContain(text);
      }),
    );
  });

  it('new private keys are clamped, and no two are the same', () => {
    const a = createPrivateKeyBytes();
    expect([a[0] & 7, a[31] & 0xc0]).toEqual([0, 0x40]);
    expect(createPrivateKeyBytes()).not.toEqual(a);
    expect(createPresharedKeyBytes()).not.toEqual(createPresharedKeyBytes());
  });

  it('the public key is that of X25519', () => {
    // RFC 7748 6.1, Bob.
    const bob = '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb';
    expect(Buffer.from(publicKeyOf(Buffer.from(bob, 'hex'))).toString('hex')).toBe(
      'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
    );
    for (let round = 0; round < 20; round++) {
      const key = createPrivateKeyBytes();
      expect(publicKeyOf(key)).toEqual(x25519.getPublicKey(key));
    }
  });
});

describe('key files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tswg-keys-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  function file(name: string, text: string, mode = 0o600): string {
    const path = join(folder, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  }

  async function resolve(line: string, system = new FakeSystem(), knowsWays = false) {
    const command = parse(line.split(' ').map((word) => (word === 'KEY' ? KEY : word)));
    if (command.kind !== 'configure') throw new Error(JSON.stringify(command));
    return resolveChange(command.draft, knowsWays, system);
  }

  it('are read, for both words', async () => {
    const path = file('good', `${KEY}\n`);
    const change = await resolve(`wg0 wgkeyfile ${path} wgpeer KEY wgpskfile ${path}`);
    expect(change.privateKey).toEqual(parseKey(KEY));
    expect(change.peers[0].presharedKey).toEqual(parseKey(KEY));
  });

  it('come from standard input too', async () => {
    const system = new FakeSystem();
    system.standardInput = `${KEY}\n`;
    expect((await resolve('wg0 wgkeyfile -', system)).privateKey).toEqual(parseKey(KEY));
    system.standardInput = 'nonsense';
    await expect(resolve('wg0 wgpeer KEY wgpskfile -', system)).rejects.toThrow(
      'wgpskfile: standard input: expected one line with a key of 44 base64 characters, as `tswg genpsk` writes it',
    );
  });

  it.each([0o640, 0o604, 0o620, 0o602, 0o644, 0o777])(
    'that others can get at (mode %o) are refused, with what mends it',
    async (mode) => {
      const path = file('loose', KEY, mode);
      await expect(resolve(`wg0 wgkeyfile ${path}`)).rejects.toThrow(
        `wgkeyfile: ${path}: other users can access this file (mode ${mode.toString(8)}); fix it with: chmod 600 ${path}`,
      );
    },
  );

  it.each([
    ["it's a key", `'it'\\''s a key'`],
    ['$(reboot)', `'$(reboot)'`],
  ])('the chmod for %s can be copied to a shell', async (name, quoted) => {
    const path = file(name, KEY, 0o644);
    const expected = `chmod 600 '${folder}/${quoted.slice(1)}`;
    await expect(readKeyFile('wgkeyfile', path)).rejects.toThrow(expected);
  });

  it.each([
    ['empty', ''],
    ['two keys', `${KEY}\n${KEY}\n`],
    ['long', KEY.repeat(1000)],
    ['binary', '\u0000\u0001'],
  ])('that hold no key (%s) are refused without showing what they hold', async (name, text) => {
    const path = file(name.replace(' ', ''), text);
    await expect(resolve(`wg0 wgkeyfile ${path}`)).rejects.toThrow(
      `wgkeyfile: ${path}: expected one line with a key of 44 base64 characters, as \`tswg genkey\` writes it`,
    );
  });

  it('that are none are never to be made private', async () => {
    const path = file('passwd', 'root:x:0:0::/root:/bin/sh', 0o644);
    await expect(resolve(`wg0 wgkeyfile ${path}`)).rejects.toThrow(/^((?!chmod).)*$/);
  });

  it('must be files, and there', async () => {
    const nested = join(folder, 'folder');
    mkdirSync(nested);
    await expect(resolve(`wg0 wgkeyfile ${nested}`)).rejects.toThrow(
      `wgkeyfile: ${nested}: expected a regular file, or - for standard input`,
    );
    await expect(resolve('wg0 wgkeyfile /dev/null')).rejects.toThrow('expected a regular file');
    await expect(resolve(`wg0 wgkeyfile ${folder}/none`)).rejects.toThrow(
      `wgkeyfile: ${folder}/none: there is no such file`,
    );
  });

  describe('hosts', () => {
    async function endpoint(host: string, system = new FakeSystem()): Promise<string> {
      const change = await resolve(`wg0 wgpeer KEY wgendpoint ${host} 51820`, system);
      const { address, port, scope } = change.peers[0].endpoint!;
      return `${formatAddress(address)} ${port} ${scope}`;
    }

    it('are looked up, the first address being the one to reach', async () => {
      const system = new FakeSystem();
      system.hosts.set('vpn.example.net', ['2001:db8::1', '203.0.113.10']);
      expect(await endpoint('vpn.example.net', system)).toBe('2001:db8::1 51820 0');
    });

    it.each([
      ['203.0.113.10', '203.0.113.10 51820 0'],
      ['::ffff:203.0.113.10', '203.0.113.10 51820 0'],
      ['fe80::1%wg0', 'fe80::1 51820 1'],
      ['fe80::1%7', 'fe80::1 51820 7'],
    ])('%s is no name to look up', async (host, expected) => {
      const system = new FakeSystem();
      system.addLink('wg0');
      expect(await endpoint(host, system)).toBe(expected);
    });

    it.each([
      ['vpn.example.net 51820', 'vpn.example.net:51820'],
      ['none.example.net 1 wgendpoint 203.0.113.9 2', 'none.example.net:1 203.0.113.9:2'],
      ['203.0.113.9 2 via eth9', '203.0.113.9:2 via eth9'],
      ['[2001:db8::1] 2 via ::2', '[2001:db8::1]:2 via ::2'],
      ['fe80::1%wg0 2 wgendpoint fe80::1%wg0 3', '[fe80::1%wg0]:2 [fe80::1%wg0]:3'],
    ])('%s is left to a daemon that knows ways', async (words, expected) => {
      const system = new FakeSystem();
      system.addLink('wg0');
      const change = await resolve(`wg0 wgpeer KEY wgendpoint ${words}`, system, true);
      expect(change.peers[0].ways!.map(formatWay).join(' ')).toBe(expected);
      expect(change.peers[0]).not.toHaveProperty('endpoint');
    });

    it('one address stays an endpoint, which every WireGuard takes', async () => {
      const change = await resolve('wg0 wgpeer KEY wgendpoint 203.0.113.9 2', undefined, true);
      expect(change.peers[0].endpoint!.port).toBe(2);
      expect(change.peers[0]).not.toHaveProperty('ways');
    });

    it.each(['a.example 1 wgendpoint b.example 1', '203.0.113.9 1 via eth0'])(
      '%s is refused by an earlier tswgd',
      async (words) => {
        await expect(resolve(`wg0 wgpeer KEY wgendpoint ${words}`)).rejects.toThrow(
          /^wgendpoint: \S+: the tswgd that serves the interface is an earlier one: expected one/,
        );
      },
    );

    it('of an interface that is not there are refused by any', async () => {
      const words = 'fe80::1%nope 1 wgendpoint fe80::1%nope 2';
      await expect(resolve(`wg0 wgpeer KEY wgendpoint ${words}`, undefined, true)).rejects.toThrow(
        'wgendpoint: fe80::1%nope: there is no interface nope',
      );
    });

    it('that cannot be resolved are named', async () => {
      const system = new FakeSystem();
      system.hosts.set('slow.example.net', 'EAI_AGAIN');
      system.hosts.set('odd.example.net', 'EAI_FAIL');
      await expect(endpoint('none.example.net', system)).rejects.toThrow(
        'wgendpoint: none.example.net: no address found for that host; check the name, and that DNS works here',
      );
      await expect(endpoint('slow.example.net', system)).rejects.toThrow(
        'wgendpoint: slow.example.net: DNS does not answer; check the network and /etc/resolv.conf, or use an address',
      );
      await expect(endpoint('odd.example.net', system)).rejects.toThrow(
        'wgendpoint: odd.example.net: cannot be looked up (EAI_FAIL)',
      );
      await expect(endpoint('fe80::1%nope', system)).rejects.toThrow(
        'wgendpoint: fe80::1%nope: there is no interface nope',
      );
    });
  });
});
