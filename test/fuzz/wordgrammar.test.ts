/**
 * The grammar of the command line: right sentences mean what their words say, and a sentence broken
 * in one place is refused in one line that names the word, the value and what was expected. Single
 * cases stand beside the parser's own tests; here sentences are put together at random.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Command, Draft, Mistake } from '../../src/cli/command.ts';
import { formatKey } from '../../src/cli/keys.ts';
import { nearest } from '../../src/cli/nearest.ts';
import { parse } from '../../src/cli/parse.ts';
import { hostMistake } from '../../src/cli/values.ts';
import { findWord, wordNames } from '../../src/cli/words.ts';
import { formatAddress, formatPrefix } from '../../src/packet/address.ts';
import { visible } from '../../src/quotation.ts';
import { description, key, prefix } from '../uapi/arbitraries.ts';
import { anyAddress, type Part, part, port, RUNS, spelledMark } from './sentence.ts';

type Meaning = { -readonly [Field in keyof Draft]: Draft[Field] };
type PeerMeaning = Meaning['peers'][number];

const base64Key = key
  .filter((bytes) => bytes.some((octet) => octet !== 0))
  .map((bytes) => ({ bytes, text: formatKey(bytes) }));
/** No word of ours, and nothing that a terminal would act on. */
const plainText = description.filter((text) => text.length > 0);
const label = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const hostName = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const host = fc.oneof(
  hostName,
  anyAddress.map((bytes) => formatAddress(bytes)).filter((text) => hostMistake(text) === null),
);

const settingWords: fc.Arbitrary<Part<Meaning>> = fc.oneof(
  fc.boolean().map((up) => part<Meaning>([up ? 'up' : 'down'], (m) => (m.up = up))),
  fc.boolean().map((on) => part<Meaning>([on ? 'debug' : '-debug'], (m) => (m.debug = on))),
  fc
    .integer({ min: 68, max: 65_535 })
    .map((mtu) => part<Meaning>(['mtu', `${mtu}`], (m) => (m.mtu = mtu))),
  port.map((number) => part<Meaning>(['wgport', `${number}`], (m) => (m.listenPort = number))),
  spelledMark.map(([text, number]) =>
    part<Meaning>(['wgfwmark', text], (m) => (m.fwmark = number)),
  ),
  plainText.map((text) => part<Meaning>(['descr', text], (m) => (m.description = text))),
  base64Key.map(({ bytes, text }) =>
    part<Meaning>(['wgkey', text], (m) => (m.privateKey = { kind: 'given', key: bytes })),
  ),
  fc.constant(part<Meaning>(['-wgpeerall'], (m) => (m.removeAllPeers = true))),
);

const peerWords: fc.Arbitrary<Part<PeerMeaning>> = fc.oneof(
  fc.tuple(host, fc.integer({ min: 1, max: 65_535 })).map(([name, number]) =>
    part<PeerMeaning>(['wgendpoint', name, `${number}`], (m) => {
      m.endpoints = [...(m.endpoints ?? []), { host: name, port: number, near: null }];
    }),
  ),
  prefix.map((one) =>
    part<PeerMeaning>(['wgaip', formatPrefix(one)], (m) => {
      m.allowedIpsMode = 'replace';
      m.allowedIps.push({ prefix: one, remove: false });
    }),
  ),
  fc
    .nat(43_200)
    .map((seconds) =>
      part<PeerMeaning>(['wgpka', `${seconds}`], (m) => (m.persistentKeepalive = seconds)),
    ),
  plainText.map((text) => part<PeerMeaning>(['wgdescr', text], (m) => (m.description = text))),
  base64Key.map(({ bytes, text }) =>
    part<PeerMeaning>(['wgpsk', text], (m) => (m.presharedKey = { kind: 'given', key: bytes })),
  ),
);

const peerSentence: fc.Arbitrary<Part<Meaning>> = fc
  .tuple(base64Key, fc.array(peerWords, { maxLength: 5 }))
  .map(([{ bytes, text }, parts]) =>
    part<Meaning>(['wgpeer', text, ...parts.flatMap(({ spelled }) => spelled)], (m) => {
      const peer: PeerMeaning = { publicKey: bytes, remove: false, allowedIps: [] };
      for (const { means } of parts) means(peer);
      m.peers.push(peer);
    }),
  );

