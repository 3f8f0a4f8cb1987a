/**
 * What netstart asks of the machine beyond what tswg asks: the files, a shell, and somebody to
 * tell. Tests answer from memory.
 */

import { hostnameFileNames, hostnamePath } from '../io/hostnamefiles.ts';
import { readSmallFile, type SmallFile } from '../io/secretfile.ts';
import { runShell } from '../io/shell.ts';
import type { System } from './system.ts';

export interface Boot {
  readonly system: System;
  /** What stands behind `hostname.` in the names of the files, sorted. */
  fileNames(): string[];
  pathOf(name: string): string;
  /** Its first `maxBytes`; rejects with a `code` such as ENOENT. */
  readFile(path: string, maxBytes: number): Promise<SmallFile>;
  /** Resolves to how the command failed, or to null. */
  runShell(command: string): Promise<string | null>;
  /** A line of the plan. */
  print(line: string): void;
  /** A line for the operator. */
  complain(line: string): void;
}

export function openBoot(system: System, env: Readonly<Record<string, string | undefined>>): Boot {
  return {
    system,
    fileNames: hostnameFileNames,
    pathOf: hostnamePath,
    readFile: readSmallFile,
    runShell: (command) => runShell(command, env),
    print: (line) => process.stdout.write(`${line}\n`),
    complain: (line) => process.stderr.write(`tswg: ${line}\n`),
  };
}
