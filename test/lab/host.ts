/**
 * One machine of a lab: a process that holds a network, a mount and a PID namespace. It has its
 * own interfaces, /run (so that two hosts may both have a wg0), /etc/wg and /etc/wireguard.
 * Nothing of it has a name outside; when the holder ends, for whatever reason, the kernel ends
 * everything that was started inside, daemons included.
 */

import {
  Child,
  type CommandOptions,
  execute,
  HANG_MS,
  mustExecute,
  type Result,
  waitFor,
} from './command.ts';

/**
 * PID 1 of a host. It takes the machine's /etc along as links, prints its PID as seen from
 * outside, and then waits for the end of its input: that of the test, however the test ends.
 */
const HOLDER = `
set -eu
read -r pid rest </proc/self/stat
mount -t proc proc /proc 2>/dev/null || true
mount -t sysfs sysfs /sys 2>/dev/null || true
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lab/etc /run/lock /run/wireguard
mount --rbind /etc /run/lab/etc
mount -t tmpfs -o mode=755 tmpfs /etc
shopt -s dotglob
ln -s -t /etc /run/lab/etc/*
rm -f /etc/wg /etc/wireguard
mkdir -m 700 /etc/wg /etc/wireguard
ip link set lo up
cd /proc/sys/net
for key in ipv4/conf/all/rp_filter ipv4/conf/default/rp_filter \
           ipv6/conf/all/accept_dad ipv6/conf/default/accept_dad; do
  [ ! -e "$key" ] || echo 0 >"$key"
done
cd /
echo "holding $pid"
while read -r rest; do :; done
`;

const NAMESPACES = [
  '--net',
  '--mount',
  '--pid',
  '--fork',
  '--kill-child=SIGKILL',
  '--propagation',
  'private',
];

export class Host {
  readonly name: string;
  /** Of the holder, as seen by the test. */
  readonly pid: number;
  readonly #holder: Child;
  readonly #credentials: readonly string[];
  readonly #env: Readonly<Record<string, string>>;

  private constructor(
    name: string,
    pid: number,
    holder: Child,
    credentials: readonly string[],
    env: Readonly<Record<string, string>>,
  ) {
    this.name = name;
    this.pid = pid;
    this.#holder = holder;
    this.#credentials = credentials;
    this.#env = env;
  }

  /** @param owner PID of the holder of the lab's user namespace; null when we are root. */
  static async start(
    name: string,
    owner: number | null,
    env: Readonly<Record<string, string>>,
  ): Promise<Host> {
    const credentials = owner === null ? [] : ['--user', '--preserve-credentials'];
    const prefix = owner === null ? [] : ['nsenter', '--target', String(owner), ...credentials];
    const holder = new Child([...prefix, 'unshare', ...NAMESPACES, 'bash', '-c', HOLDER]);
    try {
      const [, pid] = await holder.waitForOutput(/holding (\d+)/);
      return new Host(name, Number(pid), holder, credentials, env);
    } catch (error) {
      holder.kill();
      throw error;
    }
  }

  /** Runs a program on this host to its end. Rejects only when it takes too long. */
  exec(command: string, args: readonly string[] = [], options: CommandOptions = {}) {
    return execute(this.#entering(command, args), this.#options(options));
  }

  /** Runs a program on this host and returns what it printed; rejects unless it succeeded. */
  run(command: string, args: readonly string[] = [], options: CommandOptions = {}) {
    return mustExecute(this.#entering(command, args), this.#options(options));
  }

  /** Runs a script with `sh -eu`. */
  sh(script: string, options: CommandOptions = {}): Promise<Result> {
    return this.exec('sh', ['-euc', script], options);
  }

  /** Starts a program that runs beside the test. It ends with the host at the latest. */
  spawn(command: string, args: readonly string[] = [], options: CommandOptions = {}): Child {
    return new Child(this.#entering(command, args), this.#options(options));
  }

  /** `ip` with its words in one string: `ip('route add default via 10.0.0.1')`. */
  ip(words: string): Promise<string> {
    return this.run('ip', words.split(' '));
  }

  /** Gives an interface its addresses (with prefix lengths) and brings it up. */
  async configure(ifname: string, ...addresses: readonly string[]): Promise<void> {
    for (const address of addresses) {
      const nodad = address.includes(':') ? ' nodad' : '';
      await this.ip(`address add ${address} dev ${ifname}${nodad}`);
    }
    await this.ip(`link set ${ifname} up`);
  }

  /** Sets a kernel parameter of this host, named as sysctl names it. */
  async sysctl(name: string, value: number | string): Promise<void> {
    await this.run('sh', [
      '-c',
      'printf %s "$2" >"/proc/sys/$1"',
      'sh',
      name.replaceAll('.', '/'),
      `${value}`,
    ]);
  }

  /** Forwards packets between its interfaces. */
  async forward(): Promise<void> {
    await this.sysctl('net.ipv4.ip_forward', 1);
    await this.sysctl('net.ipv6.conf.all.forwarding', 1);
  }

  /** Replaces the host's whole nftables ruleset. */
  async nft(ruleset: string): Promise<void> {
    await this.run('nft', ['-f', '-'], { input: `flush ruleset\n${ruleset}\n` });
  }

  /** Writes a file on this host: below /run, /etc/wg or /etc/wireguard, which are its own. */
  async writeFile(path: string, content: string, mode = '600'): Promise<void> {
    const script = 'umask 077; cat >"$1"; chmod "$2" "$1"';
    await this.run('sh', ['-euc', script, 'sh', path, mode], { input: content });
  }

  /** Connects an interface of this host to one of another, as a cable would. */
  async connect(ifname: string, other: Host, otherIfname: string): Promise<void> {
    await this.#fromOutside(
      `link add name ${ifname} type veth peer name ${otherIfname} netns ${other.pid}`,
    );
  }

  /** Moves an interface of this host to another host. */
  async moveLink(ifname: string, other: Host): Promise<void> {
    await this.#fromOutside(`link set dev ${ifname} netns ${other.pid}`);
  }

  /** Ends the host and all that runs on it. */
  async close(): Promise<void> {
    this.#holder.closeInput();
    const timer = setTimeout(() => this.kill(), HANG_MS);
    await this.#holder.exited;
    clearTimeout(timer);
  }

  /** The same, at once and without waiting. */
  kill(): void {
    this.#holder.kill();
  }

  /** Waits until the process with this PID, as seen on the host, is gone. */
  async waitForExit(pid: number): Promise<void> {
    await waitFor(
      async () => (await this.sh(`kill -0 ${pid}`)).status !== 0,
      `the end of process ${pid} on ${this.name}`,
    );
  }

  // Only the network namespace is entered, so that PIDs and tools are those of the test.
  async #fromOutside(words: string): Promise<void> {
    const target = ['nsenter', '--target', `${this.pid}`, ...this.#credentials, '--net'];
    await mustExecute([...target, 'ip', ...words.split(' ')]);
  }

  #entering(command: string, args: readonly string[]): string[] {
    const target = ['nsenter', '--target', `${this.pid}`, ...this.#credentials];
    // Without --root a test that runs inside a chroot would find itself outside of it.
    return [...target, '--net', '--mount', '--pid', '--root', '--wd', '--', command, ...args];
  }

  #options(options: CommandOptions): CommandOptions {
    return { ...options, env: { ...this.#env, ...options.env } };
  }
}
