/** How a budget is shared between classes of traffic that want different amounts of it. */

/**
 * What part of each class may pass so that all together get no more than `budget`: those that want
 * little have all of it, and the others as much as each other.
 */
export function shareOut(budget: number, wanted: readonly number[]): number[] {
  const smallestFirst = [...wanted.keys()].sort((a, b) => wanted[a] - wanted[b]);
  const shares = new Array<number>(wanted.length).fill(1);
  let left = budget;
  for (const [i, one] of smallestFirst.entries()) {
    const part = Math.min(wanted[one], left / (wanted.length - i));
    if (wanted[one] > 0) shares[one] = part / wanted[one];
    left -= part;
  }
  return shares;
}
