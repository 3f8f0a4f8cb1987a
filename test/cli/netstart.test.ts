import { describe, expect, it } from 'vitest';
import { HOSTNAME_FILE_BYTES_MAX } from '../../src/cli/hostnamelines.ts';
import { parse } from '../../src/cli/parse.ts';
import { formatAddress } from '../../src/packet/address.ts';
import { FakeBoot } from './fakeboot.ts';

const KEY = `${'A'.repeat(42)}E=`;
const OTHER = `${'B'.repeat(42)}E=`;
const HEX = 'c809f3e5317e9575c9b5ed78b638b7ce530dabe85ddab6142202418019df0669';

const SITE = `wgport 51820
inet 10.99.0.1/30
wgpeer ${KEY} wgdescr 'site B' \\
  wgaip 10.20.0.0/24
!ip route replace 10.20.0.0/24 dev $if
`;

describe('netstart', () => {
  it('creates the interface and carries out the lines in their order', async () => {
    const boot = new FakeBoot({ wg0: SITE });
    expect(await boot.run('wg0')).toBe(0);
    expect(boot.system.log).toEqual([
      'start wg0',
      'set wg0',
      'add 10.99.0.1/30',
      'up',
      'set wg0',
      '! ip route replace 10.20.0.0/24 dev wg0',
    ]);
    expect(boot.system.changes[1].peers[0]).toMatchObject({ description: 'site B' });
    expect({ printed: boot.printed, complaints: boot.complaints }).toEqual({
      printed: [],
      complaints: [],
    });
  });

  it('applies the lines once more to an interface that runs, which changes nothing', async () => {
    const boot = new FakeBoot({
      wg0: `create descr x\n${SITE}inet alias 10.99.1.1/24\ninet6 fd00::1 64`,
    });
    await boot.run();
    const { log, changes, addressList } = boot.system;
    const before = addressList.map((one) => formatAddress(one.address));
    log.length = 0;
    expect(await boot.run()).toBe(0);
    expect(log).toEqual([
      'set wg0',
      'up',
      'set wg0',
      '! ip route replace 10.20.0.0/24 dev wg0',
      'up',
      'up',
    ]);
    const [peer] = changes[1].peers;
    expect(changes[3]).toEqual({ ...changes[1], peers: [{ ...peer, updateOnly: true }] });
    expect(boot.system.addressList.map((one) => formatAddress(one.address))).toEqual(before);
  });

  it('gives a persistent interface that has lost its daemon another one, then applies the lines', async () => {
    const boot = new FakeBoot({ wg0: SITE });
    boot.system.addLink('wg0', { isPersistent: true });
    boot.system.staleSockets.add('wg0');
    expect(await boot.run('-n wg0')).toBe(0);
    expect(boot.printed.slice(0, 2)).toEqual(['tswgd --persist wg0', 'tswg wg0 wgport 51820']);
    expect(boot.system.log).toEqual([]);
    expect(await boot.run('wg0')).toBe(0);
    expect(boot.system.log.slice(0, 2)).toEqual(['start --persist wg0', 'set wg0']);
    expect(boot.complaints).toEqual([]);
  });

  it('says why there is no other daemon, and leaves the interface as it is', async () => {
    const boot = new FakeBoot({ wg0: SITE });
    boot.system.addLink('wg0', { isPersistent: true });
    boot.system.staleSockets.add('wg0');
    boot.system.startDaemon = async () => {
      throw new Error('/dev/net/tun is missing');
    };
    expect(await boot.run('wg0')).toBe(1);
    expect(boot.complaints).toEqual(['wg0: /dev/net/tun is missing']);
    expect(boot.system.log).toEqual([]);
    expect(boot.system.linkList.map(({ name }) => name)).toEqual(['wg0']);
  });

  it('takes all files in order, but none that an editor left', async () => {
    const names = ['wg1', 'wg0', 'wg10', 'wg0~', 'wg0.bak', 'wg0.1', 'office', '#wg0#', '-wg0'];
    const boot = new FakeBoot(Object.fromEntries(names.map((name) => [name, 'up'])));
    expect(await boot.run()).toBe(0);
    expect(boot.system.log.filter((line) => line !== 'up')).toEqual([
      'start wg0',
      'start wg1',
      'start wg10',
    ]);
  });

  it('takes the files that are named, and goes on after those that are not there', async () => {
    const boot = new FakeBoot({ wg0: 'up', wg1: 'up', wg2: 'up' });
    expect(await boot.run('wg2 wg9 wg0')).toBe(1);
    expect(boot.system.log).toEqual(['start wg2', 'up', 'start wg0', 'up']);
    expect(boot.complaints).toEqual(['/etc/hostname.wg9: there is no such file']);
  });

  it('reads text beyond ASCII', async () => {
    const boot = new FakeBoot({ wg0: "descr 'Büro Köln'" });
    expect(await boot.run()).toBe(0);
    expect(boot.system.log).toEqual(['start wg0', 'description Büro Köln']);
  });

  it.each(['', '-n', '--keep'])(
    'fails without a file, and says where it looked: netstart %s',
    async (words) => {
      const boot = new FakeBoot();
      expect(await boot.run(words)).toBe(1);
      const looked =
        'netstart: no interface has a file: looked for /etc/hostname.INTERFACE, such as /etc/hostname.wg0';
      expect(boot.complaints).toEqual([looked]);
      const other = new FakeBoot({ 'wg0.bak': 'up', 'wg0~': 'up' });
      expect(await other.run(words)).toBe(1);
      expect(other.complaints).toEqual([
        `${looked}; skipped: /etc/hostname.wg0.bak, /etc/hostname.wg0~`,
      ]);
      expect(other.system.log).toEqual([]);
    },
  );

  it('does nothing of a file with a mistake in it, and goes on with the next', async () => {
    const boot = new FakeBoot({ wg0: 'up\n!true\nwgport x\nmtu 1\n', wg1: 'up' });
    expect(await boot.run()).toBe(1);
    expect(boot.system.log).toEqual(['start wg1', 'up']);
    expect(boot.complaints).toEqual([
      'hostname.wg0:3: wgport: x: expected 0 to 65535',
      'hostname.wg0:4: mtu: 1: expected 68 to 65535',
    ]);
  });

  it('goes on after a line that is refused', async () => {
    const boot = new FakeBoot({
      wg0: `wgport 7\nwgpeer ${KEY} wgendpoint fe80::1%far0 7\n!false\ninet 10.0.0.1/24\n`,
    });
    expect(await boot.run()).toBe(1);
    expect(boot.system.log).toEqual(['start wg0', 'set wg0', '! false', 'add 10.0.0.1/24', 'up']);
    expect(boot.complaints).toEqual([
      'hostname.wg0:2: wgendpoint: fe80::1%far0: there is no interface far0',
      'hostname.wg0:3: !false: exit code 1',
    ]);
  });

  it('leaves a name that nobody resolves yet to the daemon, and succeeds', async () => {
    const boot = new FakeBoot({
      wg0: `wgport 7\nwgpeer ${KEY} wgendpoint nowhere.example 7\ninet 10.0.0.1/24\n`,
    });
    expect(await boot.run()).toBe(0);
    expect(boot.complaints).toEqual([]);
    expect(boot.system.changes.at(-1)!.peers[0].ways).toEqual([
      { host: 'nowhere.example', port: 7, near: null },
    ]);
  });

  it('warns of what a line takes away, with its file and line, and of nothing else again', async () => {
    const boot = new FakeBoot({
      wg0: `-wgpeer ${OTHER}\nwgpeer ${KEY} \\\nwgaip 10.20.0.5/24\nwgpeer ${OTHER} wgpka 5`,
    });
    expect(await boot.run()).toBe(0);
    expect(boot.complaints.splice(0)).toEqual([
      'hostname.wg0:2: warning: wgaip: 10.20.0.5/24: taken as 10.20.0.0/24',
    ]);
    // As at every reload.
    expect(await boot.run()).toBe(0);
    expect(boot.complaints).toEqual([]);
    boot.files.set('wg0', { text: `wgpeer ${KEY} wgaip 10.30.0.0/24` });
    expect(await boot.run()).toBe(0);
    expect(boot.complaints.splice(0)).toEqual([
      'hostname.wg0:1: warning: wgaip: 10.20.0.0/24: removed from wgpeer AAAAAAAA...: wgaip gives the whole set',
    ]);
    boot.files.set('wg0', { text: `wgpeer ${OTHER} wgaip 10.30.0.0/24` });
    expect(await boot.run()).toBe(0);
    expect(boot.complaints).toEqual([
      'hostname.wg0:1: warning: wgaip: 10.30.0.0/24: taken from wgpeer AAAAAAAA...',
    ]);
  });

  it('keeps an interface whose first line is refused', async () => {
    const boot = new FakeBoot({ wg0: 'mtu 1400\ninet 10.0.0.1/24' });
    boot.system.failing = ['mtu'];
    expect(await boot.run()).toBe(1);
    expect(boot.system.log).toEqual(['start wg0', 'mtu 1400', 'add 10.0.0.1/24', 'up']);
  });

  it('tells once that there can be no interface', async () => {
    const boot = new FakeBoot({ wg0: 'wgport 1\nup\n!true\n' });
    boot.system.isRoot = false;
    expect(await boot.run()).toBe(1);
    expect(boot.complaints).toEqual(['wg0: only root may change an interface; try it with sudo']);
    expect(boot.system.log).toEqual([]);
  });

  it('ends with the interface that a command has removed', async () => {
    const boot = new FakeBoot({ wg0: '!false\nup' });
    boot.runShell = async () => {
      boot.system.deleteLink(1);
      return 'exit code 1';
    };
    expect(await boot.run()).toBe(1);
    expect(boot.system.log).toEqual(['start wg0', 'delete link wg0']);
  });

  it('lets its own bugs through', async () => {
    const boot = new FakeBoot({ wg0: 'inet 10.0.0.1/24' });
    boot.system.addresses = () => {
      throw new TypeError('a bug');
    };
    await expect(boot.run()).rejects.toThrow('a bug');
  });
});

