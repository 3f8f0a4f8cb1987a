/**
 * What a running daemon has given up, seen from inside (sandboxprobe.ts) and from /proc; and that
 * an operator may still ask of it what one could before.
 */

import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { type Child, sleep, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { NotifySocket } from '../lab/notifysocket.ts';
import { probedProgram } from '../lab/probedprogram.ts';
import { firstPing, ping } from '../lab/probes.ts';
import { compiledProgram } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import {
  buildPair,
  createKeyPair,
  createPresharedKey,
  INNER,
  waitForControl,
} from '../lab/tunnel.ts';
import {
  PERMITTED,
  type Report,
  VICTIM_OBSERVING,
  VICTIM_SOCKET,
  VICTIM_STATES,
} from './sandboxprobe.ts';

const SOCKET = '/var/run/wireguard/wg0.sock';
const RIGHT = INNER[4][1];
/** net_bind_service, net_admin */
const KEPT = (1n << 10n) | (1n << 12n);

const { folder, program: PROGRAM } = probedProgram();

interface Subject {
  readonly daemon: Child;
  readonly pid: number;
  /** All that the code inside has said, of every process. */
  readonly said: () => string;
}

let subjects = 0;

async function start(host: Host, env: Readonly<Record<string, string>> = {}): Promise<Subject> {
  const output = path.join(folder, `output${subjects++}`);
  const daemon = host.spawn('node', [PROGRAM, '-f', 'wg0'], {
    env: { LOG_LEVEL: 'debug', TSWG_PROBE_OUTPUT: output, ...env },
  });
  await waitForControl(host, 'wg0', daemon);
  const said = () => readFileSync(output, 'utf8');
  return { daemon, said, pid: Number(/probed process (\d+)/.exec(said())![1]) };
}

/** What became of the attempts in this process. */
async function probe(host: Host, subject: Subject, pid: number): Promise<Report> {
  await host.run('kill', ['-HUP', `${pid}`]);
  const isWanted = (one: Report) => one.pid === pid && one.when === 'running';
  return waitFor(() => reports(subject).find(isWanted), `the report of ${pid}`, 20_000);
}

function reports({ said }: Subject): Report[] {
  return [...said().matchAll(/^probe (\{.*\})$/gm)].map(([, line]) => JSON.parse(line));
}

/** The daemon's process of this moment. */
async function currentPid(host: Host): Promise<number> {
  return Number(/^\tpid: (\d+)$/m.exec(await host.run('tswg', ['wg0', 'stats']))?.[1]);
}

/** The names of the attempts that succeeded. */
function successes(outcomes: Readonly<Record<string, string>>): string[] {
  return Object.keys(outcomes)
    .filter((what) => outcomes[what] === 'done')
    .sort();
}

/** The UNIX sockets that were tried to be given a name. */
function namedOnes({ main }: Report): string[] {
  return Object.keys(main).filter((what) => what.startsWith('a service’s name'));
}

/** One field of /proc/PID/task/TID/status, for every thread, the main one first. */
async function threads(host: Host, pid: number, field: string): Promise<string[]> {
  const { stdout } = await host.sh(
    `for task in $(ls /proc/${pid}/task | sort -n); do
       sed -n 's/^${field}:[[:space:]]*//p' /proc/${pid}/task/$task/status
     done`,
  );
  return stdout.trimEnd().split('\n');
}

async function stats(host: Host): Promise<Record<string, string>> {
  const text = await host.run('tswg', ['wg0', 'stats']);
  const rows = [...text.matchAll(/^\t(sandbox.*?|resolver): (.*)$/gm)];
  return Object.fromEntries(rows.map(([, name, value]) => [name, value]));
}

describeInLab('the sandbox of a running daemon', ['wg', 'setpriv'], () => {
  it('covers every thread, and stats say so', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const { pid } = await start(host);
      const ids = await threads(host, pid, 'Uid');
      expect(ids.length).toBeGreaterThan(6);
      const [uid] = ids[0].split('\t');
      expect(Number(uid)).toBeGreaterThanOrEqual(61_184);
      expect(new Set(ids)).toEqual(new Set([Array(4).fill(uid).join('\t')]));
      expect(new Set(await threads(host, pid, 'Gid'))).toEqual(new Set(ids));
      expect(new Set(await threads(host, pid, 'Groups'))).toEqual(new Set(['']));
      for (const set of ['CapEff', 'CapPrm']) {
        const [main, ...others] = (await threads(host, pid, set)).map((text) =>
          BigInt(`0x${text}`),
        );
        expect(main, set).toBe(KEPT);
        expect(new Set(others), set).toEqual(new Set([0n]));
      }
      expect(new Set(await threads(host, pid, 'NoNewPrivs'))).toEqual(new Set(['1']));
      expect(new Set(await threads(host, pid, 'Seccomp'))).toEqual(new Set(['2']));
      expect(await host.run('cat', [`/proc/${pid}/limits`])).toMatch(/core file size +0 +0 /);
      // The kernel gives the files of a process that is not dumpable to root.
      expect(await host.run('stat', ['-c', '%u', `/proc/${pid}/maps`])).toBe('0\n');
      const same = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
      const snoop = await host.exec('setpriv', [...same, 'cat', `/proc/${pid}/maps`]);
      expect(snoop.status).not.toBe(0);
      expect(await stats(host)).toEqual({
        'sandbox dump': 'not dumpable, no core files',
        'sandbox key memory': expect.stringMatching(/^locked \(\d+ KiB\)$/),
        'sandbox no new privs': 'yes',
        'sandbox landlock': expect.stringMatching(/^(the main thread|all threads)/),
        'sandbox user': `${uid}, group ${uid}`,
        'sandbox capabilities': 'net_admin net_bind_service in the main thread; other threads none',
        'sandbox seccomp': 'all threads',
      });
    }));

  it('still does what an operator asks', () =>
    withLab({}, async (lab) => {
      const { left, right } = await buildPair(lab, { bothKnow: true });
      await firstPing(left.host, RIGHT);
      await left.set('listen-port 500 fwmark 0x77');
      expect(await left.dump()).toMatchObject({ listenPort: 500, fwmark: '0x77' });
      await firstPing(left.host, RIGHT);
      await left.host.ip('link set wg0 down');
      await left.host.ip('link set wg0 up');
      await firstPing(left.host, RIGHT);
      await left.host.ip('link set wg0 name office');
      await left.host.ip('link set office mtu 1300');
      expect((await ping(left.host, RIGHT, { size: 1272, dontFragment: true })).received).toBe(1);
      expect(await left.daemon.stop('SIGTERM')).toBe(0);
      expect((await left.host.sh(`test -e ${SOCKET}`)).status).toBe(1);
      expect(left.daemon.stderr + right.daemon.stderr).not.toMatch(/Sandbox|ERROR|EPERM/);
    }));

  it('is another user when asked, and says in one line that there is none', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const unknown = await host.exec('tswgd', ['-f', 'wg0'], { env: { TSWG_USER: 'nosuch' } });
      expect(unknown).toMatchObject({
        status: 1,
        stderr: 'tswgd: TSWG_USER: nosuch: there is no such user\n',
      });
      const { pid } = await start(host, { TSWG_USER: 'daemon' });
      const uid = (await host.run('id', ['-u', 'daemon'])).trim();
      expect((await threads(host, pid, 'Uid'))[0]).toBe(Array(4).fill(uid).join('\t'));
    }));

  it('can be turned off, loudly', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const { daemon, pid } = await start(host, { TSWG_SANDBOX: 'off' });
      expect(daemon.stderr).toMatch(/ERROR: .*TSWG_SANDBOX=off: .*keeps root/);
      expect(await stats(host)).toEqual({
        sandbox: 'off (TSWG_SANDBOX=off)',
        'sandbox key memory': expect.stringMatching(/^locked /),
      });
      expect(new Set(await threads(host, pid, 'Seccomp'))).toEqual(new Set(['0']));
    }));

  it('begins again, without the io_uring that its engine began with', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const rings = (pid: number | string) =>
        host
          .sh(`ls -l /proc/${pid}/fd | grep -c io_uring || :`)
          .then(({ stdout }) => stdout.trim());
      // As libuv does by itself, where it is newer than Node's own.
      const env = { UV_USE_IO_URING: '1' };
      const own = `node -e 'console.log(process.pid); setTimeout(() => {}, 10_000)'`;
      const engine = host.spawn('sh', ['-c', `exec ${own}`], { env });
      const [pid] = await engine.waitForOutput(/^\d+/);
      expect(await rings(pid), 'an engine of this kind').not.toBe('0');
      engine.kill();

      const started = await host.exec('tswgd', ['wg0'], { env });
      expect(started).toEqual({ status: 0, stdout: '', stderr: '' });
      expect((await stats(host))['sandbox seccomp']).toBe('all threads');
      expect(await rings(await currentPid(host))).toBe('0');
      expect(await host.run('tswg', ['wg0', 'upgrade'], { env })).toContain('now served by');
      expect((await stats(host))['sandbox seccomp']).toBe('all threads');
      expect(await rings(await currentPid(host))).toBe('0');
    }));

  it('says what does not hold where the system refuses it, and runs', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      // Without the rights to become another user and to enter new namespaces.
      const fewer = '--bounding-set=-setuid,-setgid,-sys_admin';
      const daemon = host.spawn('setpriv', [fewer, 'tswgd', '-f', 'wg0'], {
        env: { LOG_LEVEL: 'debug' },
      });
      await waitForControl(host, 'wg0', daemon);
      expect(await stats(host)).toMatchObject({
        'sandbox user': 'no (setgroups: EPERM): still root',
        'sandbox seccomp': 'all threads',
      });
      expect(daemon.stderr).toMatch(/DEBUG: .*Sandbox: user: no \(setgroups: EPERM\)/);
      const told = daemon.stderr.split('\n').filter((line) => line.startsWith('ERROR: '));
      expect(told).toEqual([
        expect.stringMatching(
          /Sandbox: not all of it holds, .*: user: the daemon is still root \(setgroups: EPERM: not permitted here, .*\)$/,
        ),
      ]);
      expect(await daemon.stop('SIGTERM')).toBe(0);
    }));
});

