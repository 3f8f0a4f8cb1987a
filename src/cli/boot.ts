/**
 * What netstart asks of the machine beyond what tswg asks: the files, a shell, and somebody to
 * tell. Tests answer from memory.
 */

import { hostnameFileNames, hostnamePath } from '../host/hostnamefiles.ts';
import { openJournal, type Priority } from '../host/journal.ts';
import { createRepeatedLookup } from '../host/resolver.ts';
import { readSmallFile, type SmallFile } from '../host/secretfile.ts';
import { takeServiceNotifier } from '../host/servicenotify.ts';
import { runShell, type ShellOptions } from '../host/shell.ts';
import type { Environment } from '../sys/environment.ts';
import type { System } from './system.ts';

export interface Boot {
  readonly system: System;
  readonly service: Service;
  /** What follows `hostname.` in the names of the files, sorted. */
  fileNames(): string[];
  pathOf(name: string): string;
  /** Its first `maxBytes`; rejects with a `code` such as ENOENT. */
  readFile(path: string, maxBytes: number): Promise<SmallFile>;
  /** Resolves to how the command failed, or to null. */
  runShell(command: string, options?: ShellOptions): Promise<string | null>;
  /** A line of the plan. */
  print(line: string): void;
  /** A line for the operator, about something that is wrong. */
  complain(line: string): void;
  /** A line for the operator, about something that is right now. */
  note(line: string): void;
}

/** The service manager, if we are a service. */
export interface Service {
  readonly isManaged: boolean;
  /** What could be carried out has been. */
  ready(): void;
  /** How it stands, in a line. */
  status(text: string): void;
}

/** Longer than a name service takes that answers. */
const LOOKUP_PATIENCE_MS = 1_000;

/** @param isRepeated whether lines are tried again, so that no name is to be waited for */
export function openBoot(system: System, env: Environment, isRepeated: boolean): Boot {
  const prefix = openJournal(env);
  const say = (priority: Priority, line: string): void => {
    process.stderr.write(`${prefix(priority)}tswg: ${line}\n`);
  };
  const isManaged = (env.NOTIFY_SOCKET ?? '') !== '';
  const notifier = takeServiceNotifier(env, (note) => say('error', note));
  return {
    system: isRepeated ? { ...system, lookup: createRepeatedLookup(LOOKUP_PATIENCE_MS) } : system,
    service: { isManaged, ready: notifier.ready, status: notifier.status },
    fileNames: hostnameFileNames,
    pathOf: hostnamePath,
    readFile: readSmallFile,
    runShell: (command, options) => runShell(command, env, options),
    print: (line) => process.stdout.write(`${line}\n`),
    complain: (line) => say('error', line),
    note: (line) => say('info', line),
  };
}
