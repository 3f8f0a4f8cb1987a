/** As on a machine on which WebAssembly has no SIMD. */

import { vi } from 'vitest';

/** For modules that are imported from now on, until all mocks are restored. */
export function withoutSimd(): void {
  vi.resetModules();
  vi.spyOn(WebAssembly, 'Module').mockImplementation(
    class {
      constructor() {
        throw new WebAssembly.CompileError('no SIMD');
      }
    } as unknown as () => WebAssembly.Module,
  );
}
