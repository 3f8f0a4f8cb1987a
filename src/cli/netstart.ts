/**
 * `tswg netstart`: interfaces as their files /etc/hostname.IFNAME say, after OpenBSD's netstart(8).
 * A file is applied when all of its lines can be understood, else not at all; its lines run in
 * order, and one that is refused does not keep the others from running, as there. On an interface
 * that runs, the same lines are applied again; one that has outlived its daemon gets another.
 * `--keep` is keeper.ts's, `--install` install.ts's.
 */

import { HIDDEN, hideKeys } from '../quotation.ts';
import type { Boot } from './boot.ts';
import type { Command } from './command.ts';
import type { HostnameLine } from './hostnamefile.ts';
import { carryOut, ensure, readHostnameFile } from './hostnamelines.ts';
import { keep } from './keeper.ts';
import { hasLostDaemon } from './lostdaemon.ts';
import { isRefusal } from './refusal.ts';
import { quoteShellWord } from './shellwords.ts';
import { isStartedName } from './values.ts';
import { findWord } from './words.ts';

const SECRET_WORDS = ['wgkey', 'wgpsk'];

/** Resolves to the exit code: 1 when anything was refused, or there is no file. */
export async function netstart(
  { names, mode }: Extract<Command, { kind: 'netstart' }>,
  boot: Boot,
): Promise<number> {
  if (mode === 'install') {
    const [{ install }, { openInstallMachine }] = await Promise.all([
      import('./install.ts'),
      import('./installmachine.ts'),
    ]);
    return install(names, boot, openInstallMachine());
  }
  const wanted = names.length > 0 ? names : boot.fileNames().filter(isStartedName);
  if (wanted.length === 0) {
    boot.complain(absence(boot));
    return 1;
  }
  if (mode === 'keep') return keep(wanted, boot);
  let isWell = true;
  for (const name of wanted) {
    const lines = await readLines(name, boot);
    if (lines === null) isWell = false;
    else if (mode === 'plan') await printPlan(name, lines, boot);
    else if (!(await start(name, lines, boot))) isWell = false;
  }
  return isWell ? 0 : 1;
}

/**
 * OpenBSD's netstart succeeds then: it has the rest of the network to start. Here nothing was done
 * of what was asked for, which a boot script, or a pipeline, is to learn.
 */
function absence(boot: Boot): string {
  const looked = `netstart: no interface has a file: looked for ${boot.pathOf('INTERFACE')}, such as ${boot.pathOf('wg0')}`;
  const others = boot.fileNames().map((name) => boot.pathOf(name));
  return others.length === 0 ? looked : `${looked}; skipped: ${others.join(', ')}`;
}

/** null when there are none to be carried out, which has been told then. */
async function readLines(name: string, boot: Boot): Promise<HostnameLine[] | null> {
  try {
    const { lines, mistakes } = await readHostnameFile(name, boot);
    for (const mistake of mistakes) boot.complain(mistake);
    return mistakes.length > 0 ? null : lines;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    boot.complain(error.message);
    return null;
  }
}

/** A script that would do the same, but for the secrets in it. */
async function printPlan(name: string, lines: readonly HostnameLine[], boot: Boot): Promise<void> {
  const word = quoteShellWord(name);
  const link = boot.system.links().find((one) => one.name === name);
  if (link === undefined) boot.print(`tswg ${word} create`);
  else if (hasLostDaemon(link, boot.system)) boot.print(`tswgd --persist ${word}`);
  for (const { action } of lines) {
    if (action.kind === 'command') boot.print(hideKeys(action.text).replace(/[^\P{C}\t]/gu, '?'));
    else boot.print(['tswg', name, ...hideSecrets(action.words)].map(quoteShellWord).join(' '));
  }
}

/** Of all values only the key after wgpeer is a public one. */
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
    await ensure(name, boot.system);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    boot.complain(error.message);
    return false;
  }
  let isWell = true;
  for (const line of lines) {
    const trouble = await carryOut(name, line, boot);
    if (trouble === null) continue;
    isWell = false;
    boot.complain(`${line.label}: ${trouble}`);
    // Whatever took it away, the lines after it are not to make another one of half a file.
    if (!boot.system.links().some((link) => link.name === name)) break;
  }
  return isWell;
}
