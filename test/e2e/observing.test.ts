/**
 * The observing socket, as those use it for whom it is: a member of the group _tswg reads, changes
 * nothing and sees no key; others get nowhere; and it is where the interface is, whatever becomes of
 * that and of its daemon.
 */

import { spawnSync } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { onlyChild } from '../bench/processes.ts';
import { type Child, sleep, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { compiledProgram, REPOSITORY } from '../lab/repository.ts';
import { namespacePrivilege } from '../lab/requirements.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import {
  createKeyPair,
  createPresharedKey,
  type KeyPair,
  OUR_DAEMON,
  waitForControl,
} from '../lab/tunnel.ts';

const GROUP = 4242;
const [MEMBER, STRANGER] = [
  ['--reuid=4243', '--regid=4243', `--groups=${GROUP}`],
  ['--reuid=4244', '--regid=4244', '--clear-groups'],
];
const FOLDER = '/run/tswg';
const SOCKET = `${FOLDER}/wg0.observe`;
const CONTROL = '/run/wireguard/wg0.sock';
const REFUSED = 'errno=-13\n\n';
const NEEDS_ROOT = 'only root may change an interface; try it with sudo';

const reason = whyNot();
const describeHere: typeof describeInLab = (title, programs, body) => {
  if (reason === null) return describeInLab(title, programs, body);
  console.warn(`SKIPPED: ${title}: ${reason}`);
  describe.skipIf(true)(`${title} (SKIPPED: ${reason})`, body);
};

/** Other users have to be made, and to reach our programs. */
function whyNot(): string | null {
  if (namespacePrivilege() !== 'root') return 'needs root, to be other users';
  const isReadable = spawnSync('setpriv', [...STRANGER, 'test', '-r', `${REPOSITORY}/bin/tswg`]);
  return isReadable.status === 0 ? null : 'needs setpriv, and a repository that all may read';
}

async function hostOf(lab: Lab, hasGroup = true): Promise<Host> {
  const host = await lab.host('host');
  const line = hasGroup ? `_tswg:x:${GROUP}:prometheus` : '';
  await host.run('sh', [
    '-euc',
    `rm /etc/group; { grep -v ^_tswg: /run/lab/etc/group; echo '${line}'; } >/etc/group`,
  ]);
  return host;
}

async function start(host: Host, name = 'wg0'): Promise<Child> {
  const daemon = host.spawn(OUR_DAEMON, ['-f', name], { env: { LOG_LEVEL: 'debug' } });
  await waitForControl(host, name, daemon);
  return daemon;
}

interface Secrets {
  readonly keys: KeyPair;
  readonly peer: KeyPair;
  readonly presharedKey: string;
}

/** A peer with everything, and all that must not be told. */
async function configure(host: Host, name = 'wg0'): Promise<Secrets> {
  const [keys, peer, presharedKey] = [createKeyPair(), createKeyPair(), createPresharedKey()];
  const words =
    `tswg ${name} wgkey ${keys.privateKey} wgport 51820 wgpeer ${peer.publicKey} ` +
    `wgpsk ${presharedKey} wgaip 10.9.0.2/32 wgendpoint 192.0.2.2 51820 wgdescr laptop`;
  await host.run('sh', ['-euc', words]);
  return { keys, peer, presharedKey };
}

const as = (who: readonly string[], host: Host, command: string, ...args: string[]) =>
  host.exec('setpriv', [...who, command, ...args]);

/** The answers byte for byte. */
async function ask(host: Host, text: string, who = MEMBER!, path = SOCKET) {
  const program = compiledProgram('test/lab/uapirequest.ts');
  return host.exec('setpriv', [...who, 'node', program, path], { input: text });
}

async function reads(host: Host, name = 'wg0'): Promise<boolean> {
  const { stdout } = await ask(host, 'get=1\n\n', MEMBER, `${FOLDER}/${name}.observe`);
  return stdout.endsWith('errno=0\n\n');
}

