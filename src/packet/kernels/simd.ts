/**
 * The kernels that are written in AssemblyScript (assembly/), compiled to WebAssembly with SIMD. Owns
 * how the binary gets the arena's memory; `kernels.ts` says what each kernel does.
 */

import type { Arena } from '../../arena.ts';
import { bytesOfBase64 } from '../../bytes.ts';
import { KERNELS_BASE64 } from './binary.ts';
import type { Kernels } from './kernels.ts';

/** The WebAssembly kernels; null where SIMD (or WebAssembly) is not to be had. */
export function createSimdKernels(arena: Arena): Kernels | null {
  let exports: Omit<Kernels, 'name'>;
  try {
    const module = new WebAssembly.Module(bytesOfBase64(KERNELS_BASE64));
    const instance = new WebAssembly.Instance(module, { env: { memory: arena.memory } });
    exports = instance.exports as unknown as Omit<Kernels, 'name'>;
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return null;
    throw error;
  }
  const { sum, copy, segment, inspect, sameHeaders } = exports;
  return { name: 'simd', sum, copy, segment, inspect, sameHeaders };
}
