/**
 * What a daemon owns, on its way to its successor: the Device's keys and sessions, its configuration,
 * and the descriptors of the interface, the UDP sockets, the control socket and the observing one.
 * Joins the Device, the contents as bytes (contents.ts) and the sockets; the steps are handover.ts'.
 */

import { OBSERVING_DIRECTORY } from '../control/place.ts';
import type { UapiServer } from '../control/uapiserver.ts';
import type { Datapath } from '../datapath/datapath.ts';
import { wipeKeys } from '../device/configuration.ts';
import { wipeHandover } from '../device/handover.ts';
import { formatKeylessState, parseSavedState } from '../state/savedstate.ts';
import { close } from '../sys/libc.ts';
import { unixSocketPath } from '../sys/unixnames.ts';
import type { InterfaceIndex } from '../uapi/endpoint.ts';
import type { BoundSockets } from '../udp/udp.ts';
import { VERSION } from '../version.ts';
import { type Contents, decodeContents, encodeContents } from './contents.ts';
import { isListeningUnixStream, isUdpSocket } from './givensocket.ts';
import type { PackedContents } from './handover.ts';

export interface UnpackedContents {
  readonly contents: Contents;
  readonly tunFd: number;
  readonly uapiFd: number;
  readonly udp: BoundSockets;
  /** The listening observing socket; undefined when there is none. */
  readonly observeFd: number | undefined;
}

/** What of a daemon's has descriptors. */
export interface Belongings {
  readonly tunFd: number;
  readonly uapi: UapiServer;
  /** While the interface is up. */
  readonly udp: BoundSockets | undefined;
  /** The listening observing socket; undefined when there is none. */
  readonly observeFd: number | undefined;
}

/** All of this moment. */
export function packContents(
  { device, now }: Datapath,
  { tunFd, uapi, udp, observeFd }: Belongings,
  past: Pick<Contents, 'uptimeMs' | 'events'>,
): PackedContents {
  const state = device.state();
  const contents = {
    state: formatKeylessState(state, device.memories()),
    device: device.handOver(now),
    ...past,
    version: VERSION,
    socketName: uapi.file.name,
    udpFamilies: (udp?.sockets ?? []).map(({ family }) => family),
    udpPort: udp?.port ?? 0,
    observes: observeFd !== undefined,
  };
  const bytes = encodeContents(contents);
  wipeKeys(state);
  wipeHandover(contents.device);
  const udpFds = (udp?.sockets ?? []).map(({ fd }) => fd);
  // Last of all: a successor that knows of no observing socket closes what it does not expect there.
  const observeFds = observeFd === undefined ? [] : [observeFd];
  return { bytes, fds: [tunFd, uapi.fd, ...udpFds, ...observeFds] };
}

/**
 * What packContents has packed, in this or another version. Erases the bytes.
 *
 * The predecessor may be in other hands: descriptors are what they are said to be, or nothing is
 * taken; numbers are within their bounds; and nothing is used as a path or a name of the system's.
 *
 * @throws Error with one line for the operator
 */
export function unpackContents({ bytes, fds }: PackedContents): UnpackedContents {
  const contents = decodeContents(bytes);
  bytes.fill(0);
  const [tunFd, uapiFd, ...udpFds] = fds;
  if (contents === null || tunFd === undefined || uapiFd === undefined) {
    throw refusal('a state of a known version');
  }
  // Of root's alone: on the other one, members of a group would find all that root may ask.
  if (!isListeningUnixStream(uapiFd) || isObservingSocket(uapiFd)) {
    throw refusal('a listening UNIX socket for control');
  }
  const sockets = contents.udpFamilies.slice(0, FAMILIES_MAX).flatMap((family, i) => {
    const fd = udpFds[i];
    return fd === undefined ? [] : [{ family, fd }];
  });
  if (sockets.length !== contents.udpFamilies.length) throw refusal('a socket for each family');
  if (!sockets.every(({ fd, family }) => isUdpSocket(fd, family))) throw refusal('UDP sockets');
  const others = udpFds.slice(sockets.length);
  const observeFd = contents.observes ? others.shift() : undefined;
  if (
    observeFd !== undefined &&
    !(isListeningUnixStream(observeFd) && isObservingSocket(observeFd))
  ) {
    throw refusal('a listening UNIX socket for observing');
  }
  for (const fd of others) close(fd);
  return { contents, tunFd, uapiFd, udp: { port: contents.udpPort, sockets }, observeFd };
}

const FAMILIES_MAX = 2;

/** By the name that it was bound to, which nobody can change. */
function isObservingSocket(fd: number): boolean {
  return unixSocketPath(fd).startsWith(`${OBSERVING_DIRECTORY}/`);
}

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
export function useContents(
  { contents, udp }: UnpackedContents,
  path: Datapath,
  { setMtu, adopt }: Successors,
  interfaceIndex: InterfaceIndex,
): void {
  const saved = parseSavedState(contents.state, interfaceIndex);
  if (saved === null) {
    throw new Error('take over from the daemon: expected a state of a known version');
  }
  const { device } = path;
  device.configure(path.readClock(), saved.change);
  device.takeOver(contents.device, saved.memories);
  setMtu(contents.device.mtu);
  if (udp.sockets.length > 0) adopt(udp);
}
