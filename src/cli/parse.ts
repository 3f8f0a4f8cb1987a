/**
 * The command line -> a Command, or one line that says what is wrong with it. Pure and total:
 * nothing is looked up, read or touched here, and no text makes it throw.
 *
 * The words keep ifconfig's order of things: peer words are about the last wgpeer, -wgpeerall comes
 * first wherever it stands, and a word that is not known must be an address.
 */

import { parseNear } from '../device/near.ts';
import { parseDecimal, parsePort } from '../packet/address.ts';
import { visible } from '../quotation.ts';
import { parseMark } from '../uapi/set.ts';
import { AddressWords } from './addresswords.ts';
import type { Command, Draft, Mistake } from './command.ts';
import { mistake } from './command.ts';
import { COMMANDS } from './commands.ts';
import { parseDoctor } from './doctorwords.ts';
import { parseEvents } from './eventsoptions.ts';
import { firstHabit } from './habits.ts';
import { keyMistake, parseKey } from './keys.ts';
import { PeerWords, strayAddress } from './peerwords.ts';
import { isShell } from './shells.ts';
import {
  INTERFACE_NAME_RULE,
  isCreatableName,
  isInterfaceName,
  textMistake,
  unknownWord,
} from './values.ts';
import { findWord, VIA, type Word, type WordName, wordNames } from './words.ts';

const MTU_MIN = 68;
const MTU_MAX = 65_535;
const KEEPALIVE_MAX_SECONDS = 43_200;

export function parse(argv: readonly string[]): Command | Mistake {
  const json = argv[0] === '--json';
  const words = json ? argv.slice(1) : argv;
  if (words.length === 0) return { kind: 'list', json };
  const [first, ...rest] = words;
  if (!json) {
    const command = parseCommandWord(first, rest);
    if (command !== null) return command;
  }
  const meant = firstHabit(first, rest);
  if (meant !== null) return mistake(`${first}: ${meant}`);
  if (findWord(first) !== undefined) {
    return mistake(`${first}: expected an interface before it, as in \`tswg wg0 ${first}\``);
  }
  if (first.startsWith('-')) {
    return mistake(`${visible(first)}: unknown option; expected --json, --help, --version`);
  }
  if (!isInterfaceName(first)) {
    return mistake(`${visible(first)}: ${INTERFACE_NAME_RULE}`);
  }
  return parseInterface(first, json ? [...rest, '--json'] : rest);
}

/** genkey, help and the like; null when `first` is none of them. */
function parseCommandWord(first: string, rest: readonly string[]): Command | Mistake | null {
  if (asksForHelp(rest) && COMMANDS.some((row) => row.word === first)) return parseHelp([first]);
  switch (first) {
    case 'genkey':
    case 'pubkey':
    case 'genpsk':
    case 'version':
      return rest.length === 0 ? { kind: first } : surplus(first, rest[0]);
    case '--version':
    case '-v':
    case '-V':
      return rest.length === 0 ? { kind: 'version' } : surplus(first, rest[0]);
    case 'help':
    case '--help':
    case '-h':
      return parseHelp(rest);
    case 'completion':
      return parseCompletion(rest);
    case 'netstart':
      return parseNetstart(rest);
    case 'metrics':
      return parseMetrics(rest);
    default:
      return null;
  }
}

function asksForHelp(words: readonly string[]): boolean {
  return words.includes('--help') || words.includes('-h');
}

function surplus(word: string, extra: string): Mistake {
  return mistake(`${word}: ${visible(extra)}: expected nothing after it`);
}

function parseHelp(rest: readonly string[]): Command | Mistake {
  if (rest.length === 0) return { kind: 'help', topic: null };
  if (rest.length > 1) return surplus(`help ${visible(rest[0])}`, rest[1]);
  const topic = rest[0];
  if (topic === 'tswg') return { kind: 'help', topic: null };
  const others = [...COMMANDS.map((row) => row.word), 'all', 'tswgd'];
  if (findWord(topic) !== undefined || others.includes(topic)) return { kind: 'help', topic };
  return mistake(`help: ${unknownWord(topic, [...wordNames(), ...others])}`);
}

function parseCompletion(rest: readonly string[]): Command | Mistake {
  const shell = rest.length === 0 ? null : rest[0];
  if (shell !== null && !isShell(shell)) {
    return mistake(`completion: ${visible(shell)}: expected bash, zsh or fish`);
  }
  return rest.length > 1 ? surplus('completion', rest[1]) : { kind: 'completion', shell };
}

