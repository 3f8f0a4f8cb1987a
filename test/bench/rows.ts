/**
 * The benchmark's rows: what is compared, in which unit, which way is better, and what the speed
 * work has promised. Pure data; how a row is measured is its scenario's business.
 */

export type Unit = 'Gbit/s' | 'packets/s' | 'ms' | 's/GB' | 'MB' | 'handshakes/s' | 'ns' | '%' | '';

export interface Target {
  /** Whether the promise is about the ratio to wireguard-go, or about tswg's value by itself. */
  readonly of: 'ratio' | 'value';
  readonly atLeast: number;
  readonly aim: number;
}

export interface Row {
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  readonly better: 'more' | 'less';
  readonly target?: Target;
  /** The row whose wireguard-go this one is compared with, when it is not this row's own. */
  readonly baseline?: string;
}

export const PEER_COUNTS = [1, 100, 1_000, 10_000] as const;
export const PREFIX_COUNTS = [1, 1_000, 100_000] as const;
/** What the row of the growing heap moves. */
export const HEAP_BYTES = 20e9;

const ratio = (atLeast: number, aim: number): Target => ({ of: 'ratio', atLeast, aim });
const value = (atLeast: number, aim: number): Target => ({ of: 'value', atLeast, aim });

const ONE_STREAM = ratio(1.8, 2.5);
const MANY_STREAMS = ratio(2, 2.5);
const DATAGRAMS = ratio(3, 4);
const ROUND_TRIP = ratio(0.7, 0.45);
const CPU = ratio(0.6, 0.45);
/** No row is behind. */
const EQUAL = ratio(1, 2);

function throughput(id: string, title: string, more: Partial<Row> = {}): Row {
  return { id, title, unit: 'Gbit/s', better: 'more', ...more };
}

function cost(id: string, title: string, unit: Unit, target?: Target): Row {
  return { id, title, unit, better: 'less', ...(target === undefined ? {} : { target }) };
}

