/** Shapes of the evidence about WireGuard itself (evidence/tunnel.ts). Pure. */

import type {
  AnsweringDaemon,
  Daemon,
  Descriptors,
  EndpointWay,
  Files,
  Manager,
  OtherEnd,
  OwnPeer,
  RingEvent,
  ServingProcess,
  TunnelPeer,
  Wishes,
} from '../evidence.ts';
import { address, key, numbers, prefix, scalar, trouble } from './basics.ts';
import {
  type Fields,
  list,
  literal,
  number,
  object,
  oneOf,
  orElse,
  orNull,
  record,
  text,
  truth,
} from './shape.ts';

const PEER_FIELDS: Fields<TunnelPeer> = {
  publicKey: key,
  description: text,
  hasPresharedKey: orNull(truth),
  endpoint: orNull(object({ address, port: number, scope: number })),
  ways: list(
    object<EndpointWay>({
      host: text,
      port: number,
      near: orNull(text),
      isInUse: truth,
      addresses: list(address),
      error: orNull(text),
      unanswered: number,
    }),
  ),
  lastHandshakeMs: number,
  rxBytes: number,
  txBytes: number,
  persistentKeepalive: number,
  allowedIps: list(prefix),
  facts: record(text),
  counters: numbers,
  troubles: list(trouble),
};

const TUNNEL_FIELDS = {
  version: orNull(text),
  publicKey: orNull(key),
  listenPort: number,
  fwmark: number,
  facts: record(text),
  counters: numbers,
  troubles: list(trouble),
};

export const daemon = oneOf<Daemon>('kind', {
  answers: object<AnsweringDaemon>({
    ...TUNNEL_FIELDS,
    kind: literal('answers'),
    key: literal('none', 'clamped', 'unclamped', 'hidden'),
    gained: numbers,
    peers: list(
      object<OwnPeer>({
        ...PEER_FIELDS,
        troublesBefore: list(trouble),
        gained: numbers,
        gainedRxBytes: number,
        gainedTxBytes: number,
      }),
    ),
  }),
  kernel: object<Extract<Daemon, { kind: 'kernel' }>>({
    kind: literal('kernel'),
    why: text,
  }),
  silent: object<Extract<Daemon, { kind: 'silent' }>>({ kind: literal('silent'), why: text }),
  none: object<Extract<Daemon, { kind: 'none' }>>({
    kind: literal('none'),
    hasSocket: truth,
    hasState: truth,
    hasLink: truth,
  }),
});

export const otherEnd = object<OtherEnd>({
  ...TUNNEL_FIELDS,
  peers: list(object<TunnelPeer>(PEER_FIELDS)),
  name: text,
  flags: list(text),
  mtu: number,
  addresses: list(prefix),
});

export const ringEvent = object<RingEvent>({
  seq: number,
  timeMs: number,
  kind: text,
  peer: orNull(text),
  values: record(scalar),
});

const descriptors = object<Descriptors>({
  open: number,
  max: orNull(number),
  interfaces: list(text),
});
export const process = object<ServingProcess>({
  pid: number,
  program: text,
  arguments: list(text),
  namespace: orNull(text),
  state: orElse(text, ''),
  descriptors: orElse(orNull(descriptors), null),
});

const way = { host: text, port: number };
const wishes = object<Wishes>({
  path: text,
  mistakes: list(text),
  listenPort: orNull(number),
  fwmark: orNull(number),
  mtu: orNull(number),
  isUp: truth,
  addresses: list(prefix),
  peers: list(
    object({
      publicKey: key,
      ways: list(object(way)),
      persistentKeepalive: orNull(number),
      hasPresharedKey: truth,
      allowedIps: list(prefix),
    }),
  ),
  commands: list(text),
});
const manager = object<Manager>({
  kind: literal('tswg', 'wg-quick', 'NetworkManager', 'systemd-networkd'),
  path: text,
  isActive: truth,
  line: text,
});
export const files = object<Files>({ hostname: orNull(wishes), managers: list(manager) });
