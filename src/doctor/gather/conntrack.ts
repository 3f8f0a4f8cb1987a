/**
 * Evidence: what connection tracking knows of our UDP port, of the endpoints, and of others' connections
 * that go through the tunnel under an address of ours.
 */

import { parseDecimal, parsePort } from '../../packet/address.ts';
import type { Connection, Tuple } from '../evidence.ts';
import { run } from './program.ts';

const CONNECTIONS_MAX = 200;

/**
 * @param addresses of endpoints; @param inner our own in the tunnel
 * @throws {CannotLook}
 */
export async function gatherConnections(
  port: number,
  addresses: readonly string[],
  inner: readonly string[],
): Promise<Connection[]> {
  // conntrack(8) lists one family at a time.
  const [texts, answered] = await Promise.all([
    Promise.all(
      ['ipv4', 'ipv6'].map((family) => run('conntrack', ['-L', '-p', 'udp', '-f', family])),
    ),
    Promise.all(
      inner.map((address) => {
        const family = address.includes(':') ? 'ipv6' : 'ipv4';
        return run('conntrack', ['-L', '-f', family, '--reply-dst', address]);
      }),
    ),
  ]);
  const isOthers = ({ original }: Connection): boolean => !inner.includes(original.source);
  const isOurs = ({ original, reply }: Connection): boolean =>
    [original, reply].some(
      (tuple) =>
        tuple.sourcePort === port ||
        tuple.destinationPort === port ||
        addresses.includes(tuple.source) ||
        addresses.includes(tuple.destination),
    );
  return [
    ...texts.flatMap(parseConnections).filter(isOurs),
    ...answered.flatMap(parseConnections).filter(isOthers),
  ].slice(0, CONNECTIONS_MAX);
}

/** Lines of `conntrack -L`; those that make no sense are skipped. */
export function parseConnections(text: string): Connection[] {
  return text.split('\n').flatMap((line) => {
    const words = line.split(/\s+/);
    const valuesOf = (name: string): string[] =>
      words
        .filter((word) => word.startsWith(`${name}=`))
        .map((word) => word.slice(name.length + 1));
    const tuple = (at: number): Tuple | null => {
      const [source, destination] = [valuesOf('src')[at], valuesOf('dst')[at]];
      const sourcePort = parsePort(valuesOf('sport')[at] ?? '0');
      const destinationPort = parsePort(valuesOf('dport')[at] ?? '0');
      if (source === undefined || destination === undefined) return null;
      if (sourcePort === null || destinationPort === null) return null;
      return { source, sourcePort, destination, destinationPort };
    };
    const [original, reply] = [tuple(0), tuple(1)];
    if (original === null || reply === null) return [];
    const packets = valuesOf('packets').map((value) =>
      parseDecimal(value, Number.MAX_SAFE_INTEGER),
    );
    return [
      {
        original,
        reply,
        mark: parseDecimal(valuesOf('mark')[0] ?? '0', 0xffff_ffff) ?? 0,
        isUnreplied: words.includes('[UNREPLIED]'),
        isAssured: words.includes('[ASSURED]'),
        originalPackets: packets[0] ?? null,
        replyPackets: packets[1] ?? null,
      },
    ];
  });
}
