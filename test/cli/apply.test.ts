import { describe, expect, it } from 'vitest';
import { configure, destroy } from '../../src/cli/apply.ts';
import { parse } from '../../src/cli/parse.ts';
import { formatAddress, formatPrefix, parseAddress } from '../../src/packet/address.ts';
import { FakeSystem } from './fakesystem.ts';

const KEY = `${'A'.repeat(42)}E=`;

/** Runs `tswg LINE` and returns the line it ends with, or `done`. */
async function run(system: FakeSystem, line: string): Promise<string> {
  const command = parse(line.split(' ').map((word) => (word === 'KEY' ? KEY : word)));
  try {
    if (command.kind === 'configure') await configure(command.name, command.draft, system);
    else if (command.kind === 'destroy') await destroy(command.name, system);
    else throw new Error(`${line}: ${JSON.stringify(command)}`);
    return 'done';
  } catch (error) {
    return (error as Error).message;
  }
}

function withDaemon(version: string | null = '0.1.0'): FakeSystem {
  const system = new FakeSystem();
  system.addDaemon('wg0', version);
  return system;
}

function held(system: FakeSystem): string[] {
  return system.addressList.map((one) => `${formatAddress(one.address)}/${one.length}`);
}

function give(system: FakeSystem, ...texts: string[]): void {
  for (const text of texts) {
    const [address, length] = text.split('/');
    system.addressList.push({
      index: 1,
      address: parseAddress(address)!,
      length: Number(length),
      destination: null,
      broadcast: null,
    });
  }
}

describe('a missing interface', () => {
  it.each([
    ['wg0 create', ['start wg0']],
    ['wg0 up', ['start wg0', 'up']],
    ['wg0 wgport 51820', ['start wg0', 'set wg0']],
    ['wg0 inet 10.99.0.1/30', ['start wg0', 'add 10.99.0.1/30', 'up']],
    ['wg0 wgpeer KEY wgendpoint 203.0.113.10 51820', ['start wg0', 'set wg0']],
    [
      'wg0 create up mtu 1400 inet 10.99.0.1/30 wgport 1 descr x',
      ['start wg0', 'set wg0', 'description x', 'mtu 1400', 'add 10.99.0.1/30', 'up'],
    ],
  ])('is created by: tswg %s', async (line, log) => {
    const system = new FakeSystem();
    expect(await run(system, line)).toBe('done');
    expect(system.log).toEqual(log);
  });

  it('is not created under a name without a number', async () => {
    const system = new FakeSystem();
    expect(await run(system, 'office up')).toBe(
      'office: no such interface; the name of a new one must end in a digit, as in wg0',
    );
    expect(system.log).toEqual([]);
  });

  it('is not created for a key file that is not there', async () => {
    const system = new FakeSystem();
    expect(await run(system, 'wg0 wgkeyfile /nonexistent/key up')).toBe(
      'wgkeyfile: /nonexistent/key: there is no such file',
    );
    expect(system.log).toEqual([]);
  });

  it('is not created for an address that is to be removed from what would be empty', async () => {
    const system = new FakeSystem();
    expect(await run(system, 'wg0 up delete')).toBe('delete: wg0 has no IPv4 address');
    expect(system.log).toEqual([]);
  });

  it('is removed again when a later step is refused', async () => {
    const system = new FakeSystem();
    system.failing = ['mtu'];
    expect(await run(system, 'wg0 wgport 1 mtu 1400 up')).toBe('mtu: invalid argument (EINVAL)');
    expect(system.log).toEqual(['start wg0', 'set wg0', 'mtu 1400', 'delete link wg0']);
    expect(system.linkList).toEqual([]);
  });

  it('is removed again when its daemon refuses', async () => {
    const system = new FakeSystem();
    const start = system.startDaemon.bind(system);
    system.startDaemon = async (name, persists) => {
      await start(name, persists);
      system.daemons.get(name)!.refuse = 98;
    };
    expect(await run(system, 'wg0 wgport 53')).toBe(
      'wgport: 53: another program uses this UDP port; expected a free one, or 0 to pick one',
    );
    expect(system.linkList).toEqual([]);
  });

  it('names the interface when the daemon does not start', async () => {
    const system = new FakeSystem();
    system.startDaemon = async () => {
      throw new Error('/dev/net/tun is missing');
    };
    expect(await run(system, 'wg0 up')).toBe('wg0: /dev/net/tun is missing');
  });
});

