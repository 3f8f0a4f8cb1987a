/**
 * The words of tswg, as data: what each takes, what it does, and an example. The parser, the help
 * and the completion read this table; it knows nothing of how a word is carried out.
 *
 * The words are those of OpenBSD's ifconfig(8), each negation its own row, with a few of our own
 * where Linux or safety asks for them.
 */

import { DEFAULT_MTU } from '../device/configuration.ts';
import { DOCTOR_OPTIONS, EVENTS_OPTIONS, type Options } from './options.ts';

/** Between a far end and a near one. */
export const VIA = 'via';

/** Where a word may stand, and under which heading the help lists it. */
export type Place = 'interface' | 'address' | 'wireguard' | 'peer' | 'view';

export interface Row {
  readonly word: string;
  readonly aliases?: readonly string[];
  /** Names of the arguments that must follow. */
  readonly args: readonly string[];
  /** What may stand after them as words of its own, for the help. */
  readonly follows?: string;
  readonly options?: Options;
  /** It stands alone: no other words beside it. */
  readonly isAlone?: true;
  /** `peer` words speak of the peer that the last wgpeer named. */
  readonly place: Place;
  readonly summary: string;
  readonly detail?: string;
  readonly example: string;
}

/** A word that follows the name of an interface. */
export interface Word extends Row {
  readonly word: WordName;
}

const KEY = 'fE/wdxzl0klVp/IR8UcaoGUMjqaWi3jAd7KzHKFS6Ds=';

