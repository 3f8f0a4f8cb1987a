import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answer } from '../../src/uapi/response.ts';
import {
  formatStats,
  parseStats,
  type ReportedStats,
  type ReportedTrouble,
  type Stats,
} from '../../src/uapi/stats.ts';
import { key, lines } from './arbitraries.ts';

const HEX = '01'.repeat(32);
const KEY = new Uint8Array(32).fill(1);

const NOTHING = { facts: {}, counters: {}, troubles: [], peers: [] };

type Part = Pick<Stats, 'facts' | 'counters' | 'troubles'>;

/** What a reader makes of it. */
function asRead(stats: Stats): ReportedStats {
  const part = ({ facts, counters, troubles }: Part) => ({
    facts,
    counters,
    troubles: troubles.map(({ code, ...values }) => ({ code, values })),
  });
  const peers = [...stats.peers].map((peer) => ({ publicKey: peer.publicKey, ...part(peer) }));
  return { errno: 0, ...part(stats), peers };
}

describe('statistics', () => {
  it('are written with facts and troubles first, and each peer after its key', () => {
    const stats = {
      facts: { crypto: 'openssl', offload: 'tso uso' },
      counters: { rx_packets: 5, drop_badMac1: 0, cpu_seconds: 0.25 },
      troubles: [{ code: 'underLoad' }, { code: 'noSocket', why: 'port 53: "in use"\nby x=1' }],
      peers: [
        {
          publicKey: KEY,
          facts: { session: 'current' },
          counters: { rekeys: 2 },
          troubles: [{ code: 'noAnswer', initiations: 5, silentMs: -0.5, isNew: true }],
        },
      ],
    };
    expect(formatStats(stats)).toBe(
      'fact_crypto=openssl\nfact_offload=tso uso\ntrouble=underLoad\n' +
        'trouble=noSocket why="port 53: \\"in use\\"\\nby x=1"\nrx_packets=5\ndrop_badMac1=0\ncpu_seconds=0.25\n' +
        `public_key=${HEX}\nfact_session=current\n` +
        'trouble=noAnswer initiations=5 silentMs=-0.5 isNew=true\nrekeys=2\n',
    );
    expect(parseStats(answer(formatStats(stats)))).toEqual(asRead(stats));
  });

  it('may be empty', () => {
    expect(formatStats(NOTHING)).toBe('');
    expect(parseStats(answer(''))).toEqual({ ...NOTHING, errno: 0 });
  });

  const name = fc
    .stringMatching(/^[a-zA-Z_]\w{0,15}$/)
    .filter((text) => !text.startsWith('fact_') && text !== 'public_key' && text !== 'errno')
    .filter((text) => text !== 'trouble');
  const facts = fc.dictionary(
    name,
    fc.string().filter((text) => !text.includes('\n')),
    {
      noNullPrototype: true,
    },
  );
  const counters = fc.dictionary(name, fc.nat(Number.MAX_SAFE_INTEGER), { noNullPrototype: true });

  const code = fc.stringMatching(/^[a-z][a-zA-Z0-9]{0,15}$/);
  const value = fc.oneof(fc.string({ unit: 'binary' }), fc.boolean(), fc.integer());
  const values = fc.dictionary(
    code.filter((text) => text !== 'code'),
    value,
    { noNullPrototype: true },
  );
  const trouble = fc.tuple(code, values).map(([name, all]) => ({ ...all, code: name }));

  it('read back the same, names and order', () => {
    const part = { facts, counters, troubles: fc.array(trouble, { maxLength: 3 }) };
    const peers = fc.array(fc.record({ publicKey: key, ...part }), { maxLength: 3 });
    fc.assert(
      fc.property(fc.record({ ...part, peers }), (stats) => {
        const read = parseStats(answer(formatStats(stats)));
        expect(read).toEqual(asRead(stats));
        expect(Object.keys(read.counters)).toEqual(Object.keys(stats.counters));
      }),
    );
  });

  it('of another program may say anything', () => {
    expect(parseStats('a=1\nb=x\n=3\nno\npublic_key=zz\nc=4\n__proto__=5\nerrno=0\n\n')).toEqual({
      ...NOTHING,
      counters: { a: 1 },
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

  it.each<[string, string, ReportedTrouble['values']]>([
    ['none', 'trouble=a', {}],
    ['one that is none', 'trouble=a b=01 c=1', {}],
    ['one that is too long', `trouble=a b=${'9'.repeat(400)}`, {}],
    ['a string without its end', 'trouble=a b=1 c="x', { b: 1 }],
    ['a string with an escape that is none', 'trouble=a b=1 c="\\x" d=1', { b: 1 }],
    ['a name of Object', 'trouble=a b=1 __proto__=1', { b: 1 }],
    ['one twice', 'trouble=a b=1 b=2', { b: 2 }],
    ['a zero with a sign', 'trouble=a b=-0 c=-0.0', { b: 0, c: 0 }],
    ['one after two blanks', 'trouble=a b=1  c=2', { b: 1 }],
    ['something new', 'trouble=a b=1 c=[2] d=3', { b: 1 }],
  ])('of another program have, of the values of a trouble, %s', (_, line, values) => {
    const { troubles } = parseStats(`${line}\nerrno=0\n\n`);
    expect(troubles).toEqual([{ code: 'a', values }]);
  });

  it.each([
    ['name that steers the terminal', '\u001b=1'],
    ['name of two words', 'a b=1'],
    ["fact's name that steers the terminal", 'fact_\u001b[2J=x'],
    ['number too long to be one', `a=${'9'.repeat(400)}`],
    ['trouble without a code', 'trouble='],
    ['trouble with a code that steers the terminal', 'trouble=\u001b[2J'],
    ['trouble with a code of Object', 'trouble=__proto__ a=1'],
  ])('of another program say nothing by a %s', (_, line) => {
    expect(parseStats(`${line}\nerrno=0\n\n`)).toEqual({ ...NOTHING, errno: 0 });
  });

  it.each([
    ['a fact of two lines', { facts: { a: 'b\nc=1' } }],
    ['a fact with a name of two words', { facts: { 'a b': 'c' } }],
    ['a counter named as a fact', { counters: { fact_x: 1 } }],
    ['a counter named as a peer', { counters: { public_key: 1 } }],
    ['a counter named as the end', { counters: { errno: 1 } }],
    ['a counter named as a trouble', { counters: { trouble: 1 } }],
    ['a counter that is no number', { counters: { a: Number.NaN } }],
    ['a counter below zero', { counters: { a: -1 } }],
    ['a trouble of two words', { troubles: [{ code: 'a b' }] }],
    ['a trouble whose value has no name', { troubles: [{ code: 'a', '': 1 }] }],
    ['a trouble whose value is too small', { troubles: [{ code: 'a', b: 1e-7 }] }],
    ['a trouble whose value is no number', { troubles: [{ code: 'a', b: Number.NaN }] }],
  ])('%s is a bug of ours', (_, part) => {
    expect(() => formatStats({ ...NOTHING, ...part })).toThrow('stats: ');
  });
});
