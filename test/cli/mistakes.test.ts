/**
 * What a tired operator types, row by row, and what is answered: part B of the table that was made
 * of version 0.1.0, by its numbers. `!` is a refusal, which changes nothing; `~` is carried out and
 * told; nothing at all is right.
 */

import { describe, expect, it } from 'vitest';
import { configure } from '../../src/cli/apply.ts';
import { gather } from '../../src/cli/gather.ts';
import { keyIn, warnOfOpenKeys } from '../../src/cli/keyfiles.ts';
import { createPrivateKeyBytes, formatKey, parseKey, publicKeyOf } from '../../src/cli/keys.ts';
import { parse } from '../../src/cli/parse.ts';
import { parseAddress, parsePrefix } from '../../src/packet/address.ts';
import { FakeSystem, FRESH_STATE } from './fakesystem.ts';

const privateKey = parseKey('yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=')!;
const PRIVATE = formatKey(privateKey);
const OWN = formatKey(publicKeyOf(privateKey));
const A = 'fE/wdxzl0klVp/IR8UcaoGUMjqaWi3jAd7KzHKFS6Ds=';
const B = 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=';
/** A slip in one character of A. */
const SLIPPED = A.replace('wdx', 'wbx');
/** Slips where the short form does not show them. */
const LATE = A.replace('S6Ds', '76Es');
const NAMES: Readonly<Record<string, string>> = {
  PRIVATE,
  OWN,
  A,
  B,
  SLIPPED,
  LATE,
  ZERO: `${'A'.repeat(43)}=`,
};

/** wg0 with our key, port 51820 and two peers, beside an eth0. */
function office(): FakeSystem {
  const system = new FakeSystem();
  const peer = (key: string, description: string, ...prefixes: string[]) => ({
    publicKey: parseKey(key)!,
    presharedKey: null,
    endpoint: null,
    ways: [],
    lastHandshakeMs: 0,
    txBytes: 0,
    rxBytes: 0,
    persistentKeepalive: 0,
    allowedIps: prefixes.map((prefix) => parsePrefix(prefix)!),
    description,
  });
  const peers = [
    peer(A, 'site A', '10.99.0.2/32', '10.20.0.0/24'),
    peer(B, '', '10.99.0.3/32', '10.30.0.0/24'),
  ];
  system.addDaemon('wg0', '0.1.0', { ...FRESH_STATE, privateKey, listenPort: 51_820, peers });
  system.addLink('eth0', { kind: '' });
  const address = (index: number, text: string, length: number) =>
    system.addressList.push({
      index,
      address: parseAddress(text)!,
      length,
      destination: null,
      broadcast: null,
    });
  address(1, '10.99.0.1', 24);
  address(1, 'fd00:99::1', 64);
  address(1, 'fe80::1', 64);
  address(2, '198.51.100.10', 24);
  return system;
}

/** The lines on standard error, `!` before a refusal and `~` before a warning. */
async function answer(line: string, system = office()): Promise<string[]> {
  const argv = line.split(' ').map((word) => NAMES[word] ?? word);
  const command = parse(argv);
  try {
    if (command.kind === 'mistake') return [`!${command.text}`];
    if (command.kind === 'show') {
      await gather(command.name, system);
      return [];
    }
    if (command.kind !== 'configure') throw new Error(`${line}: ${command.kind}`);
    const warnings = await configure(command.name, command.draft, system);
    const texts = [...warnOfOpenKeys(command.draft), ...warnings.map(({ text }) => text)];
    return texts.map((text) => `~${text}`);
  } catch (error) {
    return [`!${(error as Error).message}`];
  }
}

type Row = [number: string, typed: string, ...answers: string[]];

