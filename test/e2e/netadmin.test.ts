/**
 * SECURITY.md's list of what a confined daemon can do to the network, tried from inside
 * (netadminprobe.ts) and looked at from outside: it is true, item by item.
 */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import { probedProgram } from '../lab/probedprogram.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { waitForControl } from '../lab/tunnel.ts';

const { folder, program: PROGRAM } = probedProgram();

describeInLab('a daemon in other hands, over route netlink', ['unshare', 'nsenter'], () => {
  it('does to the network what SECURITY.md lists', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const script = `ip link add first type veth peer name near
        ip link add second type veth peer name far; ip link set near up
        ip link set first up; ip address add 10.9.0.1/24 dev first
        ip route add 198.51.100.0/24 dev first proto static`;
      await host.run('sh', ['-euc', script]);
      const [first, second] = await Promise.all(
        ['first', 'second'].map((name) => host.run('cat', [`/sys/class/net/${name}/ifindex`])),
      );
      const alone = 'ip link add theirs type bridge; echo $$; exec sleep 120';
      const stranger = host.spawn('unshare', ['-n', 'sh', '-euc', alone]);
      await waitFor(() => stranger.stdout.includes('\n'), 'another namespace', 20_000);
      const pid = stranger.stdout.trim();
      const output = path.join(folder, 'output');
      const daemon = host.spawn('node', [PROGRAM, '-f', 'wg0'], {
        env: {
          TSWG_PROBE_OUTPUT: output,
          TSWG_PROBE_OTHER: `${Number(first)} ${Number(second)}`,
          TSWG_PROBE_STRANGER: pid,
        },
      });
      await waitForControl(host, 'wg0', daemon);
      const said = () => readFileSync(output, 'utf8');
      await host.run('kill', ['-CONT', /probed process (\d+)/.exec(said())![1]]);
      const line = () => /^network (\{.*\})$/m.exec(said())?.[1];
      const outcomes = JSON.parse(await waitFor(line, 'the network’s changes', 20_000));
      expect(Object.keys(outcomes).length).toBeGreaterThan(15);
      expect(outcomes).toEqual(Object.fromEntries(Object.keys(outcomes).map((it) => [it, 'done'])));
      const links = async (...where: string[]) =>
        (await host.run('nsenter', [...where, 'ip', '-br', 'link'])).match(/^[^ @]+/gm)!.sort();
      expect(await links()).toEqual(['lo', 'made', 'near', 'wg0']);
      expect(await links('-t', pid, '-n')).toEqual(['elsewhere', 'lo', 'taken']);
      expect(await host.ip('rule')).toContain('4321:');
      await stranger.stop('SIGKILL');
    }));
});
