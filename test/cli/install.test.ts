/** `tswg netstart --install`: the units that it writes for each way in which npm lays programs out. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type InstallMachine, install, UNITS } from '../../src/cli/install.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { FakeBoot } from './fakeboot.ts';

const DAEMON_UNIT = '/etc/systemd/system/tswg@.service';
const CONFIG_UNIT = '/etc/systemd/system/tswg-config@.service';
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const example = (unit: string) => readFileSync(join(REPOSITORY, 'examples', unit), 'utf8');

/** Where npm has put what, and which Node.js runs it. */
interface Layout {
  /** The folder of the programs' links, and the package's. */
  readonly bin: string;
  readonly lib: string;
  readonly node: string;
  /** Of Debian, beside that one. */
  readonly otherNode?: string;
  readonly owner?: 'root' | 'alice';
}

const NVM = '/root/.nvm/versions/node/v20.20.2';
const LAYOUTS = {
  usual: { bin: '/usr/bin', lib: '/usr/lib/node_modules/tswg', node: '/usr/bin/node' },
  local: { bin: '/usr/local/bin', lib: '/usr/local/lib/node_modules/tswg', node: '/usr/bin/node' },
  prefix: { bin: '/opt/npm/bin', lib: '/opt/npm/lib/node_modules/tswg', node: '/usr/bin/node' },
  nvm: { bin: `${NVM}/bin`, lib: `${NVM}/lib/node_modules/tswg`, node: `${NVM}/bin/node` },
} satisfies Record<string, Layout>;

class FakeMachine implements InstallMachine {
  readonly calledBy: string;
  readonly node: string;
  readonly packageRoot: string;
  readonly files = new Map<string, string>();
  readonly #links = new Map<string, string>();
  readonly #owner: string;

  constructor({ bin, lib, node, otherNode, owner = 'root' }: Layout) {
    this.calledBy = `${bin}/tswg`;
    this.node = node;
    this.packageRoot = lib;
    this.#owner = owner;
    for (const name of ['tswg', 'tswgd']) this.#links.set(`${bin}/${name}`, `${lib}/bin/${name}`);
    for (const path of [lib, node, otherNode ?? node, '/etc/systemd', '/run/systemd/system']) {
      this.#links.set(path, path);
    }
    for (const unit of UNITS) this.files.set(`${lib}/examples/${unit}`, example(unit));
  }

  without(path: string): this {
    this.#links.delete(path);
    return this;
  }

