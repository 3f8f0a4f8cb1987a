/**
 * Questions asked of a network of the lab with the system's own tools: ping and iperf3.
 */

import { HANG_MS } from './command.ts';
import type { Host } from './host.ts';

export interface PingOptions {
  /** Echo requests to send; ends early when all are answered. */
  readonly count?: number;
  readonly intervalMs?: number;
  /**
   * Milliseconds to wait for the first answer, for where none is expected. When left out, answers
   * may take as long as a slow machine needs.
   */
  readonly deadlineMs?: number;
  /** Bytes of payload. */
  readonly size?: number;
  /** An address or interface to send from. */
  readonly from?: string;
  readonly dontFragment?: boolean;
}

export interface PingReport {
  readonly sent: number;
  readonly received: number;
  /** Round trip, milliseconds; NaN when nothing was received. */
  readonly averageMs: number;
  /** What ping printed, ICMP errors among it. */
  readonly text: string;
}

export interface TrainReport extends PingReport {
  /** Requests without an answer before the last that has one: those after it were on their way. */
  readonly lost: number;
}

const MS_PER_S = 1000;

/**
 * Pings once or several times and reports; loss is an answer, not an error. Of several requests
 * the last has only a short time by itself, so that more follow until as many are answered as were
 * asked for; `received` counts the answers to the first ones.
 */
export async function ping(
  host: Host,
  address: string,
  options: PingOptions = {},
): Promise<PingReport> {
  const count = options.count ?? 1;
  const intervalMs = options.intervalMs ?? 200;
  const { deadlineMs = HANG_MS } = options;
  const args = ['-n', '-c', `${count}`, '-i', `${intervalMs / MS_PER_S}`];
  if (count > 1 && options.deadlineMs === undefined) args.push('-w', `${HANG_MS / MS_PER_S}`);
  else args.push('-W', `${deadlineMs / MS_PER_S}`);
  if (options.size !== undefined) args.push('-s', `${options.size}`);
  if (options.from !== undefined) args.push('-I', options.from);
  if (options.dontFragment) args.push('-M', 'do');
  const { stdout, stderr } = await host.exec('ping', [...args, address], {
    timeoutMs: deadlineMs + count * intervalMs + HANG_MS,
  });
  const report = parsePing(stdout, stderr);
  return { ...report, received: answered(stdout).filter((number) => number <= count).length };
}

/** Pings every 20 ms until an answer comes; resolves to the milliseconds that took. */
export async function firstPing(host: Host, address: string, timeoutMs = HANG_MS): Promise<number> {
  const start = performance.now();
  const deadline = `${Math.ceil(timeoutMs / MS_PER_S)}`;
  const args = ['-n', '-c', '1', '-i', '0.02', '-w', deadline, address];
  const result = await host.exec('ping', args, { timeoutMs: timeoutMs + HANG_MS });
  const elapsed = performance.now() - start;
  if (result.status !== 0) {
    throw new Error(`${host.name}: no answer from ${address} in ${timeoutMs} ms\n${result.stdout}`);
  }
  return elapsed;
}

/** A ping that goes on until it is stopped, for what happens in the middle of it. */
export class PingTrain {
  readonly #child: ReturnType<Host['spawn']>;

  constructor(host: Host, address: string, intervalMs = 20) {
    // -O names every request without an answer, -D is left out: sequence numbers tell the time.
    const args = ['-n', '-O', '-i', `${intervalMs / MS_PER_S}`, address];
    this.#child = host.spawn('stdbuf', ['-oL', 'ping', ...args]);
  }

  /** Answers so far. */
  get received(): number {
    return answered(this.#child.stdout).length;
  }

  /** Ends the train and reports on it as a whole. */
  async stop(): Promise<TrainReport> {
    await this.#child.stop('SIGINT');
    const { stdout, stderr } = this.#child;
    const numbers = answered(stdout);
    return { ...parsePing(stdout, stderr), lost: Math.max(0, ...numbers) - numbers.length };
  }
}

export interface StreamOptions {
  readonly seconds?: number;
  readonly reverse?: boolean;
  /** UDP at this rate, in iperf3's notation (`20M`); TCP when left out. */
  readonly udpRate?: string;
  /** UDP payload or TCP write size, bytes. */
  readonly length?: number;
}

export interface StreamReport {
  readonly bitsPerSecond: number;
  readonly bytes: number;
  /** UDP only: datagrams that did not arrive, 0 to 100. */
  readonly lostPercent: number;
}

/** Runs iperf3 from `client` to `address` on `server`. */
export async function stream(
  client: Host,
  server: Host,
  address: string,
  options: StreamOptions = {},
): Promise<StreamReport> {
  const seconds = options.seconds ?? 2;
  const listener = server.spawn('iperf3', ['-s', '-1', '--forceflush', '-B', address]);
  await listener.waitForOutput(/Server listening/);
  const args = ['-J', '-c', address, '-t', `${seconds}`];
  if (options.reverse) args.push('-R');
  if (options.udpRate !== undefined) args.push('-u', '-b', options.udpRate);
  if (options.length !== undefined) args.push('-l', `${options.length}`);
  const result = await client.exec('iperf3', args, { timeoutMs: seconds * MS_PER_S + HANG_MS });
  await listener.stop();
  const report = JSON.parse(result.stdout);
  if (report.error !== undefined) throw new Error(`iperf3: ${report.error}`);
  const sum = options.udpRate === undefined ? report.end.sum_received : report.end.sum;
  return {
    bitsPerSecond: sum.bits_per_second,
    bytes: sum.bytes,
    lostPercent: sum.lost_percent ?? 0,
  };
}

/** The numbers of the requests that were answered, each once. */
function answered(stdout: string): number[] {
  const numbers = Array.from(stdout.matchAll(/bytes from .* icmp_seq=(\d+) /g), ([, n]) =>
    Number(n),
  );
  return [...new Set(numbers)];
}

function parsePing(stdout: string, stderr: string): PingReport {
  const counts = /(\d+) packets transmitted, (\d+) received/.exec(stdout);
  if (counts === null) return { sent: 0, received: 0, averageMs: NaN, text: stdout + stderr };
  return {
    sent: Number(counts[1]),
    received: Number(counts[2]),
    averageMs: Number(/= [\d.]+\/([\d.]+)\//.exec(stdout)?.[1] ?? NaN),
    text: stdout + stderr,
  };
}
