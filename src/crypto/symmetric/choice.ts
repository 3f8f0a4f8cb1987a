/** Which of the two computes the steps: decided once, with the first handshake. */

import { CompiledSymmetric } from './compiled.ts';
import { referenceSymmetric } from './reference.ts';
import type { Symmetric } from './symmetric.ts';

let chosen: Symmetric | undefined;

/** In WebAssembly where it has SIMD, else in JavaScript. The same one for all. */
export function symmetric(): Symmetric {
  chosen ??= CompiledSymmetric.create() ?? referenceSymmetric;
  return chosen;
}
