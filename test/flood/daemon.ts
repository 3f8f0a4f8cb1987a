/** What differs between the two implementations of a row. */

import type { Implementation } from '../bench/implementation.ts';
import type { TunnelEnd } from '../lab/tunnel.ts';

/** The program, as a tunnel's end of the lab starts it. */
export function daemonOf({ side, command }: Implementation): string {
  return side === 'tswg' ? 'tswgd' : command[0];
}

/** The end when it has a gate and counts what it drops; null otherwise. */
export function gatedEnd({ side }: Implementation, end: TunnelEnd): TunnelEnd | null {
  return side === 'tswg' ? end : null;
}
