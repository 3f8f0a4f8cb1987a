import { afterEach, describe, expect, it, vi } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import {
  answerShell,
  type CompletionFacts,
  complete,
  joinShellWords,
} from '../../src/cli/completion.ts';
import { formatDaemonHelp } from '../../src/cli/daemonhelp.ts';
import { formatHelp, formatTopic } from '../../src/cli/help.ts';
import { main } from '../../src/cli/main.ts';
import { NETSTART_OPTIONS } from '../../src/cli/options.ts';
import { SHELLS } from '../../src/cli/shells.ts';
import { completionScript } from '../../src/cli/shellscripts.ts';
import { findWord, WORDS, wordNames } from '../../src/cli/words.ts';
import { VERSION } from '../../src/version.ts';

const KEY = 'fE/wdxzl0klVp/IR8UcaoGUMjqaWi3jAd7KzHKFS6Ds=';
const OTHER = 'z2g9s2w5auNUH0/Ms3LgmuIzNaevoKWSHeM04pq4pBE=';
const FACTS: CompletionFacts = {
  interfaces: () => ['wg0', 'wg1'],
  files: () => ['wg1', 'wg7'],
  links: () => ['lo', 'eth0', 'wg0'],
  peers: () => [
    { key: KEY, description: 'laptop', allowedIps: ['10.0.0.2/32'] },
    { key: OTHER, description: 'site B', allowedIps: [] },
  ],
};

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

/** What is printed while `action` runs. */
async function printed(action: () => unknown): Promise<{ out: string; err: string }> {
  const texts = { out: '', err: '' };
  vi.spyOn(console, 'log').mockImplementation((text) => {
    texts.out += `${text}\n`;
  });
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    texts.out += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    texts.err += text;
    return true;
  });
  await action();
  vi.restoreAllMocks();
  return texts;
}

describe('help', () => {
  it('lists every word and every command', async () => {
    const text = await formatHelp();
    for (const row of WORDS) expect(text).toMatch(new RegExp(`^ {2}${row.word}( |$)`, 'm'));
    for (const row of COMMANDS) expect(text).toMatch(new RegExp(`^ {2}${row.word}( |$)`, 'm'));
    expect(text).toMatch(/[^\n]\n$/);
  });

  it('explains every word in each of its spellings', async () => {
    for (const name of [...wordNames(), ...COMMANDS.map((row) => row.word)]) {
      const text = await formatTopic(name);
      expect(text).toMatch(new RegExp(`^usage: tswg .*${name}( |$)`, 'm'));
    }
  });

  it('keeps every text within 80 columns, and no line ends in a blank', async () => {
    const topics = [...wordNames(), ...COMMANDS.map((row) => row.word), 'all', 'tswgd'];
    const texts = await Promise.all([formatHelp(), ...topics.map(formatTopic)]);
    const wide = texts
      .flatMap((text) => text.split('\n'))
      .filter((line) => line.length > 80 || line.endsWith(' '));
    expect(wide).toEqual([]);
  });

  it('explains all words at once, and the daemon', async () => {
    const all = await formatTopic('all');
    for (const { word } of [...WORDS, ...COMMANDS]) {
      expect(all).toMatch(new RegExp(`^usage: tswg .*${word}( |$)`, 'm'));
    }
    expect(await formatTopic('tswgd')).toBe(formatDaemonHelp());
  });

  it.each([...WORDS, ...COMMANDS])('explains $word without its neighbours', ({ summary }) => {
    // "The same", or a "that" which begins no clause, points at a row that is not shown with it.
    expect(summary).not.toMatch(
      /\bthe same(,| as\b)|\b(that|those)\b(?! (that|is|are|was|were)\b)/,
    );
  });

  it('on one word', async () => {
    expect(await formatTopic('wgdescription')).toBe(
      'usage: tswg INTERFACE wgpeer PUBLICKEY wgdescription TEXT\n' +
        '\n' +
        'A line of text about the peer.\n' +
        '\n' +
        'Also spelled wgdescr.\n' +
        '\n' +
        'Example:\n' +
        `  tswg wg0 wgpeer ${KEY} \\\n    wgdescr "Anna's laptop"\n`,
    );
  });
});

