/**
 * An example of examples/, as a person carries it out: its files are put into /etc of the hosts as
 * they stand, the keys that they name are made and exchanged, and each host boots.
 *
 *     examples/NAME/HOST/FILE        is /etc/FILE of that host; nothing of its text is changed
 *     test/examples/, a file NAME    the test: the network around it, and what the job promises
 *
 * What boots, in the order of a machine's boot (each only if HOST has it):
 *
 *     nftables.conf                  `nft -f`, before the network         beforeNetwork()
 *     systemd/system/*.service       its ExecStart, likewise, if it is Before=network-pre.target
 *     hostname.IF                    `tswg netstart`, all of them         boot(), which does all three
 *     rc.local                       `sh`                                 and begins with beforeNetwork()
 *
 * Whatever else a host has (resolv.conf, bird.conf) is there for what the test starts. Keys are files,
 * and a file of the example names them by their paths:
 *
 *     /etc/wg/private.key            the host's own
 *     /etc/wg/HOST.pub               the public key of HOST, a folder of the example:
 *                                    `!tswg $if wgpeer "$(cat /etc/wg/HOST.pub)" ...` in hostname.IF,
 *                                    since of these only `!` lines go through a shell; a line with a
 *                                    key that is not there yet fails alone, and --keep repeats it
 *     /etc/wg/ANY.psk                a preshared key, the same on all hosts whose files name it
 *
 * A test is:
 *
 *     describeExample('two-lans', ['nft'], (example) => {
 *       it('...', () => withLab({}, async (lab) => {
 *         const [siteA, siteB] = await lab.hosts('site-a', 'site-b');    names as the folders'
 *         ... connect and configure what is no part of the example: cables, WAN and LAN addresses
 *         await example.install(siteA, siteB);                           files, then keys
 *         await example.boot(siteA);                                     rejects when a line fails
 *         ... what the job promises
 *         await example.expectHealthy(siteA, siteB);                     doctor finds nothing
 *
 * `npm run examples` runs them all (vitest.examples.config.ts); those that vitest.config.ts names run
 * in `npm test`, too. test/exampletexts.test.ts holds what a file must have: a drawing first, addresses
 * of the documentation's ranges, "When it does not work", and the test.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../lab/host.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { describeInLab } from '../lab/suite.ts';
import { createKeyPair, createPresharedKey, type KeyPair } from '../lab/tunnel.ts';

/**
 * Copies a folder to /etc, whose folders and files are links to those of the machine that the test
 * runs on: a folder that gets a file becomes one of the host's own first, and a file is replaced.
 */
const COPY = `
cd "$1"
find . -type d | while read -r folder; do
  if [ -L "/etc/$folder" ]; then
    there=$(readlink -f "/etc/$folder")
    rm "/etc/$folder"
    mkdir "/etc/$folder"
    find "$there" -mindepth 1 -maxdepth 1 -exec ln -s -t "/etc/$folder" {} +
  fi
  mkdir -p "/etc/$folder"
done
find . -type f | while read -r file; do
  case $file in ./hostname.*) mode=600 ;; *) mode=644 ;; esac
  install -m "$mode" "$file" "/etc/$file.new"
  mv -T "/etc/$file.new" "/etc/$file"
done
`;
const UNITS = 'systemd/system';

/** Declares the suite of an example, which is skipped where the lab or a program is missing. */
export function describeExample(
  name: string,
  programs: readonly string[],
  body: (example: Example) => void,
): void {
  describeInLab(`examples/${name}`, ['tswg', ...programs], () => body(new Example(name)));
}

export class Example {
  readonly #folder: string;

  constructor(name: string) {
    this.#folder = join(REPOSITORY, 'examples', name);
  }

