/**
 * Upgrade in place: what a user of the tunnel notices of it, from which version to which, and what
 * happens when the new program fails, wherever it does.
 */

import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture, type CapturedPacket } from '../lab/capture.ts';
import { type Child, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { NotifySocket } from '../lab/notifysocket.ts';
import { firstPing, PingTrain, ping } from '../lab/probes.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { describeInLab, describeOnBothPaths, withLab } from '../lab/suite.ts';
import { transfer } from '../lab/transfer.ts';
import {
  buildPair,
  createPresharedKey,
  INNER,
  OUR_DAEMON,
  type Pair,
  TUNNEL_PORT,
  waitForControl,
} from '../lab/tunnel.ts';

const [LEFT, RIGHT] = INNER[4];
const PING_INTERVAL_MS = 10;
/** Catches a hang of a download that is to last through the upgrades. */
const DOWNLOAD_MS_MAX = 200_000;
const DATA = 4;
/** A second installation, of another version, stands here. */
const NEXT_VERSION = '98.7.6';

async function upgrade(host: Host): Promise<string> {
  return host.run('tswg', ['wg0', 'upgrade']);
}

async function fact(host: Host, name: string): Promise<string> {
  const stats = await host.run('tswg', ['wg0', 'stats']);
  return new RegExp(`^\\t${name}: (.*)$`, 'm').exec(stats)?.[1] ?? '';
}

async function handshakes(host: Host): Promise<string> {
  return /(\d+) {2}handshakes completed/.exec(await host.run('tswg', ['wg0', 'stats']))?.[1] ?? '';
}

/** Sessions and counters of the data messages in a capture, and which of them came twice. */
function nonces(packets: readonly CapturedPacket[]): { sessions: number; repeated: string[] } {
  const seen = new Set<string>();
  const sessions = new Set<string>();
  const repeated: string[] = [];
  for (const { source, payload } of packets) {
    if (payload[0] !== DATA) continue;
    const session = `${source} ${payload.readUInt32LE(4)}`;
    const nonce = `${session} ${payload.readBigUInt64LE(8)}`;
    if (seen.has(nonce)) repeated.push(nonce);
    seen.add(nonce);
    sessions.add(session);
  }
  return { sessions: sessions.size, repeated };
}

describeOnBothPaths('an upgrade in place', ['wg', 'tcpdump'], (env) => {
  it('is not noticed: no ping, no stream and no session ends, and no nonce is used twice', () =>
    withLab(env, async (lab) => {
      const pair = await buildPair(lab, { presharedKey: createPresharedKey(), bothKnow: true });
      const { left, right } = pair;
      await firstPing(left.host, RIGHT);
      const configuration = await left.host.run('wg', ['showconf', 'wg0']);
      const capture = await Capture.start(left.host, 'wan', `udp port ${TUNNEL_PORT}`, 64);
      const train = new PingTrain(right.host, LEFT, PING_INTERVAL_MS);
      const arriving = transfer(right.host, left.host, RIGHT, 60_000_000, DOWNLOAD_MS_MAX);
      await waitFor(() => train.received > 10, 'the first pings');
      const pids = [await fact(left.host, 'pid')];
      const { latestHandshake } = await left.peerDump();
      for (let i = 0; i < 2; i++) {
        const said = await upgrade(left.host);
        const found =
          /^wg0: now served by tswgd \S+ \(pid (\d+)\); packets were held for (\d+) ms\n$/;
        expect(said).toMatch(found);
        const [, pid, pauseMs] = found.exec(said) ?? [];
        pids.push(pid!);
        expect(await fact(left.host, 'pid')).toBe(pid);
        console.info(`upgrade: packets waited for ${pauseMs} ms`);
      }
      const pid = await fact(right.host, 'pid');
      await right.host.run('kill', ['-USR2', pid]);
      await waitFor(async () => (await fact(right.host, 'pid')) !== pid, 'the successor');
      const report = await arriving;
      expect(report.receivedDigest).toBe(report.sentDigest);
      const pings = await train.stop();
      console.info(`three upgrades: ${pings.lost} of ${pings.sent} pings lost`);
      expect(new Set(pids).size).toBe(3);
      expect(await left.host.run('wg', ['showconf', 'wg0'])).toBe(configuration);
      expect((await left.peerDump()).latestHandshake).toBe(latestHandshake);
      expect([await handshakes(left.host), await handshakes(right.host)]).toEqual(['1', '1']);
      expect(await left.daemon.exited).toBe(0);
      const { sessions, repeated } = nonces(await capture.stop());
      expect(repeated).toEqual([]);
      expect(sessions).toBe(2);
      const log = left.daemon.stderr + right.daemon.stderr;
      expect(log).not.toMatch(/ERROR/);
      expect(log).not.toContain(left.keys.privateKey);
    }));
});

describeInLab('a tunnel that was upgraded', ['wg'], () => {
  it('does all that it did before: down, up, another port, another mark, the end', () =>
    withLab({}, async (lab) => {
      const { left, right } = await buildPair(lab, { bothKnow: true });
      const { host } = left;
      await firstPing(host, RIGHT);
      await host.ip('link set wg0 down');
      await upgrade(host);
      await host.ip('link set wg0 up');
      await firstPing(host, RIGHT);
      await upgrade(host);
      await left.set('listen-port 51999 fwmark 0x7');
      await firstPing(host, RIGHT);
      expect(await right.host.run('wg', ['show', 'wg0', 'endpoints'])).toContain(':51999\n');
      await upgrade(host);
      expect(await host.run('wg', ['show', 'wg0', 'listen-port'])).toBe('51999\n');
      expect(await host.run('wg', ['show', 'wg0', 'fwmark'])).toBe('0x7\n');
      expect((await ping(host, RIGHT)).received).toBe(1);
      const sandbox = await host.run('tswg', ['wg0', 'stats']);
      expect(sandbox).toMatch(/sandbox seccomp: all threads\n/);
      expect(sandbox).toMatch(/sandbox no new privs: yes\n/);
      await host.run('tswg', ['wg0', 'destroy']);
      const gone = '! ip link show wg0 && ! test -e /run/wireguard/wg0.sock && ! pgrep -f [t]swgd';
      await waitFor(async () => (await host.sh(gone)).status === 0, 'the end of everything');
    }));

  it('keeps a thousand peers', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const daemon = host.spawn(OUR_DAEMON, ['-f', 'wg0']);
      await waitForControl(host, 'wg0', daemon);
      const peers = Array.from({ length: 1_000 }, (_, i) => {
        const key = Buffer.from(`${i}`.padStart(32, 'k')).toString('base64');
        return `[Peer]\nPublicKey = ${key}\nAllowedIPs = 10.${i >> 8}.${i & 255}.0/24\n`;
      });
      const key = Buffer.alloc(32, 8).toString('base64');
      await host.writeFile('/run/lab/c', `[Interface]\nPrivateKey = ${key}\n${peers.join('')}`);
      await host.run('wg', ['setconf', 'wg0', '/run/lab/c']);
      await host.ip('link set wg0 up');
      const before = await host.run('wg', ['showconf', 'wg0']);
      console.info(`a thousand peers: ${(await upgrade(host)).trim()}`);
      expect(await host.run('wg', ['showconf', 'wg0'])).toBe(before);
    }));

  it('answers wg all the time', () =>
    withLab({}, async (lab) => {
      const { left } = await buildPair(lab, { bothKnow: true });
      const asking = left.host.run('bash', [
        '-euc',
        'for i in $(seq 150); do wg show wg0 >/dev/null; wg set wg0 fwmark $i; done; wg show wg0 fwmark',
      ]);
      const upgrades = (async () => {
        for (let i = 0; i < 2; i++) await upgrade(left.host);
      })();
      expect(await asking).toBe('0x96\n');
      await upgrades;
    }));

  it('goes on in the background, and as a service', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await host.run(OUR_DAEMON, ['wg0']);
      await upgrade(host);
      expect(await host.run('wg', ['show', 'wg0', 'fwmark'])).toBe('off\n');
      await host.run('rm', ['/run/wireguard/wg0.sock']);
      await waitFor(async () => (await host.sh('! ip link show wg0')).status === 0, 'its end');
      const folder = mkdtempSync(path.join(tmpdir(), 'tswg-notify-'));
      const manager = new NotifySocket(path.join(folder, 'socket'));
      try {
        const env = { NOTIFY_SOCKET: path.join(folder, 'socket') };
        const daemon = host.spawn(OUR_DAEMON, ['-f', 'wg0'], { env });
        await waitForControl(host, 'wg0', daemon);
        await upgrade(host);
        const pid = await fact(host, 'pid');
        await host.run('tswg', ['wg0', 'destroy']);
        await waitFor(() => manager.states.includes('STOPPING=1'), 'the end of the service');
        expect(manager.states).toEqual(['READY=1', `MAINPID=${pid}`, 'STOPPING=1']);
      } finally {
        manager.close();
        rmSync(folder, { recursive: true });
      }
    }));

  it('survives a SIGKILL of the successor when it is persistent', () =>
    withLab({}, async (lab) => {
      const pair = await buildPair(lab, { bothKnow: true });
      const { host } = pair.left;
      await host.run('mount', ['-t', 'tmpfs', 'tmpfs', '/var/lib']);
      const configuration = await host.run('wg', ['showconf', 'wg0']);
      await pair.left.daemon.stop();
      const start = async (): Promise<void> => {
        const daemon = host.spawn(OUR_DAEMON, ['-f', '--persist', 'wg0']);
        await waitForControl(host, 'wg0', daemon);
      };
      await start();
      await host.writeFile('/run/lab/c', configuration);
      await host.run('wg', ['setconf', 'wg0', '/run/lab/c']);
      await host.configure('wg0', `${LEFT}/24`);
      await firstPing(host, RIGHT);
      await upgrade(host);
      await pair.left.set('fwmark 0x9');
      const state = 'grep -q ^fwmark=9 /var/lib/tswg/wg0/state';
      await waitFor(async () => (await host.sh(state)).status === 0, 'the state');
      await host.run('kill', ['-KILL', await fact(host, 'pid')]);
      await start();
      expect(await host.run('wg', ['show', 'wg0', 'fwmark'])).toBe('0x9\n');
      await firstPing(host, RIGHT);
    }));
});

