/**
 * Evidence: who else configures an interface of this name, or would at the next boot: wg-quick,
 * NetworkManager, systemd-networkd. By files only: none of them is asked.
 */

import type { Manager } from '../evidence.ts';
import { namesIn, targetOf, textOf } from './procfile.ts';

const UNIT_FOLDERS: readonly string[] = ['/etc/systemd/system', '/run/systemd/system'];
const NETWORKD_FOLDERS: readonly string[] = [
  ...['/etc/systemd/network', '/run/systemd/network', '/usr/local/lib/systemd/network'],
  ...['/usr/lib/systemd/network', '/lib/systemd/network'],
];
const CONNECTION_FOLDERS: readonly string[] = [
  ...['/etc/NetworkManager/system-connections', '/run/NetworkManager/system-connections'],
  '/usr/lib/NetworkManager/system-connections',
];

/** @param root stands before every path, in tests */
export function gatherManagers(name: string, index: number | null, root = ''): Manager[] {
  return [
    ...unitsOf('wg-quick', [`wg-quick@${name}.service`], root),
    ...unitsOf('tswg', [`tswg@${name}.service`, `tswg-config@${name}.service`], root),
    ...quickFile(name, root),
    ...networkdFiles(name, root),
    ...networkdState(index, root),
    ...connections(name, root),
    ...networkManagerState(index, root),
  ];
}

/** Enabled units are links in the folders of what wants them. */
function unitsOf(kind: Manager['kind'], units: readonly string[], root: string): Manager[] {
  return UNIT_FOLDERS.flatMap((folder) =>
    namesIn(root + folder)
      .filter((entry) => /\.(wants|requires)$/.test(entry))
      .flatMap((wants) => units.map((unit) => `${folder}/${wants}/${unit}`))
      .filter((path) => targetOf(root + path) !== null)
      .map((path) => ({ kind, path, isActive: true, line: '' })),
  );
}

function quickFile(name: string, root: string): Manager[] {
  const path = `/etc/wireguard/${name}.conf`;
  const isThere = namesIn(`${root}/etc/wireguard`).includes(`${name}.conf`);
  return isThere ? [{ kind: 'wg-quick', path, isActive: false, line: '' }] : [];
}

function networkdFiles(name: string, root: string): Manager[] {
  return NETWORKD_FOLDERS.flatMap((folder) =>
    namesIn(root + folder)
      .filter((file) => /\.(netdev|network)$/.test(file))
      .flatMap((file) => {
        const path = `${folder}/${file}`;
        const line = namingLine(textOf(root + path) ?? '', name);
        return line === null
          ? []
          : [{ kind: 'systemd-networkd' as const, path, isActive: false, line }];
      }),
  );
}

/** The `Name=` of [Match] or [NetDev] that means this interface, shell patterns included. */
export function namingLine(text: string, name: string): string | null {
  let section = '';
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line.startsWith('[')) section = line;
    const names = /^Name\s*=\s*(.+)$/.exec(line)?.[1];
    if (names === undefined || (section !== '[Match]' && section !== '[NetDev]')) continue;
    if (names.split(/\s+/).some((pattern) => matches(pattern, name))) return line;
  }
  return null;
}

/** Of fnmatch(3) what such files use: `*`, `?` and `[...]`. */
function matches(pattern: string, name: string): boolean {
  const source = pattern.replace(/\[!?[^\]]*\]|[\s\S]/g, (part) => {
    if (part === '*') return '.*';
    if (part === '?') return '.';
    if (part.length > 1) return part.replace('[!', '[^').replaceAll('\\', '\\\\');
    return part.replace(/[\\^$.+(){}|[\]]/, '\\$&');
  });
  try {
    return new RegExp(`^${source}$`).test(name);
  } catch {
    return false;
  }
}

/** What networkd itself says of a link, by its number. */
function networkdState(index: number | null, root: string): Manager[] {
  const path = `/run/systemd/netif/links/${index}`;
  const text = index === null ? null : textOf(root + path);
  const line = /^ADMIN_STATE=.*$/m.exec(text ?? '')?.[0] ?? '';
  const isActive = line !== '' && !line.endsWith('=unmanaged');
  return isActive ? [{ kind: 'systemd-networkd', path, isActive, line }] : [];
}

/** Root alone may read them: they hold keys, of which no line is repeated. */
function connections(name: string, root: string): Manager[] {
  return CONNECTION_FOLDERS.flatMap((folder) =>
    namesIn(root + folder).flatMap((file) => {
      const path = `${folder}/${file}`;
      const found = /^interface-name\s*=\s*(\S+)\s*$/m.exec(textOf(root + path) ?? '');
      if (found?.[1] !== name) return [];
      return [{ kind: 'NetworkManager' as const, path, isActive: false, line: found[0].trim() }];
    }),
  );
}

function networkManagerState(index: number | null, root: string): Manager[] {
  const path = `/run/NetworkManager/devices/${index}`;
  const text = index === null ? null : textOf(root + path);
  const line = /^(?:managed|connection-uuid)=.*$/m.exec(text ?? '')?.[0] ?? '';
  const isActive = line === 'managed=true' || line.startsWith('connection-uuid=');
  return isActive ? [{ kind: 'NetworkManager', path, isActive, line }] : [];
}
