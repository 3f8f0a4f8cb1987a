/**
 * What a daemon holds on to, all garbage collected, when it is reconfigured again and again; and how
 * large it is when nobody but the engine decides when to collect.
 */

import { expect, it } from 'vitest';
import { parseStatus } from '../bench/processes.ts';
import { waitFor } from '../lab/command.ts';
import { compiledProgram } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { OUR_DAEMON, waitForControl } from '../lab/tunnel.ts';

const ROUNDS = 400;
/** In a round. */
const CHANGES = 4;
const HEAP_GROWTH_MB_MAX = 1;
/** 106 to 125 were seen; it depends on how large the engine makes room for what is young. */
const RESIDENT_MB_MAX = 160;

/** A round: all kinds of changes, and who asks. */
const ROUND = `
key=$(head -c 32 /dev/zero | tr '\\0' k | base64)
for i in $(seq "$1"); do
  wg set wg0 peer "$key" allowed-ips 10.1.0.2/32 endpoint 127.0.0.1:9 persistent-keepalive 25
  wg set wg0 listen-port $((5000 + i)) fwmark $i
  wg show wg0 >/dev/null
  ip link set wg0 mtu $((1300 + i % 100))
  wg set wg0 peer "$key" remove
done`;

describeInLab('the memory of a daemon', ['wg'], () => {
  it('does not grow with the changes that were made', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const probe = compiledProgram('test/bench/heapprobe.ts');
      const program = (await host.run('sh', ['-c', `command -v ${OUR_DAEMON}`])).trim();
      const daemon = host.spawn(process.execPath, ['--import', probe, program, '-f', 'wg0'], {
        env: { TSWG_SANDBOX: 'off' },
      });
      await waitForControl(host, 'wg0', daemon);
      const key = Buffer.alloc(32, 8).toString('base64');
      await host.writeFile('/run/lab/key', key);
      await host.run('wg', ['set', 'wg0', 'private-key', '/run/lab/key']);
      await host.ip('link set wg0 up');
      const change = (rounds: number) =>
        host.run('bash', ['-euc', ROUND, 'bash', `${rounds}`], { timeoutMs: 60_000 });
      const pid = (await host.run('pgrep', ['-ox', 'tswgd'])).trim();
      const resident = async () =>
        parseStatus(await host.run('cat', [`/proc/${pid}/status`]), 'VmRSS');
      const heapAfter = async (rounds: number): Promise<number> => {
        await change(rounds);
        const seen = daemon.stdout.length;
        daemon.signal('SIGHUP');
        const [, bytes] = await waitFor(
          () => /heap (\d+) rss \d+\n/.exec(daemon.stdout.slice(seen)),
          'an answer of the heap probe',
        );
        return Number(bytes) / 1e6;
      };
      // Code is compiled, tables have their size.
      await change(2 * ROUNDS);
      // Only the engine has decided so far when to collect.
      const residentMb = await resident();
      const before = await heapAfter(20);
      const heapGrowth = (await heapAfter(ROUNDS)) - before;
      console.info(
        `after ${2 * ROUNDS * CHANGES} changes ${residentMb.toFixed(0)} MB are resident; ${ROUNDS * CHANGES} more leave ${heapGrowth.toFixed(2)} MB more alive`,
      );
      expect(heapGrowth).toBeLessThan(HEAP_GROWTH_MB_MAX);
      expect(residentMb).toBeLessThan(RESIDENT_MB_MAX);
    }));
});
