/**
 * A small network of hosts, made of namespaces. Owns the hosts' lives: `close` ends them all, and
 * so does the end of the test's process, even by SIGKILL, since every holder then reads the end of
 * its input. As an ordinary user the hosts live inside one user namespace of the lab.
 */

import { Child } from './command.ts';
import { Host } from './host.ts';
import { namespacePrivilege, unmet } from './requirements.ts';

export interface LabOptions {
  /** Added to the environment of every program on every host. */
  readonly env?: Readonly<Record<string, string>>;
}

const OWNER = 'read -r pid rest </proc/self/stat; echo "owning $pid"; read -r rest';

export class Lab {
  readonly #env: Readonly<Record<string, string>>;
  readonly #owner: Child | null;
  readonly #ownerPid: number | null;
  readonly #hosts: Host[] = [];

  private constructor(options: LabOptions, owner: Child | null, ownerPid: number | null) {
    this.#env = options.env ?? {};
    this.#owner = owner;
    this.#ownerPid = ownerPid;
  }

  /** Rejects with one line when this machine does not allow namespaces. */
  static async open(options: LabOptions = {}): Promise<Lab> {
    const reason = unmet('unshare', 'nsenter', 'ip');
    if (reason !== null) throw new Error(`lab: ${reason}`);
    if (namespacePrivilege() === 'root') return new Lab(options, null, null);
    const flags = ['--user', '--map-root-user', '--kill-child=SIGKILL'];
    const owner = new Child(['unshare', ...flags, '--fork', 'bash', '-c', OWNER]);
    const [, pid] = await owner.waitForOutput(/owning (\d+)/);
    return new Lab(options, owner, Number(pid));
  }

  /** Of the hosts' holders. */
  get pids(): readonly number[] {
    return this.#hosts.map((host) => host.pid);
  }

  async host(name: string): Promise<Host> {
    const host = await Host.start(name, this.#ownerPid, this.#env);
    this.#hosts.push(host);
    return host;
  }

  /** Several hosts at once, in the order of their names. */
  async hosts<const Names extends readonly string[]>(
    ...names: Names
  ): Promise<{ [Index in keyof Names]: Host }> {
    const started = await Promise.all(names.map((name) => this.host(name)));
    return started as { [Index in keyof Names]: Host };
  }

  /** Ends every host and all that runs on them. May be called twice. */
  async close(): Promise<void> {
    await Promise.all(this.#hosts.splice(0).map((host) => host.close()));
    this.#owner?.closeInput();
    await this.#owner?.exited;
  }
}
