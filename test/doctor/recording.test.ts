/** Evidence in a file, and the other end's state: what is written is read again, and nothing else is. */

import { describe, expect, it } from 'vitest';
import { examine } from '../../src/doctor/examine.ts';
import { parseOtherEnd } from '../../src/doctor/otherjson.ts';
import { formatRecording, parseRecording } from '../../src/doctor/recording.ts';
import { Mismatch } from '../../src/doctor/shape/shape.ts';
import { healthy, OUR_KEY, PEER_KEY } from './healthy.ts';

describe('recorded evidence', () => {
  it('is read as it was written', () => {
    const evidence = healthy();
    expect(parseRecording(formatRecording(evidence))).toEqual(evidence);
  });

  /** Every value in it, by its path. */
  function places(value: unknown, path: readonly string[] = []): string[][] {
    if (typeof value !== 'object' || value === null) return [[...path]];
    const below = Object.entries(value).flatMap(([name, item]) => places(item, [...path, name]));
    return [[...path], ...below];
  }

  type Json = { [name: string]: Json } | Json[];

  function put(tree: Json, path: readonly string[], value: unknown): void {
    const holder = path.slice(0, -1).reduce((at, name) => (at as Record<string, Json>)[name], tree);
    (holder as Record<string, unknown>)[path.at(-1)!] = value;
  }

  it('is refused, with the place, wherever a value is of another kind', () => {
    const whole = JSON.parse(formatRecording(healthy()));
    const foreign = [null, 'x', -1.5, true, [], {}, [{}], { ok: true }];
    let refused = 0;
    for (const path of places(whole)) {
      for (const value of foreign) {
        const changed = structuredClone({ top: whole });
        put(changed, ['top', ...path], value);
        try {
          // What is taken may be judged.
          examine(parseRecording(JSON.stringify(changed.top)));
        } catch (error) {
          if (!(error instanceof Mismatch)) throw new Error(`${path.join('.')}: ${error}`);
          refused++;
        }
      }
    }
    expect(refused).toBeGreaterThan(1_000);
  });

  it('says where it is wrong', () => {
    const read = (text: string) => () => parseRecording(text);
    expect(read('{')).toThrow('the file: expected JSON');
    expect(read('[]')).toThrow('the file: expected an object');
    expect(read('{"format":"x"}')).toThrow('format: expected tswg-doctor-evidence');
    const text = formatRecording(healthy());
    expect(read(text.replace(/"mtu": 1420/, '"mtu": "many"'))).toThrow(
      'evidence.link.value.mtu: expected a number',
    );
    expect(read(text.replace(PEER_KEY, 'a key'))).toThrow('expected a public key');
  });

  it('has no properties that nobody asked for', () => {
    const whole = JSON.parse(formatRecording(healthy()));
    whole.evidence.daemon.value.privateKey = 'secret';
    const text = JSON.stringify(whole).replace(
      '"kind":"answers"',
      '"kind":"answers","__proto__":{}',
    );
    expect(JSON.stringify(parseRecording(text))).not.toContain('secret');
  });
});

describe('the state of the other end', () => {
  const OTHER = {
    name: 'wg1',
    index: 4,
    flags: ['UP'],
    mtu: 1_400,
    description: '',
    addresses: [{ family: 'inet', address: '10.99.0.2', prefixLength: 30 }],
    wireguard: {
      version: '0.1.0',
      publicKey: PEER_KEY,
      listenPort: 51_820,
      fwmark: 0,
      debug: false,
      peers: [
        {
          publicKey: OUR_KEY,
          description: 'us',
          hasPresharedKey: true,
          endpoint: { address: '198.51.100.10', port: 51_820, scope: 0 },
          latestHandshake: 1_800_000_000,
          transferRx: 5,
          transferTx: 6,
          persistentKeepalive: 0,
          allowedIps: ['10.99.0.1/32'],
        },
      ],
      facts: { gate: 'open' },
      counters: { drop_badMac1: 2 },
      troubles: [{ code: 'badMac1', values: { messages: 2 }, text: 'words' }],
    },
  };

  it('is read out of tswg IF --json', () => {
    expect(parseOtherEnd(JSON.stringify(OTHER))).toEqual({
      ...{ name: 'wg1', flags: ['UP'], mtu: 1_400, addresses: ['10.99.0.2/30'] },
      ...{ version: '0.1.0', publicKey: PEER_KEY, listenPort: 51_820, fwmark: 0 },
      facts: { gate: 'open' },
      counters: { drop_badMac1: 2 },
      troubles: [{ code: 'badMac1', values: { messages: 2 } }],
      peers: [
        {
          ...{ publicKey: OUR_KEY, description: 'us', hasPresharedKey: true, ways: [] },
          endpoint: { address: '198.51.100.10', port: 51_820, scope: 0 },
          ...{ lastHandshakeMs: 1_800_000_000_000, rxBytes: 5, txBytes: 6 },
          ...{ persistentKeepalive: 0, allowedIps: ['10.99.0.1/32'] },
          ...{ facts: {}, counters: {}, troubles: [] },
        },
      ],
    });
  });

  it.each([
    ['', 'the file: expected JSON'],
    ['[]', 'one interface'],
    [JSON.stringify({ ...OTHER, wireguard: undefined }), 'wireguard: expected'],
    [JSON.stringify({ ...OTHER, addresses: [{ address: 'x' }] }), 'addresses[0].address'],
    [JSON.stringify(OTHER).replace('10.99.0.1/32', '10.99.0.1/64'), 'allowedIps[0]'],
    [JSON.stringify(OTHER).replace('"transferRx":5', '"transferRx":1e999'), 'transferRx'],
  ])('is refused: %s', (text, why) => expect(() => parseOtherEnd(text)).toThrow(why));
});
