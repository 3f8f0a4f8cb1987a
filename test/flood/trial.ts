/** What every trial tells beside its figures, and how long and how much is tried. */

import type { Gate } from './gatewatch.ts';
import type { Rate } from './volley.ts';

export interface Conditions {
  /** Datagrams a second that came in over the victim's cable, whatever was sent. */
  readonly arrivedPerSecond: number;
  readonly gate: Gate;
}

export interface Settings {
  /** Of sessions: streams beside the control and beside the flood, in turns. */
  readonly rounds: number;
  /** Of each stream. */
  readonly seconds: number;
  /** In each row. */
  readonly newcomers: number;
  /** Seconds after which who is not connected is given up. */
  readonly limit: number;
}

/** Of the rate that was asked for; a row with less is no result. */
const REACHED = 0.9;
/** At the most one core can send: what no row at a pace asks for. */
const MAX_AT_LEAST = 100_000;

export function isReached(rate: Rate, { arrivedPerSecond }: Conditions): boolean {
  return arrivedPerSecond >= (rate === 'max' ? MAX_AT_LEAST : REACHED * rate);
}
