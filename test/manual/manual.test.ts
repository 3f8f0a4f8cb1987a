import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { DAEMON_ENVIRONMENT, DAEMON_OPTIONS } from '../../src/cli/daemonwords.ts';
import { WORDS } from '../../src/cli/words.ts';
import { DROP_REASON_NAMES } from '../../src/device/drops.ts';
import { EVENT_KINDS } from '../../src/events/kinds.ts';
import type { Page } from '../../src/manual/blocks.ts';
import { sectionOf } from '../../src/manual/markdown.ts';
import { formatPage, formatText } from '../../src/manual/mdoc.ts';
import { manualPages } from '../../src/manual/pages.ts';
import { programEnvironment, REPOSITORY } from '../lab/repository.ts';

const docs = (name: string) => readFileSync(join(REPOSITORY, 'docs', name), 'utf8');
const PAGES = manualPages(docs);
const sourceOf = (name: string): string =>
  formatPage(PAGES.find((page) => page.name === name)!, 'January 2, 2026');
/** As it stands in the source of a page, where a minus is escaped. */
const escaped = (text: string): string => text.replace(/(?<![A-Za-z])-/g, '\\-');
const entry = (macro: string, text: string): string => `.It ${macro} "${escaped(text)}"`;

describe('tswg(8)', () => {
  const source = sourceOf('tswg');

  it.each([...WORDS, ...COMMANDS])('has an entry for $word', ({ word, args, options = {} }) => {
    const head = [entry('Cm', word), ...args.map((name) => `Ar "${escaped(name)}"`)].join(' ');
    const found = source.indexOf(head);
    expect(found, head).toBeGreaterThan(0);
    for (const option of Object.keys(options)) {
      expect(source.indexOf(entry('Cm', option), found), option).toBeGreaterThan(found);
    }
  });

  it('tells of every kind of event, and of every reason of a drop', () => {
    const names = [...Object.keys(EVENT_KINDS), ...DROP_REASON_NAMES];
    expect(names.filter((name) => !source.includes(entry('Li', name)))).toEqual([]);
  });

  it('has every command in its synopsis', () => {
    const synopsis = source.slice(source.indexOf('.Sh SYNOPSIS'), source.indexOf('.Sh DESC'));
    expect(COMMANDS.filter(({ word }) => !synopsis.includes(`.Cm ${word}\n`))).toEqual([]);
  });
});

it('tswgd(8) has an entry for every option and every variable', () => {
  const source = sourceOf('tswgd');
  for (const { word } of DAEMON_OPTIONS) {
    for (const option of word.split(', ')) {
      expect(source).toContain(`Cm "${escaped(option)}"`);
    }
  }
  for (const { word } of DAEMON_ENVIRONMENT) {
    expect(source).toContain(entry('Ev', word.split('=')[0]));
  }
});

it.each(PAGES)('$name has the sections of mdoc(7) in their order', ({ name }) => {
  const order = [
    ...['NAME', 'SYNOPSIS', 'DESCRIPTION', 'ENVIRONMENT', 'FILES', 'EXIT STATUS', 'EXAMPLES'],
    ...['DIAGNOSTICS', 'SEE ALSO', 'STANDARDS', 'CAVEATS', 'SECURITY CONSIDERATIONS'],
  ];
  const titles = [...sourceOf(name).matchAll(/^\.Sh (.*)$/gm)].map(([, title]) => title);
  expect(titles).toEqual(order.filter((title) => titles.includes(title)));
  expect(titles).toEqual(expect.arrayContaining(['NAME', 'DESCRIPTION', 'FILES', 'SEE ALSO']));
});

/** What no page says about another machine: which other pages are installed on this one. */
const ABOUT_THIS_MACHINE = /referenced manual not found|outdated mandoc\.db/;
/** Bold is a letter, a backspace, and the letter again. */
const withoutOverstrikes = (text: string): string =>
  text
    .split('\b')
    .map((piece, at, all) => (at === all.length - 1 ? piece : piece.slice(0, -1)))
    .join('');
const hasMandoc =
  spawnSync('mandoc', ['-Tlint', '/dev/null'], { env: programEnvironment() }).error === undefined;

