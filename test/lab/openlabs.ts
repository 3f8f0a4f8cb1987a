/**
 * The labs that a command has open, so that it leaves none behind when it is interrupted; and how
 * such a command ends.
 */

import { Lab } from './lab.ts';

const INTERRUPTED_STATUS = 130;

const open = new Set<Lab>();

export async function openLab(): Promise<Lab> {
  const lab = await Lab.open();
  open.add(lab);
  return lab;
}

export async function closeLab(lab: Lab): Promise<void> {
  await lab.close();
  open.delete(lab);
}

/**
 * Runs a command with its arguments. What it resolves to is the exit code; what it throws becomes
 * one line and 1, a signal 130, with all labs closed.
 */
export async function runCommand(
  name: string,
  command: (words: readonly string[]) => Promise<number>,
): Promise<void> {
  const interrupt = async (): Promise<never> => {
    console.log(`\n${name}: interrupted; cleaning up`);
    await closeAllLabs();
    process.exit(INTERRUPTED_STATUS);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, interrupt);
  try {
    process.exitCode = await command(process.argv.slice(2));
  } catch (error) {
    console.error(`${name}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}

async function closeAllLabs(): Promise<void> {
  await Promise.all([...open].map(closeLab));
}
