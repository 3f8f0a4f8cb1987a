/**
 * Keeps a persistent tswgd on a host as systemd would: starts it again half a second after it was
 * killed. After an upgrade the daemon is another process, which is nobody's child here; so whoever
 * asks for the daemon's process is told what the daemon says of itself.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { request } from '../../src/control/uapiclient.ts';
import { parseStats, type ReportedStats } from '../../src/uapi/stats.ts';
import { sleep, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { OUR_DAEMON, waitForControl } from '../lab/tunnel.ts';

export const IFNAME = 'wg0';
/** The host's own; not a pipe, which would end with the first of several processes. */
const LOG = '/run/soak.log';
const ENVIRONMENT = {
  TSWG_PERSIST: '1',
  STATE_DIRECTORY: '/run/soak-state',
  LOG_LEVEL: 'error',
} as const;
/** systemd's RestartSec=500ms. */
const RESTART_MS = 500;
/** `tswg wg0 upgrade` has its own limits; this is for one that hangs. */
const UPGRADE_MS = 30_000;

export class Keeper {
  readonly host: Host;
  /** The daemon's PID on its host, and the same here. */
  #pid: { readonly inner: number; readonly outer: number } | null = null;

  private constructor(host: Host) {
    this.host = host;
  }

  static async start(host: Host): Promise<Keeper> {
    await launch(host);
    return new Keeper(host);
  }

  async stats(): Promise<ReportedStats> {
    // Asked from here: a program on the host for every question would be a load of its own.
    const directory = `/proc/${this.host.pid}/root/run/wireguard`;
    return parseStats(await request(IFNAME, 'stats=1\n\n', directory));
  }

  /** Of the process that serves now, as seen from here. */
  async pid(): Promise<number> {
    return this.pidOf(await this.stats());
  }

  /** The same, of what it has answered. */
  pidOf({ facts }: ReportedStats): number {
    const inner = Number(facts.pid);
    if (this.#pid?.inner !== inner) this.#pid = { inner, outer: outerPid(this.host, inner) };
    return this.#pid.outer;
  }

  /** SIGKILL, and the next daemon; resolves when that one is asked and answers. */
  async kill(): Promise<void> {
    const pid = await this.pid();
    process.kill(pid, 'SIGKILL');
    await waitFor(() => !isAlive(pid), `the end of process ${pid}`);
    await sleep(RESTART_MS);
    await this.restart();
  }

  /** For a daemon that has ended. */
  restart(): Promise<void> {
    return launch(this.host);
  }

  /** @throws {Error} with the line of the tool when the daemon was not replaced */
  async upgrade(): Promise<void> {
    const before = await this.pid();
    const options = { timeoutMs: UPGRADE_MS };
    const { status, stderr } = await this.host.exec('tswg', [IFNAME, 'upgrade'], options);
    if (status !== 0) throw new Error(`status ${status}: ${stderr}`);
    const after = await this.pid();
    if (after === before) throw new Error(`process ${before} still serves`);
    await waitFor(() => !isAlive(before), `the end of process ${before}`);
  }

  /** What all daemons of this host have said so far, a line each. */
  async log(): Promise<string[]> {
    const text = await this.host.run('cat', [LOG]);
    return text.split('\n').filter((line) => line !== '');
  }
}

/** Resolves when the daemon answers. */
async function launch(host: Host): Promise<void> {
  const script = `exec ${OUR_DAEMON} -f ${IFNAME} >>${LOG} 2>&1`;
  const child = host.spawn('sh', ['-c', script], { env: ENVIRONMENT });
  await waitForControl(host, IFNAME, child);
}

/** A zombie has ended. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** The process that has this PID on the host: of the lines of PIDs, the last one is the host's. */
function outerPid(host: Host, inner: number): number {
  const onHost = new RegExp(`^NSpid:.*\\t${inner}$`, 'm');
  const isOfHost = (pid: string): boolean => {
    try {
      if (!onHost.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return false;
      return readlinkSync(`/proc/${pid}/ns/pid`) === readlinkSync(`/proc/${host.pid}/ns/pid`);
    } catch {
      return false;
    }
  };
  const found = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isOfHost(name));
  if (found.length !== 1) throw new Error(`${host.name}: process ${inner}: ${found.length} found`);
  return Number(found[0]);
}
