import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isZero } from '../../src/crypto/bytes.ts';
import type { PeerMemory } from '../../src/device/configuration.ts';
import type { NameMemory } from '../../src/device/names.ts';
import { formatSavedState, parseSavedState } from '../../src/state/savedstate.ts';
import { deviceState, key, lines } from '../uapi/arbitraries.ts';

const timestamp = fc.uint8Array({ minLength: 12, maxLength: 12 });
const memories: fc.Arbitrary<PeerMemory[]> = fc.array(
  fc.record({
    publicKey: key,
    lastHandshakeMs: fc.nat(4_000_000_000_000),
    sentTimestamp: timestamp,
    receivedTimestamp: timestamp,
  }),
  { maxLength: 4 },
);

const address = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
);
const names: fc.Arbitrary<NameMemory[]> = fc.array(
  fc.record({
    host: fc.constantFrom('gw', 'gw.example.net', '_x.y-z.example', `${'a'.repeat(63)}.example.`),
    addresses: fc.array(address, { minLength: 1, maxLength: 16 }),
  }),
  { maxLength: 4 },
);

describe('a saved state', () => {
  it('reads back with what names were, in their order', () => {
    fc.assert(
      fc.property(deviceState, memories, names, (state, remembered, known) => {
        const saved = parseSavedState(formatSavedState(state, remembered, known))!;
        expect([saved.memories, saved.names]).toEqual([remembered, known]);
      }),
    );
  });

  it.each([
    'name=gw.example.net',
    'name=gw.example.net ',
    'name= 192.0.2.1',
    'name=192.0.2.1 192.0.2.1',
    'name=gw.example.net 192.0.2.1 gw',
    'name=gw.example.net 192.0.2.1  192.0.2.2',
    'name=gw_\u001b[2J 192.0.2.1',
    `name=${'a.'.repeat(130)}net 192.0.2.1`,
    `name=gw.example.net${' 192.0.2.1'.repeat(17)}`,
  ])('is refused whole for a line that names no name: %j', (line) => {
    const [state] = fc.sample(deviceState, { numRuns: 1, seed: 1 });
    const text = formatSavedState(state, []);
    expect(parseSavedState(text)).not.toBeNull();
    expect(parseSavedState(`${text}${line}\n`)).toBeNull();
  });

  it('reads back as the change that makes a Device the same', () => {
    fc.assert(
      fc.property(deviceState, memories, (state, remembered) => {
        const saved = parseSavedState(formatSavedState(state, remembered));
        expect(saved!.memories).toEqual(remembered);
        const { privateKey, listenPort, fwmark, debug = false, peers } = saved!.change;
        expect(privateKey ?? null).toEqual(state.privateKey);
        expect({ listenPort, fwmark, debug }).toEqual({
          listenPort: state.listenPort,
          fwmark: state.fwmark,
          debug: state.debug,
        });
        expect(peers).toEqual(
          state.peers.map((peer) => ({
            publicKey: peer.publicKey,
            ...(peer.presharedKey === null ? {} : { presharedKey: peer.presharedKey }),
            ...(peer.endpoint === null ? {} : { endpoint: peer.endpoint }),
            ...(peer.ways.length === 0
              ? {}
              : { ways: peer.ways.map(({ host, port, near }) => ({ host, port, near })) }),
            persistentKeepalive: peer.persistentKeepalive,
            allowedIps: peer.allowedIps.map((prefix) => ({ prefix, remove: false })),
            description: peer.description,
          })),
        );
        expect(peers.every(({ presharedKey }) => !presharedKey || !isZero(presharedKey))).toBe(
          true,
        );
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['another request', 'get=1\n\n'],
    ['a set without an end', 'set=1\nlisten_port=1\n'],
    ['a key that there is not', 'set=1\nlisten_prot=1\n\n'],
    ['a value that is none', 'set=1\nlisten_port=65536\n\n'],
    ['a memory that is none', 'set=1\nlisten_port=1\n\nhandshake=1 2 3 4\n'],
    [
      'a memory that is cut',
      `set=1\nlisten_port=1\n\nhandshake=${'00'.repeat(32)} 1 ${'00'.repeat(12)}\n`,
    ],
    ['a line that is cut', 'set=1\nlisten_port=1\n\nhandsh'],
  ])('is not: %s', (_, text) => {
    expect(parseSavedState(text)).toBeNull();
  });

  it('is null or a state, whatever the text is', () => {
    fc.assert(
      fc.property(lines, (some) => {
        parseSavedState(`set=1\n${some.join('\n')}\n\n${some.join('\n')}\n`);
      }),
    );
  });
});
