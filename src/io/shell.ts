/** Commands of the operator's own, run as a shell reads them. */

import { spawn } from 'node:child_process';

type Environment = Readonly<Record<string, string | undefined>>;

/** Runs it with our streams, and resolves to how it failed, or to null. */
export function runShell(command: string, env: Environment): Promise<string | null> {
  const child = spawn('/bin/sh', ['-c', command], { env: { ...env }, stdio: 'inherit' });
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => {
      if (code === 0) resolve(null);
      else resolve(code === null ? `ended by ${signal}` : `exit code ${code}`);
    });
  });
}