describe('completion', () => {
  function texts(line: string, facts = FACTS): string[] {
    return complete(line.split(' '), facts).words.map((one) => one.text);
  }

  it.each([
    [
      '',
      [
        ...['wg0', 'wg1', 'wg7', ...COMMANDS.map((row) => row.word)],
        ...['--json', '--help', '--version'],
      ],
    ],
    ['wg', ['wg0', 'wg1', 'wg7']],
    ['g', ['genkey', 'genpsk']],
    ['wg2 cr', ['create']],
    ['wg0 cr', []],
    ['office cr', []],
    ['wg0 wgp', ['wgport', 'wgpeer']],
    ['wg0 -wgp', ['-wgpeer', '-wgpeerall']],
    [`wg0 wgpeer ${KEY} wgp`, ['wgport', 'wgpeer', 'wgpsk', 'wgpskfile', 'wgpka']],
    [`wg0 -wgpeer ${KEY} wgp`, ['wgport', 'wgpeer']],
    ['wg0 wgpeer ', [KEY, OTHER]],
    ['wg0 -wgpeer fE/', [KEY]],
    ['wg0 -wgpeer x', []],
    ['wg0 wgpeer LAPTOP', [KEY]],
    ['wg0 wgpeer site', [OTHER]],
    [`wg0 wgpeer ${KEY} -wgaip `, ['10.0.0.2/32']],
    [`wg0 wgpeer ${KEY} wgendpoint 1.2.3.4 `, []],
    [`wg0 wgpeer ${KEY} wgendpoint 1.2.3.4 5 wge`, ['wgendpoint']],
    [`wg0 wgpeer ${KEY} wgendpoint 1.2.3.4 5 v`, ['via']],
    [`wg0 wgpeer ${KEY} wgendpoint 1.2.3.4 5 via `, ['lo', 'eth0']],
    [`wg0 wgpeer ${KEY} wgendpoint 1.2.3.4 5 via wgpka wge`, ['wgendpoint']],
    [`wg0 wgpeer ${KEY} wgpka 5 v`, []],
    ['wg0 wgbind ', ['lo', 'eth0']],
    ['wg0 wgr', []],
    ['wg0 up st', []],
    ['wg0 upg', ['upgrade']],
    ['wg0 up upg', []],
    ['wg0 st', ['stats']],
    ['wg0 10.0.0.1/24 al', ['alias']],
    ['wg0 doctor --peer ', ['laptop', 'site B']],
    ['help wgk', ['wgkey', 'wgkeyfile']],
    ['help a', ['alias', 'all']],
    ['help tsw', ['tswgd']],
    ['help wgkey ', []],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['genkey ', []],
    ['netstart ', [...Object.keys(NETSTART_OPTIONS), 'wg1', 'wg7']],
    ['netstart -n ', ['wg1', 'wg7']],
    ['netstart wg1 ', ['wg7']],
    ['metrics ', ['--openmetrics', 'wg0', 'wg1']],
    ['metrics --openmetrics wg0 ', ['wg1']],
  ])('tswg %s', (line, expected) => {
    expect(texts(line)).toEqual(expected);
  });

  it.each([
    'wg0 wgkeyfile ',
    `wg0 wgpeer ${KEY} wgpskfile /etc/`,
    ...['--other', '--record', '--evidence'].map((option) => `wg0 doctor ${option} `),
    'wg0 events --exec ',
  ])('tswg %s is followed by a file', (line) => {
    expect(complete(line.split(' '), FACTS)).toEqual({ kind: 'files', words: [] });
  });

  it('has an option for every one that a word takes, and a file for every FILE', () => {
    for (const { word, options = {} } of [...WORDS, ...COMMANDS]) {
      const line = [...(findWord(word) === undefined ? [] : ['wg0']), word];
      expect(texts([...line, ''].join(' '))).toEqual(expect.arrayContaining(Object.keys(options)));
      for (const [option, { argument }] of Object.entries(options)) {
        const { kind } = complete([...line, option, ''], FACTS);
        if (argument === 'FILE') expect(kind, option).toBe('files');
      }
    }
  });

  it('puts together what bash takes apart, and takes quotes away', () => {
    const bash = ['wg0', 'wgpeer', KEY.slice(0, -1), '=', 'wgp'];
    expect(joinShellWords(bash)).toEqual(['wg0', 'wgpeer', KEY, 'wgp']);
    expect(joinShellWords(['wg0', 'fd00', '::', '1/64', ''])).toEqual(['wg0', 'fd00::1/64', '']);
    expect(joinShellWords(['wg0', '"site B"', "'a", 'site\\ B'])).toEqual([
      ...['wg0', 'site B', 'a', 'site B'],
    ]);
    expect(joinShellWords([''])).toEqual(['']);
  });

  it.each([
    [
      ['wg0', 'st'],
      'words\tst\nstats\tshow the counters: packets, handshakes, and why packets were dropped\n',
    ],
    [['wg0', '-wgpeer', 'lap'], `names\tlap\n${KEY}\tlaptop\n`],
    [['wg0', 'wgkeyfile', '"/etc/w'], 'files\t/etc/w\n'],
    [['wg0', 'x\ny\tz'], 'names\tx?y?z\n'],
  ])('answers %s', (args, expected) => {
    expect(answerShell(args, FACTS)).toBe(expected);
  });

  it.each(SHELLS)('has a script for %s, which $SHELL chooses', async (shell) => {
    const { out } = await printed(() => main(['completion', shell], {}));
    expect(out).toContain(`# ${shell} completion for tswg(8)`);
    expect(out).toContain('tswg --complete');
    expect((await printed(() => main(['completion'], { SHELL: `/bin/${shell}` }))).out).toBe(out);
    const { out: other } = await printed(() => main(['completion'], { SHELL: '/bin/ksh' }));
    expect(other).toBe(completionScript('bash'));
  });
});

describe('tswg', () => {
  it('reports a mistake in one line and fails', async () => {
    let code = 0;
    const { out, err } = await printed(async () => {
      code = await main(['wg0', 'wgport', '70000'], {});
    });
    expect({ code, out, err }).toEqual({
      code: 1,
      out: '',
      err: 'tswg: wgport: 70000: expected 0 to 65535\n',
    });
  });

  it('tells its version and makes keys', async () => {
    expect((await printed(() => main(['--version'], {}))).out).toBe(`tswg ${VERSION}\n`);
    expect((await printed(() => main(['genkey'], {}))).out).toMatch(/^[\w+/]{43}=\n$/);
    expect((await printed(() => main(['genpsk'], {}))).out).toMatch(/^[\w+/]{43}=\n$/);
  });

  it('helps', async () => {
    expect((await printed(() => main(['help', 'up'], {}))).out).toBe(
      'usage: tswg INTERFACE up\n\nLet packets through; setting an address implies it.\n\nThe routes that `down` removed are put back.\n\nExample:\n  tswg wg0 up\n',
    );
    expect((await printed(() => main(['wg0', '--help'], {}))).out).toContain(
      'wgendpoint HOST PORT [via ADDR|IF]',
    );
  });
});