const NETSTART_MODES = { '-n': 'plan', '--keep': 'keep', '--install': 'install' } as const;

function parseNetstart(rest: readonly string[]): Command | Mistake {
  const options = Object.keys(NETSTART_MODES) as (keyof typeof NETSTART_MODES)[];
  const given = options.filter((option) => rest.includes(option));
  if (given.length > 1) {
    return mistake(
      `netstart: ${given.join(', ')}: expected one of them: -n changes nothing, --keep stays, --install writes units`,
    );
  }
  const names = rest.filter((word) => !options.some((option) => option === word));
  const option = names.find((word) => word.startsWith('-'));
  if (option !== undefined) {
    return mistake(
      `netstart: ${visible(option)}: unknown option; expected -n, --keep or --install`,
    );
  }
  const wrong = names.find((name) => !isInterfaceName(name));
  if (wrong !== undefined) return mistake(`netstart: ${visible(wrong)}: ${INTERFACE_NAME_RULE}`);
  const mode = given.length === 0 ? 'once' : NETSTART_MODES[given[0]];
  return { kind: 'netstart', names, mode };
}

function parseMetrics(rest: readonly string[]): Command | Mistake {
  const format = rest.includes('--openmetrics') ? 'openmetrics' : 'prometheus';
  const names = rest.filter((word) => word !== '--openmetrics');
  const option = names.find((word) => word.startsWith('-'));
  if (option !== undefined) {
    return mistake(`metrics: ${visible(option)}: unknown option; expected --openmetrics`);
  }
  const wrong = names.find((name) => !isInterfaceName(name));
  if (wrong === undefined) return { kind: 'metrics', names, format };
  return mistake(`metrics: ${visible(wrong)}: ${INTERFACE_NAME_RULE}`);
}

/** `tswg NAME word ...`. */
function parseInterface(name: string, words: readonly string[]): Command | Mistake {
  if (words.length === 0) return { kind: 'show', name, json: false };
  if (words[0] === 'help') return parseHelp(words.slice(1));
  if (words[0] === 'version' || COMMANDS.some((row) => row.word === words[0])) {
    return mistake(`${words[0]}: expected no interface before it, as in \`tswg ${words[0]}\``);
  }
  const hasOptions = words[0] === 'events' || words[0] === 'doctor';
  if (asksForHelp(words)) return { kind: 'help', topic: hasOptions ? words[0] : null };
  if (words[0] === 'events') return parseEvents(name, words.slice(1));
  if (words[0] === 'doctor') return parseDoctor(name, words.slice(1));

  const reading = new Reading(name, words);
  while (!reading.done) {
    const wrong = reading.step();
    if (wrong !== null) return mistake(wrong);
  }
  return reading.finish();
}

type Take = (reading: Reading, args: readonly string[], word: string) => string | null;

/** The state of the parse: the draft so far, and what the next word would be about. */
class Reading {
  readonly draft: Draft = { create: false, removeAllPeers: false, peers: [], addresses: [] };
  readonly peers = new PeerWords(this.draft.peers);
  readonly addresses = new AddressWords(this.draft.addresses);
  /** stats, --json, destroy or upgrade: words that stand alone. */
  alone: { word: string; command: Command } | null = null;
  readonly name: string;
  readonly #words: readonly string[];
  #at = 0;
  #settings = 0;
  /** The row of the word before. */
  #before: Word | null = null;
  /** No word has begun an address since the last one about peers. */
  #isAmongPeers = false;

  constructor(name: string, words: readonly string[]) {
    this.name = name;
    this.#words = words;
  }

  get done(): boolean {
    return this.#at >= this.#words.length;
  }

  get isFirst(): boolean {
    return this.#at === 1;
  }

