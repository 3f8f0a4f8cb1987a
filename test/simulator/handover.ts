/**
 * Upgrade in place of a site (src/handover/packing.ts, src/daemon/upgrade.ts), from the contents to
 * their bytes and to the Device that continues, and what becomes of the site when the successor
 * fails: before it may have begun, or after. The times at which that happens are upgrades.ts's.
 */

import { sameBytes } from '../../src/bytes.ts';
import type { UapiServer } from '../../src/control/uapiserver.ts';
import { NO_EVENTS } from '../../src/events/ring.ts';
import { decodeContents } from '../../src/handover/contents.ts';
import { configureAhead, Packing, useContents } from '../../src/handover/packing.ts';
import type { Generation } from './generation.ts';
import { checkTakenBack, checkTakeover } from './invariants.ts';
import type { Site } from './site.ts';
import { hold } from './violation.ts';

/** The configuration, which a process has told to one that will be its successor. */
export interface Told {
  readonly by: Generation;
  readonly packing: Packing;
  readonly text: string;
}

/** It tells what goes ahead of an upgrade; null while the site does not run. */
export function tellAhead(site: Site): Told | null {
  const { generation: by } = site;
  if (by === null) return null;
  const { device } = by;
  const packing = new Packing({
    device,
    readClock: () => site.now(),
    get now() {
      return site.now();
    },
  });
  return { by, packing, text: [...packing.ahead()].join('') };
}

/** The successor goes on after the pause, and nobody hears of the predecessor again. */
export function upgrade(site: Site, pauseMs: number, told: Told | null, onDone: () => void): void {
  const old = site.generation!;
  const bytes = encode(site, old, told);
  site.pause(pauseMs, () => {
    const successor = createSuccessor(site, old, bytes, told);
    for (const [key, peer] of old.device.core.peers)
      site.continueRecord(successor.device.core.peers.get(key)!, peer);
    site.give(successor);
    onDone();
  });
}

/** The successor has taken over and fails before it may begin: the predecessor has lost nothing. */
export function upgradeInVain(
  site: Site,
  pauseMs: number,
  told: Told | null,
  isOrderly: boolean,
): void {
  const old = site.generation!;
  const bytes = encode(site, old, told);
  const successor = createSuccessor(site, old, bytes.slice(), told);
  old.ledger.keepWaiting();
  if (isOrderly) successor.device.close();
  old.ledger.takeBack();
  hold('nothingForgotten', sameBytes(bytes, encode(site, old, told)), () => {
    return `${site.name} is not what it was before it handed all over to a successor that failed`;
  });
  site.pause(pauseMs, () => {});
}

/** The successor begins, and will fail: `takeBack` gives the site back to its predecessor. */
export function upgradeForAWhile(
  site: Site,
  pauseMs: number,
  told: Told | null,
  onBegun: () => void,
): void {
  const old = site.generation!;
  const bytes = encode(site, old, told);
  site.pause(pauseMs, () => {
    site.give(createSuccessor(site, old, bytes, told));
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

const UDP = { port: 0, sockets: [] };
const PAST = { uptimeMs: 0, events: NO_EVENTS };
const UAPI = { fd: 0, file: { name: '' } } as UapiServer;

function encode(site: Site, old: Generation, told: Told | null): Uint8Array {
  const belongings = { tunFd: 0, uapi: UAPI, udp: undefined, observeFd: undefined, ...PAST };
  const isAhead = told?.by === old;
  const packing = isAhead ? told.packing : tellAhead(site)!.packing;
  return packing.pack(isAhead, belongings).bytes;
}

/** A Device that has taken over, before it does anything. Erases the bytes. */
function createSuccessor(
  site: Site,
  old: Generation,
  bytes: Uint8Array,
  told: Told | null,
): Generation {
  const contents = decodeContents(bytes)!;
  bytes.fill(0);
  const successor = site.createGeneration();
  const { device } = successor;
  const path = { device, now: site.now(), readClock: () => site.now() };
  if (told?.by === old) configureAhead(told.text, path, () => 0);
  successor.isTakingOver = true;
  const setMtu = (mtu: number): void => device.setMtu(mtu);
  const given = { contents, tunFd: 0, uapiFd: 0, udp: UDP, observeFd: undefined };
  useContents(given, path, { setMtu, adopt: () => {} }, () => 0);
  successor.isTakingOver = false;
  successor.ledger.continue(old.ledger);
  checkTakeover(site, old, successor, contents.device.at);
  return successor;
}