describe.skipIf(!hasMandoc)(
  `mandoc${hasMandoc ? '' : ' (SKIPPED: needs the program mandoc)'}`,
  () => {
    const mandoc = (format: string, source: string): string => {
      const folder = mkdtempSync(join(tmpdir(), 'tswg-manual-'));
      try {
        writeFileSync(join(folder, 'page'), source);
        const { stdout, stderr } = spawnSync('mandoc', [`-T${format}`, join(folder, 'page')], {
          env: programEnvironment(),
          encoding: 'utf8',
        });
        return format === 'lint' ? `${stdout}${stderr}` : stdout;
      } finally {
        rmSync(folder, { recursive: true });
      }
    };
    const lintOf = (source: string): string[] =>
      mandoc('lint', source)
        .split('\n')
        .filter((line) => line !== '' && !ABOUT_THIS_MACHINE.test(line));

    it.each(PAGES)('finds nothing wrong with $name($section)', ({ name }) => {
      expect(lintOf(sourceOf(name))).toEqual([]);
    });

    it.each(PAGES)('shows $name($section) in 80 columns', ({ name }) => {
      const shown = withoutOverstrikes(mandoc('utf8', sourceOf(name)));
      expect(shown).toContain('NAME');
      expect(shown.split('\n').filter((line) => [...line].length > 80)).toEqual([]);
    });

    it('finds a list that is not closed, and a macro that is none', () => {
      const source = sourceOf('tswg');
      expect(lintOf(source.replace('\n.El\n', '\n'))).not.toEqual([]);
      expect(lintOf(source.replace('.Ss "Views"', '.Sz "Views"'))).not.toEqual([]);
    });

    it('shows what could be taken for a macro as it is written', () => {
      const text = 'Up and No, `An` `.Sh` `\\` `"` -n --keep it\'s.\n';
      const page: Page = {
        ...{ name: 'x', section: 5, summary: 'y', synopsis: [], seeAlso: ['a(1)'], standards: [] },
        ...{ sections: [], lastSections: [] },
      };
      const blocks = [
        { kind: 'paragraph', text: text.trim() } as const,
        { kind: 'literal', lines: ['.Sh x', "'y \\ -n"] } as const,
        { kind: 'heading', text: 'An Up' } as const,
      ];
      const source = formatPage(
        { ...page, sections: [{ title: 'DESCRIPTION', blocks }] },
        'January 2, 2026',
      );
      const shown = withoutOverstrikes(mandoc('ascii', source)).replaceAll(/\s+/g, ' ');
      expect(shown).toContain(
        "Up and No, `An' `.Sh' `\\' `\"' -n --keep it's. .Sh x 'y \\ -n An Up",
      );
    });
  },
);

describe('the text of a page', () => {
  it.each([
    ['One. Two (`x`).', ['One.', 'Two', '.Ql ( "x" ) .']],
    ['See [Names](names.md) ([a](b.md), [c](d.md)).', ['See Names.']],
    ['As ifconfig(8), on OpenBSD.', ['As', '.Xr ifconfig 8 ,', 'on', '.Ox .']],
    ["In OpenBSD's `a.`", ['In', ".Ox Ns 's", '.Ql "a.\\&"']],
    ['**Bold** and ``a `b` c``', ['Bold and', `.Ql "a 'b' c"`]],
  ])('%s', (text, lines) => {
    expect(formatText(text)).toEqual(lines);
  });

  it('is that of docs, read block by block', () => {
    const page =
      '# T\n\nFor x.\n\nFirst\nline.\n\n## A\n\n- one\n  more\n- two:\n\n      $ a\n        b\n\nTried by `test/x`.\n\n## B\n\n| a | b |\n|---|---|\n| `c` | d \\| e |\n';
    expect(sectionOf(page, null)).toEqual([{ kind: 'paragraph', text: 'First line.' }]);
    expect(sectionOf(page, 'A')).toEqual([
      { kind: 'bullets', items: ['one more', 'two:'] },
      { kind: 'literal', lines: ['$ a', '  b'] },
    ]);
    expect(sectionOf(page, 'B')).toEqual([
      { kind: 'tags', rows: [{ term: [{ macro: 'Li', text: 'c' }], text: 'd | e' }] },
    ]);
    expect(() => sectionOf(page, 'C')).toThrow(/expected a section "C"/);
  });
});

it('says nothing that another file says: it takes it from there', () => {
  const folder = join(REPOSITORY, 'src/manual');
  const own = readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .flatMap((text) => [...text.matchAll(/'((?:[^'\\\n]|\\.){40,})'/g)].map(([, said]) => said))
    .flatMap((said) => said.split(/(?<=[.:;]) /))
    .filter((said) => said.split(' ').length >= 7);
  expect(own.length).toBeGreaterThan(3);
  const others = [
    ...['docs', 'src/cli'].flatMap((name) =>
      readdirSync(join(REPOSITORY, name)).map((file) => join(REPOSITORY, name, file)),
    ),
    join(REPOSITORY, 'README.md'),
  ]
    .filter((path) => /\.(md|ts)$/.test(path))
    .map((path) => readFileSync(path, 'utf8').replaceAll(/\s+/g, ' '))
    .join('\n');
  expect(own.filter((said) => others.includes(said))).toEqual([]);
});

it('is where packages look for it after a build', () => {
  const dist = join(REPOSITORY, 'dist');
  if (!existsSync(join(dist, 'src'))) return;
  const made = [
    ...PAGES.map(({ name, section }) => `man/${name}.${section}`),
    ...['completions/bash/tswg', 'completions/zsh/_tswg', 'completions/fish/tswg.fish'],
  ];
  expect(made.filter((path) => !existsSync(join(dist, path)))).toEqual([]);
});
