import { expect, it } from 'vitest';
import { wasShutSince } from './gatewatch.ts';

const RATE = '20000 datagrams a second from strangers over IPv4';

const SHUT = `ERROR: (wg0) udp: a flood, ${RATE}: the kernel holds them back until it ebbs\n`;
const OPENED = 'ERROR: (wg0) udp: the flood over IPv4 has ebbed\n';
const UNABLE = `ERROR: (wg0) udp: a flood, ${RATE}; without bpf(2) they cannot be held back\n`;
const OTHER = 'ERROR: (wg0) udp: the port is in use\n';

it.each([
  ['was shut', OTHER, SHUT, true],
  ['was shut and opened', '', SHUT + OPENED, true],
  ['was shut already', SHUT + OTHER, '', true],
  ['was opened at once', SHUT + OTHER, OPENED, true],
  ['had been opened', SHUT + OPENED, OTHER, false],
  ['cannot be shut', '', UNABLE, false],
  ['said nothing', '', '', false],
])('reads of the log that a gate %s', (_, before, after, isShut) => {
  expect(wasShutSince(before + after, before.length)).toBe(isShut);
});