const ROWS = [
  {
    word: 'create',
    args: [],
    place: 'interface',
    summary: 'create the interface; fails when it exists already',
    detail:
      'Must be the first word. Any other word creates a missing interface, too, unless it only removes something. The name must end in a digit.',
    example: 'tswg wg0 create',
  },
  {
    word: 'destroy',
    args: [],
    isAlone: true,
    place: 'interface',
    summary: 'remove the interface and end its daemon',
    example: 'tswg wg0 destroy',
  },
  {
    word: 'upgrade',
    args: [],
    isAlone: true,
    place: 'interface',
    summary: 'hand the running tunnel over to the tswgd that is on disk now',
    detail:
      'Sessions continue: normally no packet is lost, and no handshake is made. If the new daemon fails, the old one continues. SIGUSR2 to the daemon does the same.',
    example: 'tswg wg0 upgrade',
  },
  {
    word: 'up',
    args: [],
    place: 'interface',
    summary: 'let packets through; setting an address implies it',
    detail: 'The routes that `down` removed are put back.',
    example: 'tswg wg0 up',
  },
  {
    word: 'down',
    args: [],
    place: 'interface',
    summary: 'stop all packets and forget session keys; the configuration stays',
    detail:
      'Linux removes the routes over an interface that is down. `up` puts back those that this word has removed. What `ip link set INTERFACE down` has removed is not put back, except IPv6 addresses that were set by tswg.',
    example: 'tswg wg0 down',
  },
  {
    word: 'mtu',
    args: ['BYTES'],
    place: 'interface',
    summary: `largest packet inside the tunnel, 68 to 65535 (${DEFAULT_MTU} by default)`,
    detail:
      'IPv6 needs at least 1280: less is refused while there is an inet6 address. A WireGuard packet is 60 (IPv4) or 80 (IPv6) bytes larger.',
    example: `tswg wg0 mtu ${DEFAULT_MTU}`,
  },
  {
    word: 'description',
    aliases: ['descr'],
    args: ['TEXT'],
    place: 'interface',
    summary: 'a line of text for people; `ip link` shows it as alias',
    example: 'tswg wg0 description "to the Berlin office"',
  },
  {
    word: '-description',
    aliases: ['-descr'],
    args: [],
    place: 'interface',
    summary: 'remove the description',
    example: 'tswg wg0 -description',
  },
  {
    word: 'debug',
    args: [],
    place: 'interface',
    summary: 'let the daemon log every handshake and every dropped packet',
    detail:
      'The lines go to the kernel’s log (dmesg -w), or, where the daemon was started with LOG_LEVEL in the environment, to its standard error.',
    example: 'tswg wg0 debug',
  },
  {
    word: '-debug',
    args: [],
    place: 'interface',
    summary: 'stop logging every handshake and every dropped packet',
    example: 'tswg wg0 -debug',
  },
  {
    word: 'inet',
    args: [],
    follows: 'ADDR[/LEN] [DEST]',
    place: 'address',
    summary: 'set the IPv4 address, and on a point-to-point link the address of the other end',
    detail:
      'It replaces the first IPv4 address of the interface, unless alias is given with it. Without /LEN, netmask or prefixlen it is a single host (/32). The word itself may be left out.',
    example: 'tswg wg0 inet 10.99.0.1/30',
  },
  {
    word: 'inet6',
    args: [],
    follows: 'ADDR[/LEN]',
    place: 'address',
    summary: 'add an IPv6 address (/64 unless a length is given)',
    detail:
      'Other addresses stay. The word itself may be left out. The interface has no link-local address of its own, so that an idle tunnel is silent; a protocol that needs one, such as OSPFv3, is given one by hand: `tswg wg0 inet6 fe80::1/64`. For multicast, such as mDNS, also `ip link set wg0 multicast on`.',
    example: 'tswg wg0 inet6 fd00:99::1/64',
  },
  {
    word: 'alias',
    args: [],
    place: 'address',
    summary: 'add the address and keep the others',
    example: 'tswg wg0 inet alias 10.99.1.1/24',
  },
  {
    word: '-alias',
    aliases: ['delete'],
    args: [],
    place: 'address',
    summary: 'remove the address; without one, the only IPv4 address',
    example: 'tswg wg0 inet 10.99.1.1 -alias',
  },
  {
    word: 'netmask',
    args: ['MASK'],
    place: 'address',
    summary: 'the mask of the IPv4 address, as 255.255.255.252 or 0xfffffffc',
    example: 'tswg wg0 inet 10.99.0.1 netmask 255.255.255.252',
  },
  {
    word: 'prefixlen',
    args: ['LEN'],
    place: 'address',
    summary: 'prefix length of the IPv4 or IPv6 address, in bits',
    example: 'tswg wg0 inet6 fd00:99::1 prefixlen 64',
  },
  {
    word: 'wgkey',
    args: ['PRIVATEKEY'],
    place: 'wireguard',
    summary: 'our private key; prefer wgkeyfile',
    detail: 'Other users can see a key on the command line in `ps`. The all-zero key removes ours.',
    example: 'tswg wg0 wgkey "$(cat /etc/wg/private.key)"',
  },
  {
    word: 'wgkeyfile',
    args: ['PATH'],
    place: 'wireguard',
    summary: 'our private key, read from a file; `-` is standard input',
    detail:
      'The file must be readable by its owner alone (chmod 600), and holds one line as `tswg genkey` writes it.',
    example: 'tswg wg0 wgkeyfile /etc/wg/private.key',
  },
  {
    word: 'wgport',
    args: ['PORT'],
    place: 'wireguard',
    summary: 'UDP port to listen on, 0 to 65535; 0 lets the system pick one',
    example: 'tswg wg0 wgport 51820',
  },
  {
    word: 'wgfwmark',
    args: ['MARK'],
    place: 'wireguard',
    summary: 'firewall mark of the packets the tunnel sends, for `ip rule`; 0 is none',
    detail: 'The Linux counterpart of wgrtable.',
    example: 'tswg wg0 wgfwmark 0xca6c',
  },
  {
    word: '-wgfwmark',
    args: [],
    place: 'wireguard',
    summary: 'remove the firewall mark',
    example: 'tswg wg0 -wgfwmark',
  },
  {
    word: 'wgbind',
    args: ['ADDR|IF'],
    place: 'wireguard',
    summary: 'the only address or interface packets leave from and arrive at',
    detail:
      'An address leaves no packets of the other family. An interface is bound to by its name: it may come and go. While the address or the interface is not there, nothing is sent, and `tswg INTERFACE` says so.',
    example: 'tswg wg0 wgbind 192.0.2.10',
  },
  {
    word: '-wgbind',
    args: [],
    place: 'wireguard',
    summary: 'listen on every address, and let the routes choose where packets leave',
    example: 'tswg wg0 -wgbind',
  },
  {
    word: 'wgrtable',
    args: ['TABLE'],
    place: 'wireguard',
    summary: 'not on Linux: use wgfwmark and `ip rule`',
    example: 'tswg wg0 wgfwmark 7 && ip rule add fwmark 7 table 7',
  },
  {
    word: 'wgpeer',
    args: ['PUBLICKEY'],
    place: 'wireguard',
    summary: 'add or change this peer: the peer words after it apply to it',
    example: `tswg wg0 wgpeer ${KEY} wgendpoint 203.0.113.10 51820 wgaip 10.99.0.2/32`,
  },
  {
    word: '-wgpeer',
    args: ['PUBLICKEY'],
    place: 'wireguard',
    summary: 'remove this peer',
    example: `tswg wg0 -wgpeer ${KEY}`,
  },
  {
    word: '-wgpeerall',
    args: [],
    place: 'wireguard',
    summary: 'remove all peers, before any wgpeer of the same command is added',
    example: 'tswg wg0 -wgpeerall',
  },
  {
    word: 'wgendpoint',
    args: ['HOST', 'PORT'],
    follows: `[${VIA} ADDR|IF]`,
    place: 'peer',
    summary: "the peer's address or host name, and its UDP port",
    detail:
      'The daemon looks a name up when it starts, when the peer does not answer and when the network changes; one that is not found is looked up again. The peer may move: packets go to where it was last heard from. Repeat the word for more ways to the peer, the preferred one first: when one does not answer, the next is tried. What stands after via is the address of this machine, or the interface, that packets on this way leave from.',
    example: `tswg wg0 wgpeer ${KEY} wgendpoint vpn.example.net 51820`,
  },
  {
    word: '-wgendpoint',
    args: [],
    place: 'peer',
    summary: 'forget where the peer is until it is heard from',
    example: `tswg wg0 wgpeer ${KEY} -wgendpoint`,
  },
  {
    word: 'wgaip',
    args: ['PREFIX'],
    place: 'peer',
    summary: 'addresses of this peer inside the tunnel; repeat it for more',
    detail:
      'All wgaip after one wgpeer together replace the set that the peer had. A prefix that another peer had is taken from that one. Either loss is reported.',
    example: `tswg wg0 wgpeer ${KEY} wgaip 10.99.0.2/32 wgaip 10.20.0.0/24`,
  },
  {
    word: '-wgaip',
    args: ['PREFIX'],
    place: 'peer',
    summary: 'take one prefix from the peer and leave the others',
    detail: 'Not together with wgaip for the same wgpeer, since wgaip gives the whole set.',
    example: `tswg wg0 wgpeer ${KEY} -wgaip 10.20.0.0/24`,
  },
  {
    word: 'wgpsk',
    args: ['PRESHAREDKEY'],
    place: 'peer',
    summary: 'a secret shared with the peer, in addition to the keys; prefer wgpskfile',
    detail: 'Other users can see a key on the command line in `ps`.',
    example: `tswg wg0 wgpeer ${KEY} wgpsk "$(cat /etc/wg/berlin.psk)"`,
  },
  {
    word: 'wgpskfile',
    args: ['PATH'],
    place: 'peer',
    summary: 'a secret shared with the peer, read from a file; `-` is standard input',
    detail:
      'The file must be readable by its owner alone (chmod 600), and holds one line as `tswg genpsk` writes it.',
    example: `tswg wg0 wgpeer ${KEY} wgpskfile /etc/wg/berlin.psk`,
  },
  {
    word: '-wgpsk',
    args: [],
    place: 'peer',
    summary: 'remove the shared secret',
    example: `tswg wg0 wgpeer ${KEY} -wgpsk`,
  },
  {
    word: 'wgpka',
    args: ['SECONDS'],
    place: 'peer',
    summary: 'send a keepalive this often, 0 to 43200; 0 is off',
    detail: '25 keeps the path through most NATs and firewalls open.',
    example: `tswg wg0 wgpeer ${KEY} wgpka 25`,
  },
  {
    word: 'wgdescr',
    aliases: ['wgdescription'],
    args: ['TEXT'],
    place: 'peer',
    summary: 'a line of text about the peer',
    example: `tswg wg0 wgpeer ${KEY} wgdescr "Anna's laptop"`,
  },
  {
    word: '-wgdescr',
    aliases: ['-wgdescription'],
    args: [],
    place: 'peer',
    summary: 'remove the line of text about the peer',
    example: `tswg wg0 wgpeer ${KEY} -wgdescr`,
  },
  {
    word: 'stats',
    args: [],
    place: 'view',
    summary: 'show the counters: packets, handshakes, and why packets were dropped',
    detail: 'Of a peer, counters that are 0 are left out; `tswg wg0 --json` has all of them.',
    example: 'tswg wg0 stats',
  },
  {
    word: 'events',
    args: [],
    follows: '[OPTION ...]',
    options: EVENTS_OPTIONS,
    isAlone: true,
    place: 'view',
    summary: 'show what has happened; or follow it, or run a command for each event',
    detail:
      'Without --follow: the last 1,000 events, and of each peer its last 16. The command of --exec is one of the shell. It has the event in its environment (TSWG_EVENT, TSWG_PEER, ...) and as JSON on its standard input.',
    example: 'tswg wg0 events --follow --on connected,disconnected',
  },
  {
    word: 'doctor',
    args: [],
    follows: '[OPTION ...]',
    options: DOCTOR_OPTIONS,
    isAlone: true,
    place: 'view',
    summary: 'say what is wrong with the tunnel, how that is known, and what fixes it',
    detail:
      'It asks the daemon, the kernel, the name service and the endpoints, and pings through the tunnel, but changes nothing. It exits with 0 when nothing is wrong, 1 when something is, 2 when it cannot look.',
    example: 'tswg wg0 doctor --peer berlin',
  },
  {
    word: '--json',
    args: [],
    place: 'view',
    summary: 'show the state as JSON, without any secret key',
    example: 'tswg wg0 --json',
  },
] as const satisfies readonly Row[];

