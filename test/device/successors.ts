/** One Device in the place of another, by way of what is handed from process to process. */

import { expect } from 'vitest';
import type { PeerChange } from '../../src/device/configuration.ts';
import type { DeviceHandover } from '../../src/device/handover.ts';
import { NO_EVENTS } from '../../src/events/ring.ts';
import { decodeContents, encodeContents } from '../../src/handover/contents.ts';
import { formatAddress } from '../../src/packet/address.ts';
import { formatKeylessState, parseSavedState } from '../../src/state/savedstate.ts';
import { A_TO_B, type Datagram, pair, type Site, type World } from './world.ts';

export const INITIATION = 1;
export const DATA = 4;
export const SECOND = 1_000;

/** Both have a confirmed session, which A has begun at world.now = 0 or so. */
export function connected(seed = 1) {
  const sites = pair(seed);
  sites.a.send(A_TO_B());
  sites.world.run(10);
  expect(sites.b.delivered).toHaveLength(1);
  return sites;
}

/** What goes from one process to the other, there and back. */
export function inAnotherProcess(site: Site, handover: DeviceHandover) {
  const { device } = site;
  const bytes = encodeContents({
    state: formatKeylessState(device.state(), device.memories()),
    device: handover,
    ...{
      events: NO_EVENTS,
      version: '',
      uptimeMs: 0,
      socketName: 'wg0',
      udpFamilies: [],
      udpPort: 0,
      observes: false,
    },
  });
  const { state, device: received } = decodeContents(bytes)!;
  return { ...parseSavedState(state)!, received };
}

/** A site with another Device, down and without peers, in the place of this one. */
export function replace(world: World, site: Site): Site {
  world.sites.splice(world.sites.indexOf(site), 1);
  const successor = world.site(formatAddress(site.endpoint.address), site.endpoint.port);
  successor.turn(() => successor.device.down());
  successor.wallOffset = site.wallOffset;
  return successor;
}

/** Hands over from `site` to the one returned; `change` is what the handover becomes on the way. */
export function handOver(
  world: World,
  site: Site,
  change: (handover: DeviceHandover) => DeviceHandover = (same) => same,
): Site {
  const saved = inAnotherProcess(site, change(site.device.handOver(world.now)));
  const successor = replace(world, site);
  successor.configure(saved.change);
  successor.device.takeOver(saved.received, saved.memories);
  return successor;
}

/** A peer's record, as A sees B or the other way round. */
export function only(site: Site) {
  const [record] = site.device.core.peers.values();
  return record!;
}

export function counterOf({ bytes }: Datagram): number {
  return Number(new DataView(bytes.buffer).getBigUint64(8, true));
}

export function receiverOf({ bytes }: Datagram): number {
  return new DataView(bytes.buffer).getUint32(4, true);
}

export function setPeer(site: Site, other: Site, change: Partial<PeerChange>): void {
  site.configure({ peers: [{ publicKey: other.publicKey, allowedIps: [], ...change }] });
}
