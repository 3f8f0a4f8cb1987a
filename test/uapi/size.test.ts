/** The sizes that wg(8) must get through: 65,000 allowed IPs on one peer, 1,000 peers in a call. */

import { describe, expect, it } from 'vitest';
import type { DeviceState, PeerState } from '../../src/device/configuration.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import type { Prefix } from '../../src/packet/address.ts';
import { formatState, parseState } from '../../src/uapi/get.ts';
import { RequestReader } from '../../src/uapi/request.ts';
import { answer } from '../../src/uapi/response.ts';
import { parseSet, writeSet } from '../../src/uapi/set.ts';

const ALLOWED_IPS = 65_000;
const PEERS = 1000;
/** A tenth of a second is expected: on a slow machine, too, only a hang takes so long. */
const BOUND_MS = 30_000;

const prefixes: Prefix[] = Array.from({ length: ALLOWED_IPS }, (_, i) =>
  i % 2 === 0
    ? { address: Uint8Array.of(10, i >> 8, i & 0xff, 0), length: 24 }
    : {
        address: Uint8Array.of(
          0xfd,
          i >> 8,
          i & 0xff,
          ...Array(5).fill(i & 0xff),
          ...Array(8).fill(0),
        ),
        length: 64,
      },
);

function peer(index: number, allowedIps: readonly Prefix[]): PeerState {
  return {
    publicKey: Uint8Array.from({ length: 32 }, (_, i) => (index >> (i % 8)) & 0xff),
    presharedKey: null,
    endpoint: new Endpoint(Uint8Array.of(192, 0, index >> 8, index & 0xff), 51820),
    ways: [],
    lastHandshakeMs: 0,
    txBytes: 0,
    rxBytes: 0,
    persistentKeepalive: 25,
    allowedIps,
    description: `peer ${index}`,
  };
}

/** Passes the text on as a socket does, in chunks of 64 KiB. */
function receive(request: string): readonly string[] {
  const bytes = new TextEncoder().encode(request);
  const reader = new RequestReader();
  for (let at = 0; at < bytes.length; at += 65_536) {
    for (const { operation, lines } of reader.push(bytes.subarray(at, at + 65_536))) {
      expect(operation).toBe('set');
      return [...lines];
    }
  }
  throw new Error('no request');
}

function elapsedMs(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

describe.each([
  ['65,000 allowed IPs on one peer', [peer(1, prefixes)]],
  [
    '1,000 peers of 65 allowed IPs',
    Array.from({ length: PEERS }, (_, i) => peer(i, prefixes.slice(65 * i, 65 * i + 65))),
  ],
])('%s', (_, peers) => {
  const state: DeviceState = {
    ...{ privateKey: null, listenPort: 1, fwmark: 0, bind: null, debug: false, peers },
  };

  it('are set in time', () => {
    const changes = peers.map(({ publicKey, endpoint, allowedIps, description }) => ({
      publicKey,
      endpoint,
      description,
      allowedIps: allowedIps.map((prefix) => ({ prefix, remove: false })),
    }));
    const request = writeSet({ peers: changes });
    let result: ReturnType<typeof parseSet> | undefined;
    const duration = elapsedMs(() => {
      result = parseSet(receive(request));
    });
    expect(result!.ok!.peers).toEqual(changes);
    expect(duration).toBeLessThan(BOUND_MS);
  });

  it('are told and read in time', () => {
    let text = '';
    expect(
      elapsedMs(() => {
        text = answer(formatState(state, '1'));
      }),
    ).toBeLessThan(BOUND_MS);
    let read: DeviceState = state;
    expect(
      elapsedMs(() => {
        read = parseState(text);
      }),
    ).toBeLessThan(BOUND_MS);
    expect(read.peers).toEqual(peers);
  });
});
