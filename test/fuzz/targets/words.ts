/**
 * Command lines of tswg: through the parser, and what that accepts through the look-ups (a name
 * service and a standard input that say hostile things as well) and the plan of addresses. The same
 * words go through the shell's completion.
 */

import { planAddresses } from '../../../src/cli/addressplan.ts';
import type { Draft } from '../../../src/cli/command.ts';
import { COMMANDS } from '../../../src/cli/commands.ts';
import { answerShell } from '../../../src/cli/completion.ts';
import { parse } from '../../../src/cli/parse.ts';
import { Refusal } from '../../../src/cli/refusal.ts';
import { resolveChange, type Surroundings } from '../../../src/cli/resolve.ts';
import type { AddressView } from '../../../src/cli/view.ts';
import { findWord, WORDS, wordNames } from '../../../src/cli/words.ts';
import { parseAddress } from '../../../src/packet/address.ts';
import { parseSet, writeSet } from '../../../src/uapi/set.ts';
import type { Dice } from '../../packet/trains.ts';
import { mutateWords } from '../mutator.ts';
import { holds, holdsEqual, type Input, type RunningTarget, type Target } from '../target.ts';

const KEY = 'fE/wdxzl0klVp/IR8UcaoGUMjqaWi3jAd7KzHKFS6Ds=';
const SECRET = `${'S'.repeat(42)}E=`;
const VALUES = [
  ...[KEY, SECRET, '10.99.0.1/30', '10.99.0.1', '10.99.0.2', 'fd00::1/64', 'fe80::1%eth0', '-'],
  ...['51820', '0', '65535', '0xca6c', '1420', 'vpn.example.net', '255.255.255.0', '10.0.0.0/8'],
];
const VOCABULARY = [...wordNames(), ...COMMANDS.map((row) => row.word), ...VALUES, 'wg0', 'delete'];

/** The examples of the help, and a site as in the handbook. */
const CORPUS: readonly (readonly string[])[] = [
  ...[...WORDS, ...COMMANDS].map(({ example }) => {
    const words = example.split(/ && | > | < /)[0].match(/"[^"]*"|[^\s()]+/g) ?? [];
    return words.slice(1).map((word) => (word.startsWith('"') ? word.slice(1, -1) : word));
  }),
  'wg0 inet 10.99.0.1/30 wgkeyfile - wgport 51820'.split(' '),
  ...[['--version'], ['-V'], ['help', 'wgaip'], ['completion', 'zsh'], ['wg0', '--help']],
  `wg0 wgkeyfile - wgpeer ${KEY} wgpskfile - wgendpoint [2001:db8::1] 1`.split(' '),
  `wg0 wgpeer ${KEY} wgendpoint ::ffff:1.2.3.4 1 wgendpoint fe80::1%7 1`.split(' '),
  `wg0 wgpeer ${KEY} wgendpoint fe80::1%wg1 1 wgendpoint [1.2.3.4] 1`.split(' '),
  'wg0 inet6 fd00::1 netmask 0xff000000 10.99.0.1 10.99.0.2'.split(' '),
  [
    ...[
      'wg0',
      'wgpeer',
      KEY,
      'wgendpoint',
      'a.example',
      '1',
      'via',
      'eth1',
      'wgdescr',
      'site B',
      'wgendpoint',
      'b.example',
      '51820',
    ],
    ...['wgaip', '10.99.0.2/32', 'wgaip', '10.20.0.0/24', 'wgpsk', SECRET, 'wgpka', '25'],
    ...['wgpeer', `${'B'.repeat(42)}E=`, '-wgaip', 'fd00::/64', 'wgendpoint', 'fe80::1%eth0', '1'],
  ],
  'wg0 inet alias 10.98.0.1 netmask 255.255.255.0 inet6 fd00::1 prefixlen 48 10.0.0.1'.split(' '),
];

const HAD: readonly AddressView[] = ['10.99.0.1', 'fd00::1'].map((text) => {
  const address = parseAddress(text)!;
  const destination = address.length === 4 ? address : null;
  return { address, length: address.length * 8, destination, broadcast: null };
});
const FACTS = {
  interfaces: () => ['wg0', 'office'],
  files: () => ['wg1'],
  links: () => ['eth0'],
  peers: () => [{ key: KEY, description: 'site B', allowedIps: ['10.20.0.0/24'] }],
};
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]/u;
const MESSAGE_MAX = 400;
/** Shorter ones may stand in a message by chance. */
const SECRET_MIN = 20;
const STANDING_ALONE = [
  ...COMMANDS.map((row) => row.word),
  '-h',
  '--help',
  '-V',
  '--version',
  'version',
];