  /** Takes one word with its arguments; a line when something is wrong. */
  step(): string | null {
    const typed = this.#words[this.#at++];
    const row = findWord(typed);
    if (row === undefined) {
      this.#settings++;
      const stray = this.#isAmongPeers ? strayAddress(typed, this.#before!.word, this.name) : null;
      return stray ?? this.addresses.unnamed(typed);
    }
    this.#before = row;
    if (row.place === 'peer' || row.args[0] === 'PUBLICKEY') this.#isAmongPeers = true;
    else if (row.place === 'address' && row.args.length === 0) this.#isAmongPeers = false;
    const args = this.#words.slice(this.#at, this.#at + row.args.length);
    if (args.length < row.args.length) {
      const what = row.args.join(' and ');
      return `${typed}: expected ${what} after it, as in \`${briefExample(row)}\``;
    }
    if (row.place === 'peer' && this.peers.current === null) {
      return `${typed}: expected wgpeer PUBLICKEY before it, which names the peer that it is about`;
    }
    if (row.place === 'peer' && this.peers.current!.remove) {
      return `${typed}: the peer before it is removed by -wgpeer: expected wgpeer PUBLICKEY first`;
    }
    this.#at += row.args.length;
    const wrong = TAKES[row.word](this, args, typed);
    if (row.place !== 'view' && !row.isAlone) this.#settings++;
    return wrong;
  }

