import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Command, Draft, Mistake } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { nearest } from '../../src/cli/nearest.ts';
import { parse } from '../../src/cli/parse.ts';
import { WORDS, wordNames } from '../../src/cli/words.ts';
import { formatAddress, formatPrefix, parseAddress } from '../../src/packet/address.ts';

const KEY_A = `${'A'.repeat(42)}E=`;
const KEY_B = `${'B'.repeat(42)}E=`;
/** 44 characters, but the last significant one carries bits that a key does not have. */
const NOT_CANONICAL = `${'A'.repeat(42)}F=`;

function words(line: string): string[] {
  return line.split(' ').map((word) => (word === 'KEYA' ? KEY_A : word === 'KEYB' ? KEY_B : word));
}

function draft(line: string): Draft {
  const command = parse(words(line));
  if (command.kind !== 'configure') throw new Error(`${line}: ${JSON.stringify(command)}`);
  return command.draft;
}

function addresses(line: string): string[] {
  return draft(line).addresses.map((one) => {
    const address = one.address === null ? 'first' : formatAddress(one.address);
    const length = one.length === null ? '' : `/${one.length}`;
    const destination = one.destination === null ? '' : ` to ${formatAddress(one.destination)}`;
    return `${one.mode} ${one.family} ${address}${length}${destination}`;
  });
}

it('the options of netstart may stand after the names, too', () => {
  expect(parse(['netstart', 'wg0', '--keep', 'wg1'])).toEqual({
    kind: 'netstart',
    names: ['wg0', 'wg1'],
    mode: 'keep',
  });
});

describe('commands without settings', () => {
  const cases: [line: string, command: Command][] = [
    ['wg0', { kind: 'show', name: 'wg0', json: false }],
    ['wg', { kind: 'show', name: 'wg', json: false }],
    ['office', { kind: 'show', name: 'office', json: false }],
    ['--json', { kind: 'list', json: true }],
    ['wg0 --json', { kind: 'show', name: 'wg0', json: true }],
    ['--json wg0', { kind: 'show', name: 'wg0', json: true }],
    ['wg0 stats', { kind: 'stats', name: 'wg0' }],
    ['wg0 stats --json', { kind: 'show', name: 'wg0', json: true }],
    ['wg0 --json stats', { kind: 'show', name: 'wg0', json: true }],
    ['wg0 destroy', { kind: 'destroy', name: 'wg0' }],
    ['wg0 upgrade', { kind: 'upgrade', name: 'wg0' }],
    ['help upgrade', { kind: 'help', topic: 'upgrade' }],
    ['genkey', { kind: 'genkey' }],
    ['pubkey', { kind: 'pubkey' }],
    ['genpsk', { kind: 'genpsk' }],
    ['help', { kind: 'help', topic: null }],
    ['--help', { kind: 'help', topic: null }],
    ['-h', { kind: 'help', topic: null }],
    ['help wgaip', { kind: 'help', topic: 'wgaip' }],
    ['help -wgpeer', { kind: 'help', topic: '-wgpeer' }],
    ['help wgdescription', { kind: 'help', topic: 'wgdescription' }],
    ['help genkey', { kind: 'help', topic: 'genkey' }],
    ['wg0 --help', { kind: 'help', topic: null }],
    ['--version', { kind: 'version' }],
    ['completion', { kind: 'completion', shell: null }],
    ['completion zsh', { kind: 'completion', shell: 'zsh' }],
  ];
  it.each(cases)('tswg %s', (line, command) => {
    expect(parse(words(line))).toEqual(command);
  });

  it('tswg alone lists all interfaces', () => {
    expect(parse([])).toEqual({ kind: 'list', json: false });
  });
});

