/**
 * Near ends that cannot be meant: the tunnel's own, from which its datagrams would come back into it,
 * and two that exclude each other. What is merely not there is no mistake. Pure: what the tunnel's
 * own are is told.
 */

import { formatKey } from '../keytext.ts';
import type { DeviceChange } from './configuration.ts';
import { formatNear, sameNear } from './near.ts';
import type { Near, Way } from './ways.ts';

/** What is known of an interface that is about to be changed. */
export interface NearStanding {
  readonly bind: Near | null;
  /** `publicKey`: 32 bytes. */
  readonly peers: Iterable<{ readonly publicKey: Uint8Array; readonly ways: readonly Way[] }>;
  readonly isOwnInterface: (name: string) => boolean;
  readonly isOwnAddress: (address: Uint8Array) => boolean;
}

/** One line for the operator about the first such mistake in a change; null when there is none. */
export function nearMistake(change: DeviceChange, before: NearStanding): string | null {
  const { bind = before.bind } = change;
  const isSaid = change.bind !== undefined;
  const own = isSaid && bind !== null ? ownMistake('wgbind', bind, before) : null;
  if (own !== null) return own;
  for (const near of isSaid ? nearsAfter(change, before) : nearsOf(change)) {
    const mistake = ownMistake('via', near, before) ?? contradiction(near, bind);
    if (mistake !== null) return mistake;
  }
  return null;
}

function ownMistake(word: string, near: Near, before: NearStanding): string | null {
  const text = `${word}: ${formatNear(near)}`;
  if (near.kind === 'interface') {
    return before.isOwnInterface(near.name)
      ? `${text}: this is the tunnel itself: expected an interface that it runs over`
      : null;
  }
  return before.isOwnAddress(near.address)
    ? `${text}: this is an address of the tunnel itself: expected one of a line that it runs over`
    : null;
}

/** An interface may well have the address; two interfaces are never one. */
function contradiction(near: Near, bind: Near | null): string | null {
  if (bind === null || bind.kind !== near.kind || sameNear(bind, near)) return null;
  const [one, other] = [formatNear(near), formatNear(bind)];
  return `via: ${one}: the whole tunnel is fixed to ${other} (wgbind): expected \`via ${other}\`, or -wgbind`;
}

function nearsOf({ peers }: DeviceChange): Near[] {
  return peers.flatMap(({ ways = [], remove }) => (remove ? [] : nearsIn(ways)));
}

function nearsIn(ways: readonly Way[]): Near[] {
  return ways.flatMap(({ near }) => near ?? []);
}

/** Those of all peers that there will be, not only of those that the change names. */
function nearsAfter({ replacePeers, peers }: DeviceChange, before: NearStanding): Near[] {
  const left = replacePeers ? [] : [...before.peers];
  const said = new Set(
    peers
      .filter(
        ({ remove, endpoint, ways }) => remove || ways !== undefined || endpoint !== undefined,
      )
      .map(({ publicKey }) => formatKey(publicKey)),
  );
  const stays = said.size === 0 ? left : left.filter((one) => !said.has(formatKey(one.publicKey)));
  return [...stays.flatMap(({ ways }) => nearsIn(ways)), ...nearsOf({ peers })];
}