describe('a file that is not for root alone', () => {
  it.each([
    [
      'others may read',
      { mode: 0o644 },
      'other users can access this file (mode 644); fix it with: chmod 600 /etc/hostname.wg0',
    ],
    [
      'its group may read',
      { mode: 0o640 },
      'other users can access this file (mode 640); fix it with: chmod 600 /etc/hostname.wg0',
    ],
    [
      'others may write',
      { mode: 0o602 },
      'other users can access this file (mode 602); fix it with: chmod 600 /etc/hostname.wg0',
    ],
    [
      'is somebody else’s',
      { owner: 1000 },
      'it belongs to user 1000; fix it with: chown root /etc/hostname.wg0',
    ],
    ['is none', { text: 'a folder' }, 'expected a regular file'],
    [
      'is too large to be read to its end',
      { text: '#'.repeat(HOSTNAME_FILE_BYTES_MAX) },
      'expected less than 4194304 bytes',
    ],
  ])('since it %s is refused, with the way out', async (_, file, reason) => {
    for (const words of ['', '-n', 'wg0']) {
      const boot = new FakeBoot();
      boot.files.set('wg0', { text: 'up', ...file });
      expect(await boot.run(words)).toBe(1);
      expect(boot.complaints).toEqual([`/etc/hostname.wg0: ${reason}`]);
      expect([boot.system.log, boot.printed]).toEqual([[], []]);
    }
  });
});

