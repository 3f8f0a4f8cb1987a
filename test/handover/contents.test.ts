import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEADLINE_NAMES } from '../../src/device/deadlines.ts';
import { DROP_REASON_NAMES } from '../../src/device/drops.ts';
import {
  type PeerHandover,
  SESSION_SEEN_BYTES,
  type SessionHandover,
} from '../../src/device/handover.ts';
import type { OwnSide, PeerRows, Rows } from '../../src/device/peerrows.ts';
import type { QuietPeers } from '../../src/device/quietpeers.ts';
import { type ConditionHandover, SESSION_KEY_BYTES } from '../../src/device/succession.ts';
import { NO_EVENTS } from '../../src/events/ring.ts';
import { type Contents, decodeContents, encodeContents } from '../../src/handover/contents.ts';
import { key, way } from '../uapi/arbitraries.ts';

const count = fc.nat(Number.MAX_SAFE_INTEGER);
const ms = fc.double({ min: 0, max: 1e12, noNaN: true }).map(plusZero);
const index = fc.integer({ min: 1, max: 0xffff_ffff });
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

const session: fc.Arbitrary<SessionHandover> = fc.record({
  place: fc.constantFrom('previous', 'current', 'next'),
  localIndex: index,
  remoteIndex: index,
  isInitiator: fc.boolean(),
  ageMs: ms,
  sendCounter: count,
  greatest: fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER }),
  keys: bytes(SESSION_KEY_BYTES),
  // Few places differ, or a failing case takes long to be told.
  seen: fc
    .array(fc.nat(SESSION_SEEN_BYTES - 1), { maxLength: 4 })
    .map((places) => places.reduce((all, at) => all.with(at, 0xa5), new Uint8Array(1024))),
});

const condition: fc.Arbitrary<ConditionHandover> = fc.record({
  state: fc.constantFrom('connected', 'idle', 'lost'),
  sinceMs: count,
  told: fc.constantFrom('connected', 'disconnected', null),
  isCalling: fc.boolean(),
  lostInMs: fc.oneof(ms, fc.constant(Number.POSITIVE_INFINITY)),
  cause: fc.constantFrom('dataUnanswered', 'initiationUnanswered', 'keepaliveMissing'),
  heard: count,
  keepaliveMs: ms,
});

const peer: fc.Arbitrary<PeerHandover> = fc.record({
  publicKey: key,
  ways: fc.array(way, { maxLength: 16 }),
  wayInUse: fc.integer({ min: -1, max: 15 }),
  isProvisional: fc.boolean(),
  presharedKey: fc.option(key, { nil: null }),
  sessions: fc.array(session, { maxLength: 3 }),
  staged: fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 3 }),
  source: fc.option(fc.oneof(bytes(4), bytes(16)), { nil: null }),
  sourceInterface: fc.nat(1000),
  deadlines: fc.dictionary(
    fc.constantFrom(...DEADLINE_NAMES),
    fc.double({ min: -1e9, max: 1e9, noNaN: true }).map(plusZero),
  ),
  isCalling: fc.boolean(),
  attempts: fc.nat(20),
  initiationAgeMs: fc.oneof(ms, fc.constant(Number.POSITIVE_INFINITY)),
  handshakeRoundTripMs: fc.oneof(ms, fc.constant(Number.POSITIVE_INFINITY)),
  needsAnotherKeepalive: fc.boolean(),
  sentLastMinuteHandshake: fc.boolean(),
  txBytes: count,
  rxBytes: count,
  drops: fc.dictionary(fc.constantFrom(...DROP_REASON_NAMES), count),
  counts: fc.dictionary(fc.constantFrom('rekeys', 'roams'), count),
  condition: fc.option(condition, { nil: null }),
});

const quiet: fc.Arbitrary<QuietPeers> = fc
  .record({ from: fc.nat(1000), sinceMs: count, keys: fc.array(key, { maxLength: 3 }) })
  .chain(({ from, sinceMs, keys }) =>
    fc.constantFrom<QuietPeers>(
      { from, count: keys.length, sinceMs, presharedKeys: null },
      {
        from,
        count: keys.length,
        sinceMs,
        presharedKeys: Uint8Array.from(keys.flatMap((one) => [...one])),
      },
    ),
  );

/** Infinity and what is no number at all among them. */
const table: fc.Arbitrary<Rows> = fc
  .array(fc.string(), { minLength: 1, maxLength: 4 })
  .chain((columns) =>
    fc
      .array(fc.double(), { maxLength: 3 * columns.length })
      .map((values) => ({ columns, values: Float64Array.from(values) })),
  );

