/**
 * Completion as it is used: a line and a TAB, typed into the shells themselves, on a machine with a
 * daemon, its peers, and a file for an interface that there is not yet.
 */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SHELLS, type Shell } from '../../src/cli/shells.ts';
import { completionScript } from '../../src/cli/shellscripts.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { describeInLab } from '../lab/suite.ts';
import { createKeyPair } from '../lab/tunnel.ts';

const LAPTOP = createKeyPair().publicKey;
const SITE = createKeyPair().publicKey;
const DEBIAN = join(REPOSITORY, 'dist/debian');
const TAB = '\t';
/** What shows the line that has been edited, in bash and zsh. */
const SHOW = '\x07';
const SCRIPT = '/etc/wg/completion';
const SHOWN = '/etc/wg/shown';

/** A line, and what it is after a TAB. fish is asked for the word alone. */
const LINES: readonly [line: string, completed: string, word?: string][] = [
  ['tswg wg0 upg', 'tswg wg0 upgrade ', 'upgrade'],
  ['tswg netstart wg', 'tswg netstart wg7 ', 'wg7'],
  ['tswg wg', 'tswg wg', 'wg0'],
  ['tswg help tsw', 'tswg help tswgd ', 'tswgd'],
  [
    'tswg wg0 wgkeyfile /etc/wg/pri',
    'tswg wg0 wgkeyfile /etc/wg/private.key ',
    '/etc/wg/private.key',
  ],
  ['tswg wg0 doctor --other "/etc/wg/pri', 'tswg wg0 doctor --other "/etc/wg/private.key" '],
  ['tswg wg0 events --on conn', 'tswg wg0 events --on connected ', 'connected'],
  [
    'tswg wg0 events --on connected,disc',
    'tswg wg0 events --on connected,disconnected ',
    'connected,disconnected',
  ],
  ['tswg wg0 doctor --peer si', 'tswg wg0 doctor --peer site\\ B ', 'site B'],
  ['tswg wg0 -wgpeer lap', `tswg wg0 -wgpeer ${LAPTOP} `],
  [
    `tswg wg0 wgpeer ${SITE} -wgaip fd07:`,
    `tswg wg0 wgpeer ${SITE} -wgaip fd07::/64 `,
    'fd07::/64',
  ],
  [`tswg wg0 wgpeer ${SITE} wgpk`, `tswg wg0 wgpeer ${SITE} wgpka `, 'wgpka'],
  ['tswg wg0 wgpeer 0000', 'tswg wg0 wgpeer 0000'],
];

let lab: Lab;
let host: Host;

async function prepare(): Promise<void> {
  lab = await Lab.open();
  host = await lab.host('host');
  await host.writeFile('/etc/wg/private.key', 'a key\n');
  await host.writeFile('/etc/hostname.wg7', 'up\n');
  await host.run('tswg', [
    ...['wg0', 'create', 'wgpeer', LAPTOP, 'wgdescr', 'laptop'],
    ...['wgpeer', SITE, 'wgdescr', 'site B', 'wgaip', 'fd07::/64'],
  ]);
}

async function write(shell: Shell): Promise<void> {
  await host.writeFile(SCRIPT, completionScript(shell));
}

/** The lines that were shown, one for each that was typed. */
const shown = (text: string): string[] =>
  [...text.matchAll(/<(tswg [^>]*)>/g)].map(([, line]) => line);

describeInLab('in bash, a TAB', ['bash'], () => {
  beforeEach(prepare);
  afterEach(() => lab.close());

  const type = async (...lines: readonly string[]) => {
    await write('bash');
    const setup = [
      `source ${SCRIPT}`,
      `show() { printf '<%s>\\n' "$READLINE_LINE"; READLINE_LINE=; }`,
      `bind -x '"\\C-g": show'`,
      `bind 'set show-all-if-ambiguous on'`,
      `bind 'set page-completions off'`,
    ];
    const typed = lines.map((line) => `${line}${TAB}${SHOW}`).join('');
    return host.exec('bash', ['--norc', '--noprofile', '-i'], {
      input: `${setup.join('\n')}\n${typed}\n`,
    });
  };

  it('completes words, files, interfaces that only have a file, and peers by name', async () => {
    const { stdout } = await type(...LINES.map(([line]) => line));
    expect(shown(stdout)).toEqual(LINES.map(([, completed]) => completed));
  });

  it('tells peers of one name, or of none, by what they are called', async () => {
    const third = createKeyPair().publicKey;
    await host.run('tswg', ['wg0', 'wgpeer', third, 'wgdescr', 'site C']);
    const { stdout, stderr } = await type('tswg wg0 wgpeer ', 'tswg wg0 -wgpeer si');
    const listed = `${stdout}${stderr}`;
    expect(listed).toContain(`${LAPTOP}  (laptop)`);
    expect(listed).toContain(`(${third})`);
    expect(shown(stdout)[1]).toBe('tswg wg0 -wgpeer site\\ ');
  });
});

