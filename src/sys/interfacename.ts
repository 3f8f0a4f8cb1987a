/** What Linux takes for the name of an interface (net/core/dev.c, dev_valid_name). Pure. */

import { IFNAMSIZ } from './linux.ts';

export const INTERFACE_NAME_BYTES_MAX = IFNAMSIZ - 1;

/**
 * What is wrong with an interface name, or null: 1 to 15 bytes, and none that the kernel refuses
 * or, like `%`, takes for a pattern.
 */
export function interfaceNameError(name: string): string | null {
  const length = new TextEncoder().encode(name).length;
  if (length === 0 || length > INTERFACE_NAME_BYTES_MAX) {
    return `expected 1 to ${INTERFACE_NAME_BYTES_MAX} bytes`;
  }
  if (name === '.' || name === '..') return 'expected a name other than . and ..';
  for (const character of name) {
    if (/[/:%\s\p{Cc}]/u.test(character)) {
      return `expected a name without ${JSON.stringify(character)}`;
    }
  }
  return null;
}
