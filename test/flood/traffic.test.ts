import { expect, it } from 'vitest';
import { datagramsPerSecond, framesPerSecond, parseReceived } from './traffic.ts';

const TEXT = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo:       0       0    0    0    0     0          0         0        0       0    0
   wan: 1234567    8901    0    2    0     0          0         0       11      22    0
  wan2:       1       2    0    0    0     0          0         0        3       4    0
`;

it('reads what an interface has received', () => {
  expect(parseReceived(TEXT, 'wan')).toEqual({ frames: 8_901, bytes: 1_234_567 });
  expect(parseReceived(TEXT, 'wan2')).toEqual({ frames: 2, bytes: 1 });
  expect(parseReceived(TEXT, 'wa')).toEqual({ frames: 0, bytes: 0 });
});

it('counts the segments of a run as datagrams', () => {
  const before = { frames: 10, bytes: 1_000, at: 0 };
  // One datagram alone, and one run of seven.
  const after = { frames: 12, bytes: 1_000 + 2 * 42 + 8 * 160, at: 2_000 };
  expect(framesPerSecond(before, after)).toBe(1);
  expect(datagramsPerSecond(before, after, 160)).toBe(4);
});