const ownSide: fc.Arbitrary<OwnSide> = fc.record({
  source: fc.option(fc.oneof(bytes(4), bytes(16)), { nil: null }),
  sourceInterface: fc.nat(1000),
});

const rows: fc.Arbitrary<PeerRows> = fc.record({
  peers: table,
  sessions: table,
  ownSides: fc.array(ownSide, { maxLength: 3 }),
  timestamps: fc.uint8Array({ maxLength: 48 }),
  presharedKeys: fc.uint8Array({ maxLength: 64 }),
  sessionKeys: fc.uint8Array({ maxLength: 64 }),
  seen: fc.uint8Array({ maxLength: 64 }),
});

const contents: fc.Arbitrary<Contents> = fc.record({
  state: fc.string({ unit: 'grapheme' }),
  followsAhead: fc.boolean(),
  device: fc.record({
    at: ms,
    privateKey: fc.option(key, { nil: null }),
    isUp: fc.boolean(),
    mtu: fc.nat(65_535),
    drops: fc.dictionary(fc.constantFrom(...DROP_REASON_NAMES), count),
    counts: fc.dictionary(fc.constantFrom('cookiesSent', 'unreachablesSent'), count),
    names: fc.array(
      fc.record({
        host: fc.string(),
        addresses: fc.array(fc.oneof(bytes(4), bytes(16)), { maxLength: 3 }),
        ageMs: ms,
      }),
      { maxLength: 3 },
    ),
    peers: fc.array(peer, { maxLength: 3 }),
    rows: fc.option(rows, { nil: null }),
    quiet: fc.array(quiet, { maxLength: 3 }),
  }),
  uptimeMs: ms,
  socketName: fc.string(),
  udpFamilies: fc.subarray([4, 6]),
  udpPort: fc.nat(65_535),
  observes: fc.boolean(),
  events: fc.record({
    stream: fc.stringMatching(/^[\w-]{0,40}$/),
    seq: count,
    suppressed: count,
    records: fc.array(fc.record({ seq: count, kind: fc.string() }), { maxLength: 3 }),
  }),
  version: fc.stringMatching(/^[\w.]{0,40}$/),
});

/** JSON has no -0. */
function plusZero(number: number): number {
  return number + 0;
}

/** Dictionaries of fast-check's have no prototype, which is no difference here. */
function plain<T>(value: T): T {
  return structuredClone(value);
}

/** The JSON and the secrets of encoded contents. */
function split(encoded: Uint8Array): { json: string; secrets: Uint8Array } {
  const end = 4 + new DataView(encoded.buffer).getUint32(0, true);
  return { json: new TextDecoder().decode(encoded.subarray(4, end)), secrets: encoded.slice(end) };
}

function join(json: unknown, secrets: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(json));
  const encoded = new Uint8Array(4 + text.length + secrets.length);
  new DataView(encoded.buffer).setUint32(0, text.length, true);
  encoded.set(text, 4);
  encoded.set(secrets, 4 + text.length);
  return encoded;
}

// biome-ignore lint/suspicious/noExplicitAny: JSON of another version has any form.
type Json = any;

/** Contents of one peer with two sessions, the second of which has keys of 2s. */
function example(): Contents {
  const one: SessionHandover = {
    ...{ place: 'current', localIndex: 7, remoteIndex: 8, isInitiator: true, ageMs: 1_000.5 },
    ...{ sendCounter: 12, greatest: 9 },
    keys: new Uint8Array(SESSION_KEY_BYTES).fill(1),
    seen: new Uint8Array(SESSION_SEEN_BYTES).fill(0x11),
  };
  const two: SessionHandover = {
    ...{ ...one, place: 'previous', localIndex: 9 },
    keys: new Uint8Array(SESSION_KEY_BYTES).fill(2),
    seen: new Uint8Array(SESSION_SEEN_BYTES).fill(0x22),
  };
  return {
    state: 'set=1\n\n',
    followsAhead: true,
    device: {
      privateKey: new Uint8Array(32).fill(0x77),
      ...{ at: 5_000, isUp: true, mtu: 1_400, drops: { expiredKey: 3 }, counts: {} },
      names: [{ host: 'gw.example', addresses: [Uint8Array.of(192, 0, 2, 9)], ageMs: 5 }],
      peers: [
        {
          publicKey: new Uint8Array(32).fill(0xee),
          ...{
            ways: [{ host: 'gw.example', port: 1, near: null }],
            wayInUse: 0,
            isProvisional: false,
          },
          presharedKey: new Uint8Array(32).fill(0x88),
          sessions: [one, two],
          ...{ staged: [Uint8Array.of(1, 2)], source: Uint8Array.of(192, 0, 2, 1) },
          ...{ sourceInterface: 2, deadlines: { newHandshake: 15 } },
          ...{ isCalling: false, attempts: 1, initiationAgeMs: 900, needsAnotherKeepalive: true },
          handshakeRoundTripMs: 12.5,
          ...{ sentLastMinuteHandshake: true, txBytes: 10, rxBytes: 20, drops: {}, counts: {} },
          condition: null,
        },
      ],
      rows: null,
      quiet: [
        { from: 1, count: 2, sinceMs: 5, presharedKeys: new Uint8Array(64).fill(0x99) },
        { from: 4, count: 9, sinceMs: 6, presharedKeys: null },
      ],
    },
    ...{
      events: NO_EVENTS,
      version: '0.2.0',
      uptimeMs: 77,
      socketName: 'wg0',
      udpFamilies: [4, 6],
      udpPort: 51_820,
      observes: true,
    },
  };
}

