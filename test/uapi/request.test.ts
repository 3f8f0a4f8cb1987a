import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  READING,
  REQUEST_CHARACTERS_MAX,
  REQUEST_LINE_BYTES_MAX,
  type Request,
  RequestReader,
} from '../../src/uapi/request.ts';

const GET: Request = { operation: 'get', lines: [] };
const STATS: Request = { operation: 'stats', lines: [] };
const UPGRADE: Request = { operation: 'upgrade', lines: [] };
const INVALID: Request = { operation: 'invalid', lines: [] };
const REFUSED: Request = { operation: 'refused', lines: [] };
const set = (...lines: string[]): Request => ({ operation: 'set', lines });

const read = (...chunks: (string | Uint8Array)[]): Request[] => {
  const reader = new RequestReader();
  return chunks.flatMap((chunk) => reader.push(chunk));
};

describe('requests', () => {
  it('may be refused by their first line, whatever follows, and nothing is kept', () => {
    const reader = new RequestReader(READING);
    expect(reader.push('get=1\n\nstats=1\n\nset=1\nlisten_port')).toEqual([GET, STATS, REFUSED]);
    expect(reader.push(`=1\n\nget=1\n\n${'x'.repeat(100_000)}`)).toEqual([]);
    expect(reader.heldCharacters).toBe(0);
    expect(new RequestReader(READING).push('upgrade=1\n')).toEqual([REFUSED]);
    expect(new RequestReader(READING).push('other=1\n')).toEqual([INVALID]);
  });

  it.each<[what: string, text: string, requests: Request[]]>([
    ['get', 'get=1\n\n', [GET]],
    ['stats', 'stats=1\n\n', [STATS]],
    ['upgrade', 'upgrade=1\n\n', [UPGRADE]],
    ['an empty set', 'set=1\n\n', [set()]],
    ['a set', 'set=1\nlisten_port=1\nfwmark=2\n\n', [set('listen_port=1', 'fwmark=2')]],
    ['several on one connection', 'get=1\n\nset=1\na=b\n\nget=1\n\n', [GET, set('a=b'), GET]],
    ['one that is not complete', 'set=1\nlisten_port=1\n', []],
    ['one after another that is not', 'get=1\n\nset=1\nlisten', [GET]],
    [
      'lines of any content',
      'set=1\nno equals sign\n==\n \n\n',
      [set('no equals sign', '==', ' ')],
    ],
  ])('%s', (_, text, requests) => {
    expect(read(text)).toEqual(requests);
    expect(read(new TextEncoder().encode(text))).toEqual(requests);
  });

  it.each([
    ['an unknown operation', 'put=1\n\n'],
    ['another version of it', 'get=2\n\n'],
    ['an empty first line', '\nget=1\n\n'],
    ['a carriage return', 'get=1\r\n\r\n'],
    ['a byte order mark', '\ufeffget=1\n\n'],
    ['a blank before it', ' get=1\n\n'],
    ['lines in a get', 'get=1\nlisten_port=1\n\n'],
    ['lines in stats', 'stats=1\nx=1\n\n'],
    ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ["a property of Object's", '__proto__\n\n'],
  ])('%s ends the connection', (_, text) => {
    expect(read(new TextEncoder().encode(text))).toEqual([INVALID]);
  });

  it('what came whole before an invalid one still counts, what comes after does not', () => {
    expect(read('get=1\n\nnonsense\nget=1\n\n', 'get=1\n\n')).toEqual([GET, INVALID]);
  });

  it('come out the same however the stream is cut', () => {
    const text =
      'get=1\n\nset=1\ndescription=Büro 世界 🏢\nallowed_ip=::/0\n\nstats=1\n\nset=1\n\n';
    const bytes = new TextEncoder().encode(text);
    const whole = read(bytes);
    expect(whole).toHaveLength(4);
    expect(whole[1]).toEqual(set('description=Büro 世界 🏢', 'allowed_ip=::/0'));
    expect(read(...Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(whole);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
        const ends = [...cuts.sort((a, b) => a - b), bytes.length];
        expect(read(...ends.map((end, i) => bytes.slice(ends[i - 1] ?? 0, end)))).toEqual(whole);
      }),
    );
  });

  it('random bytes never make it throw', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.uint8Array(), fc.string())), (chunks) => {
        read(...chunks);
        read('set=1\n', ...chunks);
      }),
    );
  });
});

describe('limits', () => {
  const lineOf = (bytes: number) => 'x'.repeat(bytes);

  it('a line may have 4,096 bytes', () => {
    const line = lineOf(REQUEST_LINE_BYTES_MAX);
    expect(read(`set=1\n${line}\n\n`)).toEqual([set(line)]);
    expect(read(`set=1\n${line}x\n\n`)).toEqual([INVALID]);
  });

  it('bytes are counted, not characters', () => {
    const line = 'ü'.repeat(REQUEST_LINE_BYTES_MAX / 2);
    expect(read(`set=1\n${line}\n\n`)).toEqual([set(line)]);
    expect(read(`set=1\n${line}x\n\n`)).toEqual([INVALID]);
  });

  it('a line without end is refused before it has come whole', () => {
    const reader = new RequestReader();
    expect(reader.push('set=1\n')).toEqual([]);
    expect(reader.push(lineOf(REQUEST_LINE_BYTES_MAX))).toEqual([]);
    expect(reader.push('x')).toEqual([INVALID]);
    expect(reader.push('\n\nget=1\n\n')).toEqual([]);
  });

  it('a request may have 16 Mi characters, and each of any number of requests anew', () => {
    const line = `${lineOf(4095)}\n`;
    const chunk = line.repeat(256); // 1 Mi
    const reader = new RequestReader();
    for (const expected of [16 * 256, 16 * 256]) {
      reader.push('set=1\n');
      for (let i = 0; i < 16; i++) expect(reader.push(chunk)).toEqual([]);
      expect([...reader.push('\n')[0].lines].length).toBe(expected);
    }
    reader.push('set=1\n');
    for (let i = 0; i < 16; i++) reader.push(chunk);
    expect(reader.heldCharacters).toBe(REQUEST_CHARACTERS_MAX);
    expect(reader.push('a\n')).toEqual([INVALID]);
    expect(reader.heldCharacters).toBe(0);
  });

  it('very short lines count for what they cost', () => {
    const chunk = 'a\n'.repeat(65_536);
    const reader = new RequestReader();
    reader.push('set=1\n');
    let pushes = 0;
    while (reader.push(chunk).length === 0) pushes++;
    expect(pushes * 65_536 * 16).toBe(REQUEST_CHARACTERS_MAX);
  });
});
