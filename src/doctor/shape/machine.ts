/** Shapes of the evidence about the machine and its firewall (evidence/machine.ts). Pure. */

import type {
  Chain,
  Clock,
  Connection,
  Firewall,
  FirewallRule,
  Link,
  Load,
  Route,
  RouteAnswer,
  Rule,
  Tuple,
  UdpSocket,
  Way,
} from '../evidence.ts';
import { address, family, key, prefix } from './basics.ts';
import {
  type Check,
  list,
  literal,
  number,
  object,
  oneOf,
  orElse,
  orNull,
  text,
  truth,
} from './shape.ts';

export const link = object<Link>({
  index: number,
  name: text,
  flags: list(text),
  isUp: truth,
  mtu: number,
  kind: text,
  isPersistent: truth,
  addresses: list(
    object({ address, length: number, destination: orNull(address), isLinkLocal: truth }),
  ),
});

export const route = object<Route>({
  family,
  type: literal(
    ...(['unicast', 'local', 'broadcast', 'anycast', 'multicast', 'blackhole'] as const),
    ...(['unreachable', 'prohibit', 'throw', 'other'] as const),
  ),
  table: number,
  prefix,
  link: orNull(text),
  gateway: orNull(address),
  source: orNull(address),
  metric: number,
});
export const routeAnswer = object<RouteAnswer>({
  purpose: literal('endpoint', 'name', 'allowedIp', 'ping', 'back'),
  peer: orNull(key),
  about: text,
  destination: address,
  mark: number,
  answer: oneOf<Way>('kind', {
    route: object<Extract<Way, { kind: 'route' }>>({ kind: literal('route'), route }),
    none: object<Extract<Way, { kind: 'none' }>>({ kind: literal('none'), error: text }),
  }),
});
export const rule = object<Rule>({
  family,
  priority: number,
  table: number,
  action: literal(
    ...(['lookup', 'goto', 'nop', 'blackhole', 'unreachable', 'prohibit', 'other'] as const),
  ),
  isInverted: truth,
  mark: number,
  mask: number,
  from: orNull(prefix),
  to: orNull(prefix),
  inputLink: orNull(text),
  outputLink: orNull(text),
  suppressLength: orNull(number),
});

export const socket = object<UdpSocket>({
  family,
  address,
  port: number,
  uid: number,
  inode: number,
  process: orNull(object({ pid: number, name: text })),
  mark: number,
  receiveQueue: number,
  receiveBuffer: number,
  drops: number,
  gainedDrops: number,
});

const filterFamily: Check<Chain['family']> = literal(
  ...(['ip', 'ip6', 'inet', 'netdev', 'bridge', 'arp'] as const),
);
const tool: Check<Chain['tool']> = literal('nft', 'iptables', 'iptables-legacy');
const chain = object<Chain>({
  tool,
  family: filterFamily,
  table: text,
  name: text,
  hook: orNull(
    literal(
      ...(['prerouting', 'input', 'forward', 'output', 'postrouting'] as const),
      ...(['ingress', 'egress'] as const),
    ),
  ),
  priority: number,
  kind: orNull(literal('filter', 'nat', 'route')),
  policy: orNull(literal('accept', 'drop')),
  policyPackets: orNull(number),
  gainedPolicyPackets: orNull(number),
});
const filterRule = object<FirewallRule>({
  tool,
  family: filterFamily,
  table: text,
  chain: text,
  handle: orNull(number),
  position: number,
  text,
  verdict: text,
  target: orNull(text),
  packets: orNull(number),
  gainedPackets: orNull(number),
});
export const firewall = object<Firewall>({
  chains: list(chain),
  rules: list(filterRule),
  unseen: list(text),
});

const tuple = object<Tuple>({
  source: text,
  sourcePort: number,
  destination: text,
  destinationPort: number,
});
export const connection = object<Connection>({
  original: tuple,
  reply: tuple,
  mark: number,
  isUnreplied: truth,
  isAssured: truth,
  originalPackets: orNull(number),
  replyPackets: orNull(number),
});

export const load = object<Load>({
  processors: number,
  average: number,
  busy: number,
  stolen: number,
  daemon: orNull(number),
  pid: orElse(orNull(number), null),
  ran: orElse(orNull(number), null),
  waited: orElse(orNull(number), null),
  hasAutogroups: orElse(truth, false),
  pressure: orNull(number),
});
export const clock = object<Clock>({
  nowMs: number,
  bootedMs: number,
  isSynchronized: orNull(truth),
  errorMs: orNull(number),
  jumpedMs: number,
});
