/** The system's refusals in words: what it said, and what the operator can do about it. */

import { getSystemErrorMap } from 'node:util';
import { lostDaemon } from './lostdaemon.ts';
import type { Link } from './system.ts';

export function noSuchInterface(name: string): string {
  return `${name}: no such interface`;
}

/** One line out of whatever was thrown, in the system's own words where it has only a number. */
export function systemReason(error: unknown): string {
  const { errno, message, call } = error as { errno?: unknown; message?: unknown; call?: unknown };
  // A SystemError (sys/libc.ts, with its `call`) is worded for operators already.
  if (typeof errno === 'number' && errno !== 0 && call === undefined) {
    const known = getSystemErrorMap().get(-Math.abs(errno));
    return known === undefined ? `error ${Math.abs(errno)}` : `${known[1]} (${known[0]})`;
  }
  return String(message ?? error).replaceAll('\n', ' ');
}

/** Why the control socket of an interface that exists did not answer. */
export function explainSocket(link: Pick<Link, 'name' | 'kind'>, error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') {
    return link.kind === 'wireguard'
      ? `the kernel's own WireGuard serves it: use \`wg show ${link.name}\` and \`wg set ${link.name}\``
      : 'not a WireGuard interface: it has no control socket in /var/run/wireguard';
  }
  if (code === 'EACCES' || code === 'EPERM')
    return 'only root may query its daemon, or a member of the group _tswg that was there when the daemon started; try it with sudo';
  if (code === 'ECONNREFUSED') return lostDaemon(link.name);
  return `its daemon does not answer: ${systemReason(error)}`;
}
