import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answer } from '../../src/uapi/response.ts';
import { formatStats, parseStats } from '../../src/uapi/stats.ts';
import { key, lines } from './arbitraries.ts';

const HEX = '01'.repeat(32);
const KEY = new Uint8Array(32).fill(1);

describe('statistics', () => {
  it('are written with facts first, and each peer behind its key', () => {
    const stats = {
      facts: { crypto: 'openssl', offload: 'tso uso' },
      counters: { rx_packets: 5, drop_badMac1: 0 },
      peers: [{ publicKey: KEY, facts: { session: 'current' }, counters: { rekeys: 2 } }],
    };
    expect(formatStats(stats)).toBe(
      'fact_crypto=openssl\nfact_offload=tso uso\nrx_packets=5\ndrop_badMac1=0\n' +
        `public_key=${HEX}\nfact_session=current\nrekeys=2\n`,
    );
    expect(parseStats(answer(formatStats(stats)))).toEqual({ ...stats, errno: 0 });
  });

  it('may be empty', () => {
    const nothing = { facts: {}, counters: {}, peers: [] };
    expect(formatStats(nothing)).toBe('');
    expect(parseStats(answer(''))).toEqual({ ...nothing, errno: 0 });
  });

  const name = fc
    .stringMatching(/^[a-zA-Z_]\w{0,15}$/)
    .filter((text) => !text.startsWith('fact_') && text !== 'public_key' && text !== 'errno');
  const facts = fc.dictionary(
    name,
    fc.string().filter((text) => !text.includes('\n')),
    {
      noNullPrototype: true,
    },
  );
  const counters = fc.dictionary(name, fc.nat(Number.MAX_SAFE_INTEGER), { noNullPrototype: true });

  it('read back the same, names and order', () => {
    const peers = fc.array(fc.record({ publicKey: key, facts, counters }), { maxLength: 3 });
    fc.assert(
      fc.property(fc.record({ facts, counters, peers }), (stats) => {
        const read = parseStats(answer(formatStats(stats)));
        expect(read).toEqual({ ...stats, errno: 0 });
        expect(Object.keys(read.counters)).toEqual(Object.keys(stats.counters));
      }),
    );
  });

  it('of another program may say anything', () => {
    expect(parseStats('a=1\nb=x\n=3\nno\npublic_key=zz\nc=4\n__proto__=5\nerrno=0\n\n')).toEqual({
      facts: {},
      counters: { a: 1 },
      peers: [],
      errno: 0,
    });
    expect(parseStats('a=1\n').errno).toBe(71);
    const odd = parseStats('__proto__=5\nfact___proto__=x\nerrno=0\n\n');
    expect(Object.entries(odd.counters)).toEqual([['__proto__', 5]]);
    expect(Object.entries(odd.facts)).toEqual([['__proto__', 'x']]);
    fc.assert(
      fc.property(lines, (all) => {
        parseStats(all.join('\n'));
      }),
    );
  });

  it.each([
    ['name that steers the terminal', '\u001b=1'],
    ['name of two words', 'a b=1'],
    ["fact's name that steers the terminal", 'fact_\u001b[2J=x'],
    ['number too long to be one', `a=${'9'.repeat(400)}`],
  ])('of another program say nothing by a %s', (_, line) => {
    const nothing = { facts: {}, counters: {}, peers: [] };
    expect(parseStats(`${line}\nerrno=0\n\n`)).toEqual({ ...nothing, errno: 0 });
  });

  it.each([
    ['a fact of two lines', { facts: { a: 'b\nc=1' }, counters: {} }],
    ['a fact with a name of two words', { facts: { 'a b': 'c' }, counters: {} }],
    ['a counter named as a fact', { facts: {}, counters: { fact_x: 1 } }],
    ['a counter named as a peer', { facts: {}, counters: { public_key: 1 } }],
    ['a counter named as the end', { facts: {}, counters: { errno: 1 } }],
  ])('%s is a bug of ours', (_, part) => {
    expect(() => formatStats({ ...part, peers: [] })).toThrow('stats: ');
  });
});
