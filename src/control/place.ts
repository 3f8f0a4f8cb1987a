/**
 * Where the sockets of daemons are in the file system, by their names alone. It makes no system call
 * but to read a folder, so that a program which answers while somebody types need not load koffi.
 */

import { readdirSync } from 'node:fs';

/** Where the sockets of one kind are, one for each interface. */
export interface SocketPlace {
  /** What they are called in messages, as `control socket`. */
  readonly what: string;
  readonly directory: string;
  /** What follows the interface's name. */
  readonly suffix: string;
}

/** Where every user-space WireGuard has its control sockets. */
export const UAPI_DIRECTORY = '/var/run/wireguard';
/** Beside the control sockets' folder, which others than tswg have their sockets in, too. */
export const OBSERVING_DIRECTORY = '/run/tswg';

export function controlPlace(directory = UAPI_DIRECTORY): SocketPlace {
  return { what: 'control socket', directory, suffix: '.sock' };
}

export function observingPlace(directory = OBSERVING_DIRECTORY): SocketPlace {
  return { what: 'observing socket', directory, suffix: '.observe' };
}

export function socketPath({ directory, suffix }: SocketPlace, name: string): string {
  return `${directory}/${name}${suffix}`;
}

/** The interfaces that have such a socket, served or left behind, sorted. */
export function socketNames({ directory, suffix }: SocketPlace): string[] {
  let files: string[];
  try {
    files = readdirSync(directory);
  } catch {
    // It comes with the first daemon.
    return [];
  }
  return files
    .filter((file) => file.endsWith(suffix))
    .map((file) => file.slice(0, -suffix.length))
    .sort();
}
