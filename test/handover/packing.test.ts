/** What a successor makes of what it is handed, by a predecessor that is in other hands. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openUapiSocket } from '../../src/control/uapisocket.ts';
import { type Contents, encodeContents } from '../../src/handover/contents.ts';
import { isListeningUnixStream, isUdpSocket } from '../../src/handover/givensocket.ts';
import { unpackContents } from '../../src/handover/packing.ts';
import { close, socket, socketPair } from '../../src/sys/libc.ts';
import { AF_INET, AF_INET6, AF_NETLINK, SOCK_DGRAM, SOCK_RAW } from '../../src/sys/linux.ts';

let folder: string;
let fds: number[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tswg-packing-'));
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

const control = () => keep(openUapiSocket('wg0', folder));
const udp = (family = AF_INET) => keep(socket(family, SOCK_DGRAM, 0));
const pair = () => socketPair().map(keep)[0]!;
const netlink = () => keep(socket(AF_NETLINK, SOCK_RAW, 0));

function contents(changes: Partial<Contents> = {}): Uint8Array {
  return encodeContents({
    state: '',
    device: {
      ...{ at: 0, privateKey: null, isUp: true, mtu: 1420, drops: {}, counts: {}, peers: [] },
    },
    uptimeMs: 1,
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

  const cases: [string, () => number[], Partial<Contents>, RegExp][] = [
    ['no control socket', () => [pair()], {}, /contents/],
    ['a pair for control', () => [pair(), pair(), udp()], {}, /a listening UNIX socket/],
    ['netlink for control', () => [pair(), netlink(), udp()], {}, /a listening UNIX socket/],
    ['no UDP socket', () => [pair(), control()], {}, /a socket for each family/],
    ['netlink for UDP', () => [pair(), control(), netlink()], {}, /UDP sockets/],
    ['control for UDP', () => [pair(), control(), pair()], {}, /UDP sockets/],
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
