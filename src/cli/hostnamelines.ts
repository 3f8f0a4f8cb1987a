/**
 * The lines of a file /etc/hostname.IFNAME on this machine: reading them, having an interface for
 * them, and carrying one out. When, and how often, is netstart's and the keeper's.
 */

import type { ShellOptions } from '../host/shell.ts';
import { visible } from '../quotation.ts';
import { configure, takeOver } from './apply.ts';
import type { Boot } from './boot.ts';
import type { Draft } from './command.ts';
import { type HostnameFile, type HostnameLine, parseHostnameFile } from './hostnamefile.ts';
import { explainFile, looseMistake } from './keyfiles.ts';
import { hasLostDaemon } from './lostdaemon.ts';
import { isRefusal, Refusal } from './refusal.ts';
import { quoteShellWord } from './shellwords.ts';
import type { System } from './system.ts';

/** Some ten thousand peers. */
export const HOSTNAME_FILE_BYTES_MAX = 4 * 1024 * 1024;
const NO_WORDS: Draft = { create: false, removeAllPeers: false, peers: [], addresses: [] };

/** @throws Refusal unless the file is there and root's alone: it may hold keys, and root runs it */
export async function readHostnameFile(name: string, boot: Boot): Promise<HostnameFile> {
  return parseHostnameFile(name, await readFile(boot.pathOf(name), boot));
}

async function readFile(path: string, boot: Boot): Promise<string> {
  try {
    const file = await boot.readFile(path, HOSTNAME_FILE_BYTES_MAX);
    if (!file.isRegular) throw new Refusal(`${path}: expected a regular file`);
    if (file.owner !== 0) {
      throw new Refusal(
        `${path}: it belongs to user ${file.owner}; fix it with: chown root ${quoteShellWord(path)}`,
      );
    }
    const loose = looseMistake(path, file.mode);
    if (loose !== null) throw new Refusal(`${path}: ${loose}`);
    if (file.text.length >= HOSTNAME_FILE_BYTES_MAX) {
      throw new Refusal(`${path}: expected less than ${HOSTNAME_FILE_BYTES_MAX} bytes`);
    }
    return Buffer.from(file.text, 'latin1').toString('utf8');
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(`${path}: ${explainFile((error as NodeJS.ErrnoException).code)}`);
  }
}

/**
 * Creates the interface, or gives the one that has lost its daemon another: before the first line,
 * so that one which is refused does not take the interface with it again. @throws Refusal
 */
export async function ensure(name: string, system: System): Promise<void> {
  const link = system.links().find((one) => one.name === name);
  if (link === undefined) await configure(name, NO_WORDS, system);
  else if (hasLostDaemon(link, system)) await takeOver(name, system);
}

/** Resolves to what went wrong, or to null; what the operator should hear of besides is told. */
export async function carryOut(
  name: string,
  { label, action }: HostnameLine,
  boot: Boot,
  options?: ShellOptions,
): Promise<string | null> {
  if (action.kind === 'command') {
    const failure = await boot.runShell(action.text, options);
    return failure === null ? null : `!${visible(action.text)}: ${failure}`;
  }
  try {
    for (const { text, isMoot } of await configure(name, action.draft, boot.system)) {
      if (!isMoot) boot.complain(`${label}: warning: ${text}`);
    }
    return null;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return error.message;
  }
}