  /** The text of a file of a host. */
  text(hostName: string, file: string): string {
    return readFileSync(join(this.#folder, hostName, file), 'utf8');
  }

  /**
   * Puts the files of each host into its /etc, makes its private key, and gives it the public and
   * preshared keys that its files name. Of a host that is not among them no key is there.
   *
   * @returns the key pairs by the hosts' names
   */
  async install(...hosts: readonly Host[]): Promise<ReadonlyMap<string, KeyPair>> {
    const keys = new Map(hosts.map(({ name }) => [name, createKeyPair()]));
    const presharedKeys = new Map<string, string>();
    for (const host of hosts) {
      await host.run('sh', ['-euc', COPY, 'sh', join(this.#folder, host.name)]);
      await host.writeFile('/etc/wg/private.key', `${keys.get(host.name)!.privateKey}\n`);
      for (const [path, owner, kind] of this.#namedKeys(host.name)) {
        if (!presharedKeys.has(owner)) presharedKeys.set(owner, createPresharedKey());
        const key = kind === 'psk' ? presharedKeys.get(owner) : keys.get(owner)?.publicKey;
        if (key !== undefined) await host.writeFile(path, `${key}\n`);
      }
    }
    return keys;
  }

  /** What a boot does before any interface is up. */
  async beforeNetwork(host: Host): Promise<void> {
    if (this.#has(host, 'nftables.conf')) await loadRules(host);
    if (!this.#has(host, UNITS)) return;
    for (const unit of readdirSync(join(this.#folder, host.name, UNITS))) {
      const text = this.text(host.name, `${UNITS}/${unit}`);
      if (!/^Before=.*\bnetwork-pre\.target\b/m.test(text)) continue;
      for (const [, command] of text.matchAll(/^ExecStart=(.*)$/gm)) {
        await mustSucceed(host, 'sh', ['-euc', command]);
      }
    }
  }

  /** Boots the host: all that its files say. */
  async boot(host: Host): Promise<void> {
    await this.beforeNetwork(host);
    await this.startTunnels(host);
  }

  /** The part of a boot after the network is up. */
  async startTunnels(host: Host): Promise<void> {
    const files = readdirSync(join(this.#folder, host.name));
    const interfaces = files.flatMap((file) => /^hostname\.(.*)$/.exec(file)?.[1] ?? []);
    if (interfaces.length > 0) await mustSucceed(host, 'tswg', ['netstart', ...interfaces]);
    if (this.#has(host, 'rc.local')) await mustSucceed(host, 'sh', ['/etc/rc.local']);
  }

  /** Doctor has nothing to say on any of the hosts; not for one whose peers are away. */
  async expectHealthy(...hosts: readonly Host[]): Promise<void> {
    for (const host of hosts) {
      const { status, stdout, stderr } = await host.exec('tswg', ['wg0', 'doctor']);
      if (status !== 0) throw new Error(`${host.name}: doctor: ${status}\n${stdout}${stderr}`);
    }
  }

  #has(host: Host, file: string): boolean {
    return existsSync(join(this.#folder, host.name, file));
  }

  /** Path, name and kind of each key but its own that the files of a host name. */
  #namedKeys(hostName: string): (readonly [path: string, owner: string, kind: string])[] {
    const folder = join(this.#folder, hostName);
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
    const named = entries
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
      .flatMap((text) => [...text.matchAll(/\/etc\/wg\/([\w-]+)\.(pub|psk)\b/g)]);
    return named.map(([path, owner, kind]) => [path, owner, kind] as const);
  }
}

/** As docs/handbook.md has it done at each change: the second time must leave what the first did. */
async function loadRules(host: Host): Promise<void> {
  const load = async (): Promise<string> => {
    await mustSucceed(host, 'nft', ['-f', '/etc/nftables.conf']);
    return host.run('nft', ['list', 'ruleset']);
  };
  const rules = await load();
  if ((await load()) === rules) return;
  throw new Error(`${host.name}: nftables.conf: other rules when it is carried out again`);
}

/** Rejects also when the program says anything on its standard error: an example has no warnings. */
async function mustSucceed(host: Host, program: string, words: readonly string[]): Promise<void> {
  const { status, stderr } = await host.exec(program, words);
  if (status === 0 && stderr === '') return;
  throw new Error(`${host.name}: ${program} ${words.join(' ')}: status ${status}\n${stderr}`);
}