/** The example as read back after `change` on its JSON. */
function rewritten(change: (json: Json) => void): Contents | null {
  const { json, secrets } = split(encodeContents(example()));
  const value = JSON.parse(json);
  change(value);
  return decodeContents(join(value, secrets));
}

describe('contents', () => {
  it('reads back as it was written', () => {
    fc.assert(
      fc.property(contents, (some) => {
        expect(decodeContents(encodeContents(some))).toStrictEqual(plain(some));
      }),
    );
  });

  it.each([-1, 0, Number.MAX_SAFE_INTEGER])('reads back a greatest counter of %d', (greatest) => {
    const { device, ...rest } = example();
    const [one] = device.peers;
    const sessions = one!.sessions.map((session) => ({ ...session, greatest }));
    const all = { ...rest, device: { ...device, peers: [{ ...one!, sessions }] } };
    expect(decodeContents(encodeContents(all))).toEqual(all);
  });

  it.each([-2, 0.5, Number.MAX_SAFE_INTEGER + 1])('takes no session of %d', (greatest) => {
    const read = rewritten((json) => {
      json.device.peers[0].sessions[0].greatest = greatest;
    });
    expect(read!.device.peers[0].sessions).toHaveLength(1);
  });

  it('leaves out deadlines that are not armed', () => {
    const { device, ...rest } = example();
    const [one] = device.peers;
    const deadlines = { newHandshake: 15, sendKeepalive: Number.POSITIVE_INFINITY };
    const encoded = encodeContents({
      ...rest,
      device: { ...device, peers: [{ ...one!, deadlines }] },
    });
    expect(decodeContents(encoded)!.device.peers[0].deadlines).toEqual({ newHandshake: 15 });
  });

  it('has no key in its text', () => {
    fc.assert(
      fc.property(contents, key, (some, secret) => {
        // Keys that occur nowhere else by chance.
        fc.pre(secret.some((byte) => byte !== 0));
        const all = some.device.peers.flatMap(({ sessions }) => sessions);
        for (const { keys } of all) for (const at of [0, 32]) keys.set(secret, at);
        const others = [some.device, ...some.device.peers].map((one) =>
          'privateKey' in one ? one.privateKey : one.presharedKey,
        );
        for (const one of others) one?.set(secret);
        const ofQuiet = some.device.quiet.map(({ presharedKeys }) => presharedKeys?.length ?? 0);
        for (const { presharedKeys } of some.device.quiet)
          if (presharedKeys?.length) presharedKeys.set(secret);
        const { rows } = some.device;
        const keysOfRows = rows === null ? [] : [rows.presharedKeys, rows.sessionKeys];
        for (const keys of keysOfRows) if (keys.length >= secret.length) keys.set(secret);
        const ofRows = rows === null ? [] : [...keysOfRows, rows.seen, rows.timestamps];
        const numbers = rows === null ? [] : [rows.peers.values, rows.sessions.values];
        const { json, secrets } = split(encodeContents(some));
        const text = JSON.parse(json);
        const words = JSON.stringify(text.device);
        for (const encoding of ['hex', 'base64', 'latin1'] as const) {
          expect(json).not.toContain(Buffer.from(secret).toString(encoding));
        }
        expect(words).not.toMatch(/"(keys|seen|sessionKeys)"|"presharedKeys":[^tf]/);
        expect(words).not.toContain(JSON.stringify([...secret]).slice(1, -1));
        expect(secrets).toHaveLength(
          others.filter((one) => one !== null).length * 32 +
            ofQuiet.reduce((sum, length) => sum + length, 0) +
            all.length * (SESSION_KEY_BYTES + SESSION_SEEN_BYTES) +
            [...ofRows, ...numbers].reduce((sum, { byteLength }) => sum + byteLength, 0),
        );
      }),
    );
  });

  it('has keys of its own, which outlive the bytes that they came from', () => {
    const encoded = encodeContents(example());
    const decoded = decodeContents(encoded)!;
    encoded.fill(0);
    expect(decoded).toEqual(example());
  });
});