describe('settings', () => {
  const cases: [line: string, expected: Partial<Draft>][] = [
    ['wg0 create', { create: true }],
    ['wg1 create wgport 7111 up', { create: true, listenPort: 7111, up: true }],
    ['wg0 wgport 0', { listenPort: 0 }],
    ['wg0 wgport 65535', { listenPort: 65_535 }],
    ['wg0 wgfwmark 0xca6c', { fwmark: 0xca6c }],
    ['wg0 wgfwmark 4294967295', { fwmark: 0xffff_ffff }],
    ['wg0 -wgfwmark', { fwmark: 0 }],
    ['wg0 mtu 68', { mtu: 68 }],
    ['wg0 mtu 65535', { mtu: 65_535 }],
    ['wg0 up', { up: true }],
    ['wg0 up down', { up: false }],
    ['wg0 debug', { debug: true }],
    ['wg0 -debug', { debug: false }],
    ['wg0 description x', { description: 'x' }],
    ['wg0 descr up', { description: 'up' }],
    ['wg0 -descr', { description: '' }],
    ['wg0 -description', { description: '' }],
    ['wg0 -wgpeerall', { removeAllPeers: true }],
    ['wg0 wgkeyfile -', { privateKey: { kind: 'file', word: 'wgkeyfile', path: '-' } }],
    ['wg0 wgkeyfile up', { privateKey: { kind: 'file', word: 'wgkeyfile', path: 'up' } }],
  ];
  const none: Draft = { create: false, removeAllPeers: false, peers: [], addresses: [] };
  it.each(cases)('tswg %s', (line, expected) => {
    expect(draft(line)).toEqual({ ...none, ...expected });
  });

  it('wgkey takes the 32 bytes', () => {
    const expected = new Uint8Array(32);
    expected[31] = 1;
    expect(draft('wg0 wgkey KEYA').privateKey).toEqual({ kind: 'given', key: expected });
  });

  it('peer words are about the last wgpeer', () => {
    const { peers } = draft(
      'wg0 wgpeer KEYA wgendpoint 203.0.113.10 51820 wgaip 10.99.0.2/32 wgaip 10.20.0.0/24 wgpka 25 ' +
        'wgdescr laptop wgpeer KEYB wgpskfile /etc/psk -wgendpoint -wgdescription -wgaip fd00::1',
    );
    expect(peers).toHaveLength(2);
    const [a, b] = peers;
    expect(a.endpoints).toEqual([{ host: '203.0.113.10', port: 51_820, near: null }]);
    expect(a.allowedIps.map((one) => formatPrefix(one.prefix))).toEqual([
      '10.99.0.2/32',
      '10.20.0.0/24',
    ]);
    expect(a.allowedIpsMode).toBe('replace');
    expect(a.persistentKeepalive).toBe(25);
    expect(a.description).toBe('laptop');
    expect(b.presharedKey).toEqual({ kind: 'file', word: 'wgpskfile', path: '/etc/psk' });
    expect(b.endpoints).toEqual([]);
    expect(b.description).toBe('');
    expect(b.allowedIpsMode).toBe('remove');
    expect(b.allowedIps.map((one) => [formatPrefix(one.prefix), one.remove])).toEqual([
      ['fd00::1/128', true],
    ]);
  });

  it('-wgpeer removes, and a wgpeer behind it begins anew', () => {
    const { peers, removeAllPeers } = draft('wg0 -wgpeer KEYA wgpeer KEYA wgpka 0 -wgpeerall');
    expect(peers.map((peer) => peer.remove)).toEqual([true, false]);
    expect(peers[1].persistentKeepalive).toBe(0);
    expect(removeAllPeers).toBe(true);
  });

  it('-wgpsk is the all-zero key', () => {
    const [peer] = draft('wg0 wgpeer KEYA -wgpsk').peers;
    expect(peer.presharedKey).toEqual({ kind: 'given', key: new Uint8Array(32) });
  });

  const hosts: [typed: string, host: string][] = [
    ['203.0.113.10', '203.0.113.10'],
    ['2001:db8::1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['vpn.example.net', 'vpn.example.net'],
    ['vpn.example.net.', 'vpn.example.net.'],
    ['localhost', 'localhost'],
    ['_wg.my-host.x1', '_wg.my-host.x1'],
  ];
  it.each(hosts)('wgendpoint takes %s', (typed, host) => {
    expect(draft(`wg0 wgpeer KEYA wgendpoint ${typed} 1`).peers[0].endpoints).toEqual([
      { host, port: 1, near: null },
    ]);
  });

  it('wgendpoint may be repeated, each with its near end', () => {
    const words =
      'gw.example 1 via eth1 wgendpoint 203.0.113.1 1 via 192.0.2.9 wgendpoint gw.example 1';
    expect(draft(`wg0 wgpeer KEYA wgendpoint ${words} wgpka 25`).peers[0]).toMatchObject({
      endpoints: [
        { host: 'gw.example', near: { kind: 'interface', name: 'eth1' } },
        { host: '203.0.113.1', near: { kind: 'address', address: parseAddress('192.0.2.9') } },
        { host: 'gw.example', near: null },
      ],
      persistentKeepalive: 25,
    });
  });

  it('-wgendpoint forgets those before it', () => {
    const words = 'a.example 1 -wgendpoint wgendpoint b.example 2';
    const [peer] = draft(`wg0 wgpeer KEYA wgendpoint ${words}`).peers;
    expect(peer.endpoints).toEqual([{ host: 'b.example', port: 2, near: null }]);
  });
});

describe('addresses', () => {
  const cases: [line: string, expected: string[]][] = [
    ['wg0 inet 10.99.0.1/30', ['primary 4 10.99.0.1/30']],
    ['wg0 10.99.0.1/30', ['primary 4 10.99.0.1/30']],
    ['wg0 10.99.0.1', ['primary 4 10.99.0.1/32']],
    ['wg0 fd00::1', ['primary 6 fd00::1/64']],
    ['wg0 inet6 fd00::1/128', ['primary 6 fd00::1/128']],
    ['wg0 inet6 fd00::1 prefixlen 48', ['primary 6 fd00::1/48']],
    ['wg0 inet 10.99.0.1 netmask 255.255.255.252', ['primary 4 10.99.0.1/30']],
    ['wg0 inet 10.99.0.1 netmask 0xffffff00', ['primary 4 10.99.0.1/24']],
    ['wg0 netmask 0.0.0.0 10.99.0.1', ['primary 4 10.99.0.1/0']],
    ['wg0 inet 10.99.0.1/24 netmask 255.255.255.0', ['primary 4 10.99.0.1/24']],
    ['wg0 inet 10.99.0.1 10.99.0.2', ['primary 4 10.99.0.1/32 to 10.99.0.2']],
    ['wg0 inet alias 10.99.0.1/30', ['alias 4 10.99.0.1/30']],
    ['wg0 alias inet 10.99.0.1/30', ['alias 4 10.99.0.1/30']],
    ['wg0 10.99.0.1/30 alias', ['alias 4 10.99.0.1/30']],
    ['wg0 inet 10.99.0.1 delete', ['remove 4 10.99.0.1']],
    ['wg0 -alias fd00::1/64', ['remove 6 fd00::1/64']],
    ['wg0 delete', ['remove 4 first']],
    ['wg0 inet delete', ['remove 4 first']],
    ['wg0 up mtu 1400 inet 10.99.0.1 prefixlen 30 up', ['primary 4 10.99.0.1/30']],
    [
      'wg0 inet 10.99.0.1/30 inet alias 10.98.0.1/30 inet6 fd00::1',
      ['primary 4 10.99.0.1/30', 'alias 4 10.98.0.1/30', 'primary 6 fd00::1/64'],
    ],
  ];
  it.each(cases)('tswg %s', (line, expected) => {
    expect(addresses(line)).toEqual(expected);
  });
});

const KEY_EXPECTED = 'expected a key of 44 base64 characters';

describe('mistakes', () => {
  const cases: [line: string, text: string][] = [
    ['wg0 wgpeer KEYA wgendpoint 1.2.3.4 70000', 'wgendpoint: port 70000: expected 1 to 65535'],
    ['wg0 wgpeer KEYA wgendpoint 1.2.3.4 0', 'wgendpoint: port 0: expected 1 to 65535'],
    ['wg0 wgpeer KEYA wgendpoint 1.2.3.4 http', 'wgendpoint: port http: expected 1 to 65535'],
    [
      'wg0 wgpeer KEYA wgendpoint 1.2.3.400 1',
      'wgendpoint: 1.2.3.400: expected an address or a host name',
    ],
    ['wg0 wgpeer KEYA wgendpoint -x 1', 'wgendpoint: -x: expected an address or a host name'],
    [
      'wg0 wgpeer KEYA wgendpoint 1.2.3.4:51820 wgpka',
      'wgendpoint: 1.2.3.4:51820: expected HOST and PORT as two words',
    ],
    [
      'wg0 wgpeer KEYA wgendpoint [::1]:51820 wgpka',
      'wgendpoint: [::1]:51820: expected HOST and PORT as two words',
    ],
    [
      'wg0 wgpeer KEYA wgendpoint 1.2.3.4%eth0 1',
      'wgendpoint: 1.2.3.4%eth0: expected an interface after "%", as in fe80::1%eth0',
    ],
    [
      'wg0 wgpeer KEYA wgendpoint 1.2.3.4',
      'wgendpoint: expected HOST and PORT after it, as in `wgendpoint vpn.example.net 51820`',
    ],
    [
      'wg0 wgpeer KEYA wgendpoint wgpeer KEYB wgaip 10.0.0.0/8',
      'wgendpoint: wgpeer follows it: expected HOST and PORT, as in `wgendpoint vpn.example.net 51820`',
    ],
    [
      'wg0 wgpeer KEYA wgendpoint up http',
      'wgendpoint: up follows it: expected HOST and PORT, as in `wgendpoint vpn.example.net 51820`',
    ],
    [
      'wg0 wgpeer',
      'wgpeer: expected PUBLICKEY after it, as in `tswg wg0 wgpeer fE/wdxzl0klVp/IR8UcaoGUMjqaWi3jAd7KzHKFS6Ds=`',
    ],
    ['wg0 wgport', 'wgport: expected PORT after it, as in `tswg wg0 wgport 51820`'],
    ['wg0 wgport 65536', 'wgport: 65536: expected 0 to 65535'],
    ['wg0 wgport -1', 'wgport: -1: expected 0 to 65535'],
    ['wg0 wgport 0x10', 'wgport: 0x10: expected 0 to 65535'],
    [
      'wg0 wgfwmark 0x1ffffffff',
      'wgfwmark: 0x1ffffffff: expected 0 to 4294967295, or as hexadecimal 0x0 to 0xffffffff',
    ],
    ['wg0 wgpeer KEYA wgpka 43201', 'wgpka: 43201: expected 0 to 43200 seconds'],
    ['wg0 mtu 67', 'mtu: 67: expected 68 to 65535'],
    ['wg0 mtu 1e3', 'mtu: 1e3: expected 68 to 65535'],
    [
      'wg0 wgpeer KEYA wgaip 10.0.0.0/33',
      'wgaip: 10.0.0.0/33: expected ADDRESS/LENGTH, such as 10.20.0.0/24 or fd00:20::/64',
    ],
    [
      'wg0 wgpeer KEYA wgaip 10.0.0.0/8 -wgaip 10.1.0.0/16',
      '-wgaip: 10.1.0.0/16: expected either wgaip (the whole set) or -wgaip (what to remove) for one wgpeer, not both',
    ],
    [
      'wg0 wgaip 10.0.0.0/8',
      'wgaip: expected wgpeer PUBLICKEY before it, which names the peer that it is about',
    ],
    [
      'wg0 -wgpsk',
      '-wgpsk: expected wgpeer PUBLICKEY before it, which names the peer that it is about',
    ],
    [
      'wg0 -wgpeer KEYA wgpka 1',
      'wgpka: the peer before it is removed by -wgpeer: expected wgpeer PUBLICKEY first',
    ],
    ['wg0 wgpeer abc', `wgpeer: abc: ${KEY_EXPECTED}, but it has 3`],
    [`wg0 wgpeer ${NOT_CANONICAL}`, `wgpeer: ${KEY_EXPECTED}: the last characters are wrong`],
    ['wg0 -wgpeer wgpeer', `-wgpeer: wgpeer: ${KEY_EXPECTED}, but it has 6`],
    ['wg0 wgkey secret', `wgkey: ${KEY_EXPECTED}, but it has 6`],
    [`wg0 wgkey ${'!'.repeat(44)}`, `wgkey: ${KEY_EXPECTED}, but it has other characters, too`],
    ['wg0 wgpeer KEYA wgpsk secret', `wgpsk: ${KEY_EXPECTED}, but it has 6`],
    [
      'wg0 wgkeyfile - wgpeer KEYA wgpskfile -',
      'wgpskfile: -: an earlier word reads standard input already',
    ],
    [
      'wg0 wgrtable 7',
      'wgrtable: 7: expected wgfwmark, its counterpart on Linux: `wgfwmark MARK` here and `ip rule add fwmark MARK table 7`',
    ],
    ['wg0 wgpeeer KEYA', 'wgpeeer: unknown word; did you mean wgpeer?'],
    ['wg0 -wgper KEYA', '-wgper: unknown word; did you mean -wgpeer?'],
    ['wg0 wgendpiont 1.2.3.4 5', 'wgendpiont: unknown word; did you mean wgendpoint?'],
    ['wg0 UP', 'UP: unknown word; did you mean up?'],
    [
      'wg0 wgport 1 KEYA',
      'a key without a word before it: expected wgpeer, wgkey or wgpsk to say what it is',
    ],
    ['wg0 frobnicate', 'frobnicate: unknown word; `tswg help` lists them all'],
    ['wg0 --jsno', '--jsno: unknown word; did you mean --json?'],
    ['help wgaipp', 'help: wgaipp: unknown word; did you mean wgaip?'],
    ['help wgaip wgpsk', 'help: expected one word after it, as in `tswg help wgaip`'],
    ['genkey wg0', 'genkey: wg0: expected nothing after it'],
    ['completion tcsh', 'completion: tcsh: expected bash, zsh or fish'],
    ['wgport 51820', 'wgport: expected an interface before it, as in `tswg wg0 wgport`'],
    [
      'wg/0 up',
      'wg/0: expected the name of an interface: 1 to 15 characters, no blanks, "/", ":" or "%"',
    ],
    [
      'abcdefghijklmno0 up',
      'abcdefghijklmno0: expected the name of an interface: 1 to 15 characters, no blanks, "/", ":" or "%"',
    ],
    ['office create', 'create: office: expected a name that ends in a digit, such as wg0'],
    ['wg0 up create', 'create: expected as the first word after the interface'],
    ['wg0 destroy up', 'destroy: expected no other words with it'],
    ['wg0 up destroy', 'destroy: expected no other words with it'],
    ['wg0 stats up', 'stats: expected no other words with it'],
    ['wg0 destroy --json', '--json: expected no other words with it'],
    ['wg0 upgrade up', 'upgrade: expected no other words with it'],
    ['wg0 up upgrade', 'upgrade: expected no other words with it'],
    ['wg0 upgrade --json', '--json: expected no other words with it'],
    ['wg0 stats upgrade', 'upgrade: expected no other words with it'],
    ['wg0 upgrade destroy', 'destroy: expected no other words with it'],
    ['wg0 upgrade upgrade', 'upgrade: expected no other words with it'],
    ['wg0 create upgrade', 'upgrade: expected no other words with it'],
    ['upgrade', 'upgrade: expected an interface before it, as in `tswg wg0 upgrade`'],
    [
      'wg0 10.0.0.300/30',
      '10.0.0.300/30: expected an address, such as 10.99.0.1/30 or fd00:99::1/64',
    ],
    ['wg0 10.0.0.1/33', '10.0.0.1/33: expected a length of 0 to 32 after the "/"'],
    ['wg0 inet fd00::1', 'inet: fd00::1: expected an IPv4 address'],
    ['wg0 inet6 10.0.0.1', 'inet6: 10.0.0.1: expected an IPv6 address'],
    ['wg0 inet', 'inet: expected an IPv4 address after it'],
    ['wg0 inet6 up', 'inet6: expected an IPv6 address after it'],
    ['wg0 inet inet6 fd00::1', 'inet: expected an IPv4 address after it'],
    ['wg0 alias', 'alias: expected an address after it'],
    [
      'wg0 inet6 delete',
      '-alias: expected an IPv6 address before it, as in `inet6 ADDRESS -alias`',
    ],
    [
      'wg0 10.0.0.1 alias delete',
      'delete: expected either alias or -alias for one address, not both',
    ],
    ['wg0 netmask 255.255.255.0', 'netmask: expected an address with it, as in `inet 10.99.0.1`'],
    [
      'wg0 10.0.0.1 netmask 255.0.255.0',
      'netmask: 255.0.255.0: expected a mask such as 255.255.255.0 or 0xffffff00',
    ],
    ['wg0 fd00::1 netmask 255.0.0.0', 'netmask: expected prefixlen for an IPv6 address'],
    ['wg0 10.0.0.1 prefixlen 64', 'prefixlen: 64: expected 0 to 32 for an IPv4 address'],
    ['wg0 fd00::1 prefixlen 129', 'prefixlen: 129: expected 0 to 32, or 0 to 128 for IPv6'],
    ['wg0 10.0.0.1/24 prefixlen 30', 'prefixlen: 30 bits: the address itself says /24'],
    [
      'wg0 10.0.0.1/24 10.0.1.1/24',
      '10.0.1.1/24: expected the address of the other end, without /LEN; put `inet alias` or `inet6` before a second address of the interface',
    ],
    [
      'wg0 10.0.0.1 10.0.0.2 10.0.0.3',
      '10.0.0.3: expected at most an address and that of the other end; put `inet alias` or `inet6` before a second address of the interface',
    ],
  ];
  it.each(cases)('tswg %s', (line, text) => {
    expect(parse(words(line))).toEqual({ kind: 'mistake', text });
  });

  it('a description holds one line of at most 255 bytes', () => {
    expect(parse(['wg0', 'descr', 'a\nb'])).toEqual({
      kind: 'mistake',
      text: 'descr: a?b: expected one line of plain text',
    });
    expect(parse(['wg0', 'descr', 'é'.repeat(127)]).kind).toBe('configure');
    expect((parse(['wg0', 'descr', 'é'.repeat(128)]) as Mistake).text).toMatch(
      /^descr: é{57}\.\.\.: expected at most 255 bytes, but it has 256$/,
    );
  });

  it('an empty word is named too', () => {
    expect(parse(['wg0', ''])).toEqual({
      kind: 'mistake',
      text: '"": unknown word; `tswg help` lists them all',
    });
  });
});

describe('any words', () => {
  const names = wordNames();
  const vocabulary = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...names, ...COMMANDS.map((row) => row.word)) },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        KEY_A,
        KEY_B,
        '10.0.0.1/24',
        '10.0.0.1',
        'fd00::1/64',
        '51820',
        '-',
      ),
    },
    { weight: 2, arbitrary: fc.string({ maxLength: 50, unit: 'binary' }) },
  );
  const lines = fc
    .tuple(
      fc.oneof(fc.constantFrom('wg0', 'office'), vocabulary),
      fc.array(vocabulary, { maxLength: 12 }),
    )
    .map(([first, rest]) => [first, ...rest]);

  it('give a command or one line, and never an exception', () => {
    fc.assert(
      fc.property(lines, (argv) => {
        const result = parse(argv);
        if (result.kind !== 'mistake') return;
        expect(result.text).not.toMatch(/\p{Cc}/u);
        expect(result.text.length).toBeGreaterThan(5);
      }),
      { numRuns: 5000 },
    );
  });

  it('never print the value of a secret word', () => {
    const secret = fc.string({ minLength: 12, maxLength: 60, unit: fc.constantFrom(...'QZX/+=9') });
    fc.assert(
      fc.property(secret, fc.constantFrom('wgkey', 'wgpsk'), (value, word) => {
        const argv = ['wg0', 'wgpeer', KEY_A, word, value, 'nonsense'];
        expect((parse(argv) as Mistake).text).not.toContain(value);
      }),
    );
  });
});

