/**
 * `tswg netstart --install`: the units of examples/, with the paths of this installation, for
 * systemd to find. A unit names no path, since systemd looks in folders of its own; npm puts programs
 * elsewhere when Node.js is a version manager's, or the prefix is another one. Owns where they are
 * and whether a service can use them there; what a unit then reads like is host/serviceunits.ts'.
 *
 * Nothing is enabled or started: which tunnels this machine has is said by the operator.
 */

import { dirname, join } from 'node:path';
import { type ProgramPlaces, placeUnit, SERVICE_PATH } from '../host/serviceunits.ts';
import type { Boot } from './boot.ts';
import { Refusal } from './refusal.ts';

export const UNITS = ['tswg@.service', 'tswg-config@.service'] as const;
const UNIT_DIRECTORY = '/etc/systemd/system';
/** The Debian package's programs, and its units. */
const PACKAGED = '/usr/lib/tswg';
const PACKAGED_UNITS = '/usr/lib/systemd/system';
/** What `ProtectHome=` is about. */
const HOMES = ['/home', '/root', '/run/user'];
/** The unit has its own (`PrivateTmp=`), or a boot empties it. */
const PASSING = ['/tmp', '/var/tmp', '/run', '/dev', '/proc'];
/** What needs no quotes in a unit, and is no `%` or `$` for systemd. */
const PLAIN_PATH = /^[\w/.@+,=~-]+$/;

const RELOAD = 'systemctl daemon-reload';

/** What is asked of the machine; tests answer from memory. */
export interface InstallMachine {
  /** This program's path as it was called, that of Node.js, and the package's folder. */
  readonly calledBy: string;
  readonly node: string;
  readonly packageRoot: string;
  /** Without links; null when there is no such file. */
  realPath(path: string): string | null;
  /** A folder or file above or at `path` that others than root can change; null when there is none. */
  foreign(path: string): string | null;
  /** null when there is no such file. @throws NodeJS.ErrnoException */
  read(path: string): string | null;
  /** Puts a file in the place of one that there may be. @throws NodeJS.ErrnoException */
  write(path: string, text: string): void;
  /** @throws NodeJS.ErrnoException */
  rename(from: string, to: string): void;
}

/** Resolves to the exit code. @throws {Refusal} before anything is written */
export async function install(
  names: readonly string[],
  boot: Boot,
  machine: InstallMachine,
): Promise<number> {
  if (!boot.system.isRoot) throw refusal('only root may write units; try it with sudo');
  if (machine.realPath(dirname(UNIT_DIRECTORY)) === null) {
    throw refusal(
      `${dirname(UNIT_DIRECTORY)}: there is no such folder: expected systemd; with another init, call \`tswg netstart\` in its boot script`,
    );
  }
  refusePackaged(names, machine);
  const places = findPlaces(machine);
  const texts = UNITS.map((unit) => placeUnit(example(unit, machine), places));
  try {
    for (const [at, unit] of UNITS.entries()) {
      boot.print(writeUnit(join(UNIT_DIRECTORY, unit), texts[at], machine));
    }
  } catch (error) {
    const { code = '', path = UNIT_DIRECTORY } = error as NodeJS.ErrnoException;
    throw refusal(`${path}: cannot be written (${code})`);
  }
  explain(places, machine, boot);
  const isRunning = machine.realPath('/run/systemd/system') !== null;
  const failure = isRunning ? await boot.runShell(RELOAD) : null;
  if (failure !== null) boot.complain(`netstart: --install: ${RELOAD}: ${failure}`);
  tellNext(names, boot, machine);
  return failure === null ? 0 : 1;
}

function refusal(text: string): Refusal {
  return new Refusal(`netstart: --install: ${text}`);
}

/** Units in /etc would stay, and be used instead of the package's, when that is upgraded. */
function refusePackaged(names: readonly string[], machine: InstallMachine): void {
  if (machine.realPath(machine.packageRoot) !== PACKAGED) return;
  const unit = `tswg@${names[0] ?? 'wg0'}`;
  throw refusal(
    `the package has its units in ${PACKAGED_UNITS}: \`systemctl enable --now ${unit}\` is all`,
  );
}