const ROWS: Row[] = [
  // The key where a path belongs, and the other way round.
  [
    'B4',
    'wg0 wgkeyfile PRIVATE',
    '!wgkeyfile: this is a key: expected the path of the file that holds it',
  ],
  [
    'B4',
    'wg0 wgpeer A wgpskfile B',
    '!wgpskfile: this is a key: expected the path of the file that holds it',
  ],
  [
    'B5',
    'wg0 wgkey /etc/wg/private.key',
    '!wgkey: expected a key, not a path: wgkeyfile reads it from a file',
  ],
  [
    'B5',
    'wg0 wgpeer A wgpsk a.psk',
    '!wgpsk: expected a key, not a path: wgpskfile reads it from a file',
  ],
  [
    'B5',
    'wg0 wgpeer /etc/wg/b.pub',
    '!wgpeer: /etc/wg/b.pub: expected a key, not a path: "$(cat PATH)" gives what the file holds',
  ],
  [
    'B6',
    'wg0 wgkey PRIVATE',
    '~wgkey: other users can see this key in `ps`: wgkeyfile reads it from a file',
  ],
  [
    'B6',
    'wg0 wgpeer A wgpsk B',
    '~wgpsk: other users can see this key in `ps`: wgpskfile reads it from a file',
  ],
  ['B6', 'wg0 wgpeer A -wgpsk'],
  // Keys that are nobody's, ours or secret.
  [
    'B8',
    'wg0 wgpeer PRIVATE',
    '!wgpeer: this is a private key, which is no longer secret: expected the public key, which `tswg pubkey` prints',
  ],
  [
    'B9',
    'wg0 wgpeer ZERO',
    '!wgpeer: expected the public key of the peer, not the all-zero key, which stands for none',
  ],
  [
    'A8',
    'wg0 wgpeer OWN wgaip 10.5.0.0/16',
    '!wgpeer: HIgo9xNz...: this is the key of wg0 itself: expected that of the other end',
  ],
  [
    'A8',
    'wg1 wgkey PRIVATE wgpeer OWN',
    '!wgpeer: HIgo9xNz...: this is the key of wg1 itself: expected that of the other end',
  ],
  [
    'B10',
    'wg0 wgpeer A wgaip 10.1.0.0/16 wgpeer A wgaip 10.2.0.0/16',
    '!wgpeer: fE/wdxzl...: named twice: expected all words about a peer after one wgpeer',
  ],
  [
    'B10',
    'wg0 wgpeer A wgpka 5 -wgpeer A',
    '!-wgpeer: fE/wdxzl...: named twice: expected all words about a peer after one wgpeer',
  ],
  ['B10', 'wg0 -wgpeer A wgpeer A wgaip 10.1.0.0/16'],
  [
    'A1',
    'wg0 wgkey A',
    '~wgkey: other users can see this key in `ps`: wgkeyfile reads it from a file',
    '~wgkey: genkey makes no such key: is it the public one? Expected the private one',
  ],
  // An address that belongs to a peer.
  [
    'B11',
    'wg0 wgpeer A wgaip 10.99.0.2/32 10.20.0.0/24',
    '!10.20.0.0/24: expected wgaip before it, or inet if wg0 is to have it',
  ],
  [
    'B11',
    'wg0 inet 10.99.0.1 wgpeer A wgaip 10.99.0.2/32 10.20.0.1',
    '!10.20.0.1: expected wgaip before it, or inet if wg0 is to have it',
  ],
  [
    'B11',
    'wg0 wgpeer A -wgaip 10.99.0.2/32 fd00::/64',
    '!fd00::/64: expected -wgaip before it, or inet if wg0 is to have it',
  ],
  [
    'B11',
    'wg0 wgpeer A wgpka 25 10.20.0.0/24',
    '!10.20.0.0/24: expected wgaip before a prefix of the peer, or inet before an address of wg0',
  ],
  [
    'B11',
    'wg0 wgpeer A 10.20.0.0/24',
    '!10.20.0.0/24: expected wgaip before a prefix of the peer, or inet before an address of wg0',
  ],
  [
    'B11',
    'wg0 wgpeer A wgpka 25 up 10.20.0.0/24',
    '!10.20.0.0/24: expected wgaip before a prefix of the peer, or inet before an address of wg0',
  ],
  [
    'B11',
    'wg0 wgpeer A wgaip 10.20.0.0 255.255.255.0',
    '!255.255.255.0: a mask: expected ADDRESS/LENGTH as one word, as in wgaip 10.20.0.0/24',
  ],
  ['B11', 'wg0 wgpeer A wgpka 25 inet 10.99.0.1/24'],
  ['B11', 'wg0 10.99.0.1/24 wgpeer A wgpka 25'],
  [
    'B13',
    'wg0 wgpeer A wgaip 10.99.0.2/32 wgaip 10.20.0.0/24 wgaip 10.40.0.5/24',
    '~wgaip: 10.40.0.5/24: taken as 10.40.0.0/24',
  ],
  [
    'A22',
    'wg0 wgpeer A wgaip 10.99.0.2 wgaip 10.20.0.0/24 wgaip 10.40.8.0',
    '~wgaip: 10.40.8.0: taken as the single host 10.40.8.0/32; a network needs its length, as in 10.40.8.0/24',
  ],
  [
    'A22',
    'wg0 wgpeer A wgaip 10.99.0.2 wgaip 10.20.0.0/24 wgaip fd00:5::',
    '~wgaip: fd00:5::: taken as the single host fd00:5::/128; a network needs its length, as in fd00:5::/64',
  ],
  ['A22', 'wg0 wgpeer A wgaip 10.99.0.2 wgaip 10.20.0.0/24 wgaip 10.40.8.0/32'],
  [
    'A22',
    'wg0 inet alias 10.99.5.0',
    '~inet: 10.99.5.0: taken as the single host 10.99.5.0/32; a network needs its length, as in 10.99.5.0/24',
  ],
  // Prefixes that move and go.
  [
    'A19',
    'wg0 wgpeer B wgaip 10.99.0.3 wgaip 10.30.0.0/24 wgaip 10.20.0.0/24',
    '~wgaip: 10.20.0.0/24: taken from wgpeer fE/wdxzl... (site A)',
  ],
  [
    'A19',
    'wg0 wgpeer A wgaip 10.5.0.0/16 wgpeer B wgaip 10.5.0.0/16',
    '!wgaip: 10.5.0.0/16: expected for one peer only, but wgpeer fE/wdxzl... has it already',
  ],
  [
    'A19',
    'wg0 wgpeer A wgaip 10.99.0.2 wgpeer B wgaip 10.99.0.3 wgaip 10.30.0.0/24 wgaip 10.20.0.0/24',
  ],
  [
    'A19',
    'wg0 wgpeer A -wgaip 10.20.0.0/24 wgpeer B wgaip 10.99.0.3 wgaip 10.30.0.0/24 wgaip 10.20.0.0/24',
  ],
  [
    'A21',
    'wg0 wgpeer A wgaip 10.40.0.0/24',
    '~wgaip: 10.99.0.2/32, 10.20.0.0/24: removed from wgpeer fE/wdxzl... (site A): wgaip gives the whole set',
  ],
  ['A21', 'wg0 wgpeer A wgaip 10.99.0.0/30 wgaip 10.20.0.0/16'],
  ['A21', 'wg0 wgpeer A wgaip 10.20.0.0/24 wgaip 10.99.0.2/32 wgaip 10.40.0.0/24'],
  ['A21', 'wg0 -wgpeerall wgpeer A wgaip 10.40.0.0/24'],
  // Endpoints.
  [
    'B17',
    'wg0 wgpeer A wgendpoint 51820 203.0.113.10',
    '!wgendpoint: 51820 203.0.113.10: expected HOST first, then PORT',
  ],
  [
    'B17',
    'wg0 wgpeer A wgendpoint 51820 vpn.example.net',
    '!wgendpoint: 51820 vpn.example.net: expected HOST first, then PORT',
  ],
  [
    'B18',
    'wg0 wgpeer A wgendpoint fe80::1 51820',
    '!wgendpoint: fe80::1: a link-local address: expected %INTERFACE after it, as in fe80::1%eth0',
  ],
  ['B19', 'wg0 wgpeer A wgendpoint fe80::1%eth0 51820'],
  // Ways.
  ['W1', 'wg0 wgpeer A wgendpoint gw.example 51820 via eth0 wgendpoint gw.example 51820'],
  [
    'W2',
    'wg0 wgpeer A wgendpoint gw.example 51820 via',
    '!via: expected ADDR or IF after it, as in `via 192.0.2.1`',
  ],
  [
    'W3',
    'wg0 wgpeer A wgendpoint gw.example via eth0',
    '!wgendpoint: port via: expected 1 to 65535',
  ],
  [
    'W4',
    'wg0 wgpeer A wgendpoint gw.example 51820 via eth0/1',
    '!via: eth0/1: expected an address of this machine or an interface after it',
  ],
  [
    'W5',
    'wg0 wgpeer A wgendpoint 203.0.113.10 51820 via 2001:db8::1',
    '!via: 2001:db8::1: expected an address of the same family as 203.0.113.10',
  ],
  [
    'W6',
    'wg0 wgpeer A wgendpoint gw.example 51820 wgendpoint GW.example 51820',
    '!wgendpoint: GW.example:51820: named twice: expected each way once, the preferred one first',
  ],
  [
    'W7',
    'wg0 wgpeer A wgendpoint gw.example 51820 wgendpoint 198.51.100.255 51820',
    '!wgendpoint: 198.51.100.255: this is the broadcast address of our own 198.51.100.10/24: expected the address of the peer',
  ],
  [
    'W8',
    'wg0 wgpeer A wgendpoint gw.example 51820 via 0.0.0.0',
    '!via: 0.0.0.0: expected an address of this machine or an interface after it',
  ],
  [
    'W9',
    'wg0 via eth0',
    '!via: expected wgendpoint HOST PORT before it; `ip route add PREFIX dev wg0` adds a route',
  ],
  [
    'B20',
    'wg0 wgpeer A wgendpoint 0.0.0.0 51820',
    '!wgendpoint: 0.0.0.0: this means every address: expected the address of the peer',
  ],
  [
    'B20',
    'wg0 wgpeer A wgendpoint [::] 51820',
    '!wgendpoint: [::]: this means every address: expected the address of the peer',
  ],
  [
    'B20',
    'wg0 wgpeer A wgendpoint 224.0.0.1 51820',
    '!wgendpoint: 224.0.0.1: this is a multicast group: expected the address of the peer',
  ],
  [
    'B20',
    'wg0 wgpeer A wgendpoint ff02::1%eth0 51820',
    '!wgendpoint: ff02::1%eth0: this is a multicast group: expected the address of the peer',
  ],
  [
    'B20',
    'wg0 wgpeer A wgendpoint 255.255.255.255 51820',
    '!wgendpoint: 255.255.255.255: this is the broadcast address: expected the address of the peer',
  ],
  [
    'B20',
    'wg0 wgpeer A wgendpoint ::ffff:224.0.0.1 51820',
    '!wgendpoint: ::ffff:224.0.0.1: this is a multicast group: expected the address of the peer',
  ],
  [
    'B20',
    'wg0 wgpeer A wgendpoint 198.51.100.10 51820',
    '!wgendpoint: 198.51.100.10 51820: our own address and port: expected those of the peer',
  ],
  [
    'B20',
    'wg0 wgport 7 wgpeer A wgendpoint 198.51.100.10 7',
    '!wgendpoint: 198.51.100.10 7: our own address and port: expected those of the peer',
  ],
  ['B20', 'wg0 wgport 7 wgpeer A wgendpoint 198.51.100.10 51820'],
  ['B20', 'wg0 wgpeer A wgendpoint 198.51.100.10 4500'],
  ['B20', 'wg0 wgpeer A wgendpoint 127.0.0.1 4500'],
  [
    'B20',
    'wg0 wgpeer A wgendpoint fe80::1%wg0 51820',
    '!wgendpoint: fe80::1 51820: our own address and port: expected those of the peer',
  ],
  [
    'B20',
    'wg0 wgpeer A wgendpoint zero.example 51820',
    '!wgendpoint: zero.example: 0.0.0.0: this means every address: expected the address of the peer',
  ],
  [
    'B20',
    'wg0 wgpeer A wgendpoint 0.1.2.3 51820',
    '!wgendpoint: 0.1.2.3: no machine has an address in 0.0.0.0/8: expected the address of the peer',
  ],
  [
    'B20',
    'wg0 wgpeer A wgendpoint 240.0.0.1 51820',
    '!wgendpoint: 240.0.0.1: 240.0.0.0/4 is reserved: expected the address of the peer',
  ],
  [
    'B20',
    'wg0 wgpeer A wgendpoint 198.51.100.255 4500',
    '!wgendpoint: 198.51.100.255: this is the broadcast address of our own 198.51.100.10/24: expected the address of the peer',
  ],
  ['B20', 'wg0 wgpeer A wgendpoint 198.51.101.255 4500'],
  [
    'B52',
    'netstart -n --keep',
    '!netstart: -n, --keep: expected one of them: -n changes nothing, --keep stays, --install writes units',
  ],
  [
    'B52',
    'netstart wg0 --keep -n wg1',
    '!netstart: -n, --keep: expected one of them: -n changes nothing, --keep stays, --install writes units',
  ],
  ['B52', 'netstart -x wg0', '!netstart: -x: unknown option; expected -n, --keep or --install'],
  // A link that is not ours.
  ...['inet 10.0.0.1/24', 'delete', 'mtu 1400', 'down', 'descr lan', 'inet6 fd00::1'].map(
    (words): Row => [
      'B40',
      `eth0 ${words}`,
      '!eth0: not a WireGuard interface: expected one; `ip` changes others',
    ],
  ),
  ['B40', 'wg0 delete', '~delete: 10.99.0.1/24: removed, the only IPv4 address of wg0'],
  [
    'B40',
    'wg0 inet alias 10.98.0.1/24 inet -alias',
    '!-alias: wg0 has 10.99.0.1/24, 10.98.0.1/24: expected one of them, as in `inet ADDRESS -alias`',
  ],
  [
    'A22',
    'wg0 inet alias 10.99.5.0/24',
    '~inet: 10.99.5.0/24: the address of the network itself; expected that of one machine in it',
  ],
  [
    'A22',
    'wg0 inet alias 10.99.5.255/24',
    '~inet: 10.99.5.255/24: the broadcast address of the network; expected that of one machine in it',
  ],
  ['A22', 'wg0 inet alias 10.99.5.0/31'],
  // Words of others.
  ['B25', 'show', '!show: `tswg` alone shows all interfaces, `tswg wg0` one of them'],
  ['B25', 'show wg0', '!show: `tswg` alone shows all interfaces, `tswg wg0` one of them'],
  ['B25', 'set wg0 peer A', '!set: expected the interface first, as in `tswg wg0 wgport 51820`'],
  ['B27', 'wg0 show', '!show: `tswg wg0` alone shows the interface, `tswg` all of them'],
  ['B28', 'wg0 peer A allowed-ips 10.0.0.0/8', '!peer: expected wgpeer PUBLICKEY'],
  [
    'B28',
    'wg0 wgpeer A allowed-ips 10.0.0.0/8',
    '!allowed-ips: expected wgaip PREFIX, one for each prefix',
  ],
  [
    'B28',
    'wg0 wgpeer A AllowedIPs = 10.0.0.0/8',
    '!AllowedIPs: expected wgaip PREFIX, one for each prefix',
  ],
  [
    'B28',
    'wg0 wgpeer A endpoint 1.2.3.4:5',
    '!endpoint: expected wgendpoint HOST PORT, as two words',
  ],
  ['B28', 'wg0 wgpeer A persistent-keepalive 25', '!persistent-keepalive: expected wgpka SECONDS'],
  [
    'B28',
    'wg0 wgpeer A preshared-key /etc/psk',
    '!preshared-key: expected wgpskfile PATH, the file that holds the key',
  ],
  ['B28', 'wg0 wgpeer A remove', '!remove: expected -wgpeer PUBLICKEY, which removes that peer'],
  ['B28', 'wg0 listen-port 51820', '!listen-port: expected wgport PORT'],
  [
    'B28',
    'wg0 private-key /etc/key',
    '!private-key: expected wgkeyfile PATH, the file that holds the key',
  ],
  ['B28', 'wg0 fwmark 7', '!fwmark: expected wgfwmark MARK'],
  ['B29', 'wg0 -inet', '!-inet: expected `inet ADDRESS -alias`, for each address that is to go'],
  ['B29', 'wg0 -inet6', '!-inet6: expected `inet6 ADDRESS -alias`, for each address that is to go'],
  [
    'B30',
    'wg0 inet6 eui64',
    '!eui64: expected the whole address: Linux makes no EUI-64 address for a tunnel',
  ],
  [
    'B30',
    'wg0 group vpn',
    '!group: expected none: Linux has groups too, `ip link set wg0 group NAME`',
  ],
  [
    'B30',
    'wg0 metric 5',
    '!metric: expected none: on Linux each route has its own, `ip route add ... metric N`',
  ],
  ['B30', 'wg0 rdomain 1', '!rdomain: expected none: Linux has `ip netns` and `ip vrf` for it'],
  [
    'B30',
    'wg0 dns 1.1.1.1',
    '!dns: expected no name servers: they belong to /etc/resolv.conf or the resolver',
  ],
  ['B45', 'wg0 wgendpiont 1.2.3.4 5', '!wgendpiont: unknown word; did you mean wgendpoint?'],
  // Masks, lengths and sizes.
  [
    'B32',
    'wg0 inet alias 10.5.0.1/0',
    '~inet: 10.5.0.1/0: every address there is becomes on-link in the tunnel',
  ],
  [
    'B32',
    'wg0 inet alias 10.5.0.1 netmask 0.0.0.0',
    '~inet: 10.5.0.1/0: every address there is becomes on-link in the tunnel',
  ],
  [
    'B34',
    'wg0 inet 10.99.0.1 255.255.255.0',
    '!255.255.255.0: expected netmask before a mask, or /LENGTH on the address',
  ],
  [
    'B34',
    'wg0 inet 10.99.0.1 0xffffff00',
    '!0xffffff00: expected netmask before a mask, or /LENGTH on the address',
  ],
  [
    'B34',
    'wg0 inet 10.99.0.1 0.0.0.255',
    '!0.0.0.255: expected netmask before a mask, or /LENGTH on the address',
  ],
  ['B34', 'wg0 inet 10.99.0.1 10.99.0.2'],
  [
    'A38',
    'wg0 mtu 1000',
    '!mtu: 1000: expected 1280 or more, which IPv6 needs, for fd00:99::1/64 on wg0',
  ],
  ['A38', 'wg0 mtu 1000 inet6 fd00:99::1/64 -alias'],
  [
    'A38',
    'wg1 mtu 1000 inet6 fd00::1',
    '!mtu: 1000: expected 1280 or more, which IPv6 needs, for fd00::1/64 on wg1',
  ],
  ['A38', 'wg0 mtu 1280'],
  // The interface that is not there.
  ...[
    'down',
    '-debug',
    '-wgpeer A',
    '-wgpeerall',
    '-descr',
    'delete',
    'wgpeer A -wgpsk',
    '-wgfwmark',
  ].map((words): Row => ['B38', `wg1 ${words}`, '!wg1: no such interface; there is wg0']),
  ['B38', 'wg1 wgport 7', '~wg1: did not exist and was created; there is wg0 already'],
  ['B38', 'wg1 mtu 1400', '~wg1: did not exist and was created; there is wg0 already'],
  ['B38', 'wg1 create down'],
  ['B38', 'wgx down', '!wgx: no such interface; there is wg0'],
  // What is not there.
  ['B49', 'wg0 -wgpeer SLIPPED', '~-wgpeer: fE/wbxzl...: wg0 has no such peer'],
  [
    'B49',
    'wg0 wgpeer A -wgaip 10.7.0.0/16',
    '~-wgaip: 10.7.0.0/16: wgpeer fE/wdxzl... does not have it',
  ],
  ['B49', 'wg0 wgpeer A -wgaip 10.20.0.0/24'],
  [
    'B50',
    'wg0 wgpeer SLIPPED wgpka 25',
    '~wgpeer: fE/wbxzl...: a new peer, whose key is nearly that of wgpeer fE/wdxzl... (site A): character 5 is b here, d there',
  ],
  [
    'B50',
    'wg0 wgpeer LATE wgpka 25',
    '~wgpeer: fE/wdxzl...: a new peer, whose key is nearly that of wgpeer fE/wdxzl... (site A): character 40 is 7 here, S there, and 1 more',
  ],
  ['B50', 'wg0 -wgpeer A wgpeer SLIPPED wgaip 10.20.0.0/24'],
  [
    'B50',
    'wg1 create wgpeer A wgpka 25',
    '~wgpeer: fE/wdxzl...: a new peer without wgaip: no packet is sent to it or accepted from it',
  ],
];