const fact = async (host: Host): Promise<string> =>
  /^\tobserving: (.*)$/m.exec(await host.run('tswg', ['wg0', 'stats']))?.[1] ?? '';

const attributes = (host: Host, path: string): Promise<string> =>
  host.run('stat', ['-c', '%a %u %g %F', path]);

const exists = async (host: Host, path: string): Promise<boolean> =>
  (await host.sh(`test -e ${path}`)).status === 0;

const daemonPid = async (host: Host): Promise<string> =>
  /^\tpid: (\d+)$/m.exec(await host.run('tswg', ['wg0', 'stats']))![1];

describeHere('a member of the group', ['wg', 'setpriv'], () => {
  it('reads, and finds no key in any answer', () =>
    withLab({}, async (lab) => {
      const host = await hostOf(lab);
      await start(host);
      const { keys, peer, presharedKey } = await configure(host);
      expect(await attributes(host, SOCKET)).toBe(`660 0 ${GROUP} socket\n`);
      expect(await attributes(host, FOLDER)).toBe('755 0 0 directory\n');
      expect(await fact(host)).toBe(`${SOCKET}, for root and group _tswg`);
      const answers = await Promise.all([
        ask(host, 'get=1\n\n'),
        ask(host, 'stats=1\n\n'),
        ask(host, 'events=1\n\n'),
        as(MEMBER!, host, 'tswg', 'wg0'),
        as(MEMBER!, host, 'tswg', 'wg0', '--json'),
        as(MEMBER!, host, 'tswg', '--json'),
        as(MEMBER!, host, 'tswg', 'wg0', 'stats'),
        as(MEMBER!, host, 'tswg', 'metrics'),
        as(MEMBER!, host, 'tswg', 'wg0', 'events', '--json'),
        as(MEMBER!, host, 'tswg', '--complete', 'wg0', 'wgpeer', ''),
      ]);
      const hex = (key: string) => Buffer.from(key, 'base64').toString('hex');
      for (const { stdout, stderr, status } of answers) {
        expect(stderr).toBe('');
        expect(status).toBe(0);
        // Each of them tells of the tunnel.
        expect(stdout).toMatch(new RegExp(`${hex(peer.publicKey)}|${literal(peer.publicKey)}`));
        for (const secret of [keys.privateKey, peer.privateKey, presharedKey]) {
          expect(stdout).not.toContain(secret);
          expect(stdout.toLowerCase()).not.toContain(hex(secret));
        }
        expect(stdout).not.toMatch(/private_key|preshared|wgpsk|PresharedKey/);
      }
      const [get, stats, told, shown, json] = answers.map(({ stdout }) => stdout);
      expect(get).toContain('endpoint=192.0.2.2:51820\n');
      expect(get).toContain('description=laptop\n');
      expect(stats).toContain('fact_version=');
      expect(told).toContain('"kind":"peerConfigured"');
      // What root is told, who may know that there is one.
      expect(await host.run('tswg', ['wg0', 'events'])).toContain('presharedKey');
      expect(shown).toContain('\twgkey (not shown: ');
      expect(shown).toContain(`\twgpubkey ${keys.publicKey}\n`);
      expect(JSON.parse(json!).wireguard).toMatchObject({
        keysAreHidden: true,
        publicKey: keys.publicKey,
      });
    }));

  it('changes nothing, and is told in one line that this takes root', () =>
    withLab({}, async (lab) => {
      const host = await hostOf(lab);
      await start(host);
      const { peer } = await configure(host);
      const before = await host.run('wg', ['showconf', 'wg0']);
      const pid = await daemonPid(host);
      for (const text of [
        'set=1\nlisten_port=1\n\n',
        'set=1\nreplace_peers=true\n\n',
        'upgrade=1\n\n',
      ]) {
        expect((await ask(host, text)).stdout, text).toBe(REFUSED);
      }
      // The connection ends there: what follows is not answered.
      const { stdout } = await ask(host, 'set=1\n\nget=1\n\n');
      expect(stdout).toBe(REFUSED);
      for (const words of [
        ['wgport', '5'],
        ['-wgpeer', peer.publicKey],
        ['wgkey', createKeyPair().privateKey],
        ['up'],
        ['destroy'],
      ]) {
        const refused = await as(MEMBER!, host, 'tswg', 'wg0', ...words);
        expect(refused).toMatchObject({
          status: 1,
          stdout: '',
          stderr: `tswg: wg0: ${NEEDS_ROOT}\n`,
        });
      }
      expect((await as(MEMBER!, host, 'tswg', 'wg0', 'upgrade')).stderr).toBe(
        'tswg: wg0: upgrade: only root may do that; try it with sudo\n',
      );
      expect((await ask(host, 'get=1\n\n', MEMBER, CONTROL)).stderr).toContain('EACCES');
      expect((await as(MEMBER!, host, 'rm', '-f', SOCKET)).status).not.toBe(0);
      expect(await host.run('wg', ['showconf', 'wg0'])).toBe(before);
      expect(await daemonPid(host)).toBe(pid);
    }));
});

