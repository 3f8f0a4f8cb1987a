/**
 * Vitest's global setup of the tests in namespaces: says at the end, where nobody overlooks it,
 * what this machine lacked and what was therefore skipped.
 */

import { unmet } from './requirements.ts';

const PROGRAMS = ['ip', 'ping', 'nft', 'wg', 'wg-quick', 'wireguard-go', 'tcpdump', 'iperf3'];

export function teardown(): void {
  const reason = unmet(...PROGRAMS);
  if (reason !== null) console.warn(`\nSKIPPED tests in namespaces: ${reason}`);
}