interface Circumstance {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** Attempts that succeed beside those of PERMITTED, on the main thread and on one of the pool. */
  readonly left?: { readonly main: readonly string[]; readonly pool: readonly string[] };
}

/** What an ordinary user may, and what goes with CAP_NET_ADMIN: SECURITY.md's table says so. */
const WITHOUT_SECCOMP = [
  ...['a program’s file', 'a program’s file removed', 'double', 'double by fcntl'],
  // The kernel asks whose processes they are when the signal is sent.
  ...['signal by owner', 'signal by choice', 'signal by ioctl', 'stream socket', 'unix socket'],
];
const CIRCUMSTANCES: readonly Circumstance[] = [
  { name: 'an ordinary one', env: {} },
  { name: 'a persistent one', env: { TSWG_PERSIST: '1' } },
  { name: 'one that is a service', env: { NOTIFY_SOCKET: path.join(folder, 'manager') } },
  {
    name: 'a persistent one without Landlock',
    env: { TSWG_PERSIST: '1', TSWG_PROBE_WITHOUT: 'landlock_create_ruleset' },
  },
  {
    name: 'a persistent one without seccomp',
    env: { TSWG_PERSIST: '1', TSWG_PROBE_WITHOUT: 'seccomp' },
    // Landlock is not on the pool's threads before ABI 8, and CAP_NET_ADMIN never.
    left: {
      main: [...WITHOUT_SECCOMP, 'any source'],
      pool: [...WITHOUT_SECCOMP, 'read', 'node: read'],
    },
  },
];

