import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Endpoint } from '../../src/device/endpoint.ts';
import { EndpointCache } from '../../src/udp/endpointcache.ts';

interface Sender {
  readonly family: 4 | 6;
  readonly remote: number;
  readonly port: number;
  readonly scope: number;
  readonly local: number;
  readonly link: number;
}

/** Fills in the key as a receiver does, and looks it up. */
function lookup(cache: EndpointCache, sender: Sender): Endpoint {
  const { key } = cache;
  key.fill(0);
  const bytes = new Uint8Array(key.buffer);
  bytes[0] = sender.family === 4 ? 2 : 10;
  bytes[2] = sender.port >> 8;
  bytes[3] = sender.port & 255;
  const last = sender.family - 1 + (sender.family === 6 ? 10 : 0);
  bytes[4 + last] = sender.remote;
  if (sender.family === 6) key[5] = sender.scope;
  if (sender.local > 0) bytes[24 + last] = sender.local;
  key[10] = sender.link;
  return cache.lookup();
}

function expected({ family, remote, port, scope, local, link }: Sender): Endpoint {
  const address = (last: number) => new Uint8Array(family === 4 ? 4 : 16).fill(last, -1);
  const source = local > 0 ? address(local) : null;
  const itsScope = family === 6 ? scope : 0;
  return new Endpoint(address(remote), port, itsScope, source, local > 0 ? link : 0);
}

const senders: fc.Arbitrary<Sender> = fc.record({
  family: fc.constantFrom(4 as const, 6 as const),
  remote: fc.integer({ min: 1, max: 3 }),
  port: fc.constantFrom(1, 51820, 65535),
  scope: fc.constantFrom(0, 2),
  local: fc.constantFrom(0, 1, 2),
  link: fc.constantFrom(1, 2),
});

describe('endpoint cache', () => {
  it('gives what the key says, however places collide', () => {
    for (const size of [1, 2, 4096]) {
      const cache = new EndpointCache(size);
      fc.assert(
        fc.property(fc.array(senders, { maxLength: 50 }), fc.nat(50), (trail, forgetAt) => {
          for (const [i, sender] of trail.entries()) {
            const endpoint = lookup(cache, sender);
            expect(endpoint.equals(expected(sender))).toBe(true);
            if (i === forgetAt) endpoint.forgetSource();
          }
        }),
        { numRuns: 300 },
      );
    }
  });

  it('gives the same object again, also after others', () => {
    const cache = new EndpointCache();
    const base = { family: 6, remote: 1, port: 9, scope: 0, local: 1, link: 1 } as const;
    const first = lookup(cache, base);
    const others = [2, 3, 4, 5].map((remote) => lookup(cache, { ...base, remote }));
    expect(lookup(cache, base)).toBe(first);
    expect(new Set([first, ...others]).size).toBe(5);
  });

  it('spreads senders that differ little', () => {
    const cache = new EndpointCache(4096);
    const sender = (i: number): Sender => ({
      family: 4,
      remote: 1 + (i & 127),
      port: 1000 + (i >> 7),
      scope: 0,
      local: 1,
      link: 1,
    });
    const first = Array.from({ length: 1000 }, (_, i) => lookup(cache, sender(i)));
    const kept = first.filter((endpoint, i) => lookup(cache, sender(i)) === endpoint);
    // 1000 in 4096 places by chance: about 1000 * e^(-1000/4096 / 2), less those that swap.
    expect(kept.length).toBeGreaterThan(700);
  });
});
