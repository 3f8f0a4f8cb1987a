/** Packets inside the tunnel that are between others and not of this machine. Pure. */

import type { Evidence, InnerFlow } from './evidence.ts';
import { known } from './evidence.ts';
import { familyOf, isGroup, isLinkLocal } from './prefix.ts';

/** Out of the tunnel, for somebody beyond this machine, the most packets first. */
export function flowsForOthers(evidence: Evidence, family: 4 | 6): readonly InnerFlow[] {
  const own = (known(evidence.links) ?? []).flatMap(({ addresses }) =>
    addresses.map(({ address }) => address),
  );
  if (own.length === 0) return [];
  return (known(evidence.inner) ?? [])
    .filter(
      ({ direction, destination }) =>
        direction === 'in' &&
        familyOf(destination) === family &&
        !own.includes(destination) &&
        !isGroup(destination) &&
        !isLinkLocal(destination),
    )
    .sort((a, b) => b.packets - a.packets);
}

/** Those of them that nothing goes back into the tunnel for. */
export function unansweredForOthers(evidence: Evidence): readonly InnerFlow[] {
  const flows = known(evidence.inner) ?? [];
  const isAnswered = ({ source, destination }: InnerFlow): boolean =>
    flows.some(
      (one) => one.direction === 'out' && one.source === destination && one.destination === source,
    );
  return [...flowsForOthers(evidence, 4), ...flowsForOthers(evidence, 6)].filter(
    (flow) => !isAnswered(flow),
  );
}