function example(unit: string, machine: InstallMachine): string {
  const path = join(machine.packageRoot, 'examples', unit);
  const text = machine.read(path);
  if (text === null) throw refusal(`${path}: there is no such file: is tswg installed whole?`);
  return text;
}

/** @throws {Refusal} where no service could start the programs */
function findPlaces(machine: InstallMachine): ProgramPlaces {
  const [tswg, tswgd] = [programPath('tswg', machine), programPath('tswgd', machine)];
  // By the first line of both programs, `env` looks for node where the unit's PATH says.
  const usual = SERVICE_PATH.map((folder) => machine.realPath(join(folder, 'node')));
  const isUsualNode = usual.find((path) => path !== null) === machine.realPath(machine.node);
  const used = [tswg, tswgd, machine.packageRoot, ...(isUsualNode ? [] : [machine.node])];
  const all = used.flatMap((path) => [path, machine.realPath(path) ?? path]);
  for (const path of all) refuseUseless(path);
  const folders = [dirname(tswg), ...(isUsualNode ? [] : [dirname(machine.node)])];
  const others = [...new Set(folders)].filter((folder) => !SERVICE_PATH.includes(folder));
  const before = isUsualNode ? [] : [machine.node];
  return {
    tswg: [...before, tswg],
    tswgd: [...before, tswgd],
    path: isUsualNode && others.length === 0 ? null : [...new Set([...folders, ...SERVICE_PATH])],
    isInHome: all.some((path) => isBelow(path, HOMES)),
  };
}

/** As it is called, if this one was called so: that may be a link, which leads to another version tomorrow. */
function programPath(name: string, machine: InstallMachine): string {
  const own = join(machine.packageRoot, 'bin', name);
  const beside = join(dirname(machine.calledBy), name);
  const real = machine.realPath(beside);
  return real !== null && real === machine.realPath(own) ? beside : own;
}

function refuseUseless(path: string): void {
  if (path.includes('/_npx/')) {
    throw refusal(`${path}: npx keeps it for a while only: install it with \`npm install -g\``);
  }
  if (isBelow(path, PASSING)) {
    throw refusal(`${path}: a service does not find it there after a boot: install it elsewhere`);
  }
  if (!PLAIN_PATH.test(path)) {
    throw refusal(
      `${JSON.stringify(path)}: expected a path of letters, digits and /.@+,=~- for a unit`,
    );
  }
}

function isBelow(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => path === folder || path.startsWith(`${folder}/`));
}

/** What was there is kept beside it, where systemd does not read it. Returns what was done. */
function writeUnit(path: string, text: string, machine: InstallMachine): string {
  const before = machine.read(path);
  if (before === text) return `${path}: is as it should be`;
  if (before !== null) machine.rename(path, `${path}.old`);
  machine.write(path, text);
  return before === null ? `${path}: written` : `${path}: written; what was there is ${path}.old`;
}

function explain(places: ProgramPlaces, machine: InstallMachine, boot: Boot): void {
  boot.print(`the daemon is started by: ${places.tswgd.join(' ')} -f IFNAME`);
  if (places.isInHome) {
    boot.print('ProtectHome=read-only: part of that lies in a home, which the units must see');
  }
  const used = [...places.tswgd, machine.packageRoot].map((path) => machine.realPath(path) ?? path);
  const foreign = used.map((path) => machine.foreign(path)).find((path) => path !== null);
  if (foreign === undefined) return;
  boot.complain(
    `warning: ${foreign}: others than root can change this, and so become root at the next start: install tswg where only root writes`,
  );
}

function tellNext(names: readonly string[], boot: Boot, machine: InstallMachine): void {
  for (const name of names) {
    const path = boot.pathOf(name);
    if (machine.realPath(path) === null) {
      boot.complain(`warning: ${path}: there is no such file yet: tswg@${name} needs it`);
    }
  }
  const units = (names.length === 0 ? ['IFNAME'] : names).map((name) => `tswg@${name}`);
  boot.print(`nothing is enabled or started: systemctl enable --now ${units.join(' ')}`);
}
