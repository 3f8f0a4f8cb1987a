/**
 * A program of the soak, run as `node traffic.js left|right` on each of the two hosts: a stream and
 * a flow of datagrams over each family inside the tunnel. Prints what it has moved every few seconds
 * and, once its input ends, the whole report.
 */

import { createSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import { sleep } from '../lab/command.ts';
import { INNER } from '../lab/tunnel.ts';
import { DatagramEnd, type DatagramReport } from './datagramend.ts';
import { StreamEnd, type StreamReport } from './streamend.ts';

export interface TrafficReport {
  readonly streams: readonly StreamReport[];
  readonly datagrams: readonly DatagramReport[];
}

const SIDES = ['left', 'right'] as const;
const FAMILIES = [4, 6] as const;
const STREAM_PORT = 7_001;
const DATAGRAM_PORT = 7_002;
const STREAM_BYTES_PER_SECOND = 12_000_000;
const PROGRESS_MS = 5_000;
/** For what is under way at the end. */
const DRAIN_MS = 1_000;

const side = SIDES.indexOf(process.argv[2] as 'left' | 'right') as 0 | 1 | -1;
if (side === -1) throw new Error(`traffic: ${process.argv[2]}: expected left or right`);
await run(side, side === 0 ? 1 : 0);

async function run(own: 0 | 1, other: 0 | 1): Promise<void> {
  const streams: StreamEnd[] = [];
  const add = (family: 4 | 6, socket: Socket): void => {
    const to = `${SIDES[own]} to ${SIDES[other]} over IPv${family}`;
    const from = `${SIDES[other]} to ${SIDES[own]} over IPv${family}`;
    streams.push(new StreamEnd(from, socket, to, from, STREAM_BYTES_PER_SECOND));
  };
  for (const family of FAMILIES) {
    // The left one calls.
    if (own === 0) {
      const socket = connect(STREAM_PORT, INNER[family][other], () => add(family, socket));
    } else {
      const server = createServer((socket) => add(family, socket));
      server.listen(STREAM_PORT, INNER[family][own]);
    }
  }
  const datagrams = FAMILIES.map((family) => {
    const socket = createSocket(`udp${family}`);
    socket.bind(DATAGRAM_PORT, INNER[family][own]);
    const name = `${SIDES[other]} to ${SIDES[own]} over IPv${family}`;
    return new DatagramEnd(name, socket, { address: INNER[family][other], port: DATAGRAM_PORT });
  });
  console.log('ready');
  setInterval(() => {
    console.log(`moved ${streams.reduce((sum, stream) => sum + stream.bytesReceived, 0)}`);
  }, PROGRESS_MS);

  await new Promise((resolve) => process.stdin.on('end', resolve).resume());
  for (const end of [...streams, ...datagrams]) end.stopSending();
  await sleep(DRAIN_MS);
  const report: TrafficReport = {
    streams: streams.map((end) => end.report()),
    datagrams: datagrams.map((end) => end.report()),
  };
  // The sockets stay open until the host ends, so that the other end's report tells of no end.
  console.log(`report ${JSON.stringify(report)}`);
}
