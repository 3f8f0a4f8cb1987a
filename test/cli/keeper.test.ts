import { describe, expect, it, vi } from 'vitest';
import { FakeBoot } from './fakeboot.ts';
import { FRESH_STATE } from './fakesystem.ts';

const KEY = `${'A'.repeat(42)}E=`;
const NAME = `wgpeer ${KEY} wgendpoint fe80::1%far0 7`;
const UNKNOWN = 'wgendpoint: fe80::1%far0: there is no interface far0';

/** Runs `netstart --keep wg0`; `events[n]` happens in the pause after the n-th pass. */
async function keep(boot: FakeBoot, events: (() => void)[], words = 'wg0') {
  const pauses: number[] = [];
  boot.system.sleep = async (ms: number) => {
    if (pauses.length >= 50) throw new Error('it never ends');
    events[pauses.length]?.();
    pauses.push(ms);
  };
  const code = await boot.run(`--keep ${words}`);
  return { code, pauses };
}

describe('netstart --keep', () => {
  it('ends at once when every line can be carried out, without a word', async () => {
    const boot = new FakeBoot({ wg0: 'wgport 7\n!true\nup' });
    expect(await keep(boot, [])).toEqual({ code: 0, pauses: [] });
    expect(boot.system.log).toEqual(['start wg0', 'set wg0', '! true', 'up']);
    expect([...boot.complaints, ...boot.notes]).toEqual([]);
    expect(boot.told).toEqual(['ready']);
  });

  it('carries out the rest at once, and what was refused as soon as it can be, once', async () => {
    const boot = new FakeBoot({ wg0: `wgport 7\n!true\n${NAME}\n!false\ninet 10.0.0.1/24` });
    const { code, pauses } = await keep(boot, [
      () => {},
      () => boot.system.addLink('far0'),
      () => {
        boot.runShell = async (command) => {
          boot.system.log.push(`! ${command} again`);
          return null;
        };
      },
    ]);
    expect(code).toBe(0);
    expect(pauses).toEqual([1_000, 2_000, 1_000]);
    expect(boot.system.log).toEqual([
      ...['start wg0', 'set wg0', '! true', '! false', 'add 10.0.0.1/24', 'up'],
      '! false',
      ...['set wg0', '! false'],
      '! false again',
    ]);
    expect(boot.complaints).toEqual([
      `hostname.wg0:3: ${UNKNOWN}`,
      'hostname.wg0:4: !false: exit code 1',
    ]);
    expect(boot.notes).toEqual([
      'hostname.wg0:3: carried out',
      'hostname.wg0:4: carried out',
      'wg0: every line has been carried out',
    ]);
    expect(boot.told).toEqual([
      'ready',
      `Not carried out: 2; hostname.wg0:3: ${UNKNOWN}; hostname.wg0:4: !false: exit code 1`,
      'Not carried out: 1; hostname.wg0:4: !false: exit code 1',
      'Every line has been carried out',
    ]);
  });

  it('pauses from a second to a minute', async () => {
    const boot = new FakeBoot({ wg0: NAME });
    const happen = Array.from({ length: 8 }, () => () => {});
    const { pauses } = await keep(boot, [...happen, () => boot.system.addLink('far0')]);
    expect(pauses.map((ms) => ms / 1_000)).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
    expect(boot.complaints).toHaveLength(1);
  });

  it('tells of another reason, and does not hurry for it', async () => {
    const boot = new FakeBoot({ wg0: '!true' });
    let tries = 0;
    boot.runShell = async () => (++tries > 4 ? null : `exit code ${tries % 2}`);
    const { pauses } = await keep(boot, []);
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect(boot.complaints).toHaveLength(4);
  });

  it('carries out what it can of a file with mistakes, and the rest once they are corrected', async () => {
    const text = 'wgpotr 7\nup\n';
    const boot = new FakeBoot({ wg0: text });
    const correct = () => boot.files.set('wg0', { text: text.replace('wgpotr', 'wgport') });
    expect((await keep(boot, [() => {}, correct])).code).toBe(0);
    expect(boot.system.log).toEqual(['start wg0', 'up', 'set wg0']);
    expect(boot.complaints).toEqual(['hostname.wg0:1: wgpotr: unknown word; did you mean wgport?']);
    expect(boot.notes).toEqual(['wg0: every line has been carried out']);
  });

  it('waits for a file that is not there, or not root’s alone', async () => {
    const boot = new FakeBoot();
    await keep(boot, [
      () => boot.files.set('wg0', { text: 'up', mode: 0o644 }),
      () => boot.files.set('wg0', { text: 'up' }),
    ]);
    expect(boot.complaints).toEqual([
      '/etc/hostname.wg0: there is no such file',
      '/etc/hostname.wg0: other users can access this file (mode 644); fix it with: chmod 600 /etc/hostname.wg0',
    ]);
    expect(boot.system.log).toEqual(['start wg0', 'up']);
  });

  it('repeats equal lines as often as they stand there', async () => {
    const boot = new FakeBoot({ wg0: '!true\n!true\n!false' });
    await keep(boot, [() => boot.files.set('wg0', { text: '!true\n!true\n!true' })]);
    const commands = boot.system.log.filter((line) => line.startsWith('!'));
    expect(commands).toEqual(['! true', '! true', '! false', '! true']);
  });

  it('lets commands that fail again fail in silence, and none run for ever', async () => {
    const boot = new FakeBoot({ wg0: '!false' });
    const options: unknown[] = [];
    boot.runShell = async (_command, given) => {
      options.push(given);
      return options.length < 3 ? 'exit code 1' : null;
    };
    await keep(boot, []);
    expect(options).toEqual([
      { isSilent: false, timeoutMs: 60_000 },
      { isSilent: true, timeoutMs: 60_000 },
      { isSilent: true, timeoutMs: 60_000 },
    ]);
  });

  it('keeps several interfaces, each with its own lines', async () => {
    const boot = new FakeBoot({ wg0: NAME, wg1: 'up' });
    await keep(boot, [() => boot.system.addLink('far0')], 'wg0 wg1');
    expect(boot.system.log).toEqual(['start wg0', 'start wg1', 'up', 'set wg0']);
  });

  it('ends with the interface that somebody has removed, and makes no other one', async () => {
    const boot = new FakeBoot({ wg0: NAME });
    const { code } = await keep(boot, [() => boot.system.deleteLink(1)]);
    expect(code).toBe(1);
    expect(boot.system.log).toEqual(['start wg0', 'delete link wg0']);
    expect(boot.complaints.at(-1)).toBe(
      'wg0: the interface was removed; its lines are not tried again',
    );
  });

  it('carries everything out on another interface of the name', async () => {
    const boot = new FakeBoot({ wg0: `wgport 7\n${NAME}` });
    await keep(boot, [
      () => {
        boot.system.deleteLink(1);
        boot.system.addLink('eth0');
        boot.system.addDaemon('wg0');
        boot.system.addLink('far0');
      },
    ]);
    expect(boot.system.changes).toHaveLength(3);
  });

  it('gives an interface whose daemon ends meanwhile another one', async () => {
    const boot = new FakeBoot({ wg0: NAME });
    await keep(boot, [
      () => {
        boot.system.linkList[0].isPersistent = true;
        boot.system.daemons.delete('wg0');
        boot.system.states.add('wg0');
      },
      () => boot.system.addLink('far0'),
    ]);
    expect(boot.system.log).toEqual(['start wg0', 'start --persist wg0', 'set wg0']);
  });
});