describe('bytes that are no contents', () => {
  const whole = encodeContents(example());

  /** Whole JSON, and nothing behind it. */
  function lengthened(): Uint8Array {
    const encoded = join({ format: 2, device: {} }, new Uint8Array());
    expect(decodeContents(encoded)).not.toBeNull();
    encoded[0]++;
    return encoded;
  }

  it.each([
    ['nothing', new Uint8Array()],
    ['less than a length', whole.slice(0, 3)],
    ['less than the length says', whole.slice(0, 40)],
    ['one byte less than the length says', lengthened()],
    ['no JSON', join('', new Uint8Array()).fill(0x7b, 4)],
    ['JSON of no object', join(1, new Uint8Array())],
    ['an object of another kind', join({ state: 'set=1\n\n' }, new Uint8Array())],
  ])('%s', (_, encoded) => {
    expect(decodeContents(encoded)).toBeNull();
  });

  it('one of a later format', () => {
    expect(rewritten((json) => json.format++)).toBeNull();
  });

  it('cut anywhere', () => {
    for (let length = 0; length < whole.length; length++) {
      expect(decodeContents(whole.slice(0, length)), `${length} bytes`).toBeNull();
    }
  });

  it('one of an earlier format', () => {
    expect(rewritten((json) => json.format--)).toBeNull();
  });

  it('with any byte changed, are null or contents whose sessions are whole', () => {
    fc.assert(
      fc.property(contents, fc.nat(), fc.integer({ min: 1, max: 255 }), (some, place, flip) => {
        const encoded = encodeContents(some);
        const { json } = split(encoded);
        // Where a change matters more often than in the replay windows.
        encoded[place % (4 + new TextEncoder().encode(json).length)] ^= flip;
        const decoded = decodeContents(encoded);
        for (const { publicKey, sessions } of decoded?.device.peers ?? []) {
          expect(publicKey).toHaveLength(32);
          for (const { keys, seen } of sessions) {
            expect([keys.length, seen.length]).toEqual([SESSION_KEY_BYTES, SESSION_SEEN_BYTES]);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('with any value of another kind, are null or contents', () => {
    const anything = fc.constantFrom(null, 0, -1, 'x', true, [], {}, [null], [1], { at: 'x' });
    fc.assert(
      fc.property(contents, fc.nat(), anything, (some, which, value) => {
        const { json, secrets } = split(encodeContents(some));
        const places: [Json, string][] = [];
        JSON.parse(json, function (this: Json, name, child) {
          if (name !== '') places.push([this, name]);
          return child;
        });
        const changed = JSON.parse(json);
        // The same walk again, over the one that is to change.
        let at = which % places.length;
        const walk = (node: Json): void => {
          for (const name of Object.keys(node)) {
            if (typeof node[name] === 'object' && node[name] !== null) walk(node[name]);
            if (at-- === 0) node[name] = value;
          }
        };
        walk(changed);
        const decoded = decodeContents(join(changed, secrets));
        for (const { sessions, deadlines, drops, counts } of decoded?.device.peers ?? []) {
          const {
            keys: _,
            seen: __,
            place: ___,
            isInitiator: ____,
            ...numbers
          } = sessions[0] ?? {};
          for (const some of [numbers, deadlines, drops, counts]) {
            for (const one of Object.values(some)) expect(one).toBeTypeOf('number');
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('contents of another version', () => {
  it('may have fields that are not known here', () => {
    const decoded = rewritten((json) => {
      json.later = { x: [1] };
      json.device.later = 'x';
      json.device.peers[0].later = [];
      json.device.peers[0].sessions[0].later = 1;
      json.device.peers[0].deadlines.later = 5;
    });
    expect(decoded).toEqual(example());
  });

  it('may count what is not known here, which is passed on', () => {
    const decoded = rewritten((json) => {
      json.device.drops.later = 4;
    });
    expect(decoded!.device.drops).toEqual({ expiredKey: 3, later: 4 });
  });

  it('may lack all that a peer or the Device can do without', () => {
    const decoded = rewritten((json) => {
      const { publicKey } = json.device.peers[0];
      json.device = { peers: [{ publicKey }] };
      const others = ['udpFamilies', 'udpPort', 'observes', 'events', 'version', 'followsAhead'];
      for (const name of ['state', 'uptimeMs', 'socketName', ...others]) delete json[name];
    });
    expect(decoded).toEqual({
      state: '',
      followsAhead: false,
      device: {
        ...{ rows: null, quiet: [] },
        ...{ at: 0, privateKey: null, isUp: false, mtu: 1420, drops: {}, counts: {} },
        names: [],
        peers: [
          {
            ...{ ways: [], wayInUse: -1, isProvisional: false },
            publicKey: example().device.peers[0].publicKey,
            presharedKey: null,
            ...{ sessions: [], staged: [], source: null, sourceInterface: 0 },
            ...{ deadlines: {}, isCalling: false, attempts: 0, condition: null },
            ...{ initiationAgeMs: Number.POSITIVE_INFINITY, needsAnotherKeepalive: false },
            handshakeRoundTripMs: Number.POSITIVE_INFINITY,
            ...{ sentLastMinuteHandshake: false, txBytes: 0, rxBytes: 0, drops: {}, counts: {} },
          },
        ],
      },
      ...{
        events: NO_EVENTS,
        version: '',
        uptimeMs: 0,
        socketName: '',
        udpFamilies: [],
        udpPort: 0,
        observes: false,
      },
    });
  });

  it.each(['place', 'localIndex', 'remoteIndex', 'ageMs', 'sendCounter', 'greatest'])(
    'has no session where %s is missing, and the next one keeps its own keys',
    (name) => {
      const decoded = rewritten((json) => {
        delete json.device.peers[0].sessions[0][name];
      });
      expect(decoded!.device.peers[0].sessions).toEqual([example().device.peers[0].sessions[1]]);
    },
  );

  it('has no peer where its key is wrong, and the next one keeps its sessions', () => {
    const decoded = rewritten((json) => {
      const [first] = json.device.peers;
      const [one, two] = first.sessions;
      json.device.peers = [
        { ...first, publicKey: 'x', sessions: [one] },
        { ...first, presharedKey: false, sessions: [two] },
      ];
    });
    expect(decoded!.device.peers).toHaveLength(1);
    expect(decoded!.device.peers[0].sessions).toEqual([example().device.peers[0].sessions[1]]);
  });

  it('has no staged packet and no source that is no hexadecimal', () => {
    const decoded = rewritten((json) => {
      json.device.peers[0].staged = ['0102', 'x', 'abc', 5, null, 'gg', ''];
      json.device.peers[0].source = '0a0000';
    });
    const [one] = decoded!.device.peers;
    expect(one!.staged).toEqual([Uint8Array.of(1, 2), new Uint8Array()]);
    expect(one!.source).toBeNull();
  });
});

describe('contents by somebody else', () => {
  it.each([
    ['localIndex', -1],
    ['localIndex', 2 ** 32],
    ['remoteIndex', 0.5],
    ['sendCounter', -1],
    ['sendCounter', 1.5],
    ['sendCounter', 2 ** 60],
    ['greatest', -2],
    ['ageMs', -1],
  ])('has no session whose %s is %d', (name, value) => {
    const decoded = rewritten((json) => {
      json.device.peers[0].sessions[0][name] = value;
    });
    expect(decoded!.device.peers[0].sessions).toEqual([example().device.peers[0].sessions[1]]);
  });

  it('has harmless values for numbers that cannot be', () => {
    const decoded = rewritten((json) => {
      json.uptimeMs = -5;
      json.udpPort = 65_536;
      json.device.mtu = -1;
      json.device.peers[0].txBytes = 0.5;
      json.device.quiet = [{ from: -1, count: 1e12, sinceMs: 0.5 }];
      json.device.peers[0].sourceInterface = 2 ** 40;
    });
    expect(decoded).toMatchObject({ uptimeMs: 0, udpPort: 0, device: { mtu: 1420 } });
    expect(decoded!.device.peers[0]).toMatchObject({ txBytes: 0, sourceInterface: 0 });
    expect(decoded!.device.quiet).toEqual([{ from: 0, count: 0, sinceMs: 0, presharedKeys: null }]);
  });

  it('has no number that is infinite', () => {
    const { json, secrets } = split(encodeContents(example()));
    const text = json.replace(/"uptimeMs":\d+/, '"uptimeMs":1e999');
    expect(text).not.toBe(json);
    const bytes = new TextEncoder().encode(text);
    const whole = new Uint8Array(4 + bytes.length + secrets.length);
    new DataView(whole.buffer).setUint32(0, bytes.length, true);
    whole.set(bytes, 4);
    whole.set(secrets, 4 + bytes.length);
    expect(decodeContents(whole)!.uptimeMs).toBe(0);
  });
});
