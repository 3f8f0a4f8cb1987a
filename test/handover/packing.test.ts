/** What a successor makes of what it is handed, by a predecessor that is in other hands. */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openObservingSocket } from '../../src/control/observingsocket.ts';
import { observingPlace } from '../../src/control/place.ts';
import { openUapiSocket } from '../../src/control/uapisocket.ts';
import { NO_EVENTS } from '../../src/events/ring.ts';
import { type Contents, encodeContents } from '../../src/handover/contents.ts';
import { isListeningUnixStream, isUdpSocket } from '../../src/handover/givensocket.ts';
import { unpackContents } from '../../src/handover/packing.ts';
import { bindSocket, close, Scratch, socket, socketPair } from '../../src/sys/libc.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
} from '../../src/sys/linux.ts';
import { putUnixAddress } from '../../src/sys/unixaddress.ts';

/** In place of the folder that is root's, for every test of this file. */
const observed = vi.hoisted(() => ({ folder: '' }));
vi.mock('../../src/control/place.ts', async (importOriginal) => ({
  ...(await importOriginal<typeof import('../../src/control/place.ts')>()),
  get OBSERVING_DIRECTORY() {
    return observed.folder;
  },
}));

let folder: string;
let fds: number[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tswg-packing-'));
  observed.folder = join(folder, 'observed');
  fds = [];
});
afterEach(() => {
  for (const fd of fds) close(fd);
  rmSync(folder, { recursive: true });
});

function keep(fd: number): number {
  fds.push(fd);
  return fd;
}

const control = (name = 'wg0') => keep(openUapiSocket(name, folder));
const observing = () => keep(openObservingSocket('wg0', null, observingPlace(observed.folder)));
/** At a place where observing sockets are, but nobody can connect to it. */
const mute = () => {
  mkdirSync(observed.folder);
  const fd = keep(socket(AF_UNIX, SOCK_STREAM, 0));
  const address = new Scratch(128);
  const length = putUnixAddress(address, join(observed.folder, 'mute'))!;
  expect(bindSocket(fd, address.address, length)).toBe(0);
  return fd;
};
const udp = (family = AF_INET) => keep(socket(family, SOCK_DGRAM, 0));
const pair = () => socketPair().map(keep)[0];
const netlink = () => keep(socket(AF_NETLINK, SOCK_RAW, 0));

function contents(changes: Partial<Contents> = {}): Uint8Array {
  return encodeContents({
    state: '',
    followsAhead: false,
    device: {
      ...{
        at: 0,
        privateKey: null,
        isUp: true,
        mtu: 1420,
        drops: {},
        counts: {},
        names: [],
        peers: [],
        rows: null,
        quiet: [],
      },
    },
    ...{ uptimeMs: 1, events: NO_EVENTS, version: '' },
    socketName: '../../../etc/passwd',
    udpFamilies: [4],
    udpPort: 51820,
    observes: false,
    ...changes,
  });
}

describe('what is handed over', () => {
  it('is taken with descriptors that are what they should be', () => {
    const given = [pair(), control(), udp()];
    const { udp: taken, ...rest } = unpackContents({ bytes: contents(), fds: given });
    expect(rest).toMatchObject({ tunFd: given[0], uapiFd: given[1] });
    expect(taken).toEqual({ port: 51820, sockets: [{ family: 4, fd: given[2] }] });
  });

  it('is taken with the observing socket, which is the last one', () => {
    const given = [pair(), control(), udp(), observing()];
    const { observeFd } = unpackContents({ bytes: contents({ observes: true }), fds: given });
    expect(observeFd).toBe(given[3]);
  });

  it('is taken without one, and what is too much is closed', () => {
    const given = [pair(), control(), udp(), observing()];
    expect(unpackContents({ bytes: contents(), fds: given }).observeFd).toBeUndefined();
    expect(isListeningUnixStream(given[3]!)).toBe(false);
    fds.pop();
    const missing = { bytes: contents({ observes: true }), fds: given.slice(0, 3) };
    expect(unpackContents(missing).observeFd).toBeUndefined();
  });

  const cases: [string, () => number[], Partial<Contents>, RegExp][] = [
    ['no control socket', () => [pair()], {}, /a state of a known version/],
    ['a pair for control', () => [pair(), pair(), udp()], {}, /a listening UNIX socket/],
    ['netlink for control', () => [pair(), netlink(), udp()], {}, /a listening UNIX socket/],
    ['no UDP socket', () => [pair(), control()], {}, /a socket for each family/],
    ['netlink for UDP', () => [pair(), control(), netlink()], {}, /UDP sockets/],
    ['control for UDP', () => [pair(), control(), pair()], {}, /UDP sockets/],
    // Members of a group would be answered there as root is.
    ['observing for control', () => [pair(), observing(), udp()], {}, /socket for control/],
    [
      'control for observing',
      () => [pair(), control(), udp(), control('wg1')],
      { observes: true },
      /socket for observing/,
    ],
    [
      'a pair for observing',
      () => [pair(), control(), udp(), pair()],
      { observes: true },
      /socket for observing/,
    ],
    [
      'one that does not listen for observing',
      () => [pair(), control(), udp(), mute()],
      { observes: true },
      /socket for observing/,
    ],
    ['IPv6 for IPv4', () => [pair(), control(), udp(AF_INET6)], {}, /UDP sockets/],
    [
      'more families than there are',
      () => [pair(), control(), udp(), udp(), udp()],
      { udpFamilies: [4, 4, 4] },
      /a socket for each family/,
    ],
  ];
  it.each(cases)('is refused with %s', (_, open, changes, expected) => {
    const given = open();
    expect(() => unpackContents({ bytes: contents(changes), fds: given })).toThrow(expected);
  });
});

describe('a descriptor', () => {
  it('that is not open is nothing', () => {
    expect([isListeningUnixStream(1 << 20), isUdpSocket(-1, 4)]).toEqual([false, false]);
  });
});
