/** An event in words, one line for people. Pure. */

import { counted } from '../counted.ts';
import type { LossCause } from '../device/condition.ts';
import { DROP_REASONS } from '../device/drops.ts';
import type { PeerTrouble } from '../device/troubles.ts';
import type { EventBody, EventKind, EventRecord } from '../events/record.ts';
import { printable } from '../quotation.ts';
import { localTime } from './localtime.ts';

type Body<Kind extends EventKind> = Extract<EventBody, { readonly kind: Kind }>;
type Words = { readonly [Kind in EventKind]: (event: Body<Kind>) => string };

const LOSSES: Readonly<Record<LossCause, string>> = {
  dataUnanswered: 'data is not answered',
  initiationUnanswered: 'handshake initiations are not answered',
  keepaliveMissing: 'its keepalives are missing',
};

/** As far as a few words say it; `tswg INTERFACE` says what can be done. */
const REASONS: Readonly<Partial<Record<PeerTrouble['code'], string>>> = {
  routingLoop: 'its endpoint is routed into the tunnel itself',
  noPrivateKey: 'no private key is set',
  callsUs: 'its endpoint is our own',
  undecipherable: 'its answers do not decrypt; the preshared keys may differ',
  staleTimestamps: 'its initiations are not newer than before',
  unconfirmed: 'no data comes back after our answers',
  nearGone: 'nothing can be sent from where it is to be sent from',
  unresolved: 'the name of its endpoint has no address',
  noEndpoint: 'its endpoint is not known',
  cannotSend: 'the system refuses to send to it',
  peerUnderLoad: 'it is under load',
  noAnswer: 'no answer',
};

const WORDS: Words = {
  connected: () => 'connected',
  disconnected: ({ cause, trouble }) => {
    const reason = trouble === null || trouble === 'noAnswer' ? '' : ` (${reasonOf(trouble)})`;
    return `lost: ${LOSSES[cause] ?? cause}${reason}`;
  },
  handshakeBegun: ({ by, endpoint }) =>
    by === 'us'
      ? `handshake begun, to ${endpoint}`
      : `handshake begun by the peer, from ${endpoint}`,
  handshakeCompleted: ({ by, session }) =>
    `handshake completed${by === 'us' ? '' : ', begun by the peer'}: session ${session}`,
  rekeyed: ({ by, session }) => `rekeyed${by === 'us' ? '' : ' by the peer'}: session ${session}`,
  handshakeFailed: ({ attempts, cause }) =>
    `handshake given up after ${counted(attempts, 'initiation')}: ${reasonOf(cause)}`,
  keysErased: () => 'keys erased: no new session for nine minutes',
  roamed: ({ from, to }) => `endpoint moved from ${from} to ${to}`,
  wayChanged: ({ host, port, to }) => `its packets take the way ${host} ${port}, to ${to}`,
  nameResolved: ({ host, addresses }) => `${host} is ${addresses.join(', ')}`,
  nameFailed: ({ host, error }) => `${host} could not be looked up: ${error}`,
  cookieReceived: () => 'it is under load and asks for a cookie',
  initiationsStale: ({ endpoint }) =>
    `its initiations from ${endpoint} are refused: they are not newer than the last one. Was its clock set back?`,
  routingLoop: ({ endpoint }) =>
    `its endpoint ${endpoint} is routed into the tunnel itself: nothing is sent there`,
  routingLoopEnded: ({ endpoint }) =>
    `its endpoint ${endpoint} is not routed into the tunnel any more`,
  configured: ({ by, fields, peers }) => {
    const what = [...fields, ...(peers === 0 ? [] : [`${counted(peers, 'peer')}`])];
    return `configured ${by === 'set' ? 'over the control socket' : 'from the saved state'}: ${what.join(', ')}`;
  },
  peerConfigured: ({ fields }) =>
    fields.length === 0 ? 'configured' : `configured: ${fields.join(', ')}`,
  peerRemoved: () => 'removed',
  started: ({ version }) => `tswgd ${version} was started`,
  linkUp: ({ port }) =>
    port === 0 ? 'interface up, but there is no socket' : `interface up, on UDP port ${port}`,
  linkDown: () => 'interface down',
  upgraded: ({ from, version }) =>
    `tswgd ${version} continues in place of ${from === '' ? 'an earlier one' : from}`,
  upgradeFailed: ({ why }) => `upgrade failed: ${why}`,
  resumed: ({ ms }) => `resumed after ${seconds(ms)} of suspension`,
  clockSetBack: ({ ms }) => `the clock was set back by ${seconds(ms)}`,
  stateRefused: ({ why }) => `the saved state was not used: ${why}`,
  cookieSent: ({ endpoint }) => `under load: a cookie was sent to ${endpoint}`,
  stranger: ({ publicKey, endpoint }) =>
    `an initiation from ${endpoint} was refused: ${publicKey} is no peer`,
  dropped: ({ reason, endpoint, packets }) => {
    const from = endpoint === null ? '' : ` from ${endpoint}`;
    return `dropped ${counted(packets, 'packet')}${from}: ${DROP_REASONS[reason] ?? reason}`;
  },
  suppressed: ({ events }) =>
    `${counted(events, 'event more came too fast and was', 'events more came too fast and were')} not kept`,
};

/** A line without its newline: the local time, the peer by its name or key, and what happened. */
export function wordEvent(record: EventRecord): string {
  const subject = subjectOf(record);
  const text = `${subject === '' ? '' : `${subject}: `}${describe(record)}`;
  return `${localTime(record.timeMs)} ${printable(text)}`;
}

/** The line about events that were pushed out before they were read. */
export function wordLost(events: number): string {
  return `(${counted(events, 'event was', 'events were')} lost: they came faster than they were read)`;
}

/** One of another version may have kinds and values that we do not know, or lack some. */
function describe(record: EventRecord): string {
  const word = Object.hasOwn(WORDS, record.kind) ? WORDS[record.kind] : undefined;
  try {
    if (word !== undefined) return (word as (event: EventBody) => string)(record);
  } catch {
    // A value is of another kind than ours.
  }
  const { seq, timeMs, monotonicMs, kind, ...rest } = record;
  const others = Object.entries(rest).filter(([name]) => name !== 'peer' && name !== 'name');
  return [kind, ...others.map(([name, value]) => `${name}=${value}`)].join(' ');
}

function subjectOf(record: EventRecord): string {
  if (!('peer' in record)) return '';
  return record.name || record.peer || '';
}

function reasonOf(code: string): string {
  return REASONS[code as PeerTrouble['code']] ?? code;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}
