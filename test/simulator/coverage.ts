/** What a run has visited and how often: drop reasons, events, expiries, states, troubles. */

import { DEADLINE, DEADLINE_NAMES } from '../../src/device/deadlines.ts';
import type { Device } from '../../src/device/device.ts';
import { DROP_REASON_NAMES, type DropReason } from '../../src/device/drops.ts';
import type { DeviceEvent } from '../../src/device/events.ts';
import type { Peer } from '../../src/device/peer.ts';
import { REKEY_AFTER_TIME_MS } from '../../src/noise/constants.ts';
import type { Keypair } from '../../src/noise/keypair.ts';
import {
  DATA,
  DATA_COUNTER,
  DATA_HEADER_BYTES,
  DATA_RECEIVER,
  readUint32,
} from '../../src/noise/messages.ts';
import type { Arrival, Departure } from './burst.ts';
import { TROUBLE_KINDS } from './scenario.ts';
import { hold } from './violation.ts';

/**
 * What is counted outside the Device, and what depends on a machine that sites do not have: not to
 * be seen here.
 */
const UNREACHABLE_REASONS: Partial<Record<DropReason, string>> = {
  receiveOverflow: 'counted by the daemon when the kernel says so',
  turnedAway: 'counted by the daemon, whose gate the kernel keeps',
  routingLoop: 'needs routes of a machine; see test/device/paths.test.ts',
  ownSource: 'needs addresses of a machine; see test/device/ownaddresses.test.ts',
  sendFailed: 'counted by the daemon when sendmsg fails; the simulator has no sockets',
  tunWriteFailed: 'counted by the daemon when a write to the interface fails',
};

const EVENT_KINDS: readonly DeviceEvent['kind'][] = [
  'initiationSent',
  'initiationReceived',
  'responseSent',
  'responseReceived',
  'sessionConfirmed',
  'handshakeGivenUp',
  'connected',
  'disconnected',
  'cookieSent',
  'cookieReceived',
  'roamed',
  'wayChanged',
  'nameResolved',
  'nameFailed',
  'keysErased',
  'stranger',
  'clockSetBack',
  'initiationsStale',
];

/**
 * Of previous, current and next: none, or our role in it. There is no previous without a current
 * session, none beside a next one, and a next one is ours to answer.
 */
const SESSION_STATES: readonly string[] = [
  ...['---', '-i-', '-r-', 'ii-', 'ir-', 'ri-', 'rr-'],
  ...['--r', '-ir', '-rr'],
];