describeInLab('code inside a daemon', ['wg'], () => {
  it.each(CIRCUMSTANCES)(
    'reaches nothing of others, nor in its successor at any time: $name',
    ({ env, left = { main: [], pool: [] } }) =>
      withLab({}, async (lab) => {
        const host = await lab.host('host');
        const victims = await placeVictims(host);
        const service = path.join(folder, 'service');
        const [manager, victim] = [env.NOTIFY_SOCKET, service].map((one) =>
          one === undefined ? undefined : new NotifySocket(one),
        );
        chmodSync(service, 0o777);
        try {
          const subject = await start(host, { ...env, TSWG_PROBE_SERVICE: service });
          const { pid } = subject;
          // One that was accepted is there, too, while everything is tried.
          const program = `const socket = require('net').connect('${SOCKET}');
            socket.on('data', () => console.log('answered')).write('get=1\\n\\n');`;
          const client = host.spawn('node', ['-e', program]);
          await waitFor(() => client.stdout.includes('answered'), 'a connection', 20_000);
          await nameEndpoint(host);
          const first = await probe(host, subject, pid);
          await client.stop('SIGTERM');
          // The starter's two, the resolver's two, the listening one, and that.
          expect(namedOnes(first).length).toBeGreaterThanOrEqual(6);
          await host.run('tswg', ['wg0', 'upgrade'], { timeoutMs: 40_000 });
          const next = await currentPid(host);
          expect(next).not.toBe(pid);
          const second = await probe(host, subject, next);
          const [taking, going] = (['before it takes', 'before it goes'] as const).map((when) =>
            reports(subject).find((one) => one.pid === next && one.when === when),
          );
          for (const report of [first, taking, going, second]) {
            const permitted = PERMITTED.filter((what) => what in report!.main);
            expect(permitted.length).toBeGreaterThanOrEqual(2);
            expect(namedOnes(report!).length).toBeGreaterThanOrEqual(1);
            expect(Object.keys(report!.main).length).toBeGreaterThan(25);
            const all = [...permitted, ...left.main].sort();
            expect(successes(report!.main), report!.when).toEqual(all);
            if (report!.pool === undefined) continue;
            expect(report!.pool.thread).not.toBe(report!.pid);
            const pooled = [...permitted, ...left.pool].sort();
            expect(successes(report!.pool.outcomes)).toEqual(pooled);
          }
          expect('own file' in first.main).toBe('TSWG_PERSIST' in env);
          expect('service told' in first.main).toBe('NOTIFY_SOCKET' in env);
          if (manager !== undefined) expect(manager.states).toContain('STATUS=probe');
          expect(victim!.states).toEqual([]);
          // It lives, and ends as it should, at once.
          expect(await host.run('wg', ['show', 'wg0'])).toContain('interface: wg0');
          await host.run('tswg', ['wg0', 'destroy']);
          expect(await host.run('ls', ['-A', '/run/wireguard'])).toBe('victim.sock\n');
          expect(await victims()).toBe(true);
        } finally {
          manager?.close();
          victim?.close();
        }
      }),
  );

  it('has nothing of its predecessor’s used as a path', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const victims = await placeVictims(host);
      const { said, pid } = await start(host, { TSWG_PROBE_SOCKET: 'victim' });
      await host.run('tswg', ['wg0', 'upgrade'], { timeoutMs: 40_000 });
      expect(said()).toContain('handed over as victim\n');
      expect(await currentPid(host)).not.toBe(pid);
      await host.run('tswg', ['wg0', 'destroy']);
      expect(await host.run('ls', ['-A', '/run/wireguard'])).toBe('victim.sock\n');
      expect(await victims()).toBe(true);
    }));

  it('has its starter do nothing but its few words, one at a time', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const victims = await placeVictims(host);
      const words = `${'start\n'.repeat(25)}victim\nrename victim\nstart /bin/touch /run/intruder\n`;
      const { said, pid } = await start(host, { TSWG_PROBE_WORDS: words });
      await host.run('kill', ['-WINCH', `${pid}`]);
      await waitFor(() => said().includes('starter told\n'), 'the words', 20_000);
      const started = () => [...said().matchAll(/probed process (\d+)/g)].length;
      let most = 0;
      // Nobody expects them, so that each ends by itself.
      for (let seen = started(); seen < 3; seen = started()) {
        const running = await host.sh(`pgrep -c -f '^[^ ]*node .*${PROGRAM} wg0$' || true`);
        most = Math.max(most, Number(running.stdout));
        await sleep(20);
      }
      expect(most).toBe(1);
      expect(await currentPid(host)).toBe(pid);
      await host.run('kill', ['-KILL', `${pid}`]);
      expect((await host.sh('test -e /run/intruder')).status).toBe(1);
      expect(await victims()).toBe(true);
    }));

  it('has its starter start resolvers one at a time, and nothing with words of its own', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const words = `${'resolve\n'.repeat(4)}resolve /bin/touch /run/intruder\n`;
      const { said, pid } = await start(host, { TSWG_PROBE_WORDS: words });
      await host.run('kill', ['-WINCH', `${pid}`]);
      await waitFor(() => said().includes('starter told\n'), 'the words', 20_000);
      const pattern = `^([^ ]*node .*${PROGRAM} wg0|tswgd-resolver wg0)$`;
      const seen = new Set<string>();
      let most = 0;
      // Nobody asked for them, so that the daemon lets go of each.
      while (seen.size < 4) {
        const running = await host.sh(`pgrep -f '${pattern}' || true`);
        const pids = running.stdout.split('\n').filter(Boolean);
        for (const one of pids) seen.add(one);
        most = Math.max(most, pids.length);
        await sleep(20);
      }
      expect(most).toBe(1);
      expect(await currentPid(host)).toBe(pid);
      expect((await host.sh('test -e /run/intruder')).status).toBe(1);
      expect(await stats(host)).toMatchObject({ 'sandbox seccomp': 'all threads' });
    }));

  it('cannot give its interface a name that is another’s, or its file’s', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await start(host);
      const victims = await placeVictims(host);
      let name = 'wg0';
      for (const next of ['victim', 'victim.state', 'victim.sock']) {
        await host.ip(`link set ${name} name ${next}`);
        name = next;
        await sleep(500);
        expect((await host.sh(`test -S ${SOCKET}`)).status).toBe(0);
      }
      expect(await victims()).toBe(true);
    }));
});