const addressWords: fc.Arbitrary<Part<Meaning>> = fc
  .tuple(
    anyAddress,
    fc.nat(128),
    fc.constantFrom('primary', 'alias', 'remove'),
    fc.constantFrom('slash', 'prefixlen', 'default'),
  )
  .map(([address, bits, mode, manner]) => {
    const said = Math.min(bits, address.length * 8);
    const usual = mode === 'remove' ? null : address.length === 4 ? 32 : 64;
    const length = manner === 'default' ? usual : said;
    const family = address.length === 4 ? 4 : 6;
    const text = formatAddress(address);
    const spelled = {
      slash: [`${text}/${said}`],
      prefixlen: [text, 'prefixlen', `${said}`],
      default: [text],
    }[manner];
    const behind = mode === 'primary' ? [] : [mode === 'alias' ? 'alias' : 'delete'];
    return part<Meaning>([family === 4 ? 'inet' : 'inet6', ...spelled, ...behind], (m) => {
      m.addresses.push({ family, mode, address, length, destination: null });
    });
  });

const sentence = fc.array(fc.oneof(settingWords, peerSentence, addressWords), {
  minLength: 1,
  maxLength: 8,
});

/** Whether no peer is named twice, and no prefix is given to two. */
function isConsistent({ peers }: Meaning): boolean {
  const keys = peers.map(({ publicKey }) => formatKey(publicKey));
  const prefixes = peers.flatMap(({ allowedIps }) => [
    ...new Set(allowedIps.map((one) => formatPrefix(one.prefix))),
  ]);
  return [keys, prefixes].every((list) => new Set(list).size === list.length);
}

function meaningOf(parts: readonly Part<Meaning>[]): Meaning {
  const draft: Meaning = { create: false, removeAllPeers: false, peers: [], addresses: [] };
  for (const { means } of parts) means(draft);
  return draft;
}

/** What was meant, without what is to be said of it and the word that it was said with. */
function withoutDoubts(command: Command | Mistake): Command | Mistake {
  if (command.kind !== 'configure') return command;
  const { addresses, ...draft } = command.draft;
  const certain = addresses.map(({ doubt, word, ...address }) => address);
  return { ...command, draft: { ...draft, addresses: certain } };
}

function spell(parts: readonly Part<Meaning>[]): string[] {
  return ['wg0', ...parts.flatMap(({ spelled }) => spelled)];
}

/** What is wrong as the argument of each word, and as nothing else. */
const WRONG_ARGUMENTS: Readonly<Record<string, string>> = {
  ...{ mtu: '67', wgport: '65536', wgfwmark: '0x1ffffffff', wgpka: '43201', wgaip: '10.0.0.0/33' },
  ...{ wgendpoint: 'a..b', wgpeer: 'c2hvcnQ=', wgkey: 'c2hvcnQ=', wgpsk: 'c2hvcnQ=' },
  ...{ prefixlen: '129', descr: 'two\nlines', wgdescr: 'two\nlines' },
};

