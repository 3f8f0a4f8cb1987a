/**
 * `tswg netstart`: interfaces as their files /etc/hostname.IFNAME say, after OpenBSD's netstart(8).
 * A file is applied when all of its lines can be understood, else not at all; its lines run in
 * order, and one that is refused does not keep the others from running, as there. On an interface
 * that runs, the same lines are applied once more; one that has outlived its daemon gets another.
 */

import { HIDDEN, hideKeys, visible } from '../quotation.ts';
import { configure, hasLostDaemon, takeOver } from './apply.ts';
import type { Boot } from './boot.ts';
import type { Command, Draft } from './command.ts';
import { type Action, type HostnameLine, parseHostnameFile } from './hostnamefile.ts';
import { explainFile, looseMistake } from './keyfiles.ts';
import { isRefusal, Refusal } from './refusal.ts';
import { quoteShellWord } from './shellwords.ts';
import { isCreatableName } from './values.ts';
import { findWord } from './words.ts';

/** Some ten thousand peers. */
export const HOSTNAME_FILE_BYTES_MAX = 4 * 1024 * 1024;
const SECRET_WORDS = ['wgkey', 'wgpsk'];
const NO_WORDS: Draft = { create: false, removeAllPeers: false, peers: [], addresses: [] };

/** Resolves to the exit code: 1 when anything was refused. */
export async function netstart(
  { names, isDryRun }: Extract<Command, { kind: 'netstart' }>,
  boot: Boot,
): Promise<number> {
  const wanted = names.length > 0 ? names : boot.fileNames().filter(isMeant);
  if (wanted.length === 0) boot.complain('netstart: there is no file /etc/hostname.IFNAME');
  let isWell = true;
  for (const name of wanted) {
    const lines = await readLines(name, boot);
    if (lines === null) isWell = false;
    else if (isDryRun) await printPlan(name, lines, boot);
    else if (!(await start(name, lines, boot))) isWell = false;
  }
  return isWell ? 0 : 1;
}

/** Beside the files lie what editors and packages leave there: wg0~, wg0.bak, wg0.dpkg-old. */
function isMeant(name: string): boolean {
  return isCreatableName(name) && /^[\w-]+$/.test(name);
}

/** null when there are none to be carried out, which has been told then. */
async function readLines(name: string, boot: Boot): Promise<HostnameLine[] | null> {
  let text: string;
  try {
    text = await readFile(boot.pathOf(name), boot);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    boot.complain(error.message);
    return null;
  }
  const parsed = parseHostnameFile(name, text);
  if ('lines' in parsed) return parsed.lines;
  for (const mistake of parsed.mistakes) boot.complain(mistake);
  return null;
}

/** @throws Refusal unless it is root's alone: it may hold keys, and root runs its commands */
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

function exists(name: string, boot: Boot): boolean {
  return boot.system.links().some((link) => link.name === name);
}

/** A script that would do the same, but for the secrets in it. */
async function printPlan(name: string, lines: readonly HostnameLine[], boot: Boot): Promise<void> {
  const word = quoteShellWord(name);
  if (!exists(name, boot)) boot.print(`tswg ${word} create`);
  else if (await hasLostDaemon(name, boot.system)) boot.print(`tswgd --persist ${word}`);
  for (const { action } of lines) {
    if (action.kind === 'command') boot.print(hideKeys(action.text).replace(/[^\P{C}\t]/gu, '?'));
    else boot.print(['tswg', name, ...hideSecrets(action.words)].map(quoteShellWord).join(' '));
  }
}

/** Of all values only the key behind wgpeer is a public one. */
function hideSecrets(words: readonly string[]): string[] {
  const shown = words.map(hideKeys);
  for (let at = 0; at < words.length; at++) {
    const row = findWord(words[at]);
    if (SECRET_WORDS.includes(words[at])) shown[at + 1] = HIDDEN;
    else if (row?.args[0] === 'PUBLICKEY') shown[at + 1] = words[at + 1];
    at += row?.args.length ?? 0;
  }
  return shown;
}

/** Whether all of it went well. */
async function start(name: string, lines: readonly HostnameLine[], boot: Boot): Promise<boolean> {
  try {
    // So that a line which is refused does not take the interface with it again.
    if (!exists(name, boot)) await configure(name, NO_WORDS, boot.system);
    else if (await hasLostDaemon(name, boot.system)) await takeOver(name, boot.system);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    boot.complain(error.message);
    return false;
  }
  let isWell = true;
  for (const { label, action } of lines) {
    const trouble = await carryOut(name, label, action, boot);
    if (trouble === null) continue;
    isWell = false;
    boot.complain(`${label}: ${trouble}`);
    // Whatever took it away, the lines behind are not to make another one of half a file.
    if (!exists(name, boot)) break;
  }
  return isWell;
}

/** What went wrong, or null. */
async function carryOut(
  name: string,
  label: string,
  action: Action,
  boot: Boot,
): Promise<string | null> {
  if (action.kind === 'command') {
    const failure = await boot.runShell(action.text);
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