/** Gives the daemon an endpoint that is a name, and so a resolver; no name server answers here. */
async function nameEndpoint(host: Host): Promise<void> {
  const peer = Buffer.from(createKeyPair().publicKey, 'base64').toString('hex');
  const input = `set=1\npublic_key=${peer}\ntswg_way=gw.example.net:51820\n\n`;
  await host.run('node', [compiledProgram('test/lab/uapirequest.ts'), SOCKET], { input });
  await host.ip('link set wg0 up');
  const isThere = async () => (await stats(host)).resolver === 'runs';
  await waitFor(isThere, 'the resolver', 20_000);
}

/** What others have on this host; the function tells whether it is as it was. */
async function placeVictims(host: Host): Promise<() => Promise<boolean>> {
  const script = `mkdir -p /run/wireguard
    mount -t tmpfs -o mode=755 tmpfs /var/lib
    mkdir -p -m 700 /var/lib/tswg ${VICTIM_STATES}
    mkdir -p ${path.dirname(VICTIM_OBSERVING)}
    echo state >${VICTIM_STATES}/state; echo socket | tee ${VICTIM_OBSERVING} >${VICTIM_SOCKET}`;
  await host.run('sh', ['-euc', script]);
  const describe = `cat ${VICTIM_SOCKET} ${VICTIM_OBSERVING} ${VICTIM_STATES}/*; ls -A ${VICTIM_STATES}; ls -A /run`;
  const before = (await host.sh(describe)).stdout;
  return async () => (await host.sh(describe)).stdout === before;
}