describe('the program on disk', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tswg-upgrade-'));
  const current = path.join(folder, 'current');
  const next = path.join(folder, 'next');
  const broken = path.join(folder, 'broken');

  /** Makes `current`, where the daemon is started from, lead there. */
  const install = (target: string): void => {
    rmSync(current, { force: true });
    symlinkSync(target, current);
  };

  /** A program that acts as a successor as far as `act` goes. */
  const breakWith = (act: string): void => {
    writeFileSync(
      path.join(broken, 'bin', 'tswgd'),
      `import { Takeover } from '${REPOSITORY}/dist/src/handover/handover.js';
       import { unpackContents } from '${REPOSITORY}/dist/src/handover/packing.js';
       const takeover = new Takeover(Number(process.env.TSWG_STARTER_FD));
       ${act}`,
    );
    install(broken);
  };

  /** The program that is here, in which something happens otherwise: a successor, or a predecessor. */
  const patchWith = (act: string): void => {
    writeFileSync(
      path.join(broken, 'bin', 'tswgd'),
      `#!/usr/bin/env node
       import { writeSync } from 'node:fs';
       import { main } from '${REPOSITORY}/dist/src/cli/tswgd.js';
       import { Daemon } from '${REPOSITORY}/dist/src/daemon/daemon.js';
       import { Channel } from '${REPOSITORY}/dist/src/handover/channel.js';
       import { Takeover } from '${REPOSITORY}/dist/src/handover/handover.js';
       ${act}
       process.exitCode = await main(process.argv.slice(2), process.env);`,
      { mode: 0o755 },
    );
    install(broken);
  };

  /** It is configured, says so, and takes the rest when it gets a signal. */
  const WAITS = `
    const { configureAhead, open } = Daemon.prototype;
    const signal = new Promise((resolve) => process.once('SIGUSR1', resolve));
    Daemon.prototype.configureAhead = function () {
      configureAhead.call(this);
      writeSync(2, 'CONFIGURED ' + process.pid + '\\n');
    };
    Daemon.prototype.open = async function () {
      const alive = setInterval(() => {}, 1000);
      await signal;
      clearInterval(alive);
      return open.call(this);
    };`;

  const start = async (pair: Pair): Promise<Child> => {
    const { host } = pair.left;
    await pair.left.daemon.stop();
    const daemon = host.spawn(path.join(current, 'bin', 'tswgd'), ['-f', 'wg0'], {
      env: { LOG_LEVEL: 'debug' },
    });
    await waitForControl(host, 'wg0', daemon);
    await host.run('wg', ['setconf', 'wg0', '/run/lab/wg0.conf']);
    await host.configure('wg0', `${LEFT}/24`);
    await firstPing(host, RIGHT);
    return daemon;
  };

  const build = async (lab: Parameters<typeof buildPair>[0]): Promise<Pair> => {
    const pair = await buildPair(lab, { bothKnow: true });
    const { host } = pair.left;
    await host.writeFile('/run/lab/wg0.conf', await host.run('wg', ['showconf', 'wg0']));
    return pair;
  };

  beforeAll(() => {
    mkdirSync(path.join(next, 'dist'), { recursive: true });
    mkdirSync(path.join(broken, 'bin'), { recursive: true });
    for (const part of ['package.json', 'bin', 'dist/program']) {
      cpSync(path.join(REPOSITORY, part), path.join(next, part), { recursive: true });
    }
    symlinkSync(path.join(REPOSITORY, 'node_modules'), path.join(next, 'node_modules'));
    const parts = path.join(next, 'dist', 'program');
    for (const name of readdirSync(parts)) {
      const part = path.join(parts, name);
      const text = readFileSync(part, 'utf8');
      writeFileSync(part, text.replace(/(?<=const VERSION = ")[^"]+/, NEXT_VERSION));
    }
    writeFileSync(path.join(broken, 'package.json'), '{ "type": "module" }');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  describeInLab('of the next version', ['wg'], () => {
    it('takes over, and gives back to the one before', () =>
      withLab({}, async (lab) => {
        install(REPOSITORY);
        const pair = await build(lab);
        const { host } = pair.left;
        await start(pair);
        const version = await fact(host, 'version');
        const { latestHandshake } = await pair.left.peerDump();
        install(next);
        expect(await upgrade(host)).toContain(`now served by tswgd ${NEXT_VERSION} `);
        expect(await fact(host, 'version')).toBe(NEXT_VERSION);
        expect((await ping(host, RIGHT)).received).toBe(1);
        install(REPOSITORY);
        expect(await upgrade(host)).toContain(`now served by tswgd ${version} `);
        expect(await fact(host, 'version')).toBe(version);
        expect((await ping(host, RIGHT)).received).toBe(1);
        expect((await pair.left.peerDump()).latestHandshake).toBe(latestHandshake);
      }));

    it('takes over from a daemon that tswg has started, through the same link', () =>
      withLab({}, async (lab) => {
        install(REPOSITORY);
        const host = await lab.host('host');
        await host.run(path.join(current, 'bin', 'tswg'), ['wg0', 'create']);
        install(next);
        expect(await upgrade(host)).toContain(`now served by tswgd ${NEXT_VERSION} `);
      }));
  });

  describeInLab('that has been configured before it takes over', ['wg', 'tcpdump'], () => {
    const other = createPresharedKey();
    const cases: [what: string, change: (pair: Pair) => Promise<unknown>][] = [
      ['nothing', async () => {}],
      [
        'the configuration',
        ({ left: { host } }) =>
          host.run('wg', [
            'set',
            'wg0',
            'fwmark',
            '0x5',
            'peer',
            other,
            'allowed-ips',
            '10.77.0.0/24',
          ]),
      ],
      [
        'the place of a peer',
        async ({ left, right }) => {
          await right.set('listen-port 51999');
          await firstPing(right.host, LEFT);
          expect(await left.host.run('wg', ['show', 'wg0', 'endpoints'])).toContain(':51999\n');
        },
      ],
    ];
    it.each(cases)('has what is so then, although %s has changed meanwhile', (_, change) =>
      withLab({ TSWG_NO_OFFLOAD: '1' }, async (lab) => {
        install(REPOSITORY);
        const pair = await build(lab);
        const { host } = pair.left;
        const daemon = await start(pair);
        const begun = await handshakes(host);
        const capture = await Capture.start(host, 'wan', `udp port ${TUNNEL_PORT}`, 64);
        patchWith(WAITS);
        const upgraded = upgrade(host);
        const configured = /^CONFIGURED (\d+)$/m;
        await waitFor(() => configured.test(daemon.stderr), 'the successor');
        await change(pair);
        expect((await ping(host, RIGHT)).received).toBe(1);
        const configuration = await host.run('wg', ['showconf', 'wg0']);
        const [, pid] = configured.exec(daemon.stderr)!;
        await host.run('kill', ['-USR1', pid!]);
        expect(await upgraded).toContain('now served by tswgd ');
        expect(await fact(host, 'pid')).toBe(pid);
        expect(await host.run('wg', ['showconf', 'wg0'])).toBe(configuration);
        expect((await ping(host, RIGHT)).received).toBe(1);
        expect(await handshakes(host)).toBe(begun);
        expect(nonces(await capture.stop()).repeated).toEqual([]);
        expect(daemon.stderr).not.toMatch(/ERROR/);
      }),
    );

    it('takes over from one that knows nothing of that, and is followed by such a one', () =>
      withLab({}, async (lab) => {
        patchWith(`
          const { send } = Channel.prototype;
          Channel.prototype.send = function (bytes, ...how) {
            return new TextDecoder().decode(bytes) === 'ahead' || send.call(this, bytes, ...how);
          };`);
        const pair = await build(lab);
        const { host } = pair.left;
        await start(pair);
        const begun = await handshakes(host);
        const configuration = await host.run('wg', ['showconf', 'wg0']);
        install(REPOSITORY);
        expect(await upgrade(host)).toContain('now served by tswgd ');
        patchWith('Takeover.prototype.configuration = () => null;');
        expect(await upgrade(host)).toContain('now served by tswgd ');
        expect(await host.run('wg', ['showconf', 'wg0'])).toBe(configuration);
        expect((await ping(host, RIGHT)).received).toBe(1);
        expect(await handshakes(host)).toBe(begun);
      }));
  });

  describeInLab('when it fails', ['wg', 'tcpdump'], () => {
    const ASK =
      'while (takeover.configuration() === null) await new Promise((on) => setTimeout(on, 10));';
    it.each([
      ['before it asks', 'process.exit(3);', /the new program ended before it was ready/, 1],
      [
        'and says why',
        "takeover.fail('no room');",
        /the new program failed: no room; the old daemon continues as before/,
        1,
      ],
      [
        'with the configuration in its hands',
        `${ASK} process.exit(3);`,
        /the new program ended before it was ready/,
        1,
      ],
      [
        'with the configuration and all else in its hands',
        `${ASK} takeover.take(); process.exit(3);`,
        /the new program ended before it was ready/,
        1,
      ],
      [
        'once it may begin with both',
        `${ASK} takeover.take(); takeover.begin(process.pid, '6.6.6'); process.exit(3);`,
        /the new program ended when it had to begin/,
        2,
      ],
      [
        'with all in its hands',
        'takeover.take(); process.exit(3);',
        /the new program ended before it was ready/,
        1,
      ],
      [
        'by answering nonsense',
        "takeover.take(); takeover.fail('x'); ",
        /the new program failed: x/,
        1,
      ],
      [
        'once it may begin',
        "unpackContents(takeover.take()); takeover.begin(process.pid, '6.6.6'); process.exit(3);",
        /the new program ended when it had to begin/,
        2,
      ],
    ])('%s, the old one carries on', (_, act, why, sessions) =>
      withLab({ TSWG_NO_OFFLOAD: '1' }, async (lab) => {
        install(REPOSITORY);
        const pair = await build(lab);
        const { host } = pair.left;
        const daemon = await start(pair);
        const pid = await fact(host, 'pid');
        const capture = await Capture.start(host, 'wan', `udp port ${TUNNEL_PORT}`, 64);
        const train = new PingTrain(pair.right.host, LEFT, PING_INTERVAL_MS);
        await waitFor(() => train.received > 10, 'the first pings');
        breakWith(act);
        const failed = await host.exec('tswg', ['wg0', 'upgrade']);
        expect(failed.status).toBe(1);
        expect(failed.stderr).toMatch(/^tswg: wg0: upgrade: [^\n]*\n$/);
        expect(failed.stderr).toMatch(why);
        expect(await fact(host, 'pid')).toBe(pid);
        const received = train.received;
        await waitFor(() => train.received > received + 10, 'pings again');
        const pings = await train.stop();
        console.info(`a failed upgrade: ${pings.lost} of ${pings.sent} pings lost`);
        const found = nonces(await capture.stop());
        expect(found.repeated).toEqual([]);
        // Each side of a session has an index of its own.
        expect(found.sessions).toBe(2 * sessions);
        expect(daemon.stderr).toMatch(/ERROR: .* Upgrade failed: /);
        // It is no worse for it.
        install(REPOSITORY);
        await upgrade(host);
        expect((await ping(host, RIGHT)).received).toBe(1);
      }),
    );
  });
});