it('netstart --keep is ready after 15 seconds at the latest, though a command hangs', async () => {
  vi.useFakeTimers();
  const boot = new FakeBoot({ wg0: '!sleep 20' });
  boot.runShell = () => new Promise((resolve) => setTimeout(resolve, 20_000, null));
  const kept = keep(boot, []);
  await vi.advanceTimersByTimeAsync(14_999);
  expect(boot.told).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(boot.told).toEqual(['ready']);
  await vi.advanceTimersByTimeAsync(5_000);
  expect((await kept).code).toBe(0);
  vi.useRealTimers();
});

it('netstart --keep does not wait to become root', async () => {
  const boot = new FakeBoot({ wg0: 'up' });
  boot.system.isRoot = false;
  expect(await keep(boot, [])).toEqual({ code: 1, pauses: [] });
  expect(boot.complaints).toEqual([
    'netstart: --keep: only root may change interfaces; try it with sudo',
  ]);
});

describe('netstart --keep of a service', () => {
  it('leaves it to the service manager to start daemons', async () => {
    const boot = new FakeBoot({ wg0: 'up' }, true);
    await keep(boot, [
      () => {
        boot.system.addLink('wg0', { isPersistent: true });
        boot.system.states.add('wg0');
      },
      () => boot.system.daemons.set('wg0', { state: FRESH_STATE, version: '0.1.0' }),
    ]);
    expect(boot.system.log).toEqual(['up']);
    expect(boot.complaints).toEqual(['wg0: no daemon serves it yet; its service starts one']);
  });
});
