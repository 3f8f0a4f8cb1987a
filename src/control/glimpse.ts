/**
 * Asks a daemon while somebody types: for the configuration, over the control socket or else the
 * observing one, in short time and without koffi. Why nobody answers is of no use then; it is for
 * uapiclient.ts.
 */

import { connect } from 'node:net';
import { controlPlace, observingPlace, socketPath } from './place.ts';

const PATIENCE_MS = 1_000;
const END = '\n\n';

/** Resolves to the answer to `get=1`, or to null. */
export async function glimpse(name: string): Promise<string | null> {
  const text = await ask(socketPath(controlPlace(), name));
  return text ?? ask(socketPath(observingPlace(), name));
}

function ask(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(path);
    const end = (answer: string | null): void => {
      resolve(answer);
      socket.destroy();
    };
    socket.setEncoding('utf8');
    socket.setTimeout(PATIENCE_MS, () => end(null));
    socket.on('connect', () => socket.write(`get=1${END}`));
    socket.on('data', (piece: string) => {
      text += piece;
      if (text.endsWith(END)) end(text);
    });
    socket.on('error', () => end(null));
    // After an answer this changes nothing any more.
    socket.on('close', () => resolve(null));
  });
}