describe('command lines', () => {
  it('mean what their words say', () => {
    fc.assert(
      fc.property(sentence, (parts) => {
        const draft = meaningOf(parts);
        fc.pre(isConsistent(draft));
        const expected: Command = { kind: 'configure', name: 'wg0', draft };
        expect(withoutDoubts(parse(spell(parts)))).toEqual(expected);
      }),
      RUNS,
    );
  });

  it('broken in one argument are refused in a line with the word, the value and what is expected', () => {
    fc.assert(
      fc.property(sentence, fc.nat(), (parts, at) => {
        fc.pre(isConsistent(meaningOf(parts)));
        const words = spell(parts);
        const breakable = argumentsOf(words).filter(({ word }) => word in WRONG_ARGUMENTS);
        fc.pre(breakable.length > 0);
        const { word, index } = breakable[at % breakable.length];
        const wrong = WRONG_ARGUMENTS[word];
        const { kind, text } = parse(words.with(index, wrong)) as Mistake;
        expect(kind).toBe('mistake');
        expect(text.startsWith(`${word}: `), text).toBe(true);
        expect(text).toMatch(/^[^\n]*: expected [^\n]+$/);
        const isSecret = word === 'wgkey' || word === 'wgpsk';
        expect(text.includes(visible(wrong))).toBe(!isSecret);
      }),
      RUNS,
    );
  });

  it('that end before their last argument say what is missing and show how it is done', () => {
    fc.assert(
      fc.property(sentence, (parts) => {
        fc.pre(isConsistent(meaningOf(parts)));
        const words = spell(parts);
        const last = argumentsOf(words).at(-1);
        fc.pre(last !== undefined && last.index === words.length - 1);
        const { text } = parse(words.slice(0, -1)) as Mistake;
        const { args, example } = findWord(last!.word)!;
        const shown = /, as in `(.*)`$/.exec(text)![1];
        expect(text).toBe(
          `${last!.word}: expected ${args.join(' and ')} after it, as in \`${shown}\``,
        );
        expect(example).toContain(shown);
        expect(shown).toContain(last!.word);
      }),
      RUNS,
    );
  });

  it('with a mistyped word name it, and the one that was meant', () => {
    const names = wordNames().filter((name) => name.length > 4 && !name.startsWith('--'));
    fc.assert(
      fc.property(
        fc.array(settingWords),
        fc.constantFrom(...names),
        fc.nat(),
        (parts, name, at) => {
          const index = at % (name.length - 1);
          const [a, b] = [name[index], name[index + 1]];
          const typed = `${name.slice(0, index)}${b}${a}${name.slice(index + 2)}`;
          fc.pre(findWord(typed) === undefined);
          const { text } = parse([...spell(parts), typed]) as Mistake;
          const near = nearest(typed, wordNames());
          expect(text).toBe(`${typed}: unknown word; did you mean ${near}?`);
        },
      ),
      RUNS,
    );
  });
});

/** The words that take arguments, each with the place of the first. */
function argumentsOf(words: readonly string[]): { word: string; index: number }[] {
  const found: { word: string; index: number }[] = [];
  for (let at = 1; at < words.length; at++) {
    const row = findWord(words[at]);
    if (row === undefined) continue;
    if (row.args.length > 0) found.push({ word: words[at], index: at + 1 });
    at += row.args.length;
  }
  return found;
}

const WRONG_HOSTS = [
  '',
  '.',
  'a b',
  'a/b',
  '-a',
  'a-',
  'ü.de',
  'a\0b',
  'a..b',
  '1.2.3',
  '0x7f',
  '@',
];

describe('host names', () => {
  it('of labels that DNS could hold are taken', () => {
    fc.assert(
      fc.property(hostName, fc.boolean(), (name, isRooted) => {
        expect(hostMistake(isRooted ? `${name}.` : name)).toBeNull();
      }),
      RUNS,
    );
  });

  it('broken in one label, or too long, are not, in one line', () => {
    fc.assert(
      fc.property(
        fc.array(label, { maxLength: 3 }),
        fc.constantFrom(...WRONG_HOSTS),
        (labels, wrong) => {
          const name = [...labels, wrong].join('.');
          // A dot at the end stands for the root.
          fc.pre(wrong !== '' || labels.length === 0);
          fc.pre(wrong !== '.' || labels.length === 0);
          expect(hostMistake(name)).toMatch(/^[^\n]*: expected an address or a host name$/);
          expect(hostMistake(`${'abcdefg.'.repeat(32)}${name || 'a'}`)).not.toBeNull();
        },
      ),
      RUNS,
    );
  });

  it('with their port on them are told to be two words', () => {
    fc.assert(
      fc.property(hostName, port, (name, number) => {
        expect(hostMistake(`${name}:${number}`)).toBe(
          `${visible(`${name}:${number}`)}: expected HOST and PORT as two words`,
        );
      }),
      RUNS,
    );
  });
});
