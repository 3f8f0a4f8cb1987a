/**
 * The daemon's log: what a Device's events read like, and which lines a level lets through. Where
 * lines go, and what time it is, is told from outside.
 */

import type { LossCause } from './device/condition.ts';
import { DROP_REASONS } from './device/drops.ts';
import { type Endpoint, formatEndpoint } from './device/endpoint.ts';
import type { DeviceEvent } from './device/events.ts';
import type { PeerName } from './device/peername.ts';

/** LOG_LEVEL as wireguard-go has it; `verbose` means the same as `debug`. */
export type LogLevel = 'silent' | 'error' | 'debug';

/** How grave a line is, for logs that know the difference. */
export type LogPriority = 'error' | 'debug';

/** What an operator has to hear of, debugging or not. */
const TROUBLES: readonly DeviceEvent['kind'][] = [
  'clockSetBack',
  'routingLoop',
  'routingLoopEnded',
  'nameFailed',
];

const LOSSES: Readonly<Record<LossCause, string>> = {
  dataUnanswered: 'nothing that was sent is answered',
  initiationUnanswered: 'no handshake initiation is answered',
  keepaliveMissing: 'its keepalives have ceased',
};

export class Log {
  /** The interface's, which may be renamed. */
  name: string;
  readonly #level: LogLevel;
  readonly #write: (line: string, priority: LogPriority) => void;
  readonly #time: () => Date;
  /** ifconfig's `debug`: shows debugging lines whatever the level is. */
  isDebugging = false;

  /** `name`: the interface's. `write` gets lines without a newline. */
  constructor(
    name: string,
    level: LogLevel,
    write: (line: string, priority: LogPriority) => void,
    time: () => Date,
  ) {
    this.name = name;
    this.#level = level;
    this.#write = write;
    this.#time = time;
  }

  error(text: string): void {
    if (this.#level !== 'silent' || this.isDebugging) this.#line('error', text);
  }

  debug(text: string): void {
    if (this.#level === 'debug' || this.isDebugging) this.#line('debug', text);
  }

  /** An observer of the Device. */
  readonly event = (event: DeviceEvent): void => {
    if (TROUBLES.includes(event.kind)) this.error(describe(event));
    else if (this.#level === 'debug' || this.isDebugging) this.#line('debug', describe(event));
  };

  #line(priority: LogPriority, text: string): void {
    const time = this.#time().toISOString().slice(0, 19).replace('T', ' ').replaceAll('-', '/');
    this.#write(`${priority.toUpperCase()}: (${this.name}) ${time} ${text}`, priority);
  }
}

/** One line of plain words. Keys are cut to a few characters, as wireguard-go does. */
export function describe(event: DeviceEvent): string {
  switch (event.kind) {
    case 'initiationSent':
      return `${peerName(event.peer)} - Sending handshake initiation${
        event.attempt > 1 ? ` (the last was not answered; try ${event.attempt})` : ''
      }`;
    case 'initiationReceived':
      return `${peerName(event.peer)} - Received handshake initiation from ${where(event.endpoint)}`;
    case 'responseSent':
      return `${peerName(event.peer)} - Sending handshake response`;
    case 'responseReceived':
      return `${peerName(event.peer)} - Received handshake response: the session is up`;
    case 'sessionConfirmed':
      return `${peerName(event.peer)} - Received the first data: the session is up`;
    case 'handshakeGivenUp':
      return `${peerName(event.peer)} - Handshake did not complete after ${event.attempts} tries, giving up`;
    case 'cookieSent':
      return `Under load: sending a cookie to ${where(event.endpoint)}`;
    case 'cookieReceived':
      return `${peerName(event.peer)} - Received a cookie: the peer is under load`;
    case 'roamed':
      return `${peerName(event.peer)} - Endpoint moved from ${where(event.from)} to ${where(event.to)}`;
    case 'wayChanged': {
      const from = event.from === null ? '' : ` instead of ${where(event.from)}`;
      return `${peerName(event.peer)} - Sending to ${where(event.to)} of ${event.host} ${event.port}${from}`;
    }
    case 'nameResolved':
      return `The name ${event.host} is ${event.addresses.join(', ')}`;
    case 'nameFailed':
      return `The name ${event.host} cannot be looked up (${event.error}); it is tried again`;
    case 'routingLoop':
      return `${peerName(event.peer)} - Its endpoint ${where(event.endpoint)} is routed into the tunnel itself: nothing is sent there until the route leads elsewhere`;
    case 'routingLoopEnded':
      return `${peerName(event.peer)} - Its endpoint ${where(event.endpoint)} is not routed into the tunnel any more`;
    case 'connected':
      return `${peerName(event.peer)} - Connected`;
    case 'disconnected':
      return `${peerName(event.peer)} - Lost: ${LOSSES[event.cause]}`;
    case 'keysErased':
      return `${peerName(event.peer)} - Erased all session keys: nothing new was agreed for too long`;
    case 'clockSetBack':
      return `The clock was set back by ${duration(event.ms)}: handshakes continue from the timestamps sent before`;
    case 'initiationsStale':
      return `${peerName(event.peer)} - Refused its initiations from ${where(event.endpoint)}: their timestamps are not newer than the last one accepted. Was its clock set back?`;
    case 'stranger':
      return `Refused an initiation from ${where(event.endpoint)}: ${event.publicKey} is no peer of ours`;
    case 'dropped': {
      const peer = event.peer === null ? '' : `${peerName(event.peer)} - `;
      const from = event.endpoint === null ? '' : ` from ${where(event.endpoint)}`;
      const many = event.packets > 1 ? ` (${event.packets} packets)` : '';
      const address = event.address === undefined ? '' : `: ${event.address}`;
      return `${peer}Dropped${from}${many}: ${DROP_REASONS[event.reason]}${address}`;
    }
  }
}

function peerName({ publicKey }: PeerName): string {
  return `peer(${publicKey.slice(0, 4)}…${publicKey.slice(39, 43)})`;
}

/** In the largest unit of which there are two or more; whole ones. */
function duration(ms: number): string {
  const units = [
    ['days', 86_400_000],
    ['hours', 3_600_000],
    ['minutes', 60_000],
  ] as const;
  const [name, length] = units.find(([, unit]) => ms >= 2 * unit) ?? (['seconds', 1_000] as const);
  return `${Math.round(ms / length)} ${name}`;
}

function where(endpoint: Endpoint): string {
  return formatEndpoint(endpoint);
}
