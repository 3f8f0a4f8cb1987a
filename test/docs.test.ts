/**
 * What README, SECURITY.md and the pages of docs/ may promise a reader: that README is short and has
 * its sections, that each link leads somewhere that npm ships too, and that every command, test and
 * figure that is named is one that there is.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatGrowth, type GrowthPoint } from './bench/growth.ts';
import { formatMachine, type Machine } from './bench/machine.ts';
import type { Outcome } from './bench/samples.ts';
import { formatPageTable } from './bench/table.ts';
import { formatTables, parseRecord } from './flood/outcome.ts';
import { ROWS as FLOOD_ROWS } from './flood/rows.ts';
import { formatMarkdown, replaceTable } from './lab/publication.ts';
import { REPOSITORY } from './lab/repository.ts';

const README_LINES_MAX = 200;
const README_SECTIONS = [
  ...['Install', 'Two sites', 'When it does not work', 'What it does', 'Where to read on'],
];
/** What a page may link to. Tests and sources are not in the package that npm installs. */
const SHIPPED = /^(README\.md|SECURITY\.md|LICENSE|docs\/.+|examples\/.+)$/;

const read = (path: string) => readFileSync(join(REPOSITORY, path), 'utf8');
const docs = readdirSync(join(REPOSITORY, 'docs')).filter((name) => name.endsWith('.md'));
const PAGES = ['README.md', 'SECURITY.md', ...docs.map((name) => `docs/${name}`)];

/** A row of bench.json. */
type RecordedRow = Outcome['row'] &
  Pick<Outcome, 'ratio' | 'verdict'> & {
    readonly wireguardGo: Outcome['baseline'];
    readonly tswg: Outcome['subject'];
  };

/** Without what is copied to or from a terminal: indented and fenced blocks. */
function prose(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$|(?<=\n\n)(?: {4}.*\n+)+/gm, '');
}

function headings(text: string): { level: number; title: string }[] {
  return [...prose(text).matchAll(/^(#+) (.*)$/gm)].map(([, marks, title]) => ({
    level: marks.length,
    title,
  }));
}

/** The anchor that a forge gives a heading. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function linksOf(text: string): string[] {
  return [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
}

/** Where a relative link of `page` leads, from the repository's root. */
function resolve(page: string, target: string): string {
  return target === '' ? page : normalize(join(dirname(page), target));
}

function linkMistake(page: string, link: string): string | null {
  if (/^https?:/.test(link)) return null;
  const [target, anchor] = link.split('#');
  const path = resolve(page, target);
  if (!existsSync(join(REPOSITORY, path))) return `${page}: ${link}: there is no such file`;
  if (!SHIPPED.test(path)) return `${page}: ${link}: npm does not install this`;
  if (anchor === undefined) return null;
  const anchors = headings(read(path)).map(({ title }) => anchorOf(title));
  return anchors.includes(anchor) ? null : `${page}: ${link}: there is no such heading`;
}

describe('README', () => {
  const text = read('README.md');

  it('has its sections in their order, in few lines', () => {
    const sections = headings(text).filter(({ level }) => level > 1);
    expect(sections.map(({ title }) => title)).toEqual(README_SECTIONS);
    expect(text.split('\n').length).toBeLessThan(README_LINES_MAX);
  });

  it('leads to every page', () => {
    const led = linksOf(text).map((link) => link.split('#')[0]);
    expect(PAGES.filter((page) => page !== 'README.md' && !led.includes(page))).toEqual([]);
  });
});

describe.each(PAGES)('%s', (page) => {
  const text = read(page);

  it('leads only to files and headings that there are', () => {
    const mistakes = linksOf(text).map((link) => linkMistake(page, link));
    expect(mistakes.filter((mistake) => mistake !== null)).toEqual([]);
  });

  it('names only commands, files and tests that there are', () => {
    const { scripts } = JSON.parse(read('package.json'));
    const named = [...text.matchAll(/npm (?:run ([\w:]+)|(test)\b)/g)].map(([, a, b]) => a ?? b);
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
    const paths = [...text.matchAll(/(?<![\w/.-])(?:test|src|examples|bin)\/[\w@./-]*[\w/]/g)];
    const missing = paths.filter(([path]) => !existsSync(join(REPOSITORY, path)));
    expect(missing.map(([path]) => path)).toEqual([]);
  });
});