describe('an interface that is there', () => {
  it('is not created again', async () => {
    const system = withDaemon();
    expect(await run(system, 'wg0 create up')).toBe('wg0: create: the interface exists already');
    expect(system.log).toEqual([]);
  });

  it('gets all WireGuard words in one request', async () => {
    const system = withDaemon();
    const line =
      'wg0 wgpeer KEY wgendpoint fe80::1%wg0 7 wgaip 10.0.0.0/8 wgaip fd00::/8 wgpka 25 wgdescr x ' +
      '-wgpsk wgfwmark 5 wgport 6 -wgpeerall debug';
    expect(await run(system, line)).toBe('done');
    expect(system.log).toEqual(['set wg0']);
    const [change] = system.changes;
    expect(change).toMatchObject({ listenPort: 6, fwmark: 5, replacePeers: true, debug: true });
    const [peer] = change.peers;
    expect(peer).toMatchObject({
      replaceAllowedIps: true,
      persistentKeepalive: 25,
      description: 'x',
      presharedKey: new Uint8Array(32),
    });
    expect(peer.endpoint).toMatchObject({ port: 7, scope: 1, address: parseAddress('fe80::1') });
    expect(peer.allowedIps.map((one) => formatPrefix(one.prefix))).toEqual([
      '10.0.0.0/8',
      'fd00::/8',
    ]);
  });

  it('-wgaip takes one prefix away and leaves the others', async () => {
    const system = withDaemon();
    expect(await run(system, 'wg0 wgpeer KEY -wgaip 10.0.0.0/8')).toBe('done');
    const [peer] = system.changes[0].peers;
    expect(peer.replaceAllowedIps).toBeUndefined();
    expect(peer.allowedIps.map((one) => one.remove)).toEqual([true]);
  });

  it('keeps its allowed IPs when none are named', async () => {
    const system = withDaemon();
    await run(system, 'wg0 wgpeer KEY wgpka 0');
    expect(system.changes[0].peers[0].replaceAllowedIps).toBeUndefined();
  });

  it('does not come back with the words of one operator after another has removed it', async () => {
    const system = withDaemon();
    await run(system, 'wg0 wgpeer KEY wgaip 10.0.0.0/8');
    // Between the look at what is there and the change.
    const set = system.request;
    let isRemoved = false;
    system.request = async (name, text) => {
      if (text.startsWith('set=1\n') && !isRemoved) {
        isRemoved = true;
        await run(system, 'wg0 -wgpeer KEY');
      }
      return set.call(system, name, text);
    };
    expect(await run(system, 'wg0 wgpeer KEY wgpka 10')).toBe('done');
    expect(system.daemons.get('wg0')!.state.peers).toEqual([]);
    expect(await run(system, 'wg0 wgpeer KEY wgpka 10')).toBe('done');
    expect(system.daemons.get('wg0')!.state.peers).toMatchObject([{ persistentKeepalive: 10 }]);
  });

  it('comes back when the same call removes all', async () => {
    const system = withDaemon();
    await run(system, 'wg0 wgpeer KEY wgaip 10.0.0.0/8');
    expect(await run(system, 'wg0 -wgpeerall wgpeer KEY wgpka 10')).toBe('done');
    expect(system.changes[1].peers[0].updateOnly).toBeUndefined();
  });

  it('of another user-space WireGuard is not told of in words that need not be known', async () => {
    const system = withDaemon(null);
    await run(system, 'wg0 wgpeer KEY wgpka 10');
    await run(system, 'wg0 wgpeer KEY wgpka 20');
    expect(system.changes[1].peers[0].updateOnly).toBeUndefined();
  });

  it.each([
    ['debug', 'wg0 debug'],
    ['wgdescr', 'wg0 wgport 7 wgpeer KEY wgdescr x'],
    ['-wgendpoint', 'wg0 wgpeer KEY -wgendpoint'],
  ])('is left alone when its daemon does not know %s', async (word, line) => {
    const system = withDaemon(null);
    expect(await run(system, line)).toBe(
      `${word}: wg0: the WireGuard that serves it is not tswgd and does not know this word`,
    );
    expect(system.log).toEqual([]);
  });

  it('of another user-space WireGuard takes the words that all know', async () => {
    const system = withDaemon(null);
    expect(await run(system, 'wg0 wgport 7 wgpeer KEY wgpka 25 up')).toBe('done');
  });

  it('of no WireGuard takes no words', async () => {
    const system = new FakeSystem();
    system.addLink('eth0', { kind: '' });
    expect(await run(system, 'eth0 wgport 1 up')).toBe(
      'wgport: eth0: not a WireGuard interface: it has no control socket in /var/run/wireguard',
    );
    expect(system.log).toEqual([]);
    expect(await run(system, 'eth0 mtu 1400')).toBe(
      'eth0: not a WireGuard interface: expected one; `ip` changes others',
    );
    expect(system.log).toEqual([]);
  });

  it("of the kernel's WireGuard is left to wg", async () => {
    const system = new FakeSystem();
    system.addLink('wg0', { kind: 'wireguard' });
    expect(await run(system, 'wg0 wgport 1')).toBe(
      "wgport: wg0: the kernel's own WireGuard serves it: use `wg show wg0` and `wg set wg0`",
    );
  });

  it('is not touched by anybody but root', async () => {
    const system = withDaemon();
    system.isRoot = false;
    expect(await run(system, 'wg0 up')).toBe(
      'wg0: only root may change an interface; try it with sudo',
    );
    expect(await run(system, 'wg0 destroy')).toBe(
      'wg0: only root may change an interface; try it with sudo',
    );
    expect(system.log).toEqual([]);
  });

  it('stays when a later step is refused', async () => {
    const system = withDaemon();
    system.failing = ['up'];
    expect(await run(system, 'wg0 up')).toBe('up: invalid argument (EINVAL)');
    expect(await run(system, 'wg0 wgport 1 up')).toBe(
      "up: invalid argument (EINVAL); WireGuard's words were carried out",
    );
    expect(system.linkList).toHaveLength(1);
  });
});

