/** One Device in the place of another, by way of what is handed from process to process. */

import { expect } from 'vitest';
import type { UapiServer } from '../../src/control/uapiserver.ts';
import type { PeerChange } from '../../src/device/configuration.ts';
import type { DeviceHandover } from '../../src/device/handover.ts';
import { NO_EVENTS } from '../../src/events/ring.ts';
import { type Contents, decodeContents, encodeContents } from '../../src/handover/contents.ts';
import { configureAhead, Packing, useContents } from '../../src/handover/packing.ts';
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
    followsAhead: false,
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

const UDP = { port: 0, sockets: [] };
const PAST = { uptimeMs: 0, events: NO_EVENTS };

/** What goes ahead of a hand-over from `site`, and later what goes from process to process then. */
export function goAhead(site: Site) {
  const { device, world } = site;
  const path = { device, now: world.now, readClock: () => world.now };
  const packing = new Packing(path);
  const text = [...packing.ahead()].join('');
  const uapi = { fd: 0, file: { name: 'wg0' } } as UapiServer;
  const pack = (isAhead = true): Contents => {
    path.now = world.now;
    const belongings = { tunFd: 0, uapi, udp: undefined, observeFd: undefined, ...PAST };
    return decodeContents(packing.pack(isAhead, belongings).bytes)!;
  };
  return { text, pack };
}

/** A Device that was configured ahead, or not, becomes what another one was. */
export function become(site: Site, contents: Contents): void {
  const { device, world } = site;
  const path = { device, now: world.now, readClock: () => world.now };
  const given = { contents, tunFd: 0, uapiFd: 0, udp: UDP, observeFd: undefined };
  const setMtu = (mtu: number): void => device.setMtu(mtu);
  useContents(given, path, { setMtu, adopt: () => {} }, () => 0);
}

/** It takes what goes ahead. */
export function prepare(site: Site, text: string): void {
  const { device, world } = site;
  configureAhead(text, { device, now: world.now, readClock: () => world.now }, () => 0);
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
