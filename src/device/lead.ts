/** How the way to an endpoint leads, as a transport over the machine's routes tells the Device. */

/**
 * Why nothing can be sent from the near end that the operator has fixed: no interface has the
 * address; there is no such interface; it, or that of the address, is not up; it is up, but nothing is
 * plugged in; or it is an address of the other family than the endpoint's.
 */
const NEAR_FAULTS = ['noAddress', 'noInterface', 'down', 'noCarrier', 'otherFamily'] as const;
export type NearFault = (typeof NEAR_FAULTS)[number];

export type Lead =
  /** Out of the machine and not into the tunnel, around it if need be. */
  | 'out'
  /** No route leads there: a send fails. */
  | 'nowhere'
  /** Into the tunnel itself, and nowhere else. */
  | 'inside'
  | NearFault;

export function isNearFault(lead: Lead): lead is NearFault {
  return NEAR_FAULTS.some((fault) => fault === lead);
}