describe('addresses', () => {
  const cases: [before: string[], line: string, after: string[]][] = [
    [['10.0.0.1/24'], 'inet 10.0.0.2/24', ['10.0.0.2/24']],
    [['10.0.0.1/24', '10.0.0.3/24'], 'inet 10.0.0.2/24', ['10.0.0.2/24', '10.0.0.3/24']],
    [['10.0.0.1/24'], 'inet alias 10.0.0.2/24', ['10.0.0.1/24', '10.0.0.2/24']],
    [['10.0.0.1/24'], 'inet 10.0.0.1/24', ['10.0.0.1/24']],
    [['10.0.0.1/24'], 'inet 10.0.0.1/30', ['10.0.0.1/30']],
    [['10.0.0.1/24', '10.1.0.1/24'], 'inet 10.1.0.1/24', ['10.1.0.1/24']],
    [['10.0.0.1/24', '10.1.0.1/24'], 'alias 10.1.0.1/30', ['10.0.0.1/24', '10.1.0.1/30']],
    [['10.0.0.1/24'], 'inet6 fd00::1', ['10.0.0.1/24', 'fd00::1/64']],
    [['fd00::1/64'], 'inet6 fd00::2', ['fd00::1/64', 'fd00::2/64']],
    [['10.0.0.1/24', 'fd00::1/64'], 'delete', ['fd00::1/64']],
    [['10.0.0.1/24', 'fd00::1/64'], 'inet6 fd00::1 delete', ['10.0.0.1/24']],
    [[], 'inet 10.0.0.1/30 inet alias 10.1.0.1/30', ['10.0.0.1/30', '10.1.0.1/30']],
  ];
  it.each(cases)('%j, then: tswg wg0 %s', async (before, line, after) => {
    const system = withDaemon();
    give(system, ...before);
    expect(await run(system, `wg0 ${line}`)).toBe('done');
    expect(held(system).sort()).toEqual([...after].sort());
  });

  it('the same command again changes nothing', async () => {
    const system = withDaemon();
    const line = 'wg0 inet 10.0.0.1/24 inet alias 10.0.0.2/24 inet6 fd00::1';
    await run(system, line);
    system.log.length = 0;
    expect(await run(system, line)).toBe('done');
    expect(system.log).toEqual(['up']);
  });

  it('an address implies up, unless the command says down', async () => {
    const system = withDaemon();
    await run(system, 'wg0 down inet 10.0.0.1/24');
    expect(system.log).toEqual(['add 10.0.0.1/24', 'down']);
    system.log.length = 0;
    await run(system, 'wg0 inet 10.0.0.1/24 -alias');
    expect(system.log).toEqual(['delete 10.0.0.1/24']);
  });

  it('one that is not there cannot be removed, and nothing else is done', async () => {
    const system = withDaemon();
    expect(await run(system, 'wg0 wgport 1 inet 10.9.9.9/24 delete')).toBe(
      'delete: 10.9.9.9/24: wg0 has no such address',
    );
    expect(system.log).toEqual([]);
  });

  it('the old one comes back when the new one is refused', async () => {
    const system = withDaemon();
    give(system, '10.0.0.1/24');
    system.failing = ['add 10.0.0.2'];
    expect(await run(system, 'wg0 inet 10.0.0.2/24')).toBe(
      'inet: 10.0.0.2/24: invalid argument (EINVAL)',
    );
    expect(held(system)).toEqual(['10.0.0.1/24']);
  });
});

