/**
 * What the kernel says over netlink. Its events are read away by tun/linkmonitor.ts without a look
 * at them, which then asks again, so netlinkmessage.ts is all that parses.
 */

import {
  align4,
  isInterrupted,
  type Message,
  parseAddress,
  parseAnswer,
  parseLink,
  parseMessages,
  parseRoute,
  recordAddress,
  recordRoute,
  viewOf,
} from '../../../src/netlink/netlinkmessage.ts';
import {
  MessageWriter,
  NLM_F_CREATE,
  writeAddress,
  writeGetLink,
  writeGetLinks,
  writeGetRoute,
  writeRoute,
  writeSetLink,
  writeTunnelIpv4,
  writeTunnelIpv6,
} from '../../../src/netlink/netlinkrequest.ts';
import type { Dice } from '../../packet/trains.ts';
import { mutateBytes } from '../mutator.ts';
import { holds, type RunningTarget, type Target } from '../target.ts';
import { RECORDED_NETLINK } from './recordednetlink.ts';

/** More than a datagram of the kernel's holds, so that repeated attributes get room. */
const LENGTH_MAX = 64 * 1024;

const ENCODER = new TextEncoder();
const IPV4 = Uint8Array.of(10, 99, 0, 1);
const IPV6 = Uint8Array.of(0xfd, 0, 0, 0x99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

function corpus(): Uint8Array[] {
  const kind = new MessageWriter(0, 0).text(1, 'tun').finish(0).subarray(16);
  const link = new MessageWriter(16, 2)
    .fixed(Uint8Array.of(0, 0, 0xfe, 0xff, 5, 0, 0, 0, 0xd1, 0x10, 1, 0, 0, 0, 0, 0))
    .text(3, 'wg0')
    .number(4, 1420)
    .attribute(20, ENCODER.encode('to the Berlin office'))
    .attribute(18, kind)
    .finish(1);
  const refusal = new MessageWriter(2, 0x300)
    .fixed(Uint8Array.of(0xea, 0xff, 0xff, 0xff, ...Array(16).fill(0)))
    .text(1, 'Invalid prefix for given prefix length')
    .finish(1);
  const done = new MessageWriter(3, 2).fixed(new Uint8Array(4)).finish(1);
  const address = { linkIndex: 5, address: IPV4, prefixLength: 30, broadcast: IPV4 };
  const route = { destination: IPV6, prefixLength: 64, linkIndex: 5, gateway: IPV6, metric: 1024 };
  const written = [
    writeAddress(20, NLM_F_CREATE, address),
    writeAddress(21, 0, { linkIndex: 5, address: IPV6, prefixLength: 64, peer: IPV6 }),
    writeRoute(24, NLM_F_CREATE, { ...route, preferredSource: IPV6, table: 1000 }),
    writeRoute(25, 0, { destination: IPV4, prefixLength: 24, linkIndex: 5 }),
    writeSetLink(5, { isUp: true, mtu: 1380, alias: 'office' }),
    writeGetLink('wg0'),
    writeGetLinks(),
    writeGetRoute({ destination: IPV4, source: IPV4, mark: 7, linkIndex: 5 }),
    writeGetRoute({ destination: IPV6, source: null, ports: { source: 1, destination: 2 } }),
    writeTunnelIpv4(5),
    writeTunnelIpv6(5),
  ].map((writer, i) => writer.finish(i + 1));
  const all = [link, refusal, done, ...written];
  const recorded = Object.values(RECORDED_NETLINK).map((text) => Buffer.from(text, 'hex'));
  return [
    ...all,
    ...recorded.map((one) => new Uint8Array(one)),
    new Uint8Array(Buffer.concat(all)),
  ];
}

class Netlink implements RunningTarget {
  readonly #corpus = corpus();

  generate(dice: Dice): Uint8Array {
    return mutateBytes(dice.pick(this.#corpus), this.#corpus, dice, LENGTH_MAX);
  }

  run(bytes: Uint8Array): string {
    const messages = parseMessages(bytes);
    let at = 0;
    const read: string[] = [];
    for (const message of messages) {
      const { body } = message;
      const length = viewOf(bytes).getUint32(at, true);
      holds(body.byteOffset === bytes.byteOffset + at + 16, 'a body elsewhere');
      holds(body.length === length - 16, 'a body of another length than the message says');
      at += align4(length);
      holds(at - 3 <= bytes.length, 'a message beyond the end');
      read.push(parseAll(message));
    }
    if (read.length === 0) return 'nothing';
    return read.length === 1 ? read[0] : `${Math.min(read.length, 9)} messages`;
  }
}

/** By every parser, as if it were of every type. */
function parseAll(message: Message): string {
  const { body } = message;
  isInterrupted(message);
  const answer = parseAnswer(message);
  const link = parseLink(body);
  const address = parseAddress(body);
  const route = parseRoute(body);
  if (answer !== null) holds(Number.isInteger(answer.errno), 'an errno that is no number');
  if (link !== null) {
    holds(!link.name.includes('\0') && !link.alias.includes('\0'), 'a zero byte in a name');
    holds(link.isUp === ((link.flags & 1) !== 0), 'up and the flags disagree');
  }
  if (address !== null) {
    const { address: own, peer, broadcast, prefixLength } = address;
    holds(own.length === 4 || own.length === 16, 'an address of another length');
    holds(prefixLength <= own.length * 8, 'a prefix longer than its address');
    for (const other of [peer, broadcast]) {
      holds(other === null || other.length === own.length, 'addresses of two families');
    }
  }
  if (route !== null) {
    const { destination, gateway, preferredSource } = route;
    const lengths = [destination, gateway, preferredSource].flatMap((one) => one?.length ?? []);
    holds(new Set(lengths).size <= 1, 'a route of two families');
  }
  for (const [record, index] of [
    [recordRoute(body, route?.linkIndex ?? 0), route?.linkIndex],
    [recordAddress(body, address?.linkIndex ?? 0), address?.linkIndex],
  ] as const) {
    if (record === null) continue;
    holds(index !== undefined, 'a recording of nothing');
    holds(record.bytes.length === body.length + 2, 'a recording of another length');
  }
  const names = { answer, link, address, route };
  const found = Object.entries(names).flatMap(([name, value]) => (value === null ? [] : name));
  return found.join(' ') || 'a message';
}

export const netlink: Target = {
  name: 'netlink',
  sources: ['netlink/netlinkmessage'],
  create: () => new Netlink(),
};
