/** The processes that serve the interface, or were started to do so, in this network namespace. Pure. */

import { printable } from '../quotation.ts';
import type { Evidence, ServingProcess } from './evidence.ts';
import { known } from './evidence.ts';

/** Daemons, without those that serve an interface that was renamed since they were started. */
export function daemonsHere(evidence: Evidence): readonly ServingProcess[] {
  const { name, namespace } = evidence.run;
  return (known(evidence.processes) ?? []).filter(
    (one) =>
      one.program !== 'wg-quick' &&
      (one.namespace ?? namespace) === namespace &&
      !servesAnother(one, name),
  );
}

function servesAnother({ descriptors }: ServingProcess, name: string): boolean {
  if (descriptors === null || descriptors.interfaces.length === 0) return false;
  return !descriptors.interfaces.includes(name);
}

/** The one that has the interface open, or else was started for it; null where none is seen. */
export function servingHere(evidence: Evidence): ServingProcess | null {
  const { name } = evidence.run;
  const here = daemonsHere(evidence);
  const holder = here.find(({ descriptors }) => descriptors?.interfaces.includes(name));
  return holder ?? here[0] ?? null;
}

export function nameProcess({ program, pid }: ServingProcess): string {
  return `${printable(program)} (process ${pid})`;
}

/** A signal has stopped it. */
export function isStopped({ state }: ServingProcess): boolean {
  return state === 'T';
}

/** A debugger holds it. */
export function isTraced({ state }: ServingProcess): boolean {
  return state === 't';
}