describe('netstart -n', () => {
  it('prints what it would do, and does nothing', async () => {
    const boot = new FakeBoot({ wg0: SITE, wg1: 'create descr "Anna\'s"' });
    boot.system.addDaemon('wg1');
    expect(await boot.run('-n')).toBe(0);
    expect(boot.printed).toEqual([
      'tswg wg0 create',
      'tswg wg0 wgport 51820',
      'tswg wg0 inet 10.99.0.1/30',
      `tswg wg0 wgpeer ${KEY} wgdescr 'site B' wgaip 10.20.0.0/24`,
      'ip route replace 10.20.0.0/24 dev wg0',
      "tswg wg1 descr 'Anna'\\''s'",
    ]);
    expect(boot.system.log).toEqual([]);
  });

  it('prints no secrets', async () => {
    const boot = new FakeBoot({
      wg0: `wgkey ${KEY} descr wgkey wgpeer ${KEY} wgpsk ${KEY} wgpka 5`,
    });
    await boot.run('-n wg0');
    expect(boot.printed.slice(1)).toEqual([
      `tswg wg0 wgkey '(hidden)' descr wgkey wgpeer ${KEY} wgpsk '(hidden)' wgpka 5`,
    ]);
  });

  it('prints no key that stands where none belongs, nor what steers a terminal', async () => {
    const boot = new FakeBoot({
      wg0: `!wg set $if private-key ${OTHER}\n!echo ${HEX}\t\u001b[2J\nwgpeer ${KEY} wgdescr ${OTHER}\nwgkeyfile ./${HEX}`,
    });
    expect(await boot.run('-n wg0')).toBe(0);
    expect(boot.printed.slice(1)).toEqual([
      'wg set wg0 private-key (hidden)',
      'echo (hidden)[2J',
      `tswg wg0 wgpeer ${KEY} wgdescr '(hidden)'`,
      "tswg wg0 wgkeyfile '.(hidden)'",
    ]);
    boot.files.set('wg0', { text: `!false ${OTHER}` });
    boot.runShell = async () => 'exit code 1';
    await boot.run('wg0');
    boot.files.set('wg0', { text: `wgkeyfile ${OTHER}\nprivatekey=${HEX}\n${OTHER.slice(0, 43)}` });
    await boot.run('wg0');
    expect(boot.complaints).toEqual([
      'hostname.wg0:1: !false (hidden): exit code 1',
      'hostname.wg0:1: wgkeyfile: this is a key: expected the path of the file that holds it',
      ...[2, 3].map(
        (line) =>
          `hostname.wg0:${line}: a key without a word before it: expected wgpeer, wgkey or wgpsk to say what it is`,
      ),
    ]);
  });

  it('tells the same mistakes', async () => {
    const boot = new FakeBoot({ wg0: 'wgport x', wg1: 'up' });
    expect(await boot.run('-n')).toBe(1);
    expect(boot.complaints).toEqual(['hostname.wg0:1: wgport: x: expected 0 to 65535']);
    expect(boot.printed).toEqual(['tswg wg1 create', 'tswg wg1 up']);
  });
});

describe("netstart's command line", () => {
  it.each([
    ['', { names: [], mode: 'once' }],
    ['-n', { names: [], mode: 'plan' }],
    ['-n wg0 wg1', { names: ['wg0', 'wg1'], mode: 'plan' }],
    ['office', { names: ['office'], mode: 'once' }],
    ['--keep', { names: [], mode: 'keep' }],
    ['--keep wg0', { names: ['wg0'], mode: 'keep' }],
    ['--install', { names: [], mode: 'install' }],
    ['wg0 --install wg1', { names: ['wg0', 'wg1'], mode: 'install' }],
  ])('netstart %s', (words, command) => {
    const argv = words.split(' ').filter((word) => word !== '');
    expect(parse(['netstart', ...argv])).toEqual({ kind: 'netstart', ...command });
  });

  it.each([
    ['../passwd', '../passwd: expected the name of an interface'],
    ['-n --keep', '-n, --keep: expected one of them'],
    ['--install -n wg0', '-n, --install: expected one of them'],
    ['-x', '-x: unknown option'],
  ])('netstart %s is a mistake', (words, word) => {
    expect(parse(['netstart', ...words.split(' ')])).toMatchObject({
      text: expect.stringMatching(`^netstart: ${word}`),
    });
  });
});
