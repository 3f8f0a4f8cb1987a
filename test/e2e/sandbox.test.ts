/**
 * What a running daemon has given up, seen from inside (sandboxprobe.ts) and from /proc; and that
 * an operator may still ask of it what one could before.
 */

import { expect, it } from 'vitest';
import { type Child, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
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

const SOCKET = '/var/run/wireguard/wg0.sock';
const RIGHT = INNER[4][1];
/** dac_override, net_bind_service, net_admin, bpf */
const KEPT = (1n << 1n) | (1n << 10n) | (1n << 12n) | (1n << 39n);

interface Report {
  readonly pid: number;
  readonly thread: number;
  readonly main: Readonly<Record<string, string>>;
  readonly pool: Readonly<Record<string, string>>;
}

async function start(
  host: Host,
  env: Readonly<Record<string, string>> = {},
): Promise<{ daemon: Child; pid: number }> {
  const preload = `--import=${compiledProgram('test/e2e/sandboxprobe.ts')}`;
  const daemon = host.spawn('tswgd', ['-f', 'wg0'], {
    env: { LOG_LEVEL: 'debug', NODE_OPTIONS: preload, ...env },
  });
  await waitForControl(host, 'wg0', daemon);
  return { daemon, pid: Number(/probed process (\d+)/.exec(daemon.stdout)![1]) };
}

async function probe(host: Host, daemon: Child, pid: number): Promise<Report> {
  await host.run('kill', ['-HUP', `${pid}`]);
  const [, line] = await daemon.waitForOutput(/probe (\{.*\})\n/);
  return JSON.parse(line);
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
  const rows = [...text.matchAll(/^\t(sandbox.*?): (.*)$/gm)];
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
        'sandbox capabilities':
          'net_admin net_bind_service bpf dac_override in the main thread; other threads none',
        'sandbox seccomp': 'all threads',
      });
    }));

  it('lets nobody inside open a file, start a program or make another socket', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const { daemon, pid } = await start(host);
      const { main, pool, thread } = await probe(host, daemon, pid);
      expect(thread).not.toBe(pid);
      const attempts = Object.keys(main).filter((name) => name !== 'udp socket');
      expect(attempts.length).toBeGreaterThan(10);
      expect(main).toEqual({
        ...Object.fromEntries(attempts.map((name) => [name, 'EPERM'])),
        'udp socket': 'done',
      });
      const calls = attempts.filter((name) => !name.startsWith('node:'));
      expect(pool).toEqual({
        ...Object.fromEntries(calls.map((name) => [name, 'refused'])),
        'node: read': 'EPERM',
        'udp socket': 'done',
      });
      // And it lives.
      expect(await host.run('wg', ['show', 'wg0'])).toContain('interface: wg0');
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
      expect(await stats(host)).toEqual({ sandbox: 'off (TSWG_SANDBOX=off)' });
      expect(new Set(await threads(host, pid, 'Seccomp'))).toEqual(new Set(['0']));
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
      expect(await daemon.stop('SIGTERM')).toBe(0);
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
