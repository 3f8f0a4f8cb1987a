/**
 * What a daemon owns, on its way to its successor: the Device's bequest, its configuration, and the
 * descriptors of the interface, the control socket and the UDP sockets. Joins the Device, the
 * bequest's bytes (handover/bequest.ts) and the sockets; the steps of the hand-over are
 * handover/succession.ts'.
 */

import type { UapiServer } from '../control/uapiserver.ts';
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

/** What of a daemon's has descriptors. */
export interface Belongings {
  readonly tunFd: number;
  readonly uapi: UapiServer;
  /** While the interface is up. */
  readonly udp: BoundSockets | undefined;
}

/** All of this moment; `uptimeMs`: see Bequest. */
export function packEstate(
  { device, now }: Datapath,
  { tunFd, uapi, udp }: Belongings,
  uptimeMs: number,
): Estate {
  const state = device.state();
  const bequest = {
    state: formatKeylessState(state, device.memories()),
    device: device.bequeath(now),
    uptimeMs,
    socketName: uapi.file.name,
    udpFamilies: (udp?.sockets ?? []).map(({ family }) => family),
    udpPort: udp?.port ?? 0,
  };
  const bytes = encodeBequest(bequest);
  wipeKeys(state);
  wipeBequest(bequest.device);
  return { bytes, fds: [tunFd, uapi.fd, ...(udp?.sockets ?? []).map(({ fd }) => fd)] };
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
    throw refusal('a bequest of a version known here');
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

/** What takes over the interface's MTU and the sockets. */
export interface Successors {
  setMtu(mtu: number): void;
  adopt(udp: BoundSockets): void;
}

/**
 * Becomes what the predecessor was; nothing is sent yet.
 *
 * @throws Error with one line for the operator
 */
export function useEstate(
  { bequest, udp }: Inherited,
  path: Datapath,
  { setMtu, adopt }: Successors,
  interfaceIndex: InterfaceIndex,
): void {
  const saved = parseSavedState(bequest.state, interfaceIndex);
  if (saved === null) {
    throw new Error('take over from the daemon: expected a state of a version known here');
  }
  const { device } = path;
  device.configure(path.readClock(), saved.change);
  device.inherit(bequest.device, saved.memories);
  setMtu(bequest.device.mtu);
  if (udp.sockets.length > 0) adopt(udp);
}
