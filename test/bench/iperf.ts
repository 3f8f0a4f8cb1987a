/**
 * iperf3 between two hosts of the lab, in all the ways the rows ask for. Owns its command line and
 * the reading of its JSON; everything is counted where it arrives.
 */

import type { Host } from '../lab/host.ts';

export interface Load {
  readonly address: string;
  readonly seconds: number;
  readonly streams?: number;
  /** From the server to the client. */
  readonly reverse?: boolean;
  /** Both directions at once; the report has their sum. */
  readonly both?: boolean;
  /** Unpaced UDP datagrams with so many bytes of payload, in place of TCP. */
  readonly datagramBytes?: number;
  /** TCP's congestion control; that of the machine if not given. */
  readonly congestion?: string;
  /** Not counted, at the beginning, and beside `seconds`. */
  readonly omittedSeconds?: number;
  /** How much to move, in place of `seconds`, which is then the longest it may take. */
  readonly bytes?: number;
}

export interface Delivery {
  /** Payload that arrived, and in what time. */
  readonly bytes: number;
  readonly seconds: number;
}

interface Sum {
  readonly bytes: number;
  readonly seconds: number;
}

interface Report {
  readonly error?: string;
  readonly end?: { readonly sum_received?: Sum; readonly sum_received_bidir_reverse?: Sum };
}

const MS_PER_S = 1_000;
/** For connecting, and for the backlog of a flood to drain. */
const GRACE_MS = 12_000;
const SERVER_START_MS = 5_000;

/** @throws {Error} when the load could not run to its end */
export async function runLoad(client: Host, server: Host, load: Load): Promise<Delivery> {
  const listener = server.spawn('iperf3', ['-s', '-1', '--forceflush']);
  try {
    await listener.waitForOutput(/Server listening/, SERVER_START_MS);
    const result = await client.exec('iperf3', loadArguments(load), {
      timeoutMs: (load.seconds + (load.omittedSeconds ?? 0)) * MS_PER_S + GRACE_MS,
    });
    return parseDelivery(result.stdout);
  } finally {
    await listener.stop('SIGKILL');
  }
}

export function loadArguments(load: Load): string[] {
  const args = ['-J', '-c', load.address];
  if (load.bytes === undefined) args.push('-t', `${load.seconds}`);
  else args.push('-n', `${load.bytes}`);
  if (load.streams !== undefined) args.push('-P', `${load.streams}`);
  if (load.reverse) args.push('-R');
  if (load.both) args.push('--bidir');
  if (load.congestion !== undefined) args.push('-C', load.congestion);
  if (load.omittedSeconds !== undefined) args.push('-O', `${load.omittedSeconds}`);
  // -b 0: as fast as the sender can.
  if (load.datagramBytes !== undefined) args.push('-u', '-b', '0', '-l', `${load.datagramBytes}`);
  return args;
}

/** What arrived, both directions together, out of the client's `-J` output. */
export function parseDelivery(json: string): Delivery {
  const report = parseReport(json);
  if (report.error !== undefined) throw new Error(`iperf3: ${report.error}`);
  const forward = report.end?.sum_received;
  if (forward === undefined) throw new Error('iperf3: its report lacks sum_received');
  const backward = report.end?.sum_received_bidir_reverse;
  return { bytes: forward.bytes + (backward?.bytes ?? 0), seconds: forward.seconds };
}

export function gigabitsPerSecond(delivery: Delivery): number {
  return (delivery.bytes * 8) / delivery.seconds / 1e9;
}

function parseReport(json: string): Report {
  try {
    return JSON.parse(json) as Report;
  } catch {
    throw new Error(`iperf3: no JSON report: ${json.slice(0, 200)}`);
  }
}
