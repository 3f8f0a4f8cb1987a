import { describe, expect, it } from 'vitest';
import { upgrade } from '../../src/cli/upgrade.ts';
import { refuseUpgrade } from '../../src/uapi/response.ts';
import { FakeSystem } from './fakesystem.ts';

/** The line that `tswg wg0 upgrade` ends with, of either kind. */
async function run(system: FakeSystem, name = 'wg0'): Promise<string> {
  return upgrade(name, system).catch((error: Error) => `refused: ${error.message}`);
}

function withDaemon(upgradeAnswer?: string): FakeSystem {
  const system = new FakeSystem();
  system.addDaemon('wg0');
  const daemon = system.daemons.get('wg0')!;
  if (upgradeAnswer !== undefined) system.daemons.set('wg0', { ...daemon, upgrade: upgradeAnswer });
  return system;
}

describe('tswg wg0 upgrade', () => {
  it('says who goes on and how long packets waited', async () => {
    const system = withDaemon();
    expect(await run(system)).toBe(
      'wg0: now served by tswgd 0.2.0 (pid 4711); packets were held for 12 ms',
    );
    expect(system.log).toEqual(['upgrade wg0']);
  });

  it.each([
    [
      "the daemon's reason",
      refuseUpgrade('the new program failed: /opt/tswg: expected = behind it'),
      'the new program failed: /opt/tswg: expected = behind it',
    ],
    ['its number, where it gives none', 'errno=5\n\n', 'i/o error (EIO)'],
    ['its number above all', 'version=0.2.0\npid=1\npause_ms=1\nerrno=5\n\n', 'i/o error (EIO)'],
    ['that the answer was none', 'version=0.2.0\n\n', 'protocol error (EPROTO)'],
  ])('tells %s, and that all is as before', async (_, answer, reason) => {
    expect(await run(withDaemon(answer))).toBe(
      `refused: wg0: upgrade: ${reason}; the old daemon continues as before`,
    );
  });

  it('explains that the daemon is not ours', async () => {
    const system = new FakeSystem();
    system.addDaemon('wg0', null);
    expect(await run(system)).toBe(
      'refused: wg0: upgrade: the WireGuard that serves it is not tswgd, or is one that cannot be upgraded in place',
    );
  });

  it('asks nobody when there is no such interface, and nobody but for root', async () => {
    const system = withDaemon();
    expect(await run(system, 'wg1')).toBe('refused: wg1: no such interface');
    system.isRoot = false;
    expect(await run(system)).toBe(
      'refused: wg0: upgrade: only root may do that; try it with sudo',
    );
    expect(system.log).toEqual([]);
  });

  it.each([
    ['', 'not a WireGuard interface: it has no control socket in /var/run/wireguard'],
    ['wireguard', "the kernel's own WireGuard serves it: use `wg show wg0` and `wg set wg0`"],
  ])('says so when nobody serves it (kind %j)', async (kind, why) => {
    const system = new FakeSystem();
    system.addLink('wg0', { kind });
    expect(await run(system)).toBe(`refused: wg0: upgrade: ${why}`);
  });
});
