/**
 * On what and with what a run was made: the facts without which its figures mean nothing.
 */

import os from 'node:os';
import { VERSION } from '../../src/version.ts';
import { mustExecute } from '../lab/command.ts';
import { type Implementation, versionOf, WIREGUARD_GO } from './implementation.ts';

export interface Machine {
  /** ISO 8601, UTC. */
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  readonly openssl: string;
  readonly tswg: string;
  readonly wireguardGo: string;
  readonly iperf3: string;
}

/** Rejects with one line when wireguard-go or iperf3 cannot be run. */
export async function describeMachine(baseline: Implementation = WIREGUARD_GO): Promise<Machine> {
  const iperf3 = await mustExecute(['iperf3', '--version']);
  return {
    date: new Date().toISOString(),
    cpu: os.cpus()[0].model.trim(),
    cores: os.cpus().length,
    memoryGib: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()}`,
    node: process.version,
    openssl: process.versions.openssl,
    tswg: VERSION,
    wireguardGo: await versionOf(baseline),
    iperf3: iperf3.split('\n')[0],
  };
}

/** One line for people. */
export function formatMachine(machine: Machine): string {
  const { cores, cpu, kernel, node, tswg, wireguardGo } = machine;
  return `${cores} cores of ${cpu}, ${kernel}, Node.js ${node}; tswg ${tswg}, ${wireguardGo}`;
}