class Words implements RunningTarget {
  generate(dice: Dice): readonly string[] {
    const words = mutateWords(dice.pick(CORPUS), CORPUS, VOCABULARY, dice);
    // Node decodes what the shell hands over, so that there are no halves of characters.
    return words.map((word) => Buffer.from(word).toString());
  }

  run(input: Input): string | Promise<string> {
    const words = input as readonly string[];
    completes(words);
    const command = parse(words);
    if (command.kind === 'configure') return configures(command.draft, words);
    if (command.kind !== 'mistake') return command.kind;
    checkMessage(command.text, words);
    return `mistake: ${command.text.replace(/^.*?: (.*: )?/, '').slice(0, 24)}`;
  }
}

/** A message is one short line, about a word that was typed, and without the secrets. */
function checkMessage(text: string, words: readonly string[]): void {
  holds(text.length > 5 && text.length <= MESSAGE_MAX, `a message of ${text.length} characters`);
  holds(!CONTROL.test(text), 'a message that steers the terminal');
  for (const at of secretsOf(words)) {
    const secret = words[at];
    const isSaidElsewhere = words.some((word, i) => i !== at && word.includes(secret));
    const isHidden = secret.length < SECRET_MIN || isSaidElsewhere || !text.includes(secret);
    holds(isHidden, 'a secret in a message');
  }
}

/** Where the keys behind wgkey and wgpsk stand. */
function secretsOf(words: readonly string[]): number[] {
  const secrets: number[] = [];
  // Behind a command there is no setting, whatever it is called.
  if (STANDING_ALONE.includes(words[0])) return [];
  for (let at = words[0] === '--json' ? 2 : 1; at < words.length; at++) {
    const row = findWord(words[at]);
    if (row?.word === 'wgkey' || row?.word === 'wgpsk') secrets.push(at + 1);
    at += row?.args.length ?? 0;
  }
  // The key of the examples is no secret: messages show it.
  return secrets.filter((at) => at < words.length && words[at] !== KEY);
}

async function configures(draft: Draft, words: readonly string[]): Promise<string> {
  const refused = [plan(draft, words)];
  // Files are what the machine has; standard input is ours to say.
  const paths = [draft.privateKey, ...draft.peers.map((peer) => peer.presharedKey)];
  if (paths.some((source) => source?.kind === 'file' && source.path !== '-')) return 'a file';
  try {
    const change = await resolveChange(draft, words.length % 2 === 0, surroundings(words));
    const lines = writeSet(change).split('\n').slice(1, -2);
    holdsEqual(parseSet(lines).ok, change, 'a change written and read');
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    checkMessage(error.message, words);
    refused.push('refused');
  }
  return refused.find((outcome) => outcome !== '') ?? 'configure';
}

function plan(draft: Draft, words: readonly string[]): string {
  try {
    const planned = planAddresses('wg0', HAD, draft.addresses);
    holds(
      planned.every(({ address, length }) => length <= address.length * 8),
      'a long prefix',
    );
    return '';
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    checkMessage(error.message, words);
    return 'no such address';
  }
}

/** A machine on which host names resolve to whatever words were typed. */
function surroundings(words: readonly string[]): Surroundings {
  return {
    lookup: async (host) => {
      const code = [undefined, 'ENOTFOUND', undefined, 'EAI_AGAIN', 'EIO'][host.length % 8];
      if (code !== undefined) throw Object.assign(new Error(host), { code });
      return [...words];
    },
    readStandardInput: async () => words[words.length - 1] ?? '',
    interfaceIndex: (name) => (name === 'eth0' ? 3 : 0),
  };
}

function completes(words: readonly string[]): void {
  const answered = answerShell(words, FACTS);
  holds(
    /^(files|names|words)\t.*\n(.+\t.*\n)*$/.test(answered),
    'an answer that the scripts cannot read',
  );
}

export const words: Target = {
  name: 'words',
  sources: [
    ...['cli/parse', 'cli/addresswords', 'cli/resolve', 'cli/values', 'cli/words'],
    ...['cli/addressplan', 'cli/completion'],
  ],
  create: () => new Words(),
};