describe('a tired operator types', () => {
  it.each(ROWS)('%s: tswg %s', async (number, typed, ...answers) => {
    const system = office();
    // Names are looked up here for a daemon that cannot do it by itself.
    system.knowsWays = number.startsWith('W');
    system.hosts.set('zero.example', ['0.0.0.0']);
    expect(await answer(typed, system)).toEqual(answers);
    if (answers[0]?.startsWith('!')) expect(system.log).toEqual([]);
    else expect(system.log).not.toEqual([]);
  });

  it('what is no address of a peer among those of a name is passed over', async () => {
    const system = office();
    system.knowsWays = false;
    system.hosts.set('two.example', ['0.0.0.0', '203.0.113.7']);
    expect(await answer('wg0 wgpeer A wgendpoint two.example 5', system)).toEqual([]);
    expect(system.changes[0].peers[0].endpoint!.address).toEqual(parseAddress('203.0.113.7'));
  });

  it('the private key of a peer that is there: which would vanish', async () => {
    const system = office();
    const other = createPrivateKeyBytes();
    const line = `wg0 wgpeer ${formatKey(publicKeyOf(other))} wgaip 10.9.0.0/16`;
    expect(await answer(line, system)).toEqual([]);
    const [refusal] = await answer(`wg0 wgkey ${formatKey(other)}`, system);
    expect(refusal).toMatch(/^!wgkey: this is the private key of wgpeer .{8}\.\.\.: expected one/);
    const { length } = system.changes;
    const swap = `wg0 wgkey ${formatKey(other)} -wgpeer ${formatKey(publicKeyOf(other))}`;
    expect(await answer(swap, system)).toHaveLength(1);
    expect(system.changes).toHaveLength(length + 1);
  });

  it('the same again, and hears nothing the second time', async () => {
    const system = office();
    const line =
      'wg0 wgpeer A wgaip 10.40.8.0 wgaip 10.20.0.5/24 wgaip 10.30.0.0/24 inet alias 10.98.0.0';
    expect(await answer(line, system)).toHaveLength(4);
    expect(await answer(line, system)).toEqual([]);
  });

  it.each([
    ['wg0 wgkeyfile /none', 'wgkeyfile'],
    ['wg0 wgkey ZERO', 'wgkey'],
  ])("words at the kernel's own WireGuard: %s", async (line, word) => {
    const system = new FakeSystem();
    system.addLink('wg0', { kind: 'wireguard' });
    system.standardInput = PRIVATE;
    const [text] = await answer(line.replace('/none', '-'), system);
    expect(text).toBe(
      `!${word}: wg0: the kernel's own WireGuard serves it: use \`wg show wg0\` and \`wg set wg0\``,
    );
  });

  it('a key with a line end of another system', () => {
    expect(keyIn(` ${PRIVATE}\r\n`, 'wgkeyfile', 'k')).toEqual(privateKey);
  });
});

describe('every answer', () => {
  it('fits two lines of a terminal of 80 columns', () => {
    const texts = ROWS.flatMap(([, , ...answers]) => answers);
    expect(texts.filter((text) => `tswg: warning: ${text}`.length > 160)).toEqual([]);
  });
});