  /** What stands after `via`, if that is the next word; undefined when nothing does. */
  takeVia(): string | null | undefined {
    if (this.#words[this.#at] !== VIA) return null;
    this.#at += 2;
    return this.#words[this.#at - 1];
  }

  finish(): Command | Mistake {
    const wrong = this.addresses.finish();
    if (wrong !== null) return mistake(wrong);
    if (this.alone !== null) {
      if (this.#settings > 0) {
        return mistake(`${this.alone.word}: expected no other words with it`);
      }
      return this.alone.command;
    }
    return { kind: 'configure', name: this.name, draft: this.draft };
  }
}

/** The words themselves, so that a line fits a terminal. */
function briefExample(row: Word): string {
  if (row.place === 'peer') return row.example.replace(/^.* wgpeer \S+ /, '');
  return row.args[0] === 'PUBLICKEY' ? row.example.replace(/(wgpeer \S+) .*$/, '$1') : row.example;
}

function takeAlone(reading: Reading, word: string, command: Command): string | null {
  const before = reading.alone;
  const isView = ({ kind }: Command): boolean => kind === 'show' || kind === 'stats';
  if (before !== null && !(isView(command) && isView(before.command)))
    return `${word}: expected no other words with it`;
  // `stats --json` is the same as --json, which holds the counters too.
  if (before?.command.kind !== 'show') reading.alone = { word, command };
  return null;
}

/** How each word is taken, in the order of the table of words. */
const TAKES: Readonly<Record<WordName, Take>> = {
  create: (reading) => {
    if (!reading.isFirst) return 'create: expected as the first word after the interface';
    if (!isCreatableName(reading.name)) {
      return `create: ${reading.name}: expected a name that ends in a digit, such as wg0`;
    }
    reading.draft.create = true;
    return null;
  },
  destroy: (reading, _args, word) =>
    takeAlone(reading, word, { kind: 'destroy', name: reading.name }),
  upgrade: (reading, _args, word) =>
    takeAlone(reading, word, { kind: 'upgrade', name: reading.name }),
  up: (reading) => set(reading.draft, 'up', true),
  down: (reading) => set(reading.draft, 'up', false),
  mtu: (reading, [text]) => {
    const mtu = parseDecimal(text, MTU_MAX);
    if (mtu === null || mtu < MTU_MIN) {
      return `mtu: ${visible(text)}: expected ${MTU_MIN} to ${MTU_MAX}`;
    }
    return set(reading.draft, 'mtu', mtu);
  },
  description: (reading, [text], word) =>
    textMistake(word, text) ?? set(reading.draft, 'description', text),
  '-description': (reading) => set(reading.draft, 'description', ''),
  debug: (reading) => set(reading.draft, 'debug', true),
  '-debug': (reading) => set(reading.draft, 'debug', false),
  inet: (reading) => reading.addresses.family(4),
  inet6: (reading) => reading.addresses.family(6),
  alias: (reading, _args, word) => reading.addresses.mode(word, 'alias'),
  '-alias': (reading, _args, word) => reading.addresses.mode(word, 'remove'),
  netmask: (reading, [text]) => reading.addresses.netmask(text),
  prefixlen: (reading, [text]) => reading.addresses.prefixlen(text),
  wgkey: (reading, [text]) => {
    const key = parseKey(text);
    if (key === null) return `wgkey: ${keyMistake('wgkey', text)}`;
    return set(reading.draft, 'privateKey', { kind: 'given', key });
  },
  wgkeyfile: (reading, [path], word) =>
    fileMistake(reading, word, path) ??
    set(reading.draft, 'privateKey', { kind: 'file', word, path }),
  wgport: (reading, [text]) => {
    const port = parsePort(text);
    if (port === null) return `wgport: ${visible(text)}: expected 0 to 65535`;
    return set(reading.draft, 'listenPort', port);
  },
  wgfwmark: (reading, [text]) => {
    const mark = parseMark(text);
    if (mark === null) {
      return `wgfwmark: ${visible(text)}: expected 0 to 4294967295, or as hexadecimal 0x0 to 0xffffffff`;
    }
    return set(reading.draft, 'fwmark', mark);
  },
  '-wgfwmark': (reading) => set(reading.draft, 'fwmark', 0),
  wgbind: (reading, [text]) => {
    const near = parseNear(text);
    if (near === null) {
      return `wgbind: ${visible(text)}: expected an address of this machine, or the name of an interface`;
    }
    if (near.kind === 'interface' && near.name === reading.name) {
      return `wgbind: ${text}: this is the tunnel itself: expected an interface that it runs over`;
    }
    return set(reading.draft, 'bind', near);
  },
  '-wgbind': (reading) => set(reading.draft, 'bind', null),
  wgrtable: (_reading, [text]) =>
    `wgrtable: ${visible(text)}: expected wgfwmark, its counterpart on Linux: \`wgfwmark MARK\` here and \`ip rule add fwmark MARK table ${visible(text)}\``,
  wgpeer: (reading, [text], word) => reading.peers.begin(word, text),
  '-wgpeer': (reading, [text], word) => reading.peers.begin(word, text),
  '-wgpeerall': (reading) => set(reading.draft, 'removeAllPeers', true),
  wgendpoint: (reading, [host, port]) => {
    const via = reading.takeVia();
    if (via === undefined) return 'via: expected ADDR or IF after it, as in `via 192.0.2.1`';
    return reading.peers.endpoint(host, port, via);
  },
  '-wgendpoint': (reading) => set(reading.peers.current!, 'endpoints', []),
  wgaip: (reading, [text], word) => reading.peers.allowedIp(word, text),
  '-wgaip': (reading, [text], word) => reading.peers.allowedIp(word, text),
  wgpsk: (reading, [text]) => {
    const key = parseKey(text);
    if (key === null) return `wgpsk: ${keyMistake('wgpsk', text)}`;
    return set(reading.peers.current!, 'presharedKey', { kind: 'given', key });
  },
  wgpskfile: (reading, [path], word) =>
    fileMistake(reading, word, path) ??
    set(reading.peers.current!, 'presharedKey', { kind: 'file', word, path }),
  '-wgpsk': (reading) =>
    set(reading.peers.current!, 'presharedKey', { kind: 'given', key: new Uint8Array(32) }),
  wgpka: (reading, [text]) => {
    const seconds = parseDecimal(text, KEEPALIVE_MAX_SECONDS);
    if (seconds === null) {
      return `wgpka: ${visible(text)}: expected 0 to ${KEEPALIVE_MAX_SECONDS} seconds`;
    }
    return set(reading.peers.current!, 'persistentKeepalive', seconds);
  },
  wgdescr: (reading, [text], word) =>
    textMistake(word, text) ?? set(reading.peers.current!, 'description', text),
  '-wgdescr': (reading) => set(reading.peers.current!, 'description', ''),
  // It stands alone, with options of its own.
  doctor: (_reading, _args, word) => `${word}: expected as the first word after the interface`,
  stats: (reading, _args, word) => takeAlone(reading, word, { kind: 'stats', name: reading.name }),
  events: (_reading, _args, word) => `${word}: expected as the first word after the interface`,
  '--json': (reading, _args, word) =>
    takeAlone(reading, word, { kind: 'show', name: reading.name, json: true }),
};

function set<T, K extends keyof T>(target: T, key: K, value: NonNullable<T[K]> | T[K]): null {
  target[key] = value;
  return null;
}

/** A path to a secret. Standard input can be read only once. */
function fileMistake(reading: Reading, word: string, path: string): string | null {
  if (path === '' || path.includes('\0')) return `${word}: ${visible(path)}: expected a path`;
  if (parseKey(path.trim()) !== null) {
    return `${word}: this is a key: expected the path of the file that holds it`;
  }
  if (path !== '-') return null;
  const { privateKey, peers } = reading.draft;
  const sources = [privateKey, ...peers.map((peer) => peer.presharedKey)];
  const taken = sources.some((source) => source?.kind === 'file' && source.path === '-');
  return taken ? `${word}: -: an earlier word reads standard input already` : null;
}
