import { expect, it } from 'vitest';
import { wasShutSince } from './gatewatch.ts';

const FLOOD = 'udp: flood: 20000 useless datagrams a second';

const SHUT = `ERROR: (wg0) ${FLOOD}: the kernel filters most of them until it subsides\n`;
const OPENED = 'ERROR: (wg0) udp: the flood is over\n';
const UNABLE = `ERROR: (wg0) ${FLOOD}; they cannot be filtered in the kernel (bpf: EPERM)\n`;
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
