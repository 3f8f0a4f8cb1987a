import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { formatKey, parseKey } from '../../src/uapi/key.ts';
import {
  acceptSet,
  answer,
  EADDRINUSE,
  EINVAL,
  EIO,
  EPROTO,
  parseErrno,
  refuseGet,
  refuseSet,
  refuseUpgrade,
} from '../../src/uapi/response.ts';

describe('the end of an answer', () => {
  it.each([
    [answer('listen_port=1\n'), 'listen_port=1\nerrno=0\n\n', 0],
    [answer(''), 'errno=0\n\n', 0],
    [acceptSet(), 'errno=0\n\n', 0],
    // wg(8) negates what set answers, and reads digits only of what get answers.
    [refuseSet(98), 'errno=-98\n\n', 98],
    [refuseGet(5), 'errno=5\n\n', 5],
    [refuseUpgrade('it failed'), 'reason=it failed\nerrno=5\n\n', 5],
    [refuseUpgrade('a\n\nb'), 'reason=a  b\nerrno=5\n\n', 5],
  ])('%j', (text, expected, errno) => {
    expect(text).toBe(expected);
    expect(parseErrno(text)).toBe(errno);
  });

  it('has the numbers of the system', () => {
    const { errno } = constants;
    expect({ EIO, EINVAL, EPROTO, EADDRINUSE }).toEqual({
      EIO: errno.EIO,
      EINVAL: errno.EINVAL,
      EPROTO: errno.EPROTO,
      EADDRINUSE: errno.EADDRINUSE,
    });
  });

  it.each([0, -22, 1.5, Number.NaN])('errno %d is a bug of ours', (errno) => {
    expect(() => refuseSet(errno)).toThrow('response: errno');
    expect(() => refuseGet(errno)).toThrow('response: errno');
  });
});

describe('keys', () => {
  it('are 64 hexadecimal digits', () => {
    const key = Uint8Array.from({ length: 32 }, (_, i) => 255 - 7 * i);
    expect(formatKey(key)).toBe(Buffer.from(key).toString('hex'));
    expect(parseKey(formatKey(key))).toEqual(key);
    expect(parseKey(formatKey(key).toUpperCase())).toEqual(key);
    expect(parseKey(`${formatKey(key)}\n`)).toBeNull();
    expect(() => formatKey(new Uint8Array(31))).toThrow('key: 31 bytes');
  });
});