describeInLab('a daemon that cannot be confined', ['ss'], () => {
  it('opens no debugger on SIGUSR1', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const { daemon, said, pid } = await start(host, { TSWG_SANDBOX: 'off' });
      await host.run('kill', ['-USR1', `${pid}`]);
      // The next signal is taken after that one.
      await host.run('kill', ['-WINCH', `${pid}`]);
      await waitFor(() => said().includes('starter told\n'), 'the next signal', 20_000);
      expect(await host.run('ss', ['-Htln'])).toBe('');
      expect(daemon.stderr).not.toMatch(/Debugger/);
    }));

  it('does not have its successor load what it was told to load itself', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const loaded = path.join(folder, 'loaded.mjs');
      writeFileSync(
        loaded,
        `import { appendFileSync } from 'node:fs';
         appendFileSync(process.env.TSWG_PROBE_OUTPUT, 'loaded by ' + process.pid + '\\n');`,
      );
      const env = { NODE_OPTIONS: `--import=${loaded}`, LD_LIBRARY_PATH: folder };
      const { said, pid } = await start(host, env);
      expect(said()).toContain(`loaded by ${pid}\n`);
      await host.run('tswg', ['wg0', 'upgrade'], { timeoutMs: 40_000 });
      const next = await currentPid(host);
      expect(said()).toContain(`probed process ${next}\n`);
      expect(said().match(/loaded by/g)).toHaveLength(1);
      for (const one of (await host.run('pgrep', ['-f', 'tswgd'])).trim().split('\n')) {
        const environ = (await host.sh(`cat /proc/${one}/environ || true`)).stdout;
        expect(environ).not.toMatch(/NODE_|LD_/);
      }
    }));
});

