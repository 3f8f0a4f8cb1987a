/** A machine for the classic BPF of a filter of system calls. */

import type { Instruction } from '../../src/sandbox/seccomp.ts';
import { ERRNO } from '../../src/sys/libc.ts';

export const ALLOWED = 0x7fff0000;
export const REFUSED = 0x00050000;
export const EPERM = REFUSED | ERRNO.EPERM;
const ARCHITECTURE = process.arch === 'arm64' ? 0xc00000b7 : 0xc000003e;

/** Runs the program on a struct seccomp_data, and returns what it returns. */
export function decide(
  filter: readonly Instruction[],
  number: number,
  args: readonly number[] = [],
  architecture = ARCHITECTURE,
): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setInt32(0, number, true);
  data.setUint32(4, architecture, true);
  args.forEach((value, index) => {
    data.setBigUint64(16 + 8 * index, BigInt.asUintN(64, BigInt(value)), true);
  });
  let accumulator = 0;
  for (let at = 0; ; at++) {
    const { operation, constant, ifTrue, ifFalse } = filter[at];
    if (operation === 0x20) accumulator = data.getUint32(constant, true);
    else if (operation === 0x54) accumulator = (accumulator & constant) >>> 0;
    else if (operation === 0x15) at += accumulator === constant >>> 0 ? ifTrue : ifFalse;
    else if (operation === 0x06) return constant;
    else throw new Error(`no such operation: ${operation}`);
  }
}
