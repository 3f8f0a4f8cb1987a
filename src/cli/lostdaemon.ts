/**
 * The one rule for what is left of a daemon that has ended without its interface: by SIGKILL or
 * a crash, or stopped while it was persistent, with or without its control socket. Every command
 * asks here.
 */

import type { Link, System } from './system.ts';

/** What the kernel calls the kind of our interfaces. */
export const TUN = 'tun';

/**
 * Whether this is an interface of ours that nobody serves: a persistent TUN device whose control
 * socket refuses, or which has none, but a state (which only root can see).
 */
export function hasLostDaemon(link: Link, system: System): boolean {
  if (link.kind !== TUN || !link.isPersistent) return false;
  return hasRemains(link.name, system);
}

/** Whether a daemon has left a socket or a state of this name, and none runs. */
export function hasRemains(name: string, system: System): boolean {
  if (system.sockets().includes(name)) return !system.isServed(name);
  return system.hasState(name);
}

/** What to do about an interface that has lost its daemon. */
export function lostDaemon(name: string): string {
  return `no daemon serves it any longer: \`tswg netstart ${name}\`, \`tswgd --persist ${name}\` or its service takes it over, \`tswg ${name} destroy\` removes it`;
}

/** What to do about what is left of an interface that is gone. */
export function remainsOf(name: string): string {
  return `a daemon ended without removing its state or socket; \`tswg ${name} destroy\` removes them`;
}