describeHere('anybody else', ['wg', 'setpriv'], () => {
  it('gets nowhere', () =>
    withLab({}, async (lab) => {
      const host = await hostOf(lab);
      await start(host);
      const asked = await ask(host, 'get=1\n\n', STRANGER);
      expect(asked.stdout).toBe('');
      expect(asked.stderr).toContain('EACCES');
      const shown = await as(STRANGER!, host, 'tswg', 'wg0');
      expect(shown.stderr).toBe(
        'tswg: wg0: only root may query its daemon, or a member of the group _tswg that was there when the daemon started; try it with sudo\n',
      );
      expect(shown.stdout).not.toContain('wgp');
      // A program is not to take the answer for that of an interface without a WireGuard.
      const described = await as(STRANGER!, host, 'tswg', 'wg0', '--json');
      expect(described).toMatchObject({ status: 1, stderr: shown.stderr });
      expect(JSON.parse(described.stdout)).not.toHaveProperty('wireguard');
    }));

  it('is everybody but root where there is no such group, and stats says so', () =>
    withLab({}, async (lab) => {
      const host = await hostOf(lab, false);
      const daemon = await start(host);
      expect(await attributes(host, SOCKET)).toBe('600 0 0 socket\n');
      expect((await ask(host, 'get=1\n\n')).stderr).toContain('EACCES');
      expect(await fact(host)).toBe(
        `${SOCKET}, for root alone: there was no group _tswg when it was opened`,
      );
      expect(daemon.stderr).not.toContain('ERROR');
    }));

  it('has put nothing in its place: then there is none, and the tunnel is', () =>
    withLab({}, async (lab) => {
      const host = await hostOf(lab);
      const traps: [trap: string, expected: RegExp][] = [
        [
          `mkdir /run/trap; ln -s /run/trap ${FOLDER}`,
          /expected \/run\/tswg to be a folder owned by root/,
        ],
        [
          `mkdir ${FOLDER}; chown 4244 ${FOLDER}`,
          /expected \/run\/tswg to be a folder owned by root/,
        ],
        [`: >${FOLDER}`, /mkdir: EEXIST|folder of ours/],
        [
          `mkdir ${FOLDER}; ln -s /etc/passwd ${SOCKET}`,
          /a file that is not a socket has this path/,
        ],
        [`mkdir ${FOLDER}; mkdir ${SOCKET}`, /a file that is not a socket has this path/],
      ];
      for (const [trap, expected] of traps) {
        await host.run('sh', ['-euc', `rm -rf /run/trap ${FOLDER}; ${trap}`]);
        const before = await host.run('ls', ['-lAR', '--time-style=+', '/run/tswg']);
        const daemon = await start(host);
        expect(await fact(host), trap).toMatch(/^no \(/);
        expect(await fact(host), trap).toMatch(expected);
        expect(daemon.stderr, trap).toMatch(/ERROR: .*Only root can observe: .*\n/);
        expect(await daemon.stop('SIGTERM')).toBe(0);
        expect(await host.run('ls', ['-lAR', '--time-style=+', '/run/tswg']), trap).toBe(before);
      }
    }));

  it('is let in to a folder that was made with a tight umask only if a member', () =>
    withLab({}, async (lab) => {
      const host = await hostOf(lab);
      await host.run('sh', ['-euc', `mkdir -m 700 ${FOLDER}; umask 077; exec tswgd wg0`]);
      expect(await reads(host)).toBe(true);
      expect((await ask(host, 'get=1\n\n', STRANGER)).stderr).toContain('EACCES');
      expect(await attributes(host, FOLDER)).toBe('755 0 0 directory\n');
    }));
});

describeHere('the observing socket', ['wg', 'setpriv'], () => {
  it('ends with its daemon, however that ends, and with nobody else’s', () =>
    withLab({}, async (lab) => {
      const host = await hostOf(lab);
      const first = await start(host);
      const second = await start(host, 'wg1');
      await configure(host);
      expect((await ask(host, 'get=1\n\n')).stdout).toContain('listen_port=51820\n');
      const other = (await ask(host, 'get=1\n\n', MEMBER, `${FOLDER}/wg1.observe`)).stdout;
      expect(other).not.toContain('listen_port=51820\n');
      expect(await first.stop('SIGTERM')).toBe(0);
      await waitFor(async () => !(await exists(host, SOCKET)), 'its removal');
      expect(await reads(host, 'wg1')).toBe(true);
      second.signal('SIGKILL');
      await second.exited;
      await waitFor(async () => !(await exists(host, `${FOLDER}/wg1.observe`)), 'its removal');
    }));

  it('that was left behind is replaced, and removed by destroy', () =>
    withLab({}, async (lab) => {
      const host = await hostOf(lab);
      for (const again of ['tswgd wg0', 'tswg wg0 destroy']) {
        await host.run('tswgd', ['--persist', 'wg0']);
        // With the starter there is nobody who clears up.
        await host.run('sh', ['-euc', 'pkill -KILL -f [t]swgd-starter; pkill -KILL -f "[t]swgd"']);
        await waitFor(async () => (await host.sh('! pgrep -f [t]swgd')).status === 0, 'the end');
        expect(await exists(host, SOCKET)).toBe(true);
        expect((await ask(host, 'get=1\n\n')).stderr).toContain('ECONNREFUSED');
        await host.run('sh', ['-euc', again]);
        if (again === 'tswgd wg0') {
          expect(await reads(host)).toBe(true);
          await host.run('tswg', ['wg0', 'destroy']);
        }
        expect(await exists(host, SOCKET)).toBe(false);
      }
    }));

  it('that was deleted is missed in stats, and the tunnel stays', () =>
    withLab({}, async (lab) => {
      const host = await hostOf(lab);
      const daemon = await start(host);
      await host.run('rm', [SOCKET]);
      await daemon.waitForOutput(/ERROR: .*Only root can observe: it was deleted/);
      expect(await fact(host)).toMatch(/^no \(it was deleted: restart/);
      // Its successor opens another one.
      await host.run('tswg', ['wg0', 'upgrade']);
      expect(await reads(host)).toBe(true);
      await host.run('tswg', ['wg0', 'destroy']);
      expect(await exists(host, SOCKET)).toBe(false);
    }));

  it('follows the interface’s name and stays over upgrades, the same socket', () =>
    withLab({}, async (lab) => {
      const host = await hostOf(lab);
      await start(host);
      const inode = async (path: string) => host.run('stat', ['-c', '%i', path]);
      const before = await inode(SOCKET);
      await host.run('tswg', ['wg0', 'upgrade']);
      expect(await reads(host)).toBe(true);
      await host.ip('link set wg0 name office');
      const path = `${FOLDER}/office.observe`;
      await waitFor(() => exists(host, path), 'its new name');
      await waitFor(async () => !(await exists(host, SOCKET)), 'the end of the old one');
      await waitFor(() => exists(host, '/run/wireguard/office.sock'), 'that of control');
      await host.run('tswg', ['office', 'upgrade']);
      await host.run('tswg', ['office', 'upgrade']);
      expect(await reads(host, 'office')).toBe(true);
      expect(await inode(path)).toBe(before);
      const asMember = await as(MEMBER!, host, 'tswg', 'office', 'stats');
      expect(asMember.stdout).toContain(`\tobserving: ${path}, for root and group _tswg\n`);
      await host.run('tswg', ['office', 'destroy']);
      await waitFor(async () => !(await exists(host, path)), 'its removal');
    }));

  it('keeps its old name where the new one is taken, and is removed under that', () =>
    withLab({}, async (lab) => {
      const host = await hostOf(lab);
      const daemon = await start(host);
      await host.run('sh', ['-euc', `: >${FOLDER}/office.observe`]);
      await host.ip('link set wg0 name office');
      await daemon.waitForOutput(/ERROR: .*The observing socket is still \/run\/tswg\/wg0.observe/);
      expect(await reads(host)).toBe(true);
      await host.run('tswg', ['office', 'upgrade']);
      expect(await reads(host)).toBe(true);
      await host.run('tswg', ['office', 'destroy']);
      await waitFor(async () => !(await exists(host, SOCKET)), 'its removal');
      expect(await exists(host, `${FOLDER}/office.observe`)).toBe(true);
    }));
});

describeHere('observers who mean harm', ['wg', 'setpriv', 'prlimit'], () => {
  it('leave the operator all that root’s own socket has', () =>
    withLab({}, async (lab) => {
      const host = await hostOf(lab);
      const limit = ['--nofile=96', OUR_DAEMON, '-f', 'wg0'];
      const daemon = host.spawn('prlimit', limit, { env: { LOG_LEVEL: 'debug' } });
      await waitForControl(host, 'wg0', daemon);
      await configure(host);
      await host.ip('link set wg0 up');
      const path = `/proc/${onlyChild(daemon.pid)}/root${SOCKET}`;
      const crowd: Socket[] = [];
      const enter = (text: string, isDeaf = true) => {
        const socket = connect(path);
        socket.on('error', () => {});
        if (isDeaf) socket.pause();
        else socket.resume();
        socket.write(text);
        crowd.push(socket);
        return socket;
      };
      for (let i = 0; i < 150; i++) enter('get=1\n\n'.repeat(2_000), i % 2 === 0);
      for (let i = 0; i < 150; i++) enter('ge');
      const endless = enter('x'.repeat(65_536), false);
      const changing = enter(`set=1\n${'allowed_ip=10.0.0.0/8\n'.repeat(3_000)}`, false);
      await waitFor(() => endless.closed, 'the end of a line without end');
      await waitFor(() => changing.closed, 'the end of one that may not be asked');
      // New sockets take descriptors, and so does each question of the operator's.
      for (let port = 40_001; port <= 40_020; port++) {
        await host.run('wg', ['set', 'wg0', 'listen-port', `${port}`]);
        expect(await host.run('wg', ['show', 'wg0', 'listen-port'])).toBe(`${port}\n`);
      }
      expect(await fact(host)).toContain(SOCKET);
      for (const socket of crowd) socket.destroy();
      await sleep(0);
      await waitFor(() => reads(host), 'an answer to one who behaves');
      expect(daemon.stderr).not.toMatch(/ERROR/);
    }));
});

function literal(text: string): string {
  return text.replace(/[+/]/g, '\\$&');
}
