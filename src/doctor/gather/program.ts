/** Other programs that are asked: nft, iptables-save, conntrack. Each is bounded in time and output. */

import { execFile } from 'node:child_process';
import { CannotLook } from './looking.ts';

const TIMEOUT_MS = 3_000;
const OUTPUT_BYTES_MAX = 32 * 1024 * 1024;
/** Where Debian has them, for who is root without having root's PATH. */
const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

/** What it prints. Gets no environment but PATH. @throws {CannotLook} */
export function run(program: string, args: readonly string[]): Promise<string> {
  const options = {
    env: { PATH: `${process.env.PATH ?? ''}:${PATH}`, LC_ALL: 'C' },
    timeout: TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
    killSignal: 'SIGKILL' as const,
  };
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, output, complaints) => {
      if (error === null) resolve(output);
      else reject(new CannotLook(reasonOf(program, error, complaints)));
    });
  });
}

function reasonOf(
  program: string,
  error: Error & { code?: unknown; killed?: boolean },
  complaints: string,
): string {
  if (error.code === 'ENOENT') return `${program} is not installed`;
  if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return `${program} says more than 32 MB`;
  if (error.killed) return `${program} took more than ${TIMEOUT_MS / 1_000} s`;
  const said = complaints.trim().split('\n')[0] ?? '';
  return `${program} fails${said === '' ? '' : `: ${said.slice(0, 200)}`}`;
}
