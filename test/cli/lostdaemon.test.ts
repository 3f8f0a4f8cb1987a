import { describe, expect, it } from 'vitest';
import { configure, destroy } from '../../src/cli/apply.ts';
import { gather } from '../../src/cli/gather.ts';
import { parse } from '../../src/cli/parse.ts';
import { upgrade } from '../../src/cli/upgrade.ts';
import { FakeBoot } from './fakeboot.ts';
import { FakeSystem } from './fakesystem.ts';

const LOST =
  'no daemon serves it any longer: `tswg netstart wg0`, `tswgd --persist wg0` or its service takes it over, `tswg wg0 destroy` removes it';

/** What is left, by the way in which the daemon ended. */
const ENDS: [string, (system: FakeSystem) => void][] = [
  [
    'killed: its socket and its state',
    (system) => {
      system.staleSockets.add('wg0');
      system.states.add('wg0');
    },
  ],
  ['stopped: its state', (system) => void system.states.add('wg0')],
  ['killed, its state deleted since: its socket', (system) => void system.staleSockets.add('wg0')],
];

function withRemains(leave: (system: FakeSystem) => void): FakeSystem {
  const system = new FakeSystem();
  system.addLink('eth0', { kind: '' });
  system.addLink('wg0', { isPersistent: true });
  leave(system);
  return system;
}

async function set(system: FakeSystem, words: string): Promise<void> {
  const command = parse(['wg0', ...words.split(' ')]);
  if (command.kind !== 'configure') throw new Error(command.kind);
  await configure('wg0', command.draft, system);
}

describe.each(ENDS)('an interface of ours whose daemon is gone (%s)', (_, leave) => {
  it('is told by everything that shows it', async () => {
    const system = withRemains(leave);
    for (const name of ['wg0', 'wg', null]) {
      const { views, notes } = await gather(name, system);
      expect(notes).toEqual([`wg0: ${LOST}`]);
      expect(views.at(-1)).toMatchObject({ wireguard: null, hasLostDaemon: true });
    }
  });

  it.each(['up', 'down', 'mtu 1400', '10.0.0.1/24', 'wgport 5', 'debug', 'create'])(
    'takes no `%s`',
    async (words) => {
      const system = withRemains(leave);
      await expect(set(system, words)).rejects.toThrow(`wg0: ${LOST}`);
      expect(system.log).toEqual([]);
    },
  );

  it('is not upgraded', async () => {
    await expect(upgrade('wg0', withRemains(leave))).rejects.toThrow(`wg0: upgrade: ${LOST}`);
  });

  it('gets another daemon by netstart', async () => {
    const boot = new FakeBoot({ wg0: 'up' });
    boot.system.addLink('wg0', { isPersistent: true });
    leave(boot.system);
    expect(await boot.run('wg0')).toBe(0);
    expect(boot.system.log).toEqual(['start --persist wg0', 'up']);
  });

  it('is removed by destroy, with all that is left', async () => {
    const system = withRemains(leave);
    await destroy('wg0', system);
    expect(system.log).toEqual(['delete link wg0', 'forget wg0']);
    expect([system.staleSockets.size, system.states.size]).toEqual([0, 0]);
    await expect(destroy('wg0', system)).rejects.toThrow('wg0: no such interface');
  });
});

describe.each(ENDS)('what is left of an interface that is gone (%s)', (_, leave) => {
  function remains(): FakeSystem {
    const system = new FakeSystem();
    leave(system);
    return system;
  }

  it('is told, and removed by destroy', async () => {
    const system = remains();
    await expect(gather('wg0', system)).rejects.toThrow(
      'wg0: no such interface; a daemon ended without removing its state or socket; `tswg wg0 destroy` removes them',
    );
    await destroy('wg0', system);
    expect(system.log).toEqual(['forget wg0']);
    await expect(gather('wg0', system)).rejects.toThrow(/^wg0: no such interface$/);
  });
});

describe('what is not an interface of ours without a daemon', () => {
  it.each<[string, Partial<ReturnType<FakeSystem['addLink']>>, boolean]>([
    ['a TUN device of another program', { isPersistent: true }, false],
    ['one that is not persistent', {}, true],
    ['another kind of link', { kind: 'veth', isPersistent: true }, true],
  ])('%s', async (_, fields, hasState) => {
    const system = new FakeSystem();
    system.addLink('wg0', fields);
    if (hasState) system.states.add('wg0');
    expect((await gather('wg0', system)).notes).toEqual([]);
    await expect(destroy('wg0', system)).rejects.toThrow('destroy: not a WireGuard interface');
    expect(system.log).toEqual([]);
  });

  it('one that is served', async () => {
    const system = new FakeSystem();
    system.addDaemon('wg0');
    system.linkList[0].isPersistent = true;
    system.states.add('wg0');
    expect((await gather('wg0', system)).notes).toEqual([]);
    await set(system, 'up');
    expect(system.log).toEqual(['up']);
  });
});
