/**
 * Upgrade in place of a site (src/handover/estate.ts, src/handover/upgrade.ts), from a bequest to its bytes and to the
 * Device that goes on, and what becomes of the site when the successor fails: before it may have
 * begun, or after. The times at which that happens are upgrades.ts's.
 */

import { wipeBequest } from '../../src/device/bequest.ts';
import { wipeKeys } from '../../src/device/configuration.ts';
import { decodeBequest, encodeBequest } from '../../src/handover/bequest.ts';
import { formatKeylessState, parseSavedState } from '../../src/state/savedstate.ts';
import type { Generation } from './generation.ts';
import { checkInheritance, checkReclaimed } from './invariants.ts';
import type { Site } from './site.ts';
import { hold } from './violation.ts';

/** The successor goes on after the pause, and nobody hears of the predecessor again. */
export function upgrade(site: Site, pauseMs: number, onDone: () => void): void {
  const old = site.generation!;
  const bytes = encode(site, old);
  site.pause(pauseMs, () => {
    const heir = createHeir(site, old, bytes);
    for (const [key, peer] of old.device.core.peers)
      site.continueRecord(heir.device.core.peers.get(key)!, peer);
    site.give(heir);
    onDone();
  });
}

/** The successor has inherited and fails before it may begin: the predecessor has lost nothing. */
export function upgradeInVain(site: Site, pauseMs: number, isOrderly: boolean): void {
  const old = site.generation!;
  const bytes = encode(site, old);
  const heir = createHeir(site, old, bytes.slice());
  old.ledger.keepWaiting();
  if (isOrderly) heir.device.close();
  old.ledger.takeBack();
  hold('nothingForgotten', sameBytes(bytes, encode(site, old)), () => {
    return `${site.name} is not what it was before it bequeathed all to a successor that failed`;
  });
  site.pause(pauseMs, () => {});
}

/** The successor begins, and will fail: `reclaim` gives the site back to its predecessor. */
export function upgradeForAWhile(site: Site, pauseMs: number, onBegun: () => void): void {
  const old = site.generation!;
  const bytes = encode(site, old);
  site.pause(pauseMs, () => {
    site.give(createHeir(site, old, bytes));
    site.predecessor = old;
    old.ledger.keepWaiting();
    onBegun();
  });
}

/** The successor has failed, if there is one that will, and has done what it has done. */
export function reclaim(site: Site): void {
  const { predecessor, generation: heir } = site;
  if (predecessor === null || heir === null) return;
  site.predecessor = null;
  heir.ledger.abandon();
  predecessor.ledger.takeBack();
  site.give(predecessor);
  const now = site.now();
  const held = [...site.device!.core.peers.values()].filter(({ current }) => current?.canSend(now));
  site.turn('configuration', (_now, device) => device.reclaim(now));
  checkReclaimed(site, heir, held);
}

function encode(site: Site, { device }: Generation): Uint8Array {
  const state = device.state();
  const bequest = {
    state: formatKeylessState(state, device.memories()),
    device: device.bequeath(site.now()),
    ...{ uptimeMs: 0, socketName: '', udpFamilies: [], udpPort: 0, observes: false },
  };
  const bytes = encodeBequest(bequest);
  wipeKeys(state);
  wipeBequest(bequest.device);
  return bytes;
}

/** A Device that has inherited, before it does anything. Erases the bytes. */
function createHeir(site: Site, old: Generation, bytes: Uint8Array): Generation {
  const bequest = decodeBequest(bytes)!;
  bytes.fill(0);
  const saved = parseSavedState(bequest.state)!;
  const heir = site.createGeneration();
  const { device } = heir;
  device.configure(site.now(), saved.change);
  heir.isInheriting = true;
  device.inherit(bequest.device, saved.memories);
  heir.isInheriting = false;
  heir.ledger.continue(old.ledger);
  checkInheritance(site, old, heir, bequest.device.at);
  return heir;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