  realPath(path: string): string | null {
    const isPlain = this.files.has(path) || [...this.#links.values()].includes(path);
    return this.#links.get(path) ?? (isPlain ? path : null);
  }

  foreign(path: string): string | null {
    return this.#owner !== 'root' && path.startsWith('/home/') ? '/home/alice' : null;
  }

  read(path: string): string | null {
    return this.files.get(path) ?? null;
  }

  write(path: string, text: string): void {
    this.files.set(path, text);
  }

  rename(from: string, to: string): void {
    this.files.set(to, this.files.get(from)!);
    this.files.delete(from);
  }
}

/** A boot whose hostname.wg0 the machine has, too. */
function prepare(layout: Layout) {
  const machine = new FakeMachine(layout);
  const boot = new FakeBoot({ wg0: 'up' });
  machine.files.set(boot.pathOf('wg0'), 'up');
  return { machine, boot };
}

async function refusalOf(machine: FakeMachine, boot = new FakeBoot()): Promise<string> {
  const before = new Map(machine.files);
  const error = await install(['wg0'], boot, machine).then(
    () => null,
    (reason: Error) => reason,
  );
  expect(machine.files).toEqual(before);
  expect(boot.printed).toEqual([]);
  return error?.message ?? 'not refused';
}

/** What differs from the unit in examples/: lines of ours. */
function changed(text: string, unit: string): string[] {
  const known = example(unit).split('\n');
  return text.split('\n').filter((line) => !known.includes(line));
}

describe('the units that netstart --install writes', () => {
  it.each<[string, Layout, string[], string[]]>([
    [
      'of a usual npm install -g',
      LAYOUTS.usual,
      ['ExecStart=/usr/bin/tswgd -f %i', 'ExecReload=+/usr/bin/tswg netstart %i'],
      ['ExecStart=/usr/bin/tswg netstart --keep %i'],
    ],
    [
      'of one below /usr/local',
      LAYOUTS.local,
      ['ExecStart=/usr/local/bin/tswgd -f %i', 'ExecReload=+/usr/local/bin/tswg netstart %i'],
      ['ExecStart=/usr/local/bin/tswg netstart --keep %i'],
    ],
    [
      'of a prefix: the commands of a file find tswg, too',
      LAYOUTS.prefix,
      [
        `Environment=PATH=/opt/npm/bin:${SYSTEM_PATH}`,
        'ExecStart=/opt/npm/bin/tswgd -f %i',
        'ExecReload=+/opt/npm/bin/tswg netstart %i',
      ],
      [
        `Environment=PATH=/opt/npm/bin:${SYSTEM_PATH}`,
        'ExecStart=/opt/npm/bin/tswg netstart --keep %i',
      ],
    ],
    [
      'of nvm, in a home and beside an older node of the system',
      { ...LAYOUTS.nvm, otherNode: '/usr/bin/node' },
      [
        `Environment=PATH=${NVM}/bin:${SYSTEM_PATH}`,
        `ExecStart=${NVM}/bin/node ${NVM}/bin/tswgd -f %i`,
        `ExecReload=+${NVM}/bin/node ${NVM}/bin/tswg netstart %i`,
        'ProtectHome=read-only',
      ],
      [
        `Environment=PATH=${NVM}/bin:${SYSTEM_PATH}`,
        `ExecStart=${NVM}/bin/node ${NVM}/bin/tswg netstart --keep %i`,
      ],
    ],
  ])('%s', async (_, layout, ofDaemon, ofConfig) => {
    const { machine, boot } = prepare(layout);
    expect(await install(['wg0'], boot, machine)).toBe(0);
    expect(changed(machine.read(DAEMON_UNIT)!, UNITS[0])).toEqual(ofDaemon);
    expect(changed(machine.read(CONFIG_UNIT)!, UNITS[1])).toEqual(ofConfig);
    expect(boot.complaints).toEqual([]);
    expect(boot.system.log).toEqual(['! systemctl daemon-reload']);
    expect(boot.printed.slice(0, 2)).toEqual([
      `${DAEMON_UNIT}: written`,
      `${CONFIG_UNIT}: written`,
    ]);
    expect(boot.printed.at(-1)).toBe(
      'nothing is enabled or started: systemctl enable --now tswg@wg0',
    );
  });

  it('are those of the package’s own folder where no link stands beside the program', async () => {
    const { machine, boot } = prepare({
      ...LAYOUTS.prefix,
      bin: '/opt/tswg/bin',
      lib: '/opt/tswg',
    });
    expect(await install([], boot, machine.without('/opt/tswg/bin/tswgd'))).toBe(0);
    expect(machine.read(DAEMON_UNIT)).toContain('ExecStart=/opt/tswg/bin/tswgd -f %i\n');
    expect(boot.printed.at(-1)).toContain('systemctl enable --now tswg@IFNAME');
  });

  it('take the place of others, which are kept, and stay when they are the same', async () => {
    const { machine, boot } = prepare(LAYOUTS.prefix);
    machine.files.set(DAEMON_UNIT, 'an operator wrote this');
    await install(['wg0'], boot, machine);
    expect(boot.printed[0]).toBe(`${DAEMON_UNIT}: written; what was there is ${DAEMON_UNIT}.old`);
    expect(machine.read(`${DAEMON_UNIT}.old`)).toBe('an operator wrote this');
    boot.printed.length = 0;
    await install(['wg0'], boot, machine);
    expect(boot.printed[0]).toBe(`${DAEMON_UNIT}: is as it should be`);
    expect(machine.read(`${DAEMON_UNIT}.old`)).toBe('an operator wrote this');
  });

  it('may be written before systemd runs, and before the file is there', async () => {
    const { machine } = prepare(LAYOUTS.usual);
    const boot = new FakeBoot();
    machine.without('/run/systemd/system');
    expect(await install(['wg7'], boot, machine)).toBe(0);
    expect(boot.system.log).toEqual([]);
    expect(boot.complaints).toEqual([
      'warning: /etc/hostname.wg7: there is no such file yet: tswg@wg7 needs it',
    ]);
  });

  it('come with a warning where somebody else than root may change what they start', async () => {
    const home = '/home/alice/.nvm/versions/node/v22.1.0';
    const layout = { bin: `${home}/bin`, lib: `${home}/lib/tswg`, node: `${home}/bin/node` };
    const { machine, boot } = prepare({ ...layout, owner: 'alice' });
    expect(await install(['wg0'], boot, machine)).toBe(0);
    expect(boot.complaints).toEqual([
      expect.stringMatching(
        /^warning: \/home\/alice: others than root can change this, and so become root/,
      ),
    ]);
  });

  it('say that systemd was not told', async () => {
    const { machine, boot } = prepare(LAYOUTS.usual);
    boot.runShell = async () => 'exit code 1';
    expect(await install(['wg0'], boot, machine)).toBe(1);
    expect(boot.complaints).toEqual(['netstart: --install: systemctl daemon-reload: exit code 1']);
  });
});

describe('netstart --install is refused in one line', () => {
  const at = (folder: string, node = '/usr/bin/node'): Layout => ({
    ...{ bin: `${folder}/bin`, lib: `${folder}/lib/tswg`, node },
  });
  it.each<[string, FakeMachine, RegExp]>([
    [
      'of the Debian package',
      new FakeMachine({ ...LAYOUTS.usual, lib: '/usr/lib/tswg' }),
      /^the package has its units in \/usr\/lib\/systemd\/system: `systemctl enable --now tswg@wg0` is all$/,
    ],
    [
      'below /tmp',
      new FakeMachine(at('/tmp/x')),
      /^\/tmp\/x\/bin\/tswg: a service does not find it there after a boot/,
    ],
    [
      'by npx',
      new FakeMachine(at('/root/.npm/_npx/8f/node_modules/tswg')),
      /npx keeps it for a while only: install it with `npm install -g`$/,
    ],
    [
      'with a path that a unit cannot name',
      new FakeMachine(at('/opt/my node')),
      /^"\/opt\/my node\/bin\/tswg": expected a path of letters/,
    ],
    [
      'with a node below /tmp',
      new FakeMachine(at('/opt/x', '/tmp/node')),
      /^\/tmp\/node: a service/,
    ],
    [
      'without systemd',
      new FakeMachine(LAYOUTS.usual).without('/etc/systemd'),
      /^\/etc\/systemd: there is no such folder: expected systemd/,
    ],
  ])('%s', async (_, machine, reason) => {
    const message = await refusalOf(machine);
    expect(message).toMatch(/^netstart: --install: /);
    expect(message.slice('netstart: --install: '.length)).toMatch(reason);
    expect(message).not.toContain('\n');
  });

  it('of others than root', async () => {
    const boot = new FakeBoot();
    boot.system.isRoot = false;
    expect(await refusalOf(new FakeMachine(LAYOUTS.usual), boot)).toBe(
      'netstart: --install: only root may write units; try it with sudo',
    );
  });

  it('where the folder cannot be written to', async () => {
    const { machine, boot } = prepare(LAYOUTS.usual);
    machine.write = (path) => {
      throw Object.assign(new Error('read-only'), { code: 'EROFS', path });
    };
    expect(await refusalOf(machine, boot)).toBe(
      `netstart: --install: ${DAEMON_UNIT}: cannot be written (EROFS)`,
    );
  });
});
