/**
 * A machine that boots: systemd as PID 1 of a container (systemd-nspawn) on a host of the lab, whose
 * network it has. Its files are those of debianroot.ts, with a layer over them that is gone with the
 * host; of services there are those of the distribution, and ours, by the Debian package.
 *
 * Owns the container's life and the commands inside; what is booted there is the scenarios'.
 */

import { spawnSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { type Child, type CommandOptions, type Result, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { unmet } from '../lab/requirements.ts';
import type { DebianRoot } from './debianroot.ts';

const PLACE = '/run/boot';
const ROOT = `${PLACE}/root`;
/** systemd's own, for programs that are run from outside. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const INSTALL_TIMEOUT_MS = 120_000;
const BOOT_TIMEOUT_MS = 90_000;

/** Takes the services away that this machine has beyond the distribution's, and names us. */
const PREPARE = `
mkdir -p ${PLACE}/layer ${ROOT}
mount -t tmpfs tmpfs ${PLACE}/layer
mkdir ${PLACE}/layer/upper ${PLACE}/layer/work
mount -t overlay -o lowerdir=$1,upperdir=${PLACE}/layer/upper,workdir=${PLACE}/layer/work overlay ${ROOT}
cd ${ROOT}
rm -rf etc/systemd/system etc/init.d etc/rc?.d var/log/journal var/lib/tswg
mkdir -p etc/systemd/system etc/systemd/system-generators etc/systemd/journald.conf.d
for generator in lib/systemd/system-generators/*; do
  case $generator in
    */systemd-*) ;;
    *) ln -sf /dev/null "etc/systemd/system-generators/\${generator##*/}" ;;
  esac
done
: >etc/fstab
rm -f etc/resolv.conf etc/hostname.wg*
echo 'hosts: files dns' >etc/nsswitch.conf
echo '127.0.0.1 localhost' >etc/hosts
echo 0123456789abcdef0123456789abcdef >etc/machine-id
echo bootbox >etc/hostname
mkdir -p var/log/journal
printf '[Journal]\\nStorage=persistent\\nRateLimitBurst=0\\n' >etc/systemd/journald.conf.d/all.conf
rm -rf /run/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
`;

/** In files of a machine that is off: what dpkg runs sees no systemd. */
const INSTALL = `
mount -t proc proc ${ROOT}/proc
cp "$1" ${ROOT}/root
status=0
chroot ${ROOT} dpkg --install $3 "/root/$2" || status=$?
umount ${ROOT}/proc
exit $status
`;

/** A control group of its own, so that nothing of it is left behind elsewhere. */
const START = `
group=/sys/fs/cgroup/$1
mkdir -p "$group"
echo $$ >"$group/cgroup.procs"
shift
exec systemd-nspawn "$@"
`;

/** Why no machine can be booted here; null when one can. */
export function unbootable(): string | null {
  const reason = unmet('systemd-nspawn', 'systemctl', 'dpkg-deb', 'lintian');
  if (reason !== null) return reason;
  return process.geteuid?.() === 0 ? null : 'needs root';
}

export class BootedMachine {
  readonly #host: Host;
  readonly #group: string;
  readonly #root: DebianRoot;
  #container: Child | null = null;
  #leader = 0;

  private constructor(host: Host, group: string, root: DebianRoot) {
    this.#host = host;
    this.#group = group;
    this.#root = root;
  }

  /** Lays out a machine with nothing of ours; it is not booted yet. */
  static async prepare(host: Host, name: string, root: DebianRoot): Promise<BootedMachine> {
    const group = `tswg-boot-${process.pid}-${name}`;
    const machine = new BootedMachine(host, group, root);
    removeGroupAtExit(group);
    await host.run('sh', ['-euc', PREPARE, 'sh', root.folder]);
    return machine;
  }

  /** Installs a package while the machine is off, and enables the tunnel. Returns what dpkg said. */
  async installOffline(deb: string): Promise<string> {
    const force = this.#root.isPure ? '' : '--force-depends';
    const words = ['sh', deb, basename(deb), force];
    const said = await this.#host.run('sh', ['-euc', INSTALL, ...words], {
      timeoutMs: INSTALL_TIMEOUT_MS,
      env: { PATH, DEBIAN_FRONTEND: 'noninteractive' },
    });
    await this.#host.run('systemctl', [`--root=${ROOT}`, '--quiet', 'enable', 'tswg@wg0']);
    return said;
  }

  /** Puts the programs, as they are packed for npm and for Debian, into /root/stage. */
  async copyStage(): Promise<void> {
    const architecture = (await this.#host.run('dpkg', ['--print-architecture'])).trim();
    const stage = join(REPOSITORY, 'dist', 'package', 'stage', architecture);
    await this.#host.run('cp', ['-r', stage, `${ROOT}/root/stage`]);
  }

  /** Installs or upgrades a package while the machine runs, as an operator does. */
  async install(deb: string): Promise<Result> {
    const path = `/root/${basename(deb)}`;
    await this.#host.run('cp', [deb, `${ROOT}${path}`]);
    return this.packageCommand('install', path);
  }

  /** `install`, `remove` or `purge`, and a name or a path. */
  packageCommand(word: 'install' | 'remove' | 'purge', what: string): Promise<Result> {
    const options = { timeoutMs: INSTALL_TIMEOUT_MS, env: { DEBIAN_FRONTEND: 'noninteractive' } };
    if (this.#root.isPure) return this.exec('apt-get', ['--yes', word, what], options);
    return this.exec('dpkg', ['--force-depends', `--${word}`, what], options);
  }

  /** Before the machine is booted, or while it runs. */
  async writeFile(path: string, content: string, mode = '600'): Promise<void> {
    await this.#host.run('mkdir', ['-p', `${ROOT}${path.slice(0, path.lastIndexOf('/'))}`]);
    await this.#host.writeFile(`${ROOT}${path}`, content, mode);
  }

  /** Removes a file or a folder, while the machine is off. */
  async discard(path: string): Promise<void> {
    await this.#host.run('rm', ['-rf', `${ROOT}${path}`]);
  }

  /** Boots, until systemd has nothing more to start; @param env for systemd-nspawn */
  async boot(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const options = [
      ...['--quiet', `--directory=${ROOT}`, '--boot', '--register=no', '--keep-unit'],
      ...['--network-namespace-path=/proc/self/ns/net', '--bind=/dev/net/tun'],
      '--capability=CAP_NET_ADMIN,CAP_BPF',
      ...['--console=pipe', '--resolv-conf=off', '--timezone=off', '--link-journal=no'],
      `--machine=bootbox${process.pid}`,
      // What the unit's own sandbox is made of.
      '--system-call-filter=@memlock bpf landlock_create_ruleset landlock_add_rule landlock_restrict_self',
    ];
    this.#container = this.#host.spawn('sh', ['-euc', START, 'sh', this.#group, ...options], {
      env,
    });
    const container = this.#container;
    this.#leader = await waitFor(
      async () => {
        if (container.status !== null) throw new Error(`no container: ${container.stderr}`);
        const { stdout } = await this.#host.sh('pgrep -f "^/(usr/)?lib/systemd/systemd( |$)" || :');
        return stdout === '' ? null : Number(stdout.split('\n')[0]);
      },
      'PID 1 of the container',
      BOOT_TIMEOUT_MS,
    );
    await waitFor(
      async () => {
        const { stdout } = await this.exec('systemctl', ['is-system-running']);
        return /^(running|degraded)/.test(stdout);
      },
      'the end of the boot',
      BOOT_TIMEOUT_MS,
    );
  }

  /** Ends it as `poweroff` does; its files stay, its interfaces are gone. */
  async powerOff(): Promise<void> {
    await this.exec('systemctl', ['poweroff', '--no-block']);
    await waitFor(() => this.#container?.status !== null, 'the end of the machine', 60_000);
    await this.#host.sh('ip link delete wg0');
  }

  /** Runs a program inside, to its end. */
  exec(command: string, args: readonly string[] = [], options: CommandOptions = {}) {
    const inside = ['--target', `${this.#leader}`, '--all', '--', command, ...args];
    const env = { PATH, ...options.env };
    return this.#host.exec('nsenter', inside, { timeoutMs: 60_000, ...options, env });
  }

  sh(script: string): Promise<Result> {
    return this.exec('sh', ['-euc', script]);
  }

  async run(script: string): Promise<string> {
    const { status, stdout, stderr } = await this.sh(script);
    if (status !== 0) throw new Error(`${script}: status ${status}\n${stdout}${stderr}`);
    return stdout;
  }

  /** What `systemctl status` says of both units of wg0, without where their files are. */
  async status(): Promise<string> {
    const { stdout } = await this.sh(
      'systemctl --no-pager --lines=3 --full status tswg@wg0.service tswg-config@wg0.service || :',
    );
    return stdout.replaceAll(/^ *(Docs|Process):.*\n/gm, '');
  }

  /** What the journal has of our units since the boot. */
  journal(): Promise<string> {
    return this.run('journalctl --boot --no-pager --output=short-monotonic -u "tswg*"');
  }

  /** Ends what is left, when the host is about to end. */
  close(): void {
    this.#container?.kill();
  }
}

/** Also after an interruption, when the host has ended and nothing else can be waited for. */
function removeGroupAtExit(group: string): void {
  const script = `
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    for try in 1 2 3 4 5 6 7 8 9; do
      [ -d "$1" ] || break
      find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.2
    done`;
  const words = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'];
  process.once('exit', () => spawnSync('unshare', [...words, `/sys/fs/cgroup/${group}`]));
}
