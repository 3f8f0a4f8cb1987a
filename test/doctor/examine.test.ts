import { describe, expect, it } from 'vitest';
import type { Cause } from '../../src/doctor/cause.ts';
import { CAUSES } from '../../src/doctor/causes.ts';
import { looked, type Route, type RouteAnswer } from '../../src/doctor/evidence.ts';
import { examine } from '../../src/doctor/examine.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import { healthy, healthyWith, INNER_ROUTE, OUR_KEY, PEER, PEER_KEY } from './healthy.ts';

function cause(
  code: string,
  weight: Cause['weight'],
  peers: readonly (string | null)[],
  rest: Partial<Cause> = {},
): Cause {
  const find = (): Finding[] =>
    peers.map((peer) => ({ code, peer, sentence: code, proof: ['seen'], commands: [] }));
  return { code, weight, find, ...rest };
}

function codesOf(causes: readonly Cause[], peer: string | null = null): string[] {
  const { run } = healthy();
  const found = examine(healthy({ run: { ...run, peer } }), causes);
  return found.map((one) => (one.peer === null ? one.code : `${one.code} ${one.peer.slice(0, 2)}`));
}

describe('what is found', () => {
  it('of very many peers is found by looking at what is about each a few times', () => {
    const count = 400;
    let looks = 0;
    const keys = Array.from({ length: count }, (_, at) => `${at}`);
    const peers = keys.map((publicKey) => ({ ...PEER, publicKey, lastHandshakeMs: 0 }));
    const answer: RouteAnswer['answer'] = { kind: 'none', error: 'ENETUNREACH' };
    const routes = keys.map((peer): RouteAnswer => {
      const [about, destination] = ['198.51.100.20', '198.51.100.20'];
      const route = { purpose: 'endpoint' as const, peer, about, destination, mark: 0, answer };
      const get = (): string => {
        looks++;
        return peer;
      };
      return Object.defineProperty(route, 'peer', { get });
    });
    const found = examine({ ...healthyWith({ peers }), routes: looked(routes) });
    expect(found.filter(({ code }) => code === 'endpointNoRoute')).toHaveLength(count);
    expect(looks).toBeLessThan(20 * count);
  });

  it('is told with what hurts most first, and in the order of the table', () => {
    const causes = [
      cause('slow', 'quality', [null]),
      cause('mtu', 'some', [null]),
      cause('silence', 'handshake', [PEER_KEY]),
      cause('noKey', 'everything', [null]),
      cause('wrongPort', 'handshake', [PEER_KEY]),
    ];
    expect(codesOf(causes)).toEqual(['noKey', 'silence xT', 'wrongPort xT', 'mtu', 'slow']);
  });

  it('does not stand beside what it follows from, of the same peer', () => {
    const causes = [
      cause('noRoute', 'handshake', [PEER_KEY], { explains: ['silence', 'slow'] }),
      cause('silence', 'handshake', [PEER_KEY, OUR_KEY]),
      cause('slow', 'quality', [null]),
    ];
    expect(codesOf(causes)).toEqual(['noRoute xT', 'silence fE', 'slow']);
  });

  it('does not stand beside what it follows from, if that is about the interface', () => {
    const rest = [cause('silence', 'handshake', [PEER_KEY]), cause('slow', 'quality', [null])];
    const down = cause('down', 'everything', [null], { explains: 'lighter' });
    const noKey = cause('noKey', 'everything', [null], { explains: 'lighter' });
    expect(codesOf([down, noKey, ...rest])).toEqual(['down', 'noKey']);
  });

  it('is silence only if nothing else of that peer, as bad or worse, is found', () => {
    const silence = cause('silence', 'handshake', [PEER_KEY, OUR_KEY], { isLastResort: true });
    expect(codesOf([silence, cause('wrongPort', 'handshake', [PEER_KEY])])).toEqual([
      'silence fE',
      'wrongPort xT',
    ]);
    expect(codesOf([silence, cause('slow', 'quality', [null])])).toEqual([
      'silence xT',
      'silence fE',
      'slow',
    ]);
    expect(codesOf([silence, cause('noKey', 'everything', [null])])).toEqual(['noKey']);
  });

  it('is of the peer that was asked about, or of the interface', () => {
    const causes = [cause('wrongPort', 'handshake', [PEER_KEY, OUR_KEY, null])];
    expect(codesOf(causes, PEER_KEY)).toEqual(['wrongPort xT', 'wrongPort']);
  });

  it('has the code of its row, and a proof', () => {
    const stray = cause('a', 'some', [null]);
    expect(() => codesOf([{ ...stray, code: 'b' }])).toThrow('b found a');
    const bare = { code: 'a', peer: null, sentence: '', proof: [], commands: [] };
    expect(() => codesOf([{ ...stray, find: () => [bare] }])).toThrow('a without proof');
  });
});

describe('the table', () => {
  it('has each code once, and explains only codes that there are', () => {
    const codes = CAUSES.map(({ code }) => code);
    expect(codes).toEqual([...new Set(codes)]);
    const explained = CAUSES.flatMap(({ explains }) => (Array.isArray(explains) ? explains : []));
    expect(explained.filter((code) => !codes.includes(code))).toEqual([]);
  });

  it('has no two that explain each other, so that neither would be told', () => {
    const circles = CAUSES.filter(({ code, explains }) =>
      CAUSES.some(
        (other) => explains?.includes(other.code) && other.explains?.includes(code) === true,
      ),
    );
    expect(circles).toEqual([]);
  });

  it('finds nothing in a healthy tunnel', () => {
    expect(examine(healthy())).toEqual([]);
  });

  it('finds nothing in a route that waits for a better one of its prefix to go', () => {
    const inside = { ...INNER_ROUTE, prefix: '10.0.0.0/16', source: null };
    const lan = { ...inside, prefix: '10.0.2.0/24', link: 'lan' };
    const spare = { ...lan, type: 'unreachable', link: null, metric: 9999 } as const;
    const found = (...routes: readonly Route[]) => {
      const allowedIps = ['10.99.0.2/32', '10.0.0.0/16'];
      const table = looked([INNER_ROUTE, inside, ...routes]);
      return examine(healthyWith({}, { allowedIps }, { table })).map(({ code }) => code);
    };
    expect(found(lan, spare)).toEqual([]);
    expect(found(spare)).toEqual(['routeShadowed']);
  });
});
