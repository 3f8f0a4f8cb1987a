/**
 * Moves a file of random bytes from one host to another by HTTP and compares what arrived.
 */

import { HANG_MS } from './command.ts';
import type { Host } from './host.ts';
import { compiledProgram } from './repository.ts';

export interface TransferReport {
  readonly bytes: number;
  readonly seconds: number;
  /** SHA-256 in hex, as computed where the file came from and where it arrived. */
  readonly sentDigest: string;
  readonly receivedDigest: string;
}

const HTTP_PORT = 8080;
const MS_PER_S = 1000;

/** @param address of the server, as the client reaches it. */
export async function transfer(
  server: Host,
  client: Host,
  address: string,
  bytes: number,
  timeoutMs = HANG_MS,
): Promise<TransferReport> {
  const program = compiledProgram('test/lab/fileserver.ts');
  const node = process.execPath;
  const serving = server.spawn(node, [program, 'serve', address, `${HTTP_PORT}`, `${bytes}`]);
  try {
    const [, sentDigest] = await serving.waitForOutput(/serving (\w+)/);
    const host = address.includes(':') ? `[${address}]` : address;
    const start = performance.now();
    const url = `http://${host}:${HTTP_PORT}/`;
    const printed = await client.run(node, [program, 'fetch', url], { timeoutMs });
    const seconds = (performance.now() - start) / MS_PER_S;
    const [, length, receivedDigest] = printed.trim().split(' ');
    return { bytes: Number(length), seconds, sentDigest, receivedDigest };
  } finally {
    await serving.stop();
  }
}