it.each(docs)('docs/%s says in its first line whom it is for', (name) => {
  const [title, empty, first] = read(`docs/${name}`).split('\n');
  expect(title).toMatch(/^# \S/);
  expect(empty).toBe('');
  expect(first).toMatch(/^For /);
});

it('docs/house.md has a row for every folder of src', () => {
  const page = read('docs/house.md');
  const folders = readdirSync(join(REPOSITORY, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `src/${name}/`);
  expect(folders.filter((folder) => !page.includes(`| \`${folder}\` |`))).toEqual([]);
});

/** What a page quotes of a program's messages, without what differs each time. */
const QUOTED: Readonly<Record<string, readonly string[]>> = {
  'README.md': ['no daemon serves it any longer: '],
  'docs/boot.md': ['unknown word; did you mean'],
  'docs/crash-safety.md': ['has ended without a word'],
  'docs/floods.md': [
    ...['useless datagrams a second', 'the kernel filters most of them until it subsides'],
    'udp: the flood is over',
  ],
  'docs/least-privilege.md': ['cannot cover the others', 'not dumpable, no core files'],
  'docs/monitoring.md': ['only root may change an interface; try it with sudo'],
  'docs/resources.md': [
    ...['too many open files (EMFILE)', 'set refused: ', 'too many open files in this process'],
    ...[
      'Interface is up, but there is no socket: ',
      'another program has this port; choose another',
    ],
    ...['cannot send: ', 'a firewall of this machine forbids it', 'no route leads there'],
    'is routed into the tunnel itself: nothing is sent there until the route leads elsewhere',
    ...[
      'this machine has no address to send from',
      'the disk is full',
      'The clock was set back by ',
    ],
    ...['was its clock set back?', 'Resumed after ', ' s of suspension', 'Shutting down: '],
    ...['the interface was deleted', 'the control socket was deleted'],
    'another program serves this interface',
  ],
  'docs/upgrade.md': ['now served by tswgd ', 'packets were held for '],
  'docs/words.md': [
    ...['other users can access this file (mode ', 'wgaip gives the whole set'],
    'expected wgpeer PUBLICKEY',
  ],
};

it('a message that a page quotes is one that a program says', () => {
  const sources = readdirSync(join(REPOSITORY, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => read(join('src', name)))
    .join('\n');
  const mistakes = Object.entries(QUOTED).flatMap(([page, texts]) => {
    const text = read(page);
    return texts.flatMap((quoted) => [
      ...(text.includes(quoted) ? [] : [`${page} does not quote: ${quoted}`]),
      ...(sources.includes(quoted) ? [] : [`${page} quotes what no program says: ${quoted}`]),
    ]);
  });
  expect(mistakes).toEqual([]);
});

describe('a table that a program writes', () => {
  it('in docs/benchmarks.md is that of the record', () => {
    const page = read('docs/benchmarks.md');
    const { machine, rows } = JSON.parse(read('test/bench/results/bench.json')) as {
      machine: Machine;
      rows: RecordedRow[];
    };
    const outcomes = rows.map((row) => {
      const { wireguardGo, tswg, ratio, verdict } = row;
      return { row, baseline: wireguardGo, subject: tswg, ratio, verdict, samples: 0 };
    });
    expect(replaceTable(page, formatPageTable(outcomes))).toBe(page);
    expect(page.replaceAll('\n', ' ')).toContain(formatMachine(machine));
  });

  it('in docs/growth.md is that of the record', () => {
    const page = read('docs/growth.md');
    const { machine, points } = JSON.parse(read('test/bench/results/growth.json')) as {
      machine: Machine;
      points: GrowthPoint[];
    };
    expect(replaceTable(page, formatGrowth(points))).toBe(page);
    expect(page.replaceAll('\n', ' ')).toContain(formatMachine(machine));
  });

  it('in docs/floods.md is that of the record', () => {
    const known = parseRecord(read('test/flood/results/flood.json'));
    const outcomes = FLOOD_ROWS.flatMap((row) => {
      const results = known.get(row.id);
      return results === undefined ? [] : [{ row, results }];
    });
    expect(read('docs/floods.md')).toContain(formatTables(outcomes, true));
  });

  it('takes the place of the first table and of nothing else', () => {
    const table = formatMarkdown([
      ['a', 'b'],
      ['1', '$&'],
    ]);
    expect(table).toBe('| a | b |\n| --- | --- |\n| 1 | $& |');
    const page = '# A\n\nProse | with a bar.\n\n| x |\n|---|\n| y |\n\nMore.\n\n| z |\n';
    expect(replaceTable(page, table)).toBe(
      `# A\n\nProse | with a bar.\n\n${table}\n\nMore.\n\n| z |\n`,
    );
    expect(() => replaceTable('# A\n', table)).toThrow('no table');
  });
});
