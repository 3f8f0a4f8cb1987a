/** Files of /proc and /sys, and folders of them. Read whole: they are small, and written by the kernel. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** @throws NodeJS.ErrnoException */
export function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

/** null when it cannot be read. */
export function textOf(path: string): string | null {
  try {
    return readText(path);
  } catch {
    return null;
  }
}

/** Empty when it cannot be listed. */
export function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** null when it is none, or may not be read. */
export function targetOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}
