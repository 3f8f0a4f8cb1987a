/**
 * The programs under measurement: how each is started in the foreground for `wg0`, and how it
 * names its version. They get the same configuration through the same control socket.
 */

import path from 'node:path';
import { execute } from '../lab/command.ts';
import { REPOSITORY } from '../lab/repository.ts';
import type { Observers } from './observers.ts';
import type { Side } from './samples.ts';

export const IFNAME = 'wg0';
const DAEMON = path.join(REPOSITORY, 'bin', 'tswgd');

export interface Implementation {
  readonly side: Side;
  /** For the progress line. */
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The tool that belongs to it. */
  readonly tool: string;
  /** Who watches the left end while it is measured. */
  readonly observers?: Observers;
}

export const WIREGUARD_GO: Implementation = {
  side: 'wireguard-go',
  name: 'wireguard-go',
  command: [process.env.WIREGUARD_GO ?? 'wireguard-go', '-f', IFNAME],
  env: {},
  tool: 'wg',
};

export const TSWG = tswg('tswg');
/** The portable fallback: WebAssembly and @noble in place of Node's OpenSSL. */
export const TSWG_PORTABLE = tswg('tswg, portable crypto', { TSWG_CRYPTO: 'portable' });
/** One packet a system call. */
export const TSWG_PLAIN = tswg('tswg, no offloads', { TSWG_NO_OFFLOAD: '1' });

/** tswg while it is watched, to be compared with itself. */
export function observed(observers: Observers): Implementation {
  return { ...TSWG, side: 'tswg, observed', name: 'tswg, observed', observers };
}

/** The same of an earlier tswg, to be compared with this one. `repository`: its folder, built. */
export function before(implementation: Implementation, repository: string): Implementation {
  const command = implementation.command.map((word) =>
    word === DAEMON ? path.join(repository, 'bin', 'tswgd') : word,
  );
  return {
    ...{ ...implementation, command },
    ...{ side: 'tswg, before', name: `${implementation.name}, before` },
    tool: path.join(repository, 'bin', 'tswg'),
  };
}

/** @param flags for Node.js itself */
export function tswg(
  name: string,
  env: Readonly<Record<string, string>> = {},
  flags: readonly string[] = [],
): Implementation {
  const command = [process.execPath, ...flags, DAEMON, '-f', IFNAME];
  return { side: 'tswg', name, command, env, tool: path.join(REPOSITORY, 'bin', 'tswg') };
}

/** The first line of `--version`; rejects with one line when it cannot be run. */
export async function versionOf(implementation: Implementation): Promise<string> {
  const command = [...implementation.command.slice(0, -2), '--version'];
  const { stdout, stderr, status } = await execute(command, { env: implementation.env });
  const line = (stdout || stderr).trim().split('\n')[0];
  if (status !== 0) throw new Error(`${command.join(' ')}: ${line || `status ${status}`}`);
  return line;
}