describeInLab('in zsh, a TAB', ['zsh'], () => {
  beforeEach(prepare);
  afterEach(() => lab.close());

  it('completes words, files, interfaces that only have a file, and peers by name', async () => {
    await write('zsh');
    const lines = LINES.map(([line]) => line);
    await host.writeFile('/etc/wg/setup.zsh', zshSetup());
    await host.writeFile('/etc/wg/type.zsh', zshDriver(lines));
    const { status, stderr, stdout } = await host.exec('zsh', ['-f', '/etc/wg/type.zsh']);
    expect({ status, stderr }, stdout).toMatchObject({ status: 0 });
    const expected = LINES.map(([, completed]) => completed);
    expect(shown(await host.run('cat', [SHOWN]))).toEqual(expected);
  });
});

describeInLab('in fish, a TAB', ['fish'], () => {
  beforeEach(prepare);
  afterEach(() => lab.close());

  it('completes words, files and interfaces, and shows what peers are called', async () => {
    await write('fish');
    const cases = LINES.filter(([, , word]) => word !== undefined);
    const asks = [...cases.map(([line]) => line), 'tswg wg0 -wgpeer '].map(
      (line) => `printf '<%s>\\n' (complete -C '${line}' | string collect)`,
    );
    const { stdout, stderr } = await host.exec(
      'fish',
      ['-c', [...fishSetup(), `source ${SCRIPT}`, ...asks].join('\n')],
      { env: { HOME: '/etc/wg', LD_LIBRARY_PATH: librariesOf() } },
    );
    const answers = [...stdout.matchAll(/<([^>]*)>/g)].map(([, answer]) => answer);
    expect(answers.length, stderr).toBe(asks.length);
    const words = answers.map((answer) => answer.split('\n').map((row) => row.split('\t')[0]));
    for (const [at, [line, , word]] of cases.entries()) expect(words[at], line).toContain(word);
    expect(answers.at(-1)).toContain(`${LAPTOP}\tlaptop`);
  });
});

it('has a case for each shell', () => expect(SHELLS).toEqual(['bash', 'zsh', 'fish']));

/** Where test/setup has unpacked zsh, it finds its modules and functions there only if told. */
function zshSetup(): string {
  const folder = join(DEBIAN, 'usr/share/zsh/functions');
  const [version = ''] = existsSync(folder) ? readdirSync(join(librariesOf(), 'zsh')) : [];
  const own = [`module_path=(${librariesOf()}/zsh/${version})`, `fpath=(${folder}/**/*(/))`];
  return `setopt extended_glob
${existsSync(folder) ? own.join('\n') : ''}
autoload -Uz compinit
compinit -u -D
source ${SCRIPT}
show() { print -r -- "<$BUFFER>" >>${SHOWN}; BUFFER=; }
zle -N show
bindkey '^G' show
print begun >${SHOWN}
`;
}

/** Types into a zsh of its own, on a terminal that zsh makes. */
function zshDriver(lines: readonly string[]): string {
  const quoted = lines.map((line) => `'${line}'`).join(' ');
  return `${zshSetup().split('\n').slice(0, 3).join('\n')}
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "source /etc/wg/setup.zsh"
drain() { local piece; while zpty -r -t z piece; do print -r -- "$piece"; done; sleep 0.1; }
count() { local -a rows; rows=("\${(@f)$(<${SHOWN})}") 2>/dev/null; REPLY=\${#rows}; }
until [[ -s ${SHOWN} ]]; do drain; done
integer at=1
for line in ${quoted}; do
  zpty -w -n z "$line"$'\\t\\a'
  at+=1
  count
  while ((REPLY < at)); do drain; count; done
done
zpty -d z
`;
}

function fishSetup(): string[] {
  const functions = join(DEBIAN, 'usr/share/fish/functions');
  return existsSync(functions) ? [`set -g fish_function_path ${functions}`] : [];
}

function librariesOf(): string {
  const folder = join(DEBIAN, 'usr/lib');
  const [triplet = ''] = existsSync(folder)
    ? readdirSync(folder).filter((name) => name.includes('-linux-gnu'))
    : [];
  return join(folder, triplet);
}
