import { afterEach, describe, expect, it, vi } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import {
  answerShell,
  type CompletionFacts,
  complete,
  joinShellWords,
} from '../../src/cli/completion.ts';
import { completionFacts } from '../../src/cli/gather.ts';
import { formatHelp, formatTopic, printCompletionScript } from '../../src/cli/help.ts';
import { main } from '../../src/cli/main.ts';
import { WORDS, wordNames } from '../../src/cli/words.ts';
import { VERSION } from '../../src/version.ts';
import { FakeSystem } from './fakesystem.ts';

const KEY = 'fE/wdxzl0klVp/IR8UcaoGUMjqaWi3jAd7KzHKFS6Ds=';
const FACTS: CompletionFacts = {
  interfaces: ['wg0', 'wg1'],
  peers: [{ key: KEY, description: 'laptop', allowedIps: ['10.0.0.2/32'] }],
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
    for (const row of COMMANDS) expect(text).toContain(`tswg ${row.word}`);
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(text).toMatch(/[^\n]\n$/);
  });

  it('explains every word in each of its spellings', async () => {
    for (const name of [...wordNames(), ...COMMANDS.map((row) => row.word)]) {
      const text = await formatTopic(name);
      expect(text).toMatch(new RegExp(`^usage: tswg .*${name}( |$)`, 'm'));
    }
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
        `  tswg wg0 wgpeer ${KEY} wgdescr "Anna's laptop"\n`,
    );
  });
});

describe('completion', () => {
  function texts(line: string, facts = FACTS): string[] {
    return complete(line.split(' '), facts).map((one) => one.text);
  }

  it.each([
    ['', ['wg0', 'wg1', ...COMMANDS.map((row) => row.word), '--json', '--help', '--version']],
    ['wg', ['wg0', 'wg1']],
    ['g', ['genkey', 'genpsk']],
    ['wg2 cr', ['create']],
    ['wg0 cr', []],
    ['office cr', []],
    ['wg0 wgp', ['wgport', 'wgpeer']],
    ['wg0 -wgp', ['-wgpeer', '-wgpeerall']],
    [`wg0 wgpeer ${KEY} wgp`, ['wgport', 'wgpeer', 'wgpsk', 'wgpskfile', 'wgpka']],
    [`wg0 -wgpeer ${KEY} wgp`, ['wgport', 'wgpeer']],
    ['wg0 wgpeer ', [KEY]],
    ['wg0 -wgpeer fE/', [KEY]],
    ['wg0 -wgpeer x', []],
    [`wg0 wgpeer ${KEY} -wgaip `, ['10.0.0.2/32']],
    [`wg0 wgpeer ${KEY} wgendpoint 1.2.3.4 `, []],
    [`wg0 wgpeer ${KEY} wgendpoint 1.2.3.4 5 wge`, ['wgendpoint']],
    [`wg0 wgpeer ${KEY} wgendpoint 1.2.3.4 5 v`, ['via']],
    [`wg0 wgpeer ${KEY} wgendpoint 1.2.3.4 5 via `, []],
    [`wg0 wgpeer ${KEY} wgendpoint 1.2.3.4 5 via wgpka wge`, ['wgendpoint']],
    [`wg0 wgpeer ${KEY} wgpka 5 v`, []],
    ['wg0 wgr', []],
    ['wg0 up st', []],
    ['wg0 upg', ['upgrade']],
    ['wg0 up upg', []],
    ['wg0 st', ['stats']],
    ['wg0 10.0.0.1/24 al', ['alias']],
    ['help wgk', ['wgkey', 'wgkeyfile']],
    ['help wgkey ', []],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['genkey ', []],
    ['netstart ', ['-n', '--keep', '--install', 'wg0', 'wg1']],
    ['metrics ', ['--openmetrics', 'wg0', 'wg1']],
    ['metrics --openmetrics wg0 ', ['wg1']],
    ['netstart -n ', ['wg0', 'wg1']],
  ])('tswg %s', (line, expected) => {
    expect(texts(line)).toEqual(expected);
  });

  it('puts together what bash takes apart', () => {
    const bash = ['tswg', 'wg0', 'wgpeer', KEY.slice(0, -1), '=', 'wgp'];
    expect(joinShellWords(bash)).toEqual(['wg0', 'wgpeer', KEY, 'wgp']);
    expect(joinShellWords(['wg0', 'fd00', '::', '1/64', ''])).toEqual(['wg0', 'fd00::1/64', '']);
    expect(joinShellWords(['/usr/bin/tswg', ''])).toEqual(['']);
  });

  it.each([
    ['/bin/bash', ['tswg', 'wg0', 'st'], 'stats\n'],
    ['/bin/zsh', ['tswg', 'wg0', '-wgpeer', ''], `${KEY}:laptop\n`],
    ['/usr/bin/fish', ['completion', 'ba'], 'bash\n'],
    ['/bin/bash', ['tswg', 'wg0', '--help', '-wgpeer', KEY, '-wgpeer', 'f'], `${KEY}\n`],
  ])('answers %s', (shell, args, expected) => {
    expect(answerShell(joinShellWords(args), FACTS, shell)).toBe(expected);
  });

  it('knows the peers of the interface that was named', async () => {
    const system = new FakeSystem();
    system.addDaemon('wg0');
    expect(await completionFacts('wg0', system)).toEqual({ interfaces: ['wg0'], peers: [] });
    system.request = async () => {
      throw new Error('denied');
    };
    expect(await completionFacts('wg0', system)).toEqual({ interfaces: ['wg0'], peers: [] });
    expect(await completionFacts(null, system)).toEqual({ interfaces: ['wg0'], peers: [] });
  });

  it.each([
    ['bash', 'complete -o bashdefault'],
    ['zsh', '#compdef tswg'],
    ['fish', 'complete -f -c tswg'],
  ])('has a script for %s', async (shell, line) => {
    vi.stubEnv('SHELL', '/bin/sh');
    const { out } = await printed(() => printCompletionScript(shell));
    expect(out).toContain(line);
    expect(out).toContain('tswg --get-yargs-completions');
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