export type WordName = (typeof ROWS)[number]['word'];

export const WORDS: readonly Word[] = ROWS;

/** What the help and the manual say before the words. */
export const USAGE = {
  usage: '[INTERFACE] [WORD [ARGUMENT ...] ...]',
  description: [
    'tswg takes the words of OpenBSD ifconfig(8) for WireGuard interfaces on Linux.',
    'Without a word it shows the interface, without an interface all of them. Several words may follow each other; they are all checked before anything is changed.',
  ],
  more: '`tswg help WORD` explains a word, `tswg help all` every one; `tswg --json` shows all interfaces as JSON, `tswg --version` prints the version.',
} as const;

/** Heading of each place in the help, in the order in which they are listed. */
export const PLACES: Readonly<Record<Place, string>> = {
  interface: 'The interface',
  address: 'Its addresses',
  wireguard: 'WireGuard',
  peer: 'The peer named by the last wgpeer',
  view: 'Views',
};

const byName = new Map<string, Word>();
for (const word of WORDS) {
  for (const name of [word.word, ...(word.aliases ?? [])]) byName.set(name, word);
}

/** The row of a word or of one of its other spellings. */
export function findWord(name: string): Word | undefined {
  return byName.get(name);
}

/** Every spelling of every word that may follow an interface's name. */
export function wordNames(): string[] {
  return [...byName.keys()];
}
