import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { beforeAll, expect, it } from 'vitest';
import {
  filterTables,
  parseConnection,
  parseTable,
  type TrackedConnection,
  trackedConnections,
} from '../../src/netlink/netfilter.ts';
import { describeInNamespace, enterNamespace } from '../lab/namespace.ts';

/** Counts what it tracks, and tracks what is sent on the loopback. */
const TRACKED = `table inet t {
  chain o { type filter hook output priority 0; ct state new counter accept; }
}`;
const UDP = 17;
const LOCALHOST = Uint8Array.of(127, 0, 0, 1);

async function sendOnce(type: 'udp4' | 'udp6', from: number, to: number): Promise<void> {
  const socket = createSocket(type);
  const host = type === 'udp4' ? '127.0.0.1' : '::1';
  socket.bind(from, host);
  await once(socket, 'listening');
  await new Promise((resolve) => socket.send('x', to, host, resolve));
  socket.close();
}

describeInNamespace('netfilter, asked', () => {
  beforeAll(enterNamespace);

  it('tells the connections of both families, and only those that are chosen', async () => {
    execFileSync('nft', ['-f', '-'], { input: TRACKED });
    await sendOnce('udp4', 4_710, 9);
    await sendOnce('udp6', 4_711, 9);
    const byPort = (port: number) => (one: TrackedConnection) =>
      one.original.sourcePort === port ? one : null;
    const forth = { source: LOCALHOST, destination: LOCALHOST };
    expect(trackedConnections(byPort(4_710))).toMatchObject([
      {
        protocol: UDP,
        original: { ...forth, sourcePort: 4_710, destinationPort: 9 },
        reply: { ...forth, sourcePort: 9, destinationPort: 4_710 },
        ...{ mark: 0, isReplied: false, isAssured: false },
      },
    ]);
    const [six] = trackedConnections(byPort(4_711));
    expect(six.original.source).toEqual(Uint8Array.from([...new Array(15).fill(0), 1]));
    expect(trackedConnections(() => null)).toEqual([]);
  });

  it('tells the tables of nftables, by family', () => {
    execFileSync('nft', ['flush', 'ruleset']);
    expect(filterTables()).toEqual([]);
    execFileSync('nft', ['add', 'table', 'inet', 'one']);
    execFileSync('nft', ['add', 'table', 'ip6', 'filter']);
    expect(filterTables()).toEqual([
      { family: 1, name: 'one' },
      { family: 10, name: 'filter' },
    ]);
    execFileSync('nft', ['flush', 'ruleset']);
  });
});

it.each([[[]], [[2]], [[2, 0, 0, 0]], [[10, 0, 0, 0, 8, 0, 2, 0, 4, 0, 1, 0]], [[99, 0, 0, 0]]])(
  'makes nothing of %j',
  (bytes) => {
    expect(parseConnection(Uint8Array.from(bytes))).toBeNull();
    expect(parseTable(Uint8Array.from(bytes))).toBeNull();
  },
);
