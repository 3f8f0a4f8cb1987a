/** Evidence: what the kernel counts of IP, UDP and TCP. The parsers are total. */

import { readText, textOf } from './procfile.ts';

type Counters = Record<string, number>;

/** As KernelCounters has them, zeros included. @throws NodeJS.ErrnoException */
export function readKernelCounters(): Counters {
  return {
    ...parsePairedLines(readText('/proc/net/snmp')),
    ...parsePairedLines(readText('/proc/net/netstat')),
    // Without IPv6 there is none.
    ...parseNamedLines(textOf('/proc/net/snmp6') ?? ''),
  };
}

/** /proc/net/snmp: a line of names, and one of numbers, which both begin with the protocol. */
export function parsePairedLines(text: string): Counters {
  const counters = new Map<string, number>();
  const lines = text.split('\n');
  for (const [at, line] of lines.entries()) {
    const [protocol = '', ...names] = line.split(' ');
    const [same, ...values] = (lines[at + 1] ?? '').split(' ');
    // The numbers' own line is no line of names.
    if (protocol === '' || same !== protocol || !/^[A-Z]/i.test(names[0] ?? '')) continue;
    for (const [column, name] of names.entries()) {
      const value = Number(values[column]);
      if (Number.isFinite(value)) counters.set(`${protocol.replace(':', '')}.${name}`, value);
    }
  }
  return Object.fromEntries(counters);
}

/** /proc/net/snmp6: a name and a number on each line; `Ip6InNoRoutes` becomes `Ip6.InNoRoutes`. */
export function parseNamedLines(text: string): Counters {
  const found = [...text.matchAll(/^(Ip6|Icmp6|Udp6|UdpLite6)(\w+)\s+(\d+)\s*$/gm)];
  return Object.fromEntries(
    found.map(([, protocol, name, value]) => [`${protocol}.${name}`, Number(value)]),
  );
}

export function withoutZeros(counters: Readonly<Counters>): Counters {
  return Object.fromEntries(Object.entries(counters).filter(([, count]) => count !== 0));
}