describe('the table of words', () => {
  it('names each word once, with an example that parses', () => {
    expect(new Set(wordNames()).size).toBe(
      WORDS.reduce((sum, row) => sum + 1 + (row.aliases?.length ?? 0), 0),
    );
    for (const row of WORDS) {
      const argv = shellWords(row.example.split(' && ')[0]);
      expect(argv[0]).toBe('tswg');
      expect(parse(argv.slice(1)), row.example).not.toHaveProperty('text');
      expect(row.summary.length).toBeLessThanOrEqual(80);
    }
  });

  it('finds the nearest word only when it is near', () => {
    expect(nearest('wgpsl', wordNames())).toBe('wgpsk');
    expect(nearest('wgaop', wordNames())).toBe('wgaip');
    expect(nearest('dwon', wordNames())).toBe('down');
    expect(nearest('x', wordNames())).toBeNull();
    expect(nearest('helicopter', wordNames())).toBeNull();
  });
});

/** Splits an example as a shell would; what is substituted becomes a key. */
function shellWords(line: string): string[] {
  const parts = line.match(/"[^"]*"|\S+/g) ?? [];
  return parts.map((part) =>
    part.startsWith('"$(') ? KEY_A : part.startsWith('"') ? part.slice(1, -1) : part,
  );
}
