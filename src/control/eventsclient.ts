/**
 * A conversation with a daemon that has no end of its own, as somebody who follows its events has;
 * over the control socket, or the observing one where the first is root's. What is said is the
 * caller's.
 */

import { connect, type Socket } from 'node:net';
import { type SystemError, systemErrorOf } from '../sys/libc.ts';
import { observingPlace, socketPath } from './place.ts';
import { uapiPath } from './uapisocket.ts';

/**
 * Sends a request and gives the answer as it comes, until the daemon closes the connection; a loop
 * over it that is left closes it, too. As slow as its reader.
 *
 * @throws {SystemError} as `observe` of uapiclient.ts, before anything has come
 */
export async function* converse(name: string, text: string): AsyncGenerator<string> {
  const socket = await open(name);
  socket.setEncoding('utf8');
  socket.write(text);
  try {
    for await (const chunk of socket) yield chunk as string;
  } catch (error) {
    // It ended in the midst of an answer, which is an end like others.
    if (!['ECONNRESET', 'EPIPE'].includes((error as SystemError).code)) throw error;
  } finally {
    socket.destroy();
  }
}

async function open(name: string): Promise<Socket> {
  try {
    return await connectTo(name, uapiPath(name));
  } catch (error) {
    const { code } = error as SystemError;
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    return connectTo(name, socketPath(observingPlace(), name)).catch(() => {
      // Without such a socket, or one for us, the first refusal says what it takes.
      throw error;
    });
  }
}

function connectTo(name: string, path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const fail = (error: NodeJS.ErrnoException): void =>
      reject(systemErrorOf(`ask ${name}`, error.syscall ?? 'connect', error));
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.off('error', fail);
      resolve(socket);
    });
  });
}
