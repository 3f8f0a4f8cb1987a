/** Shapes of the evidence from the network (evidence/network.ts). Pure. */

import type { IcmpError, InnerFlow, NameAnswer, Ping, Probe, WireFlow } from '../evidence.ts';
import { address, key, meaning } from './basics.ts';
import { list, literal, number, object, orNull, text, truth } from './shape.ts';

export const nameAnswer = object<NameAnswer>({
  of: literal('daemon', 'file'),
  peer: key,
  host: text,
  port: number,
  addresses: list(text),
  error: orNull(text),
  tookMs: number,
});
export const icmpError = object<IcmpError>({
  from: address,
  meaning,
  type: number,
  code: number,
  mtu: number,
  source: address,
  sourcePort: number,
  destination: address,
  destinationPort: number,
  about: literal('daemon', 'probe'),
  count: number,
});
export const probe = object<Probe>({
  peer: key,
  address,
  port: number,
  source: orNull(address),
  mark: number,
  connectError: orNull(text),
  sent: list(object({ bytes: number, error: orNull(text) })),
  errors: list(
    object({
      error: text,
      origin: literal('local', 'icmp', 'other'),
      meaning,
      from: orNull(address),
      mtu: number,
    }),
  ),
  pathMtu: orNull(number),
  neededMtu: orNull(number),
});
export const wireFlow = object<WireFlow>({
  direction: literal('in', 'out'),
  link: text,
  source: address,
  sourcePort: number,
  destination: address,
  destinationPort: number,
  message: literal('initiation', 'response', 'cookie'),
  packets: number,
  hasOurMac1: orNull(truth),
});
export const innerFlow = object<InnerFlow>({
  direction: literal('in', 'out'),
  source: address,
  destination: address,
  packets: number,
  largest: number,
});
export const ping = object<Ping>({
  peer: key,
  destination: address,
  known: literal('allowedIp', 'destination', 'other', 'guess'),
  source: orNull(address),
  echoes: list(
    object({
      bytes: number,
      sent: number,
      received: number,
      rttMs: orNull(number),
      error: orNull(text),
    }),
  ),
  errors: list(object({ from: address, meaning, mtu: number })),
});
