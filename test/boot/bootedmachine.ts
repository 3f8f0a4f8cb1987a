/**
 * A machine that boots: systemd as it is installed here, as PID 1 of a container (systemd-nspawn) on
 * a host of the lab, whose network it has. Its files are this machine's, with a layer over them that
 * is gone with the host; of services there are those of the distribution, and ours.
 *
 * Owns the container's life and the commands inside; what is booted there is the scenarios'.
 */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type Child, type CommandOptions, type Result, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { unmet } from '../lab/requirements.ts';

const PLACE = '/run/boot';
const ROOT = `${PLACE}/root`;
const PACKAGE = '/usr/local/lib/tswg';
const BOOT_TIMEOUT_MS = 90_000;

/** Takes the services away that this machine has beyond the distribution's, and names us. */
const PREPARE = `
mkdir -p ${PLACE}/layer ${ROOT}
mount -t tmpfs tmpfs ${PLACE}/layer
mkdir ${PLACE}/layer/upper ${PLACE}/layer/work
mount -t overlay -o lowerdir=/,upperdir=${PLACE}/layer/upper,workdir=${PLACE}/layer/work overlay ${ROOT}
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
mkdir -p var/log/journal usr/local/bin .${PACKAGE}
printf '[Journal]\\nStorage=persistent\\nRateLimitBurst=0\\n' >etc/systemd/journald.conf.d/all.conf
ln -sf ${PACKAGE}/bin/tswg ${PACKAGE}/bin/tswgd usr/local/bin
rm -rf /run/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
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
  const reason = unmet('systemd-nspawn', 'systemctl', 'journalctl', 'dbus-daemon');
  if (reason !== null) return reason;
  return process.geteuid?.() === 0 ? null : 'needs root';
}

export class BootedMachine {
  readonly #host: Host;
  readonly #group: string;
  #container: Child | null = null;
  #leader = 0;

  private constructor(host: Host, group: string) {
    this.#host = host;
    this.#group = group;
  }

  /** Installs the package and its units; the machine is not booted yet. */
  static async install(host: Host, name: string): Promise<BootedMachine> {
    const machine = new BootedMachine(host, `tswg-boot-${process.pid}-${name}`);
    await host.run('sh', ['-euc', PREPARE]);
    const wanted = ['bin', 'package.json', 'dist/program', ...packages()];
    const copy = `cd "$1"; shift; for one; do [ ! -e "$one" ] || echo "$one"; done |
      tar -c -T - | tar -x -C ${ROOT}${PACKAGE}`;
    await host.run('sh', ['-euc', copy, 'sh', REPOSITORY, ...wanted], { timeoutMs: 60_000 });
    for (const unit of ['tswg@.service', 'tswg-config@.service']) {
      const text = readFileSync(join(REPOSITORY, 'examples', unit), 'utf8');
      await machine.writeFile(`/etc/systemd/system/${unit}`, text, '644');
    }
    const links = `cd ${ROOT}/etc/systemd/system; mkdir multi-user.target.wants
      ln -s ../tswg@.service multi-user.target.wants/tswg@wg0.service`;
    await host.run('sh', ['-euc', links]);
    return machine;
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
    return this.#host.exec('nsenter', inside, { timeoutMs: 60_000, ...options });
  }

  sh(script: string): Promise<Result> {
    return this.exec('sh', ['-euc', script]);
  }

  async run(script: string): Promise<string> {
    const { status, stdout, stderr } = await this.sh(script);
    if (status !== 0) throw new Error(`${script}: status ${status}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Ends what is left, when the host is about to end. */
  async close(): Promise<void> {
    this.#container?.kill();
    await this.#host.sh(
      `for try in 1 2 3 4 5 6 7 8 9; do
        find /sys/fs/cgroup/${this.#group} -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.2
      done`,
    );
  }
}

/** The packages that the programs need to run, seen from the repository. */
function packages(): string[] {
  const options = ['ls', '--omit=dev', '--all', '--parseable'];
  const { stdout } = spawnSync('npm', options, { cwd: REPOSITORY, encoding: 'utf8' });
  return stdout
    .split('\n')
    .map((path) => relative(REPOSITORY, path))
    .filter((path) => path.startsWith('node_modules'));
}