describe('destroy', () => {
  it('deletes the link and waits for the daemon', async () => {
    const system = withDaemon();
    system.lingering = 3;
    expect(await run(system, 'wg0 destroy')).toBe('done');
    expect(system.log).toEqual(['delete link wg0']);
    expect(system.sockets()).toEqual([]);
  });

  it('says so when the daemon stays', async () => {
    const system = withDaemon();
    system.isStubborn = true;
    expect(await run(system, 'wg0 destroy')).toBe(
      'wg0: destroy: the interface is gone, but its daemon still runs: its control socket is still there',
    );
  });

  it('cleans up after a daemon that has ended and left its socket', async () => {
    const system = withDaemon();
    system.lingering = 1_000_000;
    expect(await run(system, 'wg0 destroy')).toBe('done');
    expect(system.log).toEqual(['delete link wg0', 'forget wg0']);
    expect(system.sockets()).toEqual([]);
  });
  it('needs an interface', async () => {
    expect(await run(new FakeSystem(), 'wg0 destroy')).toBe('wg0: no such interface');
  });

  it("leaves the kernel's own WireGuard alone", async () => {
    const system = new FakeSystem();
    system.addLink('wg0', { kind: 'wireguard' });
    expect(await run(system, 'wg0 destroy')).toBe(
      "wg0: destroy: the kernel's own WireGuard serves it; `ip link delete wg0` removes it",
    );
    expect(system.log).toEqual([]);
  });

  it('leaves other interfaces alone', async () => {
    const system = new FakeSystem();
    system.addLink('eth0', { kind: '' });
    expect(await run(system, 'eth0 destroy')).toBe(
      'eth0: destroy: not a WireGuard interface; `ip link delete eth0` removes others',
    );
    expect(system.log).toEqual([]);
  });
});
