/**
 * Words that hands type which have learnt wg(8), wg-quick(8), ip(8) or OpenBSD's ifconfig(8), and
 * what is said here instead. None of them is a word of ours; the parser asks here before it guesses
 * at typing errors.
 */

import { DEFAULT_MTU } from '../device/configuration.ts';

const STARTS =
  '`tswg netstart wg0` sets the interface up from its file, and applies the file again';
const STOPS = 'expected down, or destroy, which removes the interface';

/** By their letters alone, so that `allowed-ips`, `AllowedIPs` and `allowedips=` are one. */
const HABITS: Readonly<Record<string, string>> = {
  // wg(8), and the keys of its files.
  peer: 'expected wgpeer PUBLICKEY',
  remove: 'expected -wgpeer PUBLICKEY, which removes that peer',
  publickey: 'expected wgpeer PUBLICKEY; `tswg wg0` shows our own',
  privatekey: 'expected wgkeyfile PATH, the file that holds the key',
  presharedkey: 'expected wgpskfile PATH, the file that holds the key',
  psk: 'expected wgpskfile PATH, the file that holds the key',
  listenport: 'expected wgport PORT',
  port: 'expected wgport PORT, or wgendpoint HOST PORT for the peer',
  fwmark: 'expected wgfwmark MARK',
  allowedips: 'expected wgaip PREFIX, one for each prefix',
  allowedip: 'expected wgaip PREFIX, one for each prefix',
  aip: 'expected wgaip PREFIX, one for each prefix',
  endpoint: 'expected wgendpoint HOST PORT, as two words',
  persistentkeepalive: 'expected wgpka SECONDS',
  keepalive: 'expected wgpka SECONDS',
  interface: 'expected the name of the interface first, as in `tswg wg0`',
  show: '`tswg wg0` alone shows the interface, `tswg` all of them',
  status: '`tswg wg0` alone shows the interface, `tswg wg0 stats` its counters',
  list: '`tswg wg0` alone shows the interface, `tswg` all of them',
  showconf: '`wg showconf wg0` writes a file for wg(8); `tswg wg0` shows the interface',
  dump: '`tswg wg0 --json` is for programs',
  json: 'expected --json',
  peers: '`tswg wg0` shows the peers',
  latesthandshakes: '`tswg wg0` shows the last handshake of each peer',
  transfer: '`tswg wg0` shows the bytes of each peer',
  set: 'expected the settings right after the interface, as in `tswg wg0 wgport 51820`',
  setconf: '`wg setconf wg0 FILE` reads such a file here, too',
  addconf: '`wg addconf wg0 FILE` reads such a file here, too',
  syncconf: '`wg syncconf wg0 FILE` reads such a file here, too',
  // wg-quick(8).
  address: 'expected inet or inet6 before the address',
  dns: 'expected no name servers: they belong to /etc/resolv.conf or the resolver',
  table: 'expected no table: `ip route` sets routes, in hostname.wg0 on a line that begins with !',
  preup: 'expected a line that begins with ! in hostname.wg0, before the others',
  postup: 'expected a line that begins with ! in hostname.wg0, after the others',
  predown: 'expected no command: nothing runs one on down',
  postdown: 'expected no command: nothing runs one on down',
  saveconfig: 'expected no file: hostname.wg0 is written by hand',
  save: 'expected no file: hostname.wg0 is written by hand',
  // Services, and those who ask them.
  start: STARTS,
  restart: STARTS,
  reload: STARTS,
  stop: STOPS,
  log: '`tswg wg0 events` shows what has happened, and with --follow what happens',
  monitor: '`tswg wg0 events --follow` shows what happens',
  ping: '`tswg wg0 doctor` pings through the tunnel, and says what is wrong',
  // ip(8) and Linux's ifconfig(8).
  add: 'expected alias, as in `inet alias 10.99.1.1/24`; or wgpeer PUBLICKEY',
  del: 'expected -alias after the address; or -wgpeer PUBLICKEY',
  dev: 'expected the name of the interface first, as in `tswg wg0 up`',
  link: `expected the setting itself, as in \`tswg wg0 mtu ${DEFAULT_MTU}\` or \`tswg wg0 up\``,
  addr: 'expected inet or inet6 before the address',
  route: 'expected no route: `ip route add PREFIX dev wg0` adds one',
  via: 'expected wgendpoint HOST PORT before it; `ip route add PREFIX dev wg0` adds a route',
  name: '`ip link set wg0 name NAME` renames the interface, the daemon follows',
  rename: '`ip link set wg0 name NAME` renames the interface, the daemon follows',
  type: 'expected no type: every interface made here is a WireGuard one',
  hw: 'expected no hardware address: a tunnel has none',
  txqueuelen: 'expected none: `ip link set wg0 txqueuelen N` sets it',
  pointopoint: 'expected the other end after the address, as in `inet 10.99.0.1 10.99.0.2`',
  dest: 'expected the other end after the address, as in `inet 10.99.0.1 10.99.0.2`',
  broadcast: 'expected none: a tunnel has no broadcast address',
  mask: 'expected netmask MASK, or /LENGTH on the address',
  // OpenBSD's ifconfig(8) where Linux differs.
  eui: 'expected the whole address: Linux makes no EUI-64 address for a tunnel',
  autoconf: 'expected an address: a tunnel gets none by itself',
  temporary: 'expected an address: a tunnel gets none by itself',
  group: 'expected none: Linux has groups too, `ip link set wg0 group NAME`',
  metric: 'expected none: on Linux each route has its own, `ip route add ... metric N`',
  priority: 'expected none: on Linux each route has its own, `ip route add ... metric N`',
  rdomain: 'expected none: Linux has `ip netns` and `ip vrf` for it',
  tunneldomain: 'expected wgfwmark MARK, and `ip rule add fwmark MARK table TABLE`',
  rtlabel: 'expected none: on Linux a route has `protocol` and `realm`',
  lladdr: 'expected no hardware address: a tunnel has none',
  media: 'expected none: a tunnel has no medium',
  mediaopt: 'expected none: a tunnel has no medium',
  mode: 'expected none: a tunnel has no medium',
  arp: 'expected none: a tunnel needs no ARP',
  promisc: 'expected none: `ip link set wg0 promisc on` sets it',
  multicast: 'expected none: `ip link set wg0 multicast on` sets it',
  tunnel: 'expected wgendpoint HOST PORT for the outer address of a peer',
  tunnelttl: 'expected none: outer packets have the default TTL of this machine',
  vltime: 'expected none: `ip address change ... valid_lft SECONDS` sets it',
  pltime: 'expected none: `ip address change ... preferred_lft SECONDS` sets it',
  anycast: 'expected none: Linux has no such flag for an address',
  pf: 'expected none: the firewall is nft(8)',
};

