/**
 * Requests of the control socket: bytes through the reader of the framing, as one chunk and in
 * pieces; the lines of a `set` through parseSet, and what that accepts through the Device, whose
 * answer to `get` must read back as its state.
 */

import { Arena } from '../../../src/arena.ts';
import { createOpensslSuite } from '../../../src/crypto/openssl/openssl.ts';
import { createPortableSuite } from '../../../src/crypto/portable.ts';
import type { DeviceChange } from '../../../src/device/configuration.ts';
import { Device } from '../../../src/device/device.ts';
import { formatState, parseState } from '../../../src/uapi/get.ts';
import { READING, type Request, RequestReader } from '../../../src/uapi/request.ts';
import { answer, refuseSet } from '../../../src/uapi/response.ts';
import { parseSet, writeSet } from '../../../src/uapi/set.ts';
import { seeded } from '../../noise/parties.ts';
import type { Dice } from '../../packet/trains.ts';
import { mutateText } from '../mutator.ts';
import { holds, holdsEqual, type RunningTarget, type Target } from '../target.ts';

/** Beyond this the Device is emptied, so that inputs stay alike. */
const PEERS_MAX = 16;
/** Of one input: thousands take their time, and rightly. */
const ANSWERED_MAX = 64;
const CHUNKS = [1, 3, 7, 64, 500, 4_096];
/** Requests in pieces of a byte take long; most others are short. */
const CHUNKED_LENGTH_MAX = 4_096;

const KEYS = ['00', '11', 'c4', 'ff'].map((octet) => octet.repeat(32));
const CORPUS = [
  'get=1\n\n',
  'stats=1\n\n',
  `set=1\nprivate_key=${KEYS[2]}\nlisten_port=51820\nfwmark=0xca6c\nreplace_peers=true\n\n`,
  `set=1\npublic_key=${KEYS[1]}\nendpoint=203.0.113.10:51820\npersistent_keepalive_interval=25\n` +
    'replace_allowed_ips=true\nallowed_ip=10.99.0.2/32\nallowed_ip=10.20.0.0/24\nallowed_ip=fd00::/64\n\n',
  `set=1\ndebug=true\npublic_key=${KEYS[2]}\nupdate_only=true\npreshared_key=${KEYS[1]}\n` +
    'endpoint=[2001:db8::1]:1\nprotocol_version=1\ndescription=Site B, 2nd floor = café\n\n',
  `set=1\npublic_key=${KEYS[1]}\nremove=true\npublic_key=${KEYS[2]}\nallowed_ip=-10.20.0.0/24\n` +
    `endpoint=[fe80::1%eth0]:65535\npublic_key=${KEYS[3]}\nendpoint=\nallowed_ip=0.0.0.0/0\n\n`,
  `set=1\npublic_key=${KEYS[1]}\nallowed_ip=::/0\n\nget=1\n\nset=1\nlisten_port=0\ndebug=false\n\nget=1\n\n`,
  `set=1\npublic_key=${KEYS[3]}\nendpoint=[::ffff:192.0.2.1]:9\nallowed_ip=192.0.2.1\n\n`,
  `set=1\npublic_key=${KEYS[3]}\nallowed_ip=::ffff:192.0.2.0/120\nallowed_ip=-fd00::/64\n\n`,
];

const encoder = new TextEncoder();
const interfaceIndex = (name: string) => (name === 'eth0' ? 3 : 0);

class Requests implements RunningTarget {
  readonly #device: Device;
  readonly #arena = new Arena(1 << 16);

  constructor(seed: number) {
    this.#device = new Device({
      arena: this.#arena,
      suite: createOpensslSuite(this.#arena) ?? createPortableSuite(this.#arena),
      random: seeded(seed + 1),
      wallClock: () => 0,
      outlet: { transmit: () => {}, deliver: () => {} },
    });
    this.#device.up(0);
  }

  generate(dice: Dice): string {
    return mutateText(dice.pick(CORPUS), CORPUS, dice);
  }

  run(text: string): string {
    const bytes = encoder.encode(text);
    const requests = new RequestReader().push(bytes);
    const size = CHUNKS[bytes.length % CHUNKS.length];
    if (size >= 64 || bytes.length <= CHUNKED_LENGTH_MAX) {
      holdsEqual(inChunks(bytes, size), requests, `the same in pieces of ${size} bytes`);
    }
    requests.forEach(({ operation }, i) => {
      holds(
        operation !== 'invalid' || i === requests.length - 1,
        'a request behind an invalid one',
      );
    });
    const observed = new RequestReader(READING).push(bytes);
    observed.forEach((request, i) => {
      const isReading = request.operation === 'get' || request.operation === 'stats';
      holds(isReading || i === observed.length - 1, 'a request after one that is refused');
      if (isReading) holdsEqual(request, requests[i], 'an observer is read as root is');
      else holds([...request.lines].length === 0, 'what may not be asked is read');
    });
    const outcomes = requests.slice(0, ANSWERED_MAX).map((request) => this.#answer(request));
    return outcomes.length === 0 ? 'no request' : outcomes[outcomes.length - 1];
  }

  #answer(request: Request): string {
    if (request.operation === 'set') return this.#set(request.lines);
    const { operation, lines } = request;
    holds(lines.length === 0, 'lines of a request that has none');
    if (operation === 'get') this.#get();
    return operation;
  }

  #set(lines: Iterable<string>): string {
    const { ok, error } = parseSet(lines, interfaceIndex);
    if (error !== undefined) {
      holds(error.expected !== '' && refuseSet(error.errno).startsWith('errno=-'), 'no reason');
      const isSecret = /^(private|preshared)_key=/.test(error.line);
      holds(!isSecret || error.line.endsWith('=(hidden)'), 'a secret in an error');
      return `expected ${error.expected.replace(/^\S+ (before|after)/, 'KEY $1')}`;
    }
    this.#writesBack(ok);
    // A replaced key, its computation aside, is a change like any.
    if (this.#device.core.peers.size > PEERS_MAX) {
      this.#device.configure(0, { replacePeers: true, peers: [] });
    }
    this.#device.configure(0, ok);
    this.#arena.reset();
    return ok.peers.length > 0 ? 'set peers' : 'set';
  }

  #writesBack(change: DeviceChange): void {
    const [request, ...more] = new RequestReader().push(writeSet(change));
    holds(more.length === 0 && request.operation === 'set', 'a change that is written as another');
    holdsEqual(parseSet(request.lines).ok, change, 'a change written and read');
  }

  #get(): void {
    const state = this.#device.state();
    const { errno, version, knowsWays, handshakesAreAges, ...read } = parseState(
      answer(formatState(state, '0.1.0')),
    );
    holds(errno === 0 && version === '0.1.0' && knowsWays === true, 'an answer of ours');
    holds(!handshakesAreAges, 'times of handshakes');
    holdsEqual(read, state, 'the state, read back');
  }
}

function inChunks(bytes: Uint8Array, size: number): Request[] {
  const reader = new RequestReader();
  const requests: Request[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    requests.push(...reader.push(bytes.subarray(at, at + size)));
  }
  return requests;
}

export const requests: Target = {
  name: 'requests',
  sources: [
    ...['uapi/request', 'uapi/set', 'uapi/key', 'uapi/endpoint', 'packet/address'],
    ...['device/configure', 'device/allowedips'],
  ],
  // The Device keeps what it was told, and forgets it at the end of an epoch.
  epoch: 4_096,
  create: (seed) => new Requests(seed),
};
