/**
 * Landlock (landlock(7)): what the calling thread may do to files, whatever its user may. Owns the
 * kernel's structures; nothing here throws, since a kernel may have none of it.
 *
 * It binds the calling thread and those that it starts later; all threads only from ABI 8 on.
 */

import { close, errno, open, Scratch } from '../sys/libc.ts';
import { O_CLOEXEC, O_PATH } from '../sys/linux.ts';
import { invoke } from '../sys/syscalls.ts';

// linux/landlock.h
const CREATE_RULESET_VERSION = 1;
const RULE_PATH_BENEATH = 1;
const RULE_NET_PORT = 2;
const RESTRICT_SELF_TSYNC = 1 << 3;
export const EXECUTE = 1 << 0;
export const WRITE_FILE = 1 << 1;
export const READ_FILE = 1 << 2;
export const READ_DIR = 1 << 3;
export const REMOVE_FILE = 1 << 5;
export const MAKE_REG = 1 << 8;
/** How many rights to files each ABI knows, from the first on. */
const FILE_RIGHTS = [13, 14, 15, 15, 16];
/** Binding and connecting TCP sockets, from the fourth ABI on. */
const NET_RIGHTS = 0x3;
const CONNECT_TCP = 1 << 1;
const NET_ABI = 4;
/** Connecting to abstract UNIX sockets of others, from the sixth on. */
const SCOPES = 0x1;

export interface Allowance {
  /** A directory, or a file. */
  readonly path: string;
  /** Rights to it and beneath it. */
  readonly rights: number;
}

export type Confinement =
  | { readonly isHeld: true; readonly abi: number; readonly coversAllThreads: boolean }
  | { readonly isHeld: false; readonly call: string; readonly errno: number };

/**
 * Takes every right to files away but those allowed, and TCP but connections to `ports`, where the
 * kernel knows of TCP. Takes no_new_privs.
 */
export function confine(
  allowances: readonly Allowance[],
  ports: readonly number[] = [],
): Confinement {
  const abi = invoke('landlock_create_ruleset', 0, 0, CREATE_RULESET_VERSION);
  if (abi < 1) return refusal('landlock_create_ruleset');
  const attributes = new Scratch(24);
  const fileRights = FILE_RIGHTS[Math.min(abi, FILE_RIGHTS.length) - 1];
  attributes.view.setUint32(0, 2 ** fileRights - 1, true);
  if (abi >= NET_ABI) attributes.view.setUint32(8, NET_RIGHTS, true);
  if (abi >= 6) attributes.view.setUint32(16, SCOPES, true);
  const length = abi >= 6 ? 24 : abi >= NET_ABI ? 16 : 8;
  const ruleset = invoke('landlock_create_ruleset', attributes.address, length, 0);
  if (ruleset < 0) return refusal('landlock_create_ruleset');
  try {
    for (const allowance of allowances) {
      const refused = allow(ruleset, allowance);
      if (refused !== null) return refused;
    }
    for (const port of abi >= NET_ABI ? ports : []) {
      const refused = allowConnecting(ruleset, port);
      if (refused !== null) return refused;
    }
    const coversAllThreads = abi >= 8;
    const flags = coversAllThreads ? RESTRICT_SELF_TSYNC : 0;
    if (invoke('landlock_restrict_self', ruleset, flags) < 0) {
      return refusal('landlock_restrict_self');
    }
    return { isHeld: true, abi, coversAllThreads };
  } finally {
    close(ruleset);
  }
}

function allow(ruleset: number, { path, rights }: Allowance): Confinement | null {
  const fd = open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return refusal('open');
  // struct landlock_path_beneath_attr, packed
  const rule = new Scratch(16);
  rule.view.setUint32(0, rights, true);
  rule.view.setInt32(8, fd, true);
  const result = invoke('landlock_add_rule', ruleset, RULE_PATH_BENEATH, rule.address, 0);
  const refused = result < 0 ? refusal('landlock_add_rule') : null;
  close(fd);
  return refused;
}

function allowConnecting(ruleset: number, port: number): Confinement | null {
  // struct landlock_net_port_attr
  const rule = new Scratch(16);
  rule.view.setUint32(0, CONNECT_TCP, true);
  rule.view.setUint32(8, port, true);
  const result = invoke('landlock_add_rule', ruleset, RULE_NET_PORT, rule.address, 0);
  return result < 0 ? refusal('landlock_add_rule') : null;
}

function refusal(call: string): Confinement {
  return { isHeld: false, call, errno: errno() };
}
