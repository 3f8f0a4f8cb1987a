/**
 * What a daemon owns, on its way to its successor: the Device's bequest, its configuration, and the
 * descriptors of the interface, the control socket and the UDP sockets. Joins the Device, the
 * bequest's bytes (handover/bequest.ts) and the sockets; the steps of the hand-over are
 * handover/succession.ts'.
 */

import type { UapiServer } from '../control/uapiserver.ts';
import type { Underlay } from '../daemon/underlay.ts';
import type { Datapath } from '../datapath/datapath.ts';
import { wipeBequest } from '../device/bequest.ts';
import { wipeKeys } from '../device/configuration.ts';
import { formatKeylessState, parseSavedState } from '../state/savedstate.ts';
import { close } from '../sys/libc.ts';
import type { InterfaceIndex } from '../uapi/endpoint.ts';
import type { BoundSockets } from '../udp/udp.ts';
import { type Bequest, decodeBequest, encodeBequest } from './bequest.ts';
import { isListeningUnixStream, isUdpSocket } from './inheritedsocket.ts';
import type { Estate } from './succession.ts';

export interface Inherited {
  readonly bequest: Bequest;
  readonly tunFd: number;
  readonly uapiFd: number;
  readonly udp: BoundSockets;
}

/** All of this moment; `uptimeMs`: see Bequest. */
export function packEstate(path: Datapath, uapi: UapiServer, uptimeMs: number): Estate {
  const { device, tun, udp, now } = path;
  if (tun === undefined) throw new Error('estate: no interface is open');
  const state = device.state();
  const bequest = {
    state: formatKeylessState(state, device.memories()),
    device: device.bequeath(now),
    uptimeMs,
    socketName: uapi.file.name,
    udpFamilies: udp?.families ?? [],
    udpPort: udp?.port ?? 0,
  };
  const bytes = encodeBequest(bequest);
  wipeKeys(state);
  wipeBequest(bequest.device);
  return { bytes, fds: [tun.fd, uapi.fd, ...(udp?.sockets ?? []).map(({ fd }) => fd)] };
}

/**
 * What packEstate has packed, in this or another version. Erases the bytes.
 *
 * The predecessor may be in other hands: descriptors are what they are said to be, or nothing is
 * taken; numbers are within their bounds; and nothing is used as a path or a name of the system's.
 *
 * @throws Error with one line for the operator
 */
export function unpackEstate({ bytes, fds }: Estate): Inherited {
  const bequest = decodeBequest(bytes);
  bytes.fill(0);
  const [tunFd, uapiFd, ...udpFds] = fds;
  if (bequest === null || tunFd === undefined || uapiFd === undefined) {
    throw refusal('a state of a known version');
  }
  if (!isListeningUnixStream(uapiFd)) throw refusal('a listening UNIX socket for control');
  const sockets = bequest.udpFamilies.slice(0, FAMILIES_MAX).flatMap((family, i) => {
    const fd = udpFds[i];
    return fd === undefined ? [] : [{ family, fd }];
  });
  if (sockets.length !== bequest.udpFamilies.length) throw refusal('a socket for each family');
  if (!sockets.every(({ fd, family }) => isUdpSocket(fd, family))) throw refusal('UDP sockets');
  for (const fd of udpFds.slice(sockets.length)) close(fd);
  return { bequest, tunFd, uapiFd, udp: { port: bequest.udpPort, sockets } };
}

const FAMILIES_MAX = 2;

function refusal(expected: string): Error {
  return new Error(`take over from the daemon: expected ${expected}`);
}

/**
 * Becomes what the predecessor was; nothing is sent yet.
 *
 * @throws Error with one line for the operator
 */
export function useEstate(
  { bequest, udp }: Inherited,
  path: Datapath,
  underlay: Underlay,
  interfaceIndex: InterfaceIndex,
): void {
  const saved = parseSavedState(bequest.state, interfaceIndex);
  if (saved === null) {
    throw new Error('take over from the daemon: expected a state of a known version');
  }
  path.begin();
  const { device, tun } = path;
  device.configure(path.now, saved.change);
  device.inherit(bequest.device, saved.memories);
  if (tun !== undefined) tun.mtu = bequest.device.mtu;
  if (udp.sockets.length > 0) underlay.adopt(udp);
}