describeInLab('the keys of a running daemon', ['wg'], () => {
  it('are shown nowhere: not in the log, stats, errors, title or environment', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const { daemon, pid } = await start(host);
      const secrets = [createKeyPair().privateKey, createPresharedKey()];
      const peer = createKeyPair().publicKey;
      const script = `printf %s "$1" >/run/key; printf %s "$2" >/run/psk; ip link set wg0 up
        wg set wg0 private-key /run/key peer ${peer} preshared-key /run/psk endpoint 192.0.2.9:9
        rm /run/key /run/psk`;
      await host.run('sh', ['-euc', script, 'sh', ...secrets]);
      const hex = secrets.map((key) => Buffer.from(key, 'base64').toString('hex'));
      const seen: string[] = [];
      // Refused, behind a key that is good, and as a key that is not quite one.
      for (const line of [`private_key=${hex[0]}\nnonsense=1`, `private_key=${hex[0]}0`]) {
        const request = { input: `set=1\n${line}\n\n` };
        const program = compiledProgram('test/lab/uapirequest.ts');
        const answer = await host.run('node', [program, SOCKET], request);
        expect(answer).not.toContain('errno=0');
        seen.push(answer);
      }
      seen.push(await host.run('tswg', ['wg0', 'stats']), await host.run('tswg', ['wg0']));
      seen.push(await host.run('tswg', ['wg0', '--json']));
      const title = `tr '\\0' ' ' </proc/${pid}/cmdline; cat /proc/${pid}/environ`;
      seen.push(await host.run('sh', ['-c', title]));
      await daemon.stop('SIGTERM');
      seen.push(daemon.stdout, daemon.stderr);
      for (const secret of [...secrets, ...hex]) expect(seen.join('\n')).not.toContain(secret);
    }));

  it('are in its memory as long as the interface has them, and no longer', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const { pid } = await start(host);
      const { privateKey, publicKey } = createKeyPair();
      const presharedKey = createKeyPair().privateKey;
      const script = `
        printf %s "$1" >/run/key; printf %s "$2" >/run/psk
        wg set wg0 private-key /run/key peer "$3" preshared-key /run/psk`;
      const peer = createKeyPair().publicKey;
      await host.run('sh', ['-euc', script, 'sh', privateKey, presharedKey, peer]);
      const copies = (key: string) => countInMemory(host, pid, Buffer.from(key, 'base64'));
      // The one that lasts; others are the request's, for as long as that takes.
      for (const key of [privateKey, presharedKey]) {
        expect(await copies(key)).toMatchObject({ locked: 1 });
      }
      expect(await host.run('wg', ['show', 'wg0', 'preshared-keys'])).toContain(presharedKey);
      expect(await host.run('wg', ['show', 'wg0', 'public-key'])).toBe(`${publicKey}\n`);
      await host.run('wg', ['set', 'wg0', 'private-key', '/dev/null', 'peer', peer, 'remove']);
      for (const key of [privateKey, presharedKey]) {
        await waitFor(async () => (await copies(key)).all === 0, 'the end of the last copy');
      }
    }));
});

/** How often these bytes stand in the writable memory of a process of the host, and in locked one. */
async function countInMemory(
  host: Host,
  pid: number,
  bytes: Buffer,
): Promise<{ all: number; locked: number }> {
  const script = `
    const fs = require('fs');
    const [, pid, hex] = process.argv;
    const needle = Buffer.from(hex, 'hex');
    const chunk = Buffer.alloc(1 << 20);
    const fd = fs.openSync('/proc/' + pid + '/mem', 'r');
    let [all, locked] = [0, 0];
    const maps = fs.readFileSync('/proc/' + pid + '/smaps', 'latin1');
    for (const [, start, end, flags] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw[^]*?^VmFlags:(.*)$/gm)) {
      for (let at = parseInt(start, 16); at < parseInt(end, 16); at += chunk.length - needle.length) {
        let size = 0;
        const wanted = Math.min(chunk.length, parseInt(end, 16) - at);
        try { size = fs.readSync(fd, chunk, 0, wanted, at); } catch { break; }
        for (let i = chunk.indexOf(needle); i >= 0 && i + needle.length <= size; all++) {
          if (/ lo /.test(flags)) locked++;
          i = chunk.indexOf(needle, i + 1);
        }
        if (size < chunk.length) break;
      }
    }
    console.log(JSON.stringify({ all, locked }));`;
  return JSON.parse(await host.run('node', ['-e', script, `${pid}`, bytes.toString('hex')]));
}
