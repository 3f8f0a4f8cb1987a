/**
 * What a daemon owns, on its way to its successor: the Device's keys and sessions, its configuration,
 * and the descriptors of the interface, the UDP sockets, the control socket and the observing one.
 * Joins the Device, the contents as bytes (contents.ts) and the sockets; the steps are handover.ts'.
 */

import { OBSERVING_DIRECTORY } from '../control/place.ts';
import type { UapiServer } from '../control/uapiserver.ts';
import type { Datapath } from '../datapath/datapath.ts';
import { type PeerState, wiped, wipeKeys } from '../device/configuration.ts';
import type { Endpoint } from '../device/endpoint.ts';
import { type DeviceHandover, wipeHandover } from '../device/handover.ts';
import {
  formatKeylessState,
  formatStateSince,
  parseSavedState,
  type SavedState,
  tellKeylessState,
} from '../state/savedstate.ts';
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

/** What of a daemon's goes beside the Device: what has descriptors, and its past. */
export interface Belongings extends Pick<Contents, 'uptimeMs' | 'events'> {
  readonly tunFd: number;
  readonly uapi: UapiServer;
  /** While the interface is up. */
  readonly udp: BoundSockets | undefined;
  /** The listening observing socket; undefined when there is none. */
  readonly observeFd: number | undefined;
}

/** A Device, and when it is there. */
type Path = Pick<Datapath, 'device' | 'now' | 'readClock'>;

/** What of a Device goes to its successor, ahead and then at the take; for one successor at a time. */
export class Packing {
  readonly #path: Path;
  /** Of the configuration that has gone ahead, and where its peers were as it was told. */
  #revision = -1;
  #places: (Endpoint | null)[] = [];

  constructor(path: Path) {
    this.#path = path;
  }

  /** The configuration without keys, in pieces: each peer as it is when its piece is made. */
  *ahead(): Generator<string, void> {
    const { device } = this.#path;
    this.#revision = device.revision;
    this.#places = [];
    const own = device.ownState();
    // None of it is told, but what is made of it is a copy.
    wipeKeys({ ...own, peers: [] });
    yield* tellKeylessState({ ...own, peers: this.#placed(wiped(device.peerStates())) }, []);
  }

  *#placed(peers: Iterable<PeerState>): Generator<PeerState> {
    for (const peer of peers) {
      this.#places.push(peer.endpoint);
      yield peer;
    }
  }

  /** All of this moment; `isAhead`: the successor has what `ahead` told last. */
  pack(isAhead: boolean, belongings: Belongings): PackedContents {
    const { tunFd, uapi, udp, observeFd, uptimeMs, events } = belongings;
    const { device, now } = this.#path;
    const followsAhead = isAhead && device.revision === this.#revision;
    const handover = device.handOver(now, followsAhead);
    const contents = {
      state: followsAhead ? this.#stateSince(handover) : this.#wholeState(),
      followsAhead,
      device: handover,
      ...{ uptimeMs, events },
      version: VERSION,
      socketName: uapi.file.name,
      udpFamilies: (udp?.sockets ?? []).map(({ family }) => family),
      udpPort: udp?.port ?? 0,
      observes: observeFd !== undefined,
    };
    const bytes = encodeContents(contents);
    wipeHandover(contents.device);
    const udpFds = (udp?.sockets ?? []).map(({ fd }) => fd);
    // Last of all: a successor that knows of no observing socket closes what it does not expect there.
    const observeFds = observeFd === undefined ? [] : [observeFd];
    return { bytes, fds: [tunFd, uapi.fd, ...udpFds, ...observeFds] };
  }

  #wholeState(): string {
    const { device } = this.#path;
    const state = device.state();
    const text = formatKeylessState(state, device.memories());
    wipeKeys(state);
    return text;
  }

  #stateSince(handover: DeviceHandover): string {
    const { device } = this.#path;
    const own = device.ownState();
    const places = this.#places;
    const moved = [...device.peerPlaces()].filter(
      ({ endpoint }, i) => endpoint !== places[i] && !isSamePlace(endpoint, places[i]),
    );
    const text = formatStateSince(own, moved, device.memoriesBeside(handover));
    wipeKeys({ ...own, peers: [] });
    return text;
  }
}

function isSamePlace(one: Endpoint | null, other: Endpoint | null | undefined): boolean {
  return one != null && other != null && one.sameRemote(other);
}

/**
 * What a Packing has packed, in this or another version. Erases the bytes.
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
 * Becomes what has gone ahead; nothing else is configured yet.
 *
 * @throws Error with one line for the operator
 */
export function configureAhead(text: string, path: Path, interfaceIndex: InterfaceIndex): void {
  path.device.configure(path.readClock(), read(text, interfaceIndex).change);
}

/**
 * Becomes what the predecessor was; nothing is sent yet.
 *
 * @throws Error with one line for the operator
 */
export function useContents(
  { contents, udp }: UnpackedContents,
  path: Path,
  { setMtu, adopt }: Successors,
  interfaceIndex: InterfaceIndex,
): void {
  const { change, memories } = read(contents.state, interfaceIndex);
  const { device } = path;
  const begun = contents.followsAhead ? {} : NOTHING;
  device.configure(path.readClock(), { ...begun, ...change });
  device.takeOver(contents.device, memories);
  setMtu(contents.device.mtu);
  if (udp.sockets.length > 0) adopt(udp);
}

/** Of what has gone ahead nothing is left. */
const NOTHING = { bind: null, debug: false, replacePeers: true };

function read(text: string, interfaceIndex: InterfaceIndex): SavedState {
  const saved = parseSavedState(text, interfaceIndex);
  if (saved !== null) return saved;
  throw refusal('a state of a known version');
}
