/**
 * tswgd --persist: what outlives the daemon, how soon its successor carries packets, and what is
 * said of a state that is of no use.
 */

import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { type Child, sleep, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { firstPing, ping } from '../lab/probes.ts';
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
const STATE = '/var/lib/tswg/wg0/state';
const SOCKET = '/var/run/wireguard/wg0.sock';
const PING_INTERVAL_MS = 10;
/** Catches a hang of a download that is large enough for its beginning to be waited for. */
const DOWNLOAD_MS_MAX = 200_000;
const SECONDS_IN_A_YEAR = 31_536_000n;

/** A /var/lib of the host's own, of so many KiB. */
async function giveStates(host: Host, kib = 1024): Promise<void> {
  await host.run('mount', ['-t', 'tmpfs', '-o', `size=${kib}k,mode=755`, 'tmpfs', '/var/lib']);
}

async function start(host: Host, env: Record<string, string> = {}): Promise<Child> {
  const daemon = host.spawn(OUR_DAEMON, ['-f', '--persist', 'wg0'], {
    env: { LOG_LEVEL: 'debug', ...env },
  });
  await waitForControl(host, 'wg0', daemon);
  return daemon;
}

/** A pair whose left end is persistent and has a session that its state knows of. */
async function buildPersistentPair(lab: Parameters<typeof buildPair>[0]) {
  const pair = await buildPair(lab, { presharedKey: createPresharedKey(), bothKnow: true });
  const { host, daemon } = pair.left;
  await giveStates(host);
  const configuration = await host.run('wg', ['showconf', 'wg0']);
  await daemon.stop();
  const persistent = await start(host);
  await host.writeFile('/run/lab/wg0.conf', configuration);
  await host.run('wg', ['setconf', 'wg0', '/run/lab/wg0.conf']);
  await host.configure('wg0', `${LEFT}/24`, `${INNER[6][0]}/64`);
  await host.ip('link set wg0 mtu 1380');
  await host.ip('route add 10.20.0.0/24 dev wg0');
  await firstPing(host, RIGHT);
  await waitFor(() => knowsSession(host), 'a state that knows of the session');
  return { ...pair, configuration, persistent };
}

async function knowsSession(host: Host): Promise<boolean> {
  return (await host.sh(`grep -q '^handshake=' ${STATE}`)).status === 0;
}

/** A state of which we have sent our last initiation in a year from now. */
function aYearLater(state: string): string {
  const body = state
    .slice(state.indexOf('\n') + 1)
    .replace(/(?<=^handshake=\S+ \d+ )[0-9a-f]{16}/m, (seconds) =>
      (BigInt(`0x${seconds}`) + SECONDS_IN_A_YEAR).toString(16).padStart(16, '0'),
    );
  return `tswg-state 1 sha256=${createHash('sha256').update(body).digest('hex')}\n${body}`;
}

/** Index, flags that outlive a daemon, MTU, addresses and routes. */
async function describeInterface(host: Host): Promise<string> {
  const { stdout } = await host.sh(`
    cat /sys/class/net/wg0/ifindex /sys/class/net/wg0/mtu
    ip -o address show dev wg0
    ip route show dev wg0; ip -6 route show dev wg0`);
  return stdout.replaceAll(' linkdown', '').replaceAll(/ +\n/g, '\n');
}

/**
 * Kills the daemon, starts the next one, and says how long that took to answer. How soon that is
 * depends on the machine; whose doing it is does not: the next one calls by itself, or the other
 * side notices the silence, which takes it 15 seconds.
 */
async function restart(
  { left, right }: Pair,
  daemon: Child,
  arrives: () => Promise<unknown>,
  env: Record<string, string> = {},
) {
  await daemon.stop('SIGKILL');
  const before = await describeInterface(left.host);
  await sleep(300);
  const begun = performance.now();
  const next = left.host.spawn(OUR_DAEMON, ['-f', '--persist', 'wg0'], {
    env: { LOG_LEVEL: 'debug', ...env },
  });
  await arrives();
  const elapsedMs = performance.now() - begun;
  expect(await describeInterface(left.host)).toBe(before);
  expect(right.daemon.status).toBe(null);
  const stats = await left.host.run('tswg', ['wg0', 'stats']);
  expect(stats).toMatch(/[1-9]\d* {2}initiations sent/);
  return { next, elapsedMs };
}

describeOnBothPaths('a persistent daemon that is killed', ['wg'], (env) => {
  it('is followed by one that carries a running ping', () =>
    withLab(env, async (lab) => {
      const pair = await buildPersistentPair(lab);
      const before = await describeInterface(pair.left.host);
      expect(before).toContain('\n1380\n');
      // Only the other side speaks: it still seals for a session that nobody here knows of.
      const train = pair.right.host.spawn('stdbuf', [
        ...['-oL', 'ping', '-n', '-D', '-i', `${PING_INTERVAL_MS / 1000}`, LEFT],
      ]);
      await train.waitForOutput(/icmp_seq=50 /);
      const { next, elapsedMs } = await restart(pair, pair.persistent, async () => {
        const answered = train.stdout.length;
        await waitFor(() => train.stdout.length > answered, 'a ping that is answered again');
      });
      await train.stop('SIGINT');
      console.info(`restart to first ping: ${(elapsedMs / 1000).toFixed(2)} s`);
      const told = await pair.left.host.run('tswg', ['wg0', 'events']);
      expect(told).toMatch(
        / tswgd \S+ was started\n.* configured from the saved state: .*, 1 peer\n/,
      );
      expect(await describeInterface(pair.left.host)).toBe(before);
      expect(await pair.left.host.run('wg', ['showconf', 'wg0'])).toBe(pair.configuration);
      // Once more, since the second life began otherwise than the first.
      await waitFor(() => next.stderr.includes('Taken over: 1 peer had'), 'the line in the log');
      expect(next.stderr).not.toContain(pair.left.keys.privateKey);
      const again = await restart(pair, next, () => firstPing(pair.right.host, LEFT));
      console.info(`a second restart to first ping: ${(again.elapsedMs / 1000).toFixed(2)} s`);
    }));

  it('is followed by one that carries on a download', () =>
    withLab(env, async (lab) => {
      const pair = await buildPersistentPair(lab);
      const { left, right } = pair;
      const rx = async () =>
        Number(await left.host.run('cat', ['/sys/class/net/wg0/statistics/tx_bytes'])) +
        Number(await left.host.run('cat', ['/sys/class/net/wg0/statistics/rx_bytes']));
      const arriving = transfer(right.host, left.host, RIGHT, 400_000_000, DOWNLOAD_MS_MAX);
      const begun = await rx();
      await waitFor(async () => (await rx()) > begun + 10_000_000, 'the download');
      const { elapsedMs } = await restart(pair, pair.persistent, async () => {
        const stood = await rx();
        await waitFor(async () => (await rx()) > stood + 1_000_000, 'the download again');
      });
      console.info(`restart to 1 MB of the download: ${(elapsedMs / 1000).toFixed(2)} s`);
      const report = await arriving;
      expect(report.receivedDigest).toBe(report.sentDigest);
    }));

  it('is followed by one on the other data path', () =>
    withLab(env, async (lab) => {
      const pair = await buildPersistentPair(lab);
      const other = { TSWG_NO_OFFLOAD: env.TSWG_NO_OFFLOAD === '1' ? '0' : '1' };
      const { next } = await restart(
        pair,
        pair.persistent,
        () => firstPing(pair.right.host, LEFT),
        other,
      );
      for (const [from, to, address] of [
        [pair.left.host, pair.right.host, LEFT],
        [pair.right.host, pair.left.host, RIGHT],
      ] as const) {
        const report = await transfer(from, to, address, 2_000_000);
        expect(report.receivedDigest).toBe(report.sentDigest);
      }
      expect(next.status).toBe(null);
    }));
});

describeInLab('the life of a persistent interface', ['wg'], () => {
  it('goes on after SIGTERM, with what was set just before', () =>
    withLab({}, async (lab) => {
      const pair = await buildPersistentPair(lab);
      const { host } = pair.left;
      const before = await describeInterface(host);
      await host.run('wg', [
        'set',
        'wg0',
        'peer',
        pair.right.keys.publicKey,
        'persistent-keepalive',
        '7',
      ]);
      expect(await pair.persistent.stop('SIGTERM')).toBe(0);
      expect(await describeInterface(host)).toBe(before);
      expect((await host.sh(`test -e ${SOCKET}`)).status).toBe(1);
      await start(host);
      await firstPing(host, RIGHT);
      expect(await host.run('wg', ['show', 'wg0', 'persistent-keepalive'])).toContain('\t7\n');
    }));

  for (const [what, script] of [
    ['the interface is deleted', 'ip link delete wg0'],
    ['the control socket is deleted', `rm ${SOCKET}`],
    ['tswg destroys it', 'tswg wg0 destroy'],
    [
      'tswg destroys it after its daemon was killed',
      'kill -KILL $(tswg wg0 stats | sed -n "s/.*pid: //p"); sleep 0.3; tswg wg0 destroy',
    ],
  ] as const) {
    it(`ends when ${what}, and the state with it`, () =>
      withLab({}, async (lab) => {
        const host = await lab.host('host');
        await giveStates(host);
        // In the background, as most do; the option has to reach the child.
        await host.run(OUR_DAEMON, ['--persist', 'wg0']);
        await waitFor(async () => (await host.sh(`test -e ${STATE}`)).status === 0, 'the state');
        expect(await host.run('stat', ['-c', '%a', STATE, '/var/lib/tswg'])).toBe('600\n700\n');
        await host.run('sh', ['-c', script]);
        const gone = `! test -e ${SOCKET} && ! ip link show wg0 && test -z "$(ls -A /var/lib/tswg)"`;
        await waitFor(async () => (await host.sh(gone)).status === 0, 'the end of everything');
      }));
  }

  it('is known by its new name when it is renamed, and found by that after a crash', () =>
    withLab({}, async (lab) => {
      const { left, persistent } = await buildPersistentPair(lab);
      const { host } = left;
      await host.ip('link set wg0 name office');
      const isRenamed = 'test -S /run/wireguard/office.sock && test -f /var/lib/tswg/office/state';
      await waitFor(async () => (await host.sh(isRenamed)).status === 0, 'the new name');
      expect(await host.run('ls', ['/run/wireguard', '/var/lib/tswg'])).not.toContain('wg0');
      expect(await host.run('wg', ['show', 'interfaces'])).toBe('office\n');
      await host.run('tswg', ['office', 'upgrade'], { timeoutMs: 40_000 });
      await host.run('wg', ['set', 'office', 'fwmark', '0x9']);
      const state = 'grep -q ^fwmark=9 /var/lib/tswg/office/state';
      await waitFor(async () => (await host.sh(state)).status === 0, 'the state');
      const pid = /^\tpid: (\d+)$/m.exec(await host.run('tswg', ['office', 'stats']))![1];
      await host.run('kill', ['-KILL', pid]);
      await waitFor(
        async () => (await host.sh('! test -e /run/wireguard/office.sock')).status === 0,
        'the end',
      );
      const next = host.spawn(OUR_DAEMON, ['-f', '--persist', 'office']);
      await waitForControl(host, 'office', next);
      expect(await host.run('wg', ['show', 'office', 'fwmark'])).toBe('0x9\n');
      await firstPing(host, RIGHT, 10_000);
      expect(persistent.stderr).toContain('DEBUG: (wg0) ');
      expect(persistent.stderr).toContain('DEBUG: (office) ');
    }));

  it('is not disturbed by a second daemon', () =>
    withLab({}, async (lab) => {
      const pair = await buildPersistentPair(lab);
      const { host } = pair.left;
      const before = await host.run('cat', [STATE]);
      const second = await host.exec(OUR_DAEMON, ['-f', '--persist', 'wg0']);
      expect(second.status).toBe(1);
      expect(second.stderr).toBe(
        'tswgd: create interface wg0: another program serves this interface (TUNSETIFF: EBUSY)\n',
      );
      expect(await host.run('cat', [STATE])).toBe(before);
      expect((await ping(host, RIGHT)).received).toBe(1);
    }));

  for (const [what, damage, why] of [
    ['is cut off', `truncate -s -5 ${STATE}`, /its checksum is wrong/],
    ['has a bit flipped', `sed -i s/fwmark=0/fwmark=1/ ${STATE}`, /its checksum is wrong/],
    ['is of another version', `sed -i 's/^tswg-state 1/tswg-state 9/' ${STATE}`, /of version 9/],
    ['others can read', `chmod 644 ${STATE}`, /its mode is 0644, expected 0600/],
    ['belongs to somebody else', `chown 1 ${STATE}`, /the user with the id 1/],
  ] as const) {
    it(`a state that ${what} is refused and kept aside`, () =>
      withLab({}, async (lab) => {
        const pair = await buildPersistentPair(lab);
        const { host } = pair.left;
        await pair.persistent.stop('SIGKILL');
        await host.run('sh', ['-c', damage]);
        const next = await start(host);
        expect(next.stderr).toMatch(
          /ERROR: .* The state \/var\/lib\/tswg\/wg0\/state is refused, .*: starting without peers; it is kept as \/var\/lib\/tswg\/wg0\/state\.corrupt\n/,
        );
        expect(next.stderr).toMatch(why);
        expect(next.stderr).not.toContain(pair.left.keys.privateKey);
        const told = await host.run('tswg', ['wg0', 'events', '--on', 'stateRefused,configured']);
        expect(told).toMatch(/^\S+ \S+ the saved state was not used: .+\n$/);
        expect(told).toMatch(why);
        expect(await host.run('wg', ['show', 'wg0', 'peers'])).toBe('');
        expect(await host.run('stat', ['-c', '%a', `${STATE}.corrupt`])).toBe('600\n');
        await host.run('wg', ['setconf', 'wg0', '/run/lab/wg0.conf']);
        await firstPing(host, RIGHT);
      }));
  }

  it('begins anew, without the peers of before, when it was deleted meanwhile', () =>
    withLab({}, async (lab) => {
      const pair = await buildPersistentPair(lab);
      const { host } = pair.left;
      await pair.persistent.stop('SIGKILL');
      await host.ip('link delete wg0');
      const next = await start(host);
      expect(next.stderr).toMatch(
        /wg0\/state is of an interface that is gone: starting without a configuration\n/,
      );
      expect(await host.run('wg', ['show', 'wg0', 'peers'])).toBe('');
    }));

  it('is answered though the clock was set back by a year, twice, and says why one might doubt it', () =>
    withLab({}, async (lab) => {
      const { left, persistent } = await buildPersistentPair(lab);
      const { host } = left;
      await persistent.stop('SIGKILL');
      let state = aYearLater(await host.run('cat', [STATE]));
      await host.writeFile(STATE, state);
      for (const _ of ['with the first timestamp of the future', 'with one after it']) {
        const next = await start(host);
        expect(next.stderr).toMatch(
          /ERROR: .* The clock is earlier than the handshakes .*: was it set back\?/,
        );
        await firstPing(host, RIGHT);
        const before = state;
        await waitFor(async () => {
          state = await host.run('cat', [STATE]);
          return state !== before;
        }, 'a state that knows of the session');
        await next.stop('SIGKILL');
      }
    }));

  it('says so when there is no state for it', () =>
    withLab({}, async (lab) => {
      const pair = await buildPersistentPair(lab);
      const { host } = pair.left;
      await pair.persistent.stop('SIGKILL');
      await host.run('rm', [STATE]);
      const next = await start(host);
      expect(next.stderr).toMatch(/There is no state .*wg0\/state: starting without peers\n/);
    }));

  it('carries packets while the disk is full, and is saved when it no longer is', () =>
    withLab({}, async (lab) => {
      const pair = await buildPersistentPair(lab);
      const { host } = pair.left;
      const before = await host.run('cat', [STATE]);
      await host.sh('dd if=/dev/zero of=/var/lib/filler bs=4k');
      await host.run('wg', ['set', 'wg0', 'fwmark', '7']);
      const line =
        /ERROR: .* save the state \/var\/lib\/tswg\/wg0\/state: the disk is full \(\w+: ENOSPC\)\n/g;
      await pair.persistent.waitForOutput(line);
      expect(await host.run('tswg', ['wg0', 'stats'])).toMatch(/state: .*the disk is full/);
      expect(await host.run('cat', [STATE])).toBe(before);
      expect((await ping(host, RIGHT)).received).toBe(1);
      await host.run('rm', ['/var/lib/filler']);
      await waitFor(
        async () => (await host.run('cat', [STATE])).includes('fwmark=7\n'),
        'the next attempt',
      );
      expect(pair.persistent.stderr.match(line)).toHaveLength(1);
      const stats = await host.run('tswg', ['wg0', 'stats']);
      expect(stats).toContain('state: kept for a restart');
      expect(stats).not.toContain(pair.left.keys.privateKey);
      expect(pair.persistent.stderr).not.toContain(pair.left.keys.privateKey);
    }));

  it('is saved again once a read-only file system is not any more, by one who is not root', () =>
    withLab({}, async (lab) => {
      const pair = await buildPersistentPair(lab);
      const { host } = pair.left;
      await host.run('mount', ['-o', 'remount,ro', '/var/lib']);
      await host.run('wg', ['set', 'wg0', 'fwmark', '7']);
      const line =
        /ERROR: .* save the state \/var\/lib\/tswg\/wg0\/state: the file system is read-only \(openat: EROFS\)\n/g;
      await pair.persistent.waitForOutput(line);
      await pair.persistent.stop('SIGKILL');
      const next = await start(host);
      await next.waitForOutput(line);
      expect(await host.run('tswg', ['wg0', 'stats'])).toMatch(
        /sandbox user: [1-9][\s\S]*state: .*is read-only/,
      );
      expect((await ping(host, RIGHT)).received).toBe(1);
      await host.run('mount', ['-o', 'remount,rw', '/var/lib']);
      await host.run('wg', ['set', 'wg0', 'fwmark', '8']);
      await waitFor(
        async () => (await host.run('cat', [STATE])).includes('fwmark=8\n'),
        'the next attempt',
      );
      expect(next.stderr.match(/ERROR: .*state/gi)).toHaveLength(2);
      expect(await host.run('tswg', ['wg0', 'stats'])).toContain('state: kept for a restart');
    }));

  it('says once why its folder could not be made, and an upgrade makes it', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await giveStates(host);
      await host.run('mount', ['-o', 'remount,ro', '/var/lib']);
      const daemon = await start(host);
      const trouble =
        'keep the state in /var/lib/tswg: the file system is read-only (mkdir: EROFS)';
      const remedy = '; once that is fixed, `tswg wg0 upgrade` or a restart begins to save it\n';
      expect(daemon.stderr).toContain(`${trouble}: starting without a configuration${remedy}`);
      const setUp = 'wg set wg0 fwmark 7; sleep 1.5; tswg wg0 stats';
      expect((await host.sh(setUp)).stdout).toContain(`state: ${trouble}${remedy}`);
      expect(daemon.stderr.match(/ERROR/g)).toHaveLength(1);
      await host.run('mount', ['-o', 'remount,rw', '/var/lib']);
      await host.run('tswg', ['wg0', 'upgrade']);
      await waitFor(
        async () => (await host.sh(`grep -q fwmark=7 ${STATE}`)).status === 0,
        'a state',
      );
      await host.run('tswg', ['wg0', 'destroy']);
    }));

  it('is asked for by the environment, too, and by nothing else', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await giveStates(host);
      const plain = host.spawn(OUR_DAEMON, ['-f', 'wg0']);
      await waitForControl(host, 'wg0', plain);
      await host.run('wg', ['set', 'wg0', 'listen-port', `${TUNNEL_PORT}`]);
      await sleep(1_500);
      await plain.stop('SIGKILL');
      await waitFor(async () => (await host.sh('! ip link show wg0')).status === 0, 'its end');
      expect(await host.run('ls', ['-A', '/var/lib'])).toBe('');
      const persistent = host.spawn(OUR_DAEMON, ['-f', 'wg0'], {
        env: { TSWG_PERSIST: '1', STATE_DIRECTORY: '/var/lib/elsewhere:/var/lib/more' },
      });
      await waitForControl(host, 'wg0', persistent);
      await persistent.stop('SIGKILL');
      await host.ip('link show wg0');
      expect(await host.run('ls', ['-A', '/var/lib'])).toBe('elsewhere\n');
    }));
});