/** Words that take more away than any of ours. */
const NEGATED_HABITS: Readonly<Record<string, string>> = {
  inet: 'expected `inet ADDRESS -alias`, for each address that is to go',
  inet6: 'expected `inet6 ADDRESS -alias`, for each address that is to go',
  wgkey: 'expected wgkey with the all-zero key: `wgkey "$(head -c 32 /dev/zero | base64)"`',
  wgport: 'expected `wgport 0`, which lets the system pick one',
  wgpka: 'expected `wgpka 0`, which ends the keepalives',
  wgrtable: 'expected -wgfwmark, its counterpart on Linux',
  mtu: `expected \`mtu ${DEFAULT_MTU}\`, the usual one`,
  up: 'expected down',
  v: 'expected no interface before it, as in `tswg -v`',
  j: 'expected --json',
};

/** What is to be typed instead, or null when `typed` is no such habit. */
export function habit(typed: string): string | null {
  const negated = /^-(?!-)(.*)$/.exec(typed)?.[1];
  if (negated !== undefined && Object.hasOwn(NEGATED_HABITS, negated)) {
    return NEGATED_HABITS[negated];
  }
  const letters = typed.toLowerCase().replace(/[^a-z]/g, '');
  return Object.hasOwn(HABITS, letters) && /^[-\w]+[=:]?$/.test(typed) ? HABITS[letters] : null;
}

const SHOWS = '`tswg` alone shows all interfaces, `tswg wg0` one of them';
const SETS = 'expected the interface first, as in `tswg wg0 wgport 51820`';

const REMOVES = '`tswg wg0 destroy` removes it';

/** In the place of the interface's name. Few, since an interface may be called almost anything. */
const FIRST_HABITS: Readonly<Record<string, string>> = {
  ...{ show: SHOWS, showconf: SHOWS, status: SHOWS, list: SHOWS, ls: SHOWS, dump: SHOWS },
  ...{ set: SETS, setconf: SETS, addconf: SETS, syncconf: SETS, add: SETS, configure: SETS },
  ...{ '-a': SHOWS, '-A': SHOWS, '-l': SHOWS, '-s': SHOWS },
  '-j': '`tswg --json` is for programs',
};

/** The same, but only with words after them: no interface has these. */
const FOLLOWED_HABITS: Readonly<Record<string, string>> = {
  ...{ start: STARTS, restart: STARTS, reload: STARTS, quick: STARTS },
  stop: '`tswg wg0 down` stops it, `tswg wg0 destroy` removes it',
  ...{ del: REMOVES, delete: REMOVES, remove: REMOVES, rm: REMOVES },
  strip: '`wg-quick strip wg0` prints a file for `wg setconf wg0`',
  save: HABITS.save,
  link: 'expected the interface first, as in `tswg wg0 up`',
  addr: 'expected the interface first, as in `tswg wg0 inet 10.99.0.1/30`',
  address: 'expected the interface first, as in `tswg wg0 inet 10.99.0.1/30`',
  route: HABITS.route,
  ifconfig: 'expected its words alone, as in `tswg wg0 up`',
  wg: 'expected the interface first, as in `tswg wg0 wgport 51820`',
};

/**
 * The same for the first word of a command line, where an interface stands with us.
 *
 * @param rest the words after it; if an interface is among them, it is told of that one
 */
export function firstHabit(typed: string, rest: readonly string[]): string | null {
  const isFollowed = rest.length > 0 && Object.hasOwn(FOLLOWED_HABITS, typed);
  const meant = Object.hasOwn(FIRST_HABITS, typed) ? FIRST_HABITS[typed] : null;
  const text = isFollowed ? FOLLOWED_HABITS[typed] : meant;
  const name = rest.find((word) => /^[a-z][a-z-]{0,13}\d{1,3}$/.test(word)) ?? 'wg0';
  return text?.replaceAll('wg0', name) ?? null;
}
