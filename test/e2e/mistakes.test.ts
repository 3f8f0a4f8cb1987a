/**
 * Mistakes as an operator meets them, with the programs themselves: exit code, the line on standard
 * error, and that what was refused changed nothing. The table of them is test/cli/mistakes.test.ts.
 */

import { afterEach, beforeEach, expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { describeInLab } from '../lab/suite.ts';
import { createKeyPair } from '../lab/tunnel.ts';

/** Has Node say that it is another one. */
const DISGUISE = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'18.20.4'}})`;

describeInLab('a mistake', ['wg', 'script'], () => {
  let lab: Lab;
  let host: Host;
  const [own, peer] = [createKeyPair(), createKeyPair()];
  beforeEach(async () => {
    lab = await Lab.open();
    host = await lab.host('host');
  });
  afterEach(() => lab.close());

  const configuration = async () =>
    (await host.run('wg', ['showconf', 'wg0'])) +
    (await host.run('ip', ['address', 'show', 'wg0']));

  it('is refused and changes nothing, or is carried out and told', async () => {
    await host.writeFile('/etc/wg/private.key', `${own.privateKey}\n`);
    const site = `wgpeer ${peer.publicKey} wgaip 10.99.0.2/32 wgaip 10.20.0.0/24`;
    const start = `tswg wg0 create wgkeyfile /etc/wg/private.key wgport 51820 inet 10.99.0.1/30 ${site}`;
    expect(await host.sh(start)).toMatchObject({ status: 0, stderr: '' });
    const before = await configuration();
    const short = (key: string) => `${key.slice(0, 8)}...`;
    for (const [words, line] of [
      [
        `wgpeer ${peer.publicKey} wgaip 10.99.0.2/32 10.20.0.0/24`,
        '10.20.0.0/24: expected wgaip before it, or inet if wg0 is to have it',
      ],
      [
        `wgpeer ${own.publicKey}`,
        `wgpeer: ${short(own.publicKey)}: this is the key of wg0 itself: expected that of the other end`,
      ],
      [
        `wgpeer ${peer.publicKey} wgendpoint 127.0.0.1 51820`,
        'wgendpoint: 127.0.0.1 51820: our own address and port: expected those of the peer',
      ],
      [
        `wgkeyfile ${own.privateKey}`,
        'wgkeyfile: this is a key: expected the path of the file that holds it',
      ],
      ['peer x', 'peer: expected wgpeer PUBLICKEY'],
    ] as const) {
      const answer = await host.sh(`tswg wg0 ${words}`);
      expect(answer, words).toMatchObject({ status: 1, stdout: '', stderr: `tswg: ${line}\n` });
      expect(await configuration(), words).toBe(before);
    }
    // The same again loses nothing.
    expect(await host.sh(`tswg wg0 ${site}`)).toMatchObject({ status: 0, stderr: '' });
    const less = await host.sh(`tswg wg0 wgpeer ${peer.publicKey} wgaip 10.30.0.0/24`);
    expect(less).toMatchObject({
      status: 0,
      stderr: `tswg: warning: wgaip: 10.99.0.2/32, 10.20.0.0/24: removed from wgpeer ${short(peer.publicKey)}: wgaip gives the whole set\n`,
    });
    expect(await host.run('wg', ['show', 'wg0', 'allowed-ips'])).toBe(
      `${peer.publicKey}\t10.30.0.0/24\n`,
    );
  });

  it('in the name of an interface makes none of words that take away', async () => {
    for (const words of ['down', `-wgpeer ${peer.publicKey}`]) {
      expect(await host.sh(`tswg wg1 ${words}`)).toMatchObject({
        status: 1,
        stderr: 'tswg: wg1: no such interface\n',
      });
    }
    expect((await host.exec('ip', ['link', 'show', 'wg1'])).status).not.toBe(0);
  });

  it('is told of a name that another kind of interface has', async () => {
    await host.run('ip', ['tuntap', 'add', 'dev', 'wg1', 'mode', 'tap']);
    const tail = 'expected a TUN device or none (TUNSETIFF: EINVAL)\n';
    for (const [name, what] of [
      ['lo', 'a network device of this machine has this name'],
      ['wg1', 'a TAP device, or a TUN device with several queues, has this name'],
    ] as const) {
      expect(await host.sh(`tswgd ${name}`)).toMatchObject({
        status: 1,
        stderr: `tswgd: create interface ${name}: ${what}; ${tail}`,
      });
    }
    const added = await host.exec('ip', ['link', 'add', 'wg2', 'type', 'wireguard']);
    if (added.status !== 0) return;
    expect((await host.sh('tswgd wg2')).stderr).toBe(
      `tswgd: create interface wg2: the kernel's own WireGuard has this name; ${tail}`,
    );
  });

  it('of the machine is called by its name: /run is read-only', async () => {
    const script = 'mount -t tmpfs -o ro none /run && tswgd wg5';
    expect(await host.exec('unshare', ['--mount', 'sh', '-c', script])).toMatchObject({
      status: 1,
      stderr: 'tswgd: make /var/run/wireguard: the file system is read-only (mkdir: EROFS)\n',
    });
  });

  it('of the machine is called by its name: too few descriptors', async () => {
    const line =
      'too many open files (EMFILE): expected a limit of 128 or more: `ulimit -n 128`, or LimitNOFILE= in the unit\n';
    expect((await host.sh('ulimit -n 28; tswgd wg0')).stderr).toBe(`tswgd: ${line}`);
    // As many as the line asks for are enough.
    expect(await host.sh('ulimit -n 128; tswgd wg0')).toMatchObject({ status: 0, stderr: '' });
  });

  it('of the machine is called by its name: an old Node.js', async () => {
    for (const program of ['tswg', 'tswgd']) {
      const script = `exec node --import "$1" "$(command -v ${program})" --version`;
      expect(await host.exec('sh', ['-c', script, 'sh', DISGUISE])).toMatchObject({
        status: 1,
        stderr: `${program}: this is Node.js 18.20.4: expected 20.19 or newer (https://nodejs.org)\n`,
      });
    }
  });

  it('is not made by waiting without a word for what has to be typed', async () => {
    // A terminal whose input ends at once; the bound only catches a hang.
    const typed = 'timeout 30 script -qec "tswg pubkey" /dev/null </dev/null';
    const { stdout } = await host.sh(typed);
    expect(stdout.split('\r\n')[0]).toBe(
      'tswg: waiting for a key on standard input; Ctrl-D ends it',
    );
    // Nobody is to be told who pipes one in.
    await host.writeFile('/etc/wg/private.key', `${own.privateKey}\n`);
    expect(await host.sh('tswg pubkey </etc/wg/private.key')).toMatchObject({
      stdout: `${own.publicKey}\n`,
      stderr: '',
    });
  });

  it('in a `set` puts no key into the log', async () => {
    await host.sh('LOG_LEVEL=error tswgd wg0 2>/root/log');
    const hex = Buffer.from(own.privateKey, 'base64').toString('hex');
    const lines = [`private_key =${hex}`, `privatekey=${hex}`, `public_key=${hex}0`, `peer ${hex}`];
    const ask = `
      const socket = require('net').connect('/var/run/wireguard/wg0.sock');
      socket.end('set=1\\n' + process.argv[1] + '\\n\\n');
      socket.resume();`;
    for (const line of lines) await host.run('node', ['-e', ask, line]);
    const refused = async () => (await host.run('cat', ['/root/log'])).match(/set refused/g) ?? [];
    await waitFor(async () => (await refused()).length === lines.length, 'a line for each');
    const log = await host.run('cat', ['/root/log']);
    expect(log).toContain('set refused: private_key =(hidden): expected');
    expect(log).not.toContain(hex.slice(0, 40));
  });
});
