/** Commands of the operator's own, run as a shell reads them. */

import { spawn } from 'node:child_process';
import type { Environment } from '../sys/environment.ts';

export interface ShellOptions {
  /** What the command says goes nowhere, instead of over our streams. */
  readonly isSilent?: boolean;
  /** After so many ms it is ended, which is a failure; 0 for never. */
  readonly timeoutMs?: number;
}

/** Runs it, and resolves to how it failed, or to null. */
export function runShell(
  command: string,
  env: Environment,
  { isSilent = false, timeoutMs = 0 }: ShellOptions = {},
): Promise<string | null> {
  const stdio = isSilent ? 'ignore' : 'inherit';
  const options = { env: { ...env }, stdio, timeout: timeoutMs } as const;
  const begun = performance.now();
  const child = spawn('/bin/sh', ['-c', command], options);
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => {
      const isLate = timeoutMs > 0 && performance.now() - begun >= timeoutMs;
      if (code === 0) resolve(null);
      else if (isLate) resolve(`not finished after ${timeoutMs / 1000} seconds`);
      else resolve(code === null ? `ended by ${signal}` : `exit code ${code}`);
    });
  });
}
