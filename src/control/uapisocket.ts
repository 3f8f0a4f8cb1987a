/** The control socket's place in the file system, which is every user-space WireGuard's. */

import { controlPlace, socketNames, socketPath, UAPI_DIRECTORY } from './place.ts';
import { isSocketServed, openSocket, removeStale } from './socketplace.ts';

export function uapiPath(name: string, directory = UAPI_DIRECTORY): string {
  return socketPath(controlPlace(directory), name);
}

/** The interfaces that have a control socket, served or left behind, sorted. */
export function uapiSocketNames(directory = UAPI_DIRECTORY): string[] {
  return socketNames(controlPlace(directory));
}

/**
 * A listening control socket of mode 0600, in place of one that nobody answers. The descriptor is
 * the caller's.
 *
 * @throws {SystemError} EADDRINUSE when another daemon serves this name, and others
 */
export function openUapiSocket(name: string, directory = UAPI_DIRECTORY): number {
  return openSocket(controlPlace(directory), name);
}

/** Whether a daemon listens on the control socket of `name`; true also for who may not ask. */
export function isUapiServed(name: string, directory = UAPI_DIRECTORY): boolean {
  return isSocketServed(controlPlace(directory), name);
}

/** Removes the control socket of `name` that nobody serves. @throws {SystemError} when one does */
export function removeStaleSocket(name: string, directory = UAPI_DIRECTORY): void {
  removeStale(controlPlace(directory), name);
}
