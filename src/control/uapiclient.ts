/**
 * Asks a daemon over its control socket, any user-space WireGuard's, since all speak the same; or over
 * the observing socket, which tswgd has for those who are not root. What is said is the caller's.
 */

import { connect } from 'node:net';
import { ERRNO, SystemError, systemErrorOf } from '../sys/libc.ts';
import { observingPlace, socketPath, UAPI_DIRECTORY } from './place.ts';
import { uapiPath } from './uapisocket.ts';

/**
 * How long a daemon may be silent: one with many peers takes a while over a large `set`, and an
 * upgrade that fails as late as it can takes 35 s (handover/handover.ts).
 */
const TIMEOUT_MS = 40_000;

/** Every answer ends with an empty line, and has none before. */
const END = Buffer.from('\n\n');

/**
 * Sends one whole request (`get=1\n\n`, for example) and resolves to the answer, with
 * `errno=N\n\n` at its end.
 *
 * @throws {SystemError} ENOENT when no daemon serves that name, ECONNREFUSED when one has left
 * its socket behind, EACCES, ETIMEDOUT, EPROTO when the connection ended without an answer
 */
export function request(name: string, text: string, directory = UAPI_DIRECTORY): Promise<string> {
  return ask(name, text, uapiPath(name, directory));
}

/**
 * The same for a request that changes nothing (`get=1\n\n` or `stats=1\n\n`), over the observing socket
 * where the control socket is root's and we are not: the answer has no keys then.
 *
 * @param timeoutMs how long the daemon may be silent
 * @throws {SystemError} as `request`; EACCES when neither may be opened
 */
export async function observe(
  name: string,
  text: string,
  directory = UAPI_DIRECTORY,
  place = observingPlace(),
  timeoutMs = TIMEOUT_MS,
): Promise<string> {
  try {
    return await askOften(name, text, uapiPath(name, directory), timeoutMs);
  } catch (error) {
    const { code } = error as SystemError;
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    return askOften(name, text, socketPath(place, name), timeoutMs).catch((second: SystemError) => {
      // Without such a socket, or one for us, the first refusal says what it takes.
      const isRefused = ['ENOENT', 'ECONNREFUSED', 'EACCES', 'EPERM'].includes(second.code);
      throw isRefused ? error : second;
    });
  }
}

/** What changes nothing may be asked twice: a daemon that has just handed over answers nobody. */
function askOften(name: string, text: string, path: string, timeoutMs: number): Promise<string> {
  return ask(name, text, path, timeoutMs).catch((error: SystemError) => {
    if (!['EPROTO', 'ECONNRESET', 'EPIPE'].includes(error.code)) throw error;
    return ask(name, text, path, timeoutMs);
  });
}

function ask(name: string, text: string, path: string, timeoutMs = TIMEOUT_MS): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let tail = Buffer.alloc(0);
    const socket = connect(path);
    socket.setTimeout(timeoutMs);
    socket.on('connect', () => socket.write(text));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      tail = Buffer.concat([tail, chunk.subarray(-END.length)]).subarray(-END.length);
      if (!tail.equals(END)) return;
      resolve(Buffer.concat(chunks).toString());
      socket.destroy();
    });
    socket.on('timeout', () => {
      reject(new SystemError(`ask ${name}`, 'read', ERRNO.ETIMEDOUT!, `no answer over ${path}`));
      socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      reject(systemErrorOf(`ask ${name}`, error.syscall ?? 'connect', error, hintOf(error, path)));
    });
    // After an answer or an error this changes nothing any more.
    socket.on('close', () => {
      const hint = 'it closed the connection without an answer';
      reject(new SystemError(`ask ${name}`, 'read', ERRNO.EPROTO!, hint));
    });
  });
}

function hintOf(error: NodeJS.ErrnoException, path: string): string | undefined {
  switch (error.code) {
    case 'ENOENT':
      return `no daemon serves it (there is no ${path})`;
    case 'ECONNREFUSED':
      return `its daemon is gone, only ${path} is left`;
    case 'EACCES':
    case 'EPERM':
      return `no access to ${path}; root is needed`;
    case 'EPIPE':
    case 'ECONNRESET':
      return 'it closed the connection without an answer';
    default:
      return undefined;
  }
}
