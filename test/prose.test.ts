/**
 * The words of what an operator reads: messages and help in the source, units and scripts beside
 * it. Each of these words is one that a native reader stumbles over, or takes for something else;
 * the failure names the plain one.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What is not said -> what is said. */
const PLAIN: readonly (readonly [RegExp, string])[] = [
  [/\bbehind\b/i, 'after; earlier than; not removed'],
  [/\b(go|goes|going|went) on\b/i, 'continues'],
  [/\bmend(s|ed|ing)?\b/i, 'fixes'],
  [/\banew\b/i, 'again'],
  [/\bonce more\b/i, 'again'],
  [
    /\b(who|what|which)(so)?ever\b/i,
    'the one that is meant: the operator, the client, the process',
  ],
  [/\bpass(es|ed|ing)? over\b/i, 'skips'],
  [/\bfor want of\b/i, 'without'],
  [/\bmakes? (no )?sense\b/i, 'cannot be parsed; or what was expected'],
  [/\bso many\b/i, 'the number'],
  [/\breckon/i, 'counts; expects'],
  [/\bebb(s|ed)?\b/i, 'subsides; is over'],
  [/\bcome(s)? (about|to nothing)\b/i, 'happens; is useless'],
  [/\bit takes root\b/i, 'root is needed'],
  [/\bthere already\b/i, 'exists already'],
  [/\b(stands?|words|address) beside\b/i, 'with it'],
  [/\bput right\b/i, 'fixed'],
  [/\bbetter use\b/i, 'prefer'],
];

interface Line {
  readonly number: number;
  readonly text: string;
}

function linesOf(text: string): Line[] {
  return text.split('\n').map((line, i) => ({ number: i + 1, text: line }));
}

/** The code without its comments and without the names of members, which are words, too. */
function codeOf(source: string): Line[] {
  return linesOf(source)
    .filter(({ text }) => !/^\s*(\/?\*|\/\/)/.test(text))
    .map(({ number, text }) => ({ number, text: text.replace(/[.#]\w+/g, '') }));
}

const FOLDERS = ['src', 'bin', 'examples'];
const files = FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name)),
).filter((path) => !/assembly|\.(wasm|mjs)$/.test(path));

it('what an operator reads is in the words of a man page', () => {
  const found = files.flatMap((path) => {
    const text = readFileSync(path, 'utf8');
    const isSource = path.endsWith('.ts');
    return (isSource ? codeOf(text) : linesOf(text)).flatMap(({ number, text: said }) =>
      PLAIN.filter(([word]) => word.test(said)).map(
        ([word, plain]) =>
          `${path.slice(ROOT.length)}:${number}: ${word.exec(said)![0]}: say "${plain}": ${said.trim()}`,
      ),
    );
  });
  expect(found).toEqual([]);
});

/** What is counted in sentences, but for what is never one: bytes of a packet, ms. */
const COUNTABLE = [
  ...['packet', 'datagram', 'fragment', 'message', 'initiation', 'answer', 'handshake', 'cookie'],
  ...[
    'keepalive',
    'ping',
    'event',
    'error',
    'peer',
    'key',
    'link',
    'route',
    'connection',
    'network',
  ],
  ...['descriptor', 'process(?:e)', 'address(?:e)', 'second', 'minute', 'hour', 'time'],
].join('|');
/** A value in braces, no words of which agree with its count, right before a plural. */
const UNCOUNTED = new RegExp(
  `\\$\\{(?!counted)[\\w.()?# ]+\\}(?: (?:of|such|other|more))? (?:[a-z]+ )?(?:${COUNTABLE})s\\b`,
);
/** What is more than one by what stands around it, is no count, or has OpenBSD's own words. */
const FITTING = [
  /=== 1 \? [^:]*: `|> 1 \? `/,
  /\$\{\w+_MAX(_\w+)?\} seconds|passed\} bytes/,
  /\$\{family\} addresses only|nameOf\(peer\)\} begins handshakes|answers\)/,
  /ping\.destination\} answers to|throw new Error\(|useless datagrams a second/,
  /last handshake: \$\{seconds\} seconds ago/,
];

it('a count agrees with what it counts', () => {
  const found = files
    .filter((path) => path.endsWith('.ts') && path.startsWith(join(ROOT, 'src')))
    .flatMap((path) =>
      linesOf(readFileSync(path, 'utf8'))
        .filter(({ text }) => UNCOUNTED.test(text))
        .filter(({ text }) => !FITTING.some((one) => one.test(text)))
        .map(({ number, text }) => `${path.slice(ROOT.length)}:${number}: ${text.trim()}`),
    );
  expect(found).toEqual([]);
});
