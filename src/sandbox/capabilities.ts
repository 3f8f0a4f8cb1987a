/**
 * Capabilities (capabilities(7)) and the user whose they are: giving up what is not needed any
 * more. A user is changed through the C library, which does it on every thread; capabilities
 * belong to a thread, and leaving root takes them all from every thread that did not ask to keep
 * them. So those that are kept are the calling thread's alone.
 */

import { koffi } from '../sys/koffi.ts';
import { errno, Scratch } from '../sys/libc.ts';
import { invoke } from '../sys/syscalls.ts';

// linux/capability.h
const CAPABILITIES = {
  net_bind_service: 10,
  net_admin: 12,
} as const;
export type Capability = keyof typeof CAPABILITIES;
const VERSION_3 = 0x20080522;
/** More than there are: the kernel refuses those that it does not know. */
const LAST_CAPABILITY = 63;

// linux/prctl.h
const PR_SET_KEEPCAPS = 8;
const PR_CAPBSET_DROP = 24;

const library = koffi.load(null);
const setgroups = library.func('setgroups', 'int', ['size_t', 'uintptr_t']);
const setresgid = library.func('setresgid', 'int', ['uint32_t', 'uint32_t', 'uint32_t']);
const setresuid = library.func('setresuid', 'int', ['uint32_t', 'uint32_t', 'uint32_t']);

export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** A call that was refused; null if none was. */
export type Refusal = { readonly call: string; readonly errno: number } | null;

/**
 * Makes every thread an ordinary user's and without capabilities, but for those of the calling
 * thread that `limitCapabilities` then leaves it.
 */
export function becomeUser({ uid, gid }: User): Refusal {
  const refusal = (call: string): Refusal => ({ call, errno: errno() });
  if (setgroups(0, 0) < 0) return refusal('setgroups');
  if (setresgid(gid, gid, gid) < 0) return refusal('setresgid');
  if (invoke('prctl', PR_SET_KEEPCAPS, 1) < 0) return refusal('prctl');
  if (setresuid(uid, uid, uid) < 0) return refusal('setresuid');
  return null;
}

/** What programs could get that this thread starts. It starts none; it is not to be able to, either. */
export function emptyBoundingSet(): void {
  for (let one = 0; one <= LAST_CAPABILITY; one++) invoke('prctl', PR_CAPBSET_DROP, one);
}

/** Leaves the calling thread those of `wanted` that it has, and returns them; null when refused. */
export function limitCapabilities(wanted: readonly Capability[]): readonly Capability[] | null {
  // struct __user_cap_header_struct, and twice effective, permitted, inheritable
  const header = new Scratch(8);
  const sets = new Scratch(24);
  header.view.setUint32(0, VERSION_3, true);
  if (invoke('capget', header.address, sets.address) < 0) return null;
  const isPermitted = (name: Capability): boolean => {
    const number = CAPABILITIES[name];
    const word = sets.view.getUint32(number < 32 ? 4 : 16, true);
    return ((word >>> (number & 31)) & 1) === 1;
  };
  const kept = wanted.filter(isPermitted);
  const words = [0, 0];
  for (const name of kept) words[CAPABILITIES[name] >> 5] |= 1 << (CAPABILITIES[name] & 31);
  const [low, high] = words as [number, number];
  sets.words.set([low, low, 0, high, high, 0]);
  return invoke('capset', header.address, sets.address) < 0 ? null : kept;
}
