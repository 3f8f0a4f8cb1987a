/** AssemblyScript: what the module exports. See ../kernels.ts for the interface. */

import { fold, sumBytes, swap16 } from './checksum';

export { copyBytes as copy } from './checksum';
export { inspect, sameHeaders } from './inspect';
export { segment } from './segment';

export function sum(offset: usize, length: usize, initial: u32): u32 {
  return swap16(fold(sumBytes(offset, length) + <u64>swap16(fold(initial))));
}