export const ROWS: readonly Row[] = [
  throughput('tcp', 'TCP, 1 stream', { target: ONE_STREAM }),
  throughput('tcp-reverse', 'TCP, 1 stream, reverse', { target: ONE_STREAM }),
  throughput('tcp-4', 'TCP, 4 streams', { target: MANY_STREAMS }),
  throughput('tcp-both', 'TCP, both directions at once (sum)', { target: MANY_STREAMS }),
  throughput('tcp-v6', 'TCP over IPv6', { target: ONE_STREAM }),
  throughput('tcp-v6-reverse', 'TCP over IPv6, reverse', { target: ONE_STREAM }),
  throughput('tcp-outer-v6', 'TCP, tunnel itself over IPv6', { target: ONE_STREAM }),
  throughput('tcp-1280', 'TCP, MTU 1280', { target: ONE_STREAM }),
  throughput('tcp-8920', 'TCP, MTU 8920', { target: ONE_STREAM }),
  throughput('delay', 'TCP, round trip of 20 ms', { target: EQUAL }),
  throughput('delay-reverse', 'TCP, round trip of 20 ms, reverse', { target: EQUAL }),
  throughput('delay-bare', 'TCP without a tunnel, round trip of 20 ms'),
  throughput('loss', 'TCP (BBR), 20 ms, 0.1 % lost', { target: EQUAL }),
  throughput('loss-reverse', 'TCP (BBR), 20 ms, 0.1 % lost, reverse', { target: EQUAL }),
  throughput('loss-bare', 'TCP (BBR) without a tunnel, 20 ms, 0.1 % lost'),
  throughput('alone', 'One end alone, TCP, 1 flow', { target: EQUAL }),
  throughput('alone-4', 'One end alone, TCP, 4 flows', { target: EQUAL }),
  cost('alone-cpu', 'One end alone, its CPU', 's/GB'),
  {
    id: 'udp-64',
    title: 'UDP 64 B delivered',
    unit: 'packets/s',
    better: 'more',
    target: DATAGRAMS,
  },
  {
    id: 'udp-1300',
    title: 'UDP 1300 B delivered',
    unit: 'packets/s',
    better: 'more',
    target: DATAGRAMS,
  },
  cost('ping-idle', 'ping, idle, average', 'ms', ROUND_TRIP),
  cost('ping-idle-median', 'ping, idle, median', 'ms'),
  cost('ping-idle-p99', 'ping, idle, p99', 'ms'),
  cost('ping-flood', 'ping, flooded, average', 'ms', ROUND_TRIP),
  cost('ping-flood-median', 'ping, flooded, median', 'ms'),
  cost('ping-flood-p99', 'ping, flooded, p99', 'ms'),
  cost('ping-load-median', 'ping under a TCP stream, median', 'ms'),
  cost('ping-load-p99', 'ping under a TCP stream, p99', 'ms', ratio(0.7, 0.45)),
  cost('cpu', 'CPU of both daemons', 's/GB', CPU),
  cost('cpu-machine', 'CPU of the whole machine', 's/GB'),
  cost('rss', 'Peak RSS of a daemon', 'MB', value(130, 80)),
  cost('launch', 'Launch to first ping', 'ms'),
  cost('launch-node', 'Launch to first ping / node -e 0', '', value(10, 3)),
  cost('show', 'An answer of tswg wg0 / node -e 0', '', value(2.5, 1.6)),
  cost('complete', 'A completion of tswg wg0 / node -e 0', '', value(2.5, 1.4)),
  {
    id: 'handshakes',
    title: 'Handshakes as responder',
    unit: 'handshakes/s',
    better: 'more',
    target: ratio(1.3, 2),
  },
  {
    id: 'callers',
    title: 'Peers up of 10,000 that call in a minute',
    unit: '%',
    better: 'more',
    target: value(100, 100),
  },
  ...PEER_COUNTS.map((count) =>
    throughput(`peers-${count}`, `TCP, 1 active peer among ${grouped(count)}`),
  ),
  {
    id: 'peers-kept',
    title: 'Throughput with 1,000 peers / with 1',
    unit: '',
    better: 'more',
    target: value(0.95, 1),
  },
  ...PREFIX_COUNTS.map((count) =>
    throughput(`prefixes-${count}`, `TCP, ${allowedIps(count)} in the table`),
  ),
  ...PREFIX_COUNTS.map((count) =>
    cost(`lookup-${count}`, `One lookup among ${allowedIps(count)}`, 'ns'),
  ),
  throughput('tcp-portable', 'TCP, 1 stream, portable crypto', { baseline: 'tcp' }),
  throughput('tcp-plain', 'TCP, 1 stream, tswg without offloads', { baseline: 'tcp' }),
  cost('heap', 'Heap growth while moving 20 GB', 'MB', value(8, 0)),
  cost('heap-rss', 'RSS growth while moving 20 GB', 'MB'),
];

/**
 * The rows that `patterns` name: ids, in which * stands for anything. No pattern: all rows.
 *
 * @throws {Error} with one line for the operator when a pattern names none
 */
export function selectRows(patterns: readonly string[]): ReadonlySet<string> {
  const ids = ROWS.map((row) => row.id);
  if (patterns.length === 0) return new Set(ids);
  const selected = patterns.flatMap((pattern) => {
    const escaped = pattern.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
    const matching = ids.filter((id) => new RegExp(`^${escaped}$`).test(id));
    if (matching.length > 0) return matching;
    throw new Error(`--rows ${pattern}: expected one of ${ids.join(', ')} (* for anything)`);
  });
  // A variant is compared with a row that has to be measured for it.
  const baselines = ROWS.filter((row) => selected.includes(row.id)).map((row) => row.baseline);
  return new Set([...selected, ...baselines.filter((id) => id !== undefined)]);
}

/** Lines for people: the id by which a row is selected, and its title. */
export function listRows(): string {
  const width = Math.max(...ROWS.map(({ id }) => id.length));
  return ROWS.map(({ id, title }) => `${id.padEnd(width)}  ${title}`).join('\n');
}

function allowedIps(count: number): string {
  return `${grouped(count)} allowed ${count === 1 ? 'IP' : 'IPs'}`;
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}
