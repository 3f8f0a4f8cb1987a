/** The choice between the kernels: the fastest that this machine compiles. */

import type { Arena } from '../../arena.ts';
import type { Kernels } from './kernels.ts';
import { createPortableKernels } from './portable.ts';
import { createSimdKernels } from './simd.ts';

/** On the memory of `arena`. */
export function createKernels(arena: Arena): Kernels {
  return createSimdKernels(arena) ?? createPortableKernels(arena);
}
