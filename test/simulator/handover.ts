/**
 * Upgrade in place of a site (src/handover/packing.ts, src/daemon/upgrade.ts), from the contents to
 * their bytes and to the Device that continues, and what becomes of the site when the successor
 * fails: before it may have begun, or after. The times at which that happens are upgrades.ts's.
 */

import { sameBytes } from '../../src/bytes.ts';
import { wipeKeys } from '../../src/device/configuration.ts';
import { wipeHandover } from '../../src/device/handover.ts';
import { NO_EVENTS } from '../../src/events/ring.ts';
import { decodeContents, encodeContents } from '../../src/handover/contents.ts';
import { formatKeylessState, parseSavedState } from '../../src/state/savedstate.ts';
import type { Generation } from './generation.ts';
import { checkTakenBack, checkTakeover } from './invariants.ts';
import type { Site } from './site.ts';
import { hold } from './violation.ts';

/** The successor goes on after the pause, and nobody hears of the predecessor again. */
export function upgrade(site: Site, pauseMs: number, onDone: () => void): void {
  const old = site.generation!;
  const bytes = encode(site, old);
  site.pause(pauseMs, () => {
    const successor = createSuccessor(site, old, bytes);
    for (const [key, peer] of old.device.core.peers)
      site.continueRecord(successor.device.core.peers.get(key)!, peer);
    site.give(successor);
    onDone();
  });
}

/** The successor has taken over and fails before it may begin: the predecessor has lost nothing. */
export function upgradeInVain(site: Site, pauseMs: number, isOrderly: boolean): void {
  const old = site.generation!;
  const bytes = encode(site, old);
  const successor = createSuccessor(site, old, bytes.slice());
  old.ledger.keepWaiting();
  if (isOrderly) successor.device.close();
  old.ledger.takeBack();
  hold('nothingForgotten', sameBytes(bytes, encode(site, old)), () => {
    return `${site.name} is not what it was before it handed all over to a successor that failed`;
  });
  site.pause(pauseMs, () => {});
}

/** The successor begins, and will fail: `takeBack` gives the site back to its predecessor. */
export function upgradeForAWhile(site: Site, pauseMs: number, onBegun: () => void): void {
  const old = site.generation!;
  const bytes = encode(site, old);
  site.pause(pauseMs, () => {
    site.give(createSuccessor(site, old, bytes));
    site.predecessor = old;
    old.ledger.keepWaiting();
    onBegun();
  });
}

/** The successor has failed, if there is one that will, and has done what it has done. */
export function takeBack(site: Site): void {
  const { predecessor, generation: successor } = site;
  if (predecessor === null || successor === null) return;
  site.predecessor = null;
  successor.ledger.abandon();
  predecessor.ledger.takeBack();
  site.give(predecessor);
  const now = site.now();
  const held = [...site.device!.core.peers.values()].filter(({ current }) => current?.canSend(now));
  site.turn('configuration', (_now, device) => device.takeBack(now));
  checkTakenBack(site, successor, held);
}

function encode(site: Site, { device }: Generation): Uint8Array {
  const state = device.state();
  const contents = {
    state: formatKeylessState(state, device.memories()),
    device: device.handOver(site.now()),
    ...{
      events: NO_EVENTS,
      version: '',
      uptimeMs: 0,
      socketName: '',
      udpFamilies: [],
      udpPort: 0,
      observes: false,
    },
  };
  const bytes = encodeContents(contents);
  wipeKeys(state);
  wipeHandover(contents.device);
  return bytes;
}

/** A Device that has taken over, before it does anything. Erases the bytes. */
function createSuccessor(site: Site, old: Generation, bytes: Uint8Array): Generation {
  const contents = decodeContents(bytes)!;
  bytes.fill(0);
  const saved = parseSavedState(contents.state)!;
  const successor = site.createGeneration();
  const { device } = successor;
  device.configure(site.now(), saved.change);
  successor.isTakingOver = true;
  device.takeOver(contents.device, saved.memories);
  successor.isTakingOver = false;
  successor.ledger.continue(old.ledger);
  checkTakeover(site, old, successor, contents.device.at);
  return successor;
}
