/**
 * A name server on a host of the lab, whose answers a test changes while others ask: addresses that
 * move, names that come and go, a server that is silent, fails, refuses, is slow or dies. And what a
 * host needs to ask it: a resolv.conf of its own. What is dead about "a dead AAAA first" is the
 * address: give one that nobody has; the asking host puts IPv6 first by itself if it has any.
 *
 *     const server = await NameServer.start(host, ['127.0.0.1']);
 *     await useNameServers(host, ['127.0.0.1']);
 *     await server.set('gw.example.net', ['203.0.113.10', '2001:db8::10']);
 *     await server.set('gw.example.net', 'silent');
 */

import { type Child, waitFor } from './command.ts';
import type { Host } from './host.ts';
import { compiledProgram } from './repository.ts';

/** What becomes of a question for one name; for a name that is not in the zone there is none. */
export type Entry =
  /** No answer at all, as of a server that is not reached. */
  | 'silent'
  /** SERVFAIL. */
  | 'failing'
  | 'refused'
  | {
      /** In text, of both families. With none, the name exists and has no address. */
      readonly addresses: readonly string[];
      readonly delayMs?: number;
      /** Over UDP only the word that the answer is too long for it. */
      readonly overTcp?: boolean;
    };

/** By name in lower case; `*` is every other name. */
export type Zone = Readonly<Record<string, Entry>>;

export class NameServer {
  readonly #child: Child;
  #zone: Zone = {};
  #told = 0;

  private constructor(child: Child) {
    this.#child = child;
  }

  /** Serves port 53 of these addresses of the host, and knows no name. */
  static async start(host: Host, addresses: readonly string[]): Promise<NameServer> {
    const program = compiledProgram('test/lab/nameserverprogram.ts');
    const child = host.spawn('node', [program, ...addresses]);
    await child.waitForOutput(/^serving$/m);
    return new NameServer(child);
  }

  /** Gives a name these addresses, or another fate; undefined: there is no such name any more. */
  set(name: string, entry: readonly string[] | Entry | undefined): Promise<void> {
    const { [name]: _, ...others } = this.#zone;
    if (entry === undefined) return this.setAll(others);
    const isList = Array.isArray(entry);
    return this.setAll({ ...others, [name]: isList ? { addresses: entry } : (entry as Entry) });
  }

  /** Replaces all that it knows; resolves when it answers so. */
  async setAll(zone: Zone): Promise<void> {
    this.#zone = zone;
    const told = ++this.#told;
    this.#child.writeInput(`${JSON.stringify(zone)}\n`);
    await waitFor(
      () => [...this.#child.stdout.matchAll(/^known$/gm)].length >= told,
      'the name server',
    );
  }

  /** The questions for a name so far, each as `udp A` or `tcp AAAA`. */
  queries(name: string): string[] {
    const lines = this.#child.stdout.matchAll(/^query (udp|tcp) (\S+) (\S+)$/gm);
    return [...lines]
      .filter(([, , one]) => one === name)
      .map(([, how, , type]) => `${how} ${type}`);
  }

  /** It dies: whoever asks is told by the kernel that nobody listens. */
  async stop(): Promise<void> {
    await this.#child.stop('SIGKILL');
  }
}

/**
 * Gives a host a resolv.conf of its own, whole and in one step. The waits are short, so that tests
 * of dead servers are; without `options` they are the C library's (5 s, twice).
 */
export async function useNameServers(
  host: Host,
  addresses: readonly string[],
  lines: readonly string[] = ['options timeout:1 attempts:1'],
): Promise<void> {
  const text = [...addresses.map((one) => `nameserver ${one}`), ...lines, ''].join('\n');
  // The file there is a link to the machine's, which is not to be written to.
  const script = 'cat >/etc/resolv.conf.new; chmod 644 /etc/resolv.conf.new';
  await host.run('sh', ['-euc', `${script}; mv /etc/resolv.conf.new /etc/resolv.conf`], {
    input: text,
  });
}
