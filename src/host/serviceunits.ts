/**
 * The units of examples/ as a service manager is to have them: with the paths at which the two
 * programs lie on this machine. Text in, text out; where they lie is asked elsewhere (cli/install.ts
 * for an installation by npm, packaging/ for the Debian package).
 */

/** Where systemd looks for a program that is named without a folder (systemd.exec(5), 252). */
export const SERVICE_PATH: readonly string[] = [
  ...['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'],
];

export interface ProgramPlaces {
  /** The words that start `tswg`, and `tswgd`; the first one is an absolute path. */
  readonly tswg: readonly string[];
  readonly tswgd: readonly string[];
  /** The folders where the commands of a file find their programs; null for SERVICE_PATH. */
  readonly path: readonly string[] | null;
  /** Something of that lies where `ProtectHome=yes` hides it. */
  readonly isInHome: boolean;
}

/** @param text a unit that names the two programs without a folder, as those of examples/ do */
export function placeUnit(text: string, places: ProgramPlaces): string {
  const { path, isInHome } = places;
  const placed = text.replace(
    /^(Exec\w+=[-+!:@]*)(tswgd?)(?= )/gm,
    (_, before: string, name: 'tswg' | 'tswgd') => before + places[name].join(' '),
  );
  const found =
    path === null
      ? placed
      : placed.replace('\n[Service]\n', `\n[Service]\nEnvironment=PATH=${path.join(':')}\n`);
  return isInHome ? found.replace('\nProtectHome=yes\n', '\nProtectHome=read-only\n') : found;
}
