/** The labs that a command has open, so that it leaves none behind when it is interrupted. */

import { Lab } from './lab.ts';

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

/** Ends whatever is open; for the end of an interrupted run. */
export async function closeAllLabs(): Promise<void> {
  await Promise.all([...open].map(closeLab));
}
