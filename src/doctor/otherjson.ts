/**
 * `tswg IF --json` of the other end, which `--other` reads. It was written by another machine and came
 * over by whatever way: every property is checked, and what this version does not know is left out.
 */

import type { OtherEnd, TunnelPeer } from './evidence.ts';
import { parseJson } from './recording.ts';
import { address, key, prefix, trouble } from './shape/basics.ts';
import {
  list,
  Mismatch,
  number,
  object,
  orElse,
  orNull,
  record,
  text,
  truth,
} from './shape/shape.ts';

const troubles = orElse(list(trouble), []);
const facts = orElse(record(text), {});
const counters = orElse(record(number), {});

const way = object({
  host: text,
  port: number,
  via: orNull(text),
  inUse: truth,
  addresses: list(address),
  error: orNull(text),
  unanswered: number,
});

const peer = object({
  publicKey: key,
  description: orElse(text, ''),
  hasPresharedKey: orElse(orNull(truth), null),
  endpoint: orNull(object({ address, port: number, scope: orElse(number, 0) })),
  latestHandshake: number,
  transferRx: number,
  transferTx: number,
  persistentKeepalive: number,
  allowedIps: list(prefix),
  ways: orElse(list(way), []),
  facts,
  counters,
  troubles,
});

const wireguard = object({
  version: orElse(orNull(text), null),
  publicKey: orNull(key),
  listenPort: number,
  fwmark: number,
  peers: list(peer),
  facts,
  counters,
  troubles,
});

const end = object({
  name: text,
  flags: list(text),
  mtu: number,
  addresses: list(object({ address, prefixLength: number })),
  wireguard: orElse(orNull(wireguard), null),
});

/** @throws {Mismatch} one line that says what is wrong with it */
export function parseOtherEnd(file: string): OtherEnd {
  const value = parseJson(file);
  if (Array.isArray(value)) throw new Mismatch('', 'one interface, as `tswg wg0 --json` prints it');
  const { name, flags, mtu, addresses, wireguard: told } = end(value, '');
  if (told === null) throw new Mismatch('wireguard', "what the other end's daemon says");
  return {
    name,
    flags,
    mtu,
    addresses: addresses.map((one) => `${one.address}/${one.prefixLength}`),
    ...told,
    peers: told.peers.map(describePeer),
  };
}

function describePeer(told: ReturnType<typeof peer>): TunnelPeer {
  const { latestHandshake, transferRx, transferTx, ways, ...others } = told;
  return {
    ...others,
    ways: ways.map(({ via, inUse, ...rest }) => ({ ...rest, near: via, isInUse: inUse })),
    lastHandshakeMs: latestHandshake * 1_000,
    rxBytes: transferRx,
    txBytes: transferTx,
  };
}