/** The places that there are to visit in each group. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  drop: DROP_REASON_NAMES.filter((reason) => !(reason in UNREACHABLE_REASONS)),
  event: EVENT_KINDS,
  expiry: DEADLINE_NAMES,
  trouble: TROUBLE_KINDS,
  load: ['cookie required', 'admitted with a cookie', 'too fast with a cookie'],
  handshake: ['none', 'createdInitiation'],
  session: SESSION_STATES,
  upgrade: [
    ...['in calm', 'handshake under way', 'packets waiting', 'unconfirmed session', 'near rekey'],
    ...['keepalive due', 'handshakes queued', 'interface down', 'without a session'],
  ],
  run: [
    ...[
      'sent',
      'sent with a shorter last one',
      'received whole',
      'received with a shorter last one',
    ],
    ...['broken by a bad packet', 'broken by a replay', "broken by another receiver's", 'expired'],
    ...['broken by a loss', 'of several sources'],
  ],
  recovery: ['at once', 'after an attempt', 'after noticing silence', 'later'],
};

export class Coverage {
  readonly #counts = new Map<string, number>();

  visit(group: string, place: string, times = 1): void {
    const name = `${group} ${place}`;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + times);
  }

  /** The sessions of a peer, as three letters: `-ir` is current as initiator, next as responder. */
  visitSessions(peer: Peer): void {
    const state = role(peer.previous) + role(peer.current) + role(peer.next);
    hold('sessionsInPlace', SESSION_STATES.includes(state), () => {
      return `a peer has the sessions ${state} (previous, current, next)`;
    });
    this.visit('session', state);
    this.visit('handshake', peer.handshake.state);
  }

  /** In which states a Device is when it is replaced. */
  visitUpgrade({ core }: Device, now: number): void {
    const peers = [...core.peers.values()];
    const age = ({ current }: Peer) => (current === null ? 0 : now - current.createdAt);
    const isArmed = ({ row }: Peer) => core.deadlines.isArmed(row, DEADLINE.sendKeepalive);
    const states = {
      'handshake under way': peers.some(({ handshake }) => handshake.state !== 'none'),
      'packets waiting': peers.some(({ staged }) => staged.length > 0),
      'unconfirmed session': peers.some(({ next }) => next !== null),
      'near rekey': peers.some((peer) => Math.abs(age(peer) - REKEY_AFTER_TIME_MS) < 5_000),
      'keepalive due': peers.some(isArmed),
      'handshakes queued': core.handshakeQueue.length > 0,
      'interface down': !core.isUp,
      'without a session': peers.every(({ current }) => current === null),
    };
    const names = Object.entries(states).flatMap(([name, isSo]) => (isSo ? [name] : []));
    for (const name of names.length === 0 ? ['in calm'] : names) this.visit('upgrade', name);
  }

  /** What left in one turn, right after it. */
  visitDeparture({ packets, length, lastLength }: Departure): void {
    if (packets.length < 2 || packets.some(({ fate }) => fate !== 'sealed')) return;
    this.visit('run', lastLength < length ? 'sent with a shorter last one' : 'sent');
  }

  /** What came in one turn: which of the datagrams a session opened, and why others were refused. */
  visitArrival(
    { flights, length, lastLength }: Arrival,
    opened: ReadonlySet<number>,
    refusals: ReadonlySet<DropReason>,
  ): void {
    const isNext = (at: number) => {
      const [bytes, before] = [flights[at].bytes, flights[at - 1].bytes];
      return (
        indexOf(bytes) === indexOf(before) &&
        readUint32(bytes, DATA_COUNTER) === readUint32(before, DATA_COUNTER) + 1
      );
    };
    const places = flights.slice(1).map((_, i) => i + 1);
    if (flights.some(({ bytes }) => bytes[0] !== DATA || bytes.length < DATA_HEADER_BYTES)) return;
    const joints = places.filter(isNext);
    if (refusals.has('expiredKey') && joints.length > 0) this.visit('run', 'expired');
    if (!joints.some((at) => opened.has(at) && opened.has(at - 1))) return;
    if (refusals.has('disallowedSource')) this.visit('run', 'of several sources');
    if (refusals.has('badPacket')) this.visit('run', 'broken by a bad packet');
    if (refusals.has('replayedPacket')) this.visit('run', 'broken by a replay');
    const index = indexOf(flights[joints[0]].bytes);
    if (flights.some(({ bytes }) => indexOf(bytes) !== index))
      this.visit('run', "broken by another receiver's");
    if (opened.size < flights.length) return;
    const isWhole = joints.length === places.length;
    const how = lastLength < length ? 'received with a shorter last one' : 'received whole';
    this.visit('run', isWhole ? how : 'broken by a loss');
  }

  add(other: Coverage): void {
    for (const [name, count] of other.#counts)
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  count(group: string, place: string): number {
    return this.#counts.get(`${group} ${place}`) ?? 0;
  }

  /** Places of a group that were never visited. */
  missing(group: string): string[] {
    return PLACES[group].filter((place) => this.count(group, place) === 0);
  }

  /** The whole table, a group a paragraph, and what was never visited. */
  format(): string {
    const lines: string[] = [];
    for (const [group, places] of Object.entries(PLACES)) {
      const visited = places.length - this.missing(group).length;
      lines.push(`${group}: ${visited} of ${places.length}`);
      const cells = places
        .filter((place) => this.count(group, place) > 0)
        .map((place) => `${place} ${this.count(group, place).toLocaleString('en-US')}`);
      lines.push(...wrap(cells, 96).map((line) => `  ${line}`));
      const missing = this.missing(group);
      if (missing.length > 0) lines.push(`  never: ${missing.join(', ')}`);
    }
    for (const [reason, why] of Object.entries(UNREACHABLE_REASONS))
      lines.push(`not the core's: ${reason} (${why})`);
    return lines.join('\n');
  }
}

function indexOf(bytes: Uint8Array): number {
  return readUint32(bytes, DATA_RECEIVER);
}

function role(keypair: Keypair | null): string {
  return keypair === null ? '-' : keypair.isInitiator ? 'i' : 'r';
}

function wrap(cells: readonly string[], width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const cell of cells) {
    if (line !== '' && line.length + cell.length + 2 > width) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? cell : `, ${cell}`;
  }
  return line === '' ? lines : [...lines, line];
}
