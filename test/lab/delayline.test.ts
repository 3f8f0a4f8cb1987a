import { afterEach, expect, it } from 'vitest';
import { runLoad } from '../bench/iperf.ts';
import type { Host } from './host.ts';
import type { Lab } from './lab.ts';
import { closeLab, openLab } from './openlabs.ts';
import { compiledProgram } from './repository.ts';
import { describeInLab } from './suite.ts';

const ADDRESS = '192.0.2.2';
const SEGMENT_BYTES = 1_448;
const PINGS = 300;

describeInLab('a delay line', ['iptables', 'iperf3'], () => {
  let lab: Lab;
  afterEach(() => closeLab(lab));

  /** Two hosts on a cable; what the second gets comes late. */
  async function hosts(...words: string[]): Promise<readonly [Host, Host]> {
    lab = await openLab();
    const [left, right] = await lab.hosts('left', 'right');
    await left.connect('cable', right, 'cable');
    await left.configure('cable', '192.0.2.1/24');
    await right.configure('cable', `${ADDRESS}/24`);
    const program = compiledProgram('test/lab/delayline.ts');
    await right.spawn(process.execPath, [program, '5', ...words]).waitForOutput(/holding/);
    const rule = '-t mangle -A PREROUTING -i cable -j NFQUEUE --queue-num 5';
    await right.run('iptables', rule.split(' '));
    return [left, right];
  }

  /** Which of the pings were answered, and after how many ms. */
  async function answers(left: Host): Promise<Map<number, number>> {
    const words = ['-n', '-i', '0.002', '-c', `${PINGS}`, '-W', '5', ADDRESS];
    const { stdout } = await left.exec('ping', words);
    const lines = stdout.matchAll(/icmp_seq=(\d+) .* time=([\d.]+) ms/g);
    return new Map(Array.from(lines, ([, number, ms]) => [Number(number), Number(ms)]));
  }

  /** How many datagrams the kernel has queued while so many bytes of TCP came in. */
  async function queued([left, right]: readonly [Host, Host], bytes: number): Promise<number> {
    await runLoad(left, right, { address: ADDRESS, bytes, seconds: 60, congestion: 'reno' });
    const { stdout } = await right.sh('cat /proc/net/netfilter/nfnetlink_queue');
    return Number(stdout.trim().split(/\s+/)[7]);
  }

  it('lets everything in, and nothing before its time', async () => {
    const [left] = await hosts('30', '0', '1');
    const times = [...(await answers(left)).values()];
    expect(times).toHaveLength(PINGS);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(30);
  });

  it('loses of a seed always the same, and about as much as it is told', async () => {
    const lost: string[] = [];
    for (const seed of ['3', '3', '5']) {
      const [left] = await hosts('1', '100000', seed);
      const known = await answers(left);
      const numbers = Array.from({ length: PINGS }, (_, i) => i + 1);
      const missing = numbers.filter((number) => !known.has(number));
      expect(missing.length).toBeGreaterThan(PINGS / 20);
      expect(missing.length).toBeLessThan(PINGS / 5);
      lost.push(missing.join());
      await closeLab(lab);
    }
    expect(lost[1]).toBe(lost[0]);
    expect(lost[2]).not.toBe(lost[0]);
  });

  it('leaves super-packets whole, unless some of their datagrams are to be lost', async () => {
    const bytes = 20e6;
    const whole = await queued(await hosts('1', '0', '1'), bytes);
    await closeLab(lab);
    const apart = await queued(await hosts('1', '1', '1'), bytes);
    // iperf3 may end before the last of its bytes have arrived.
    expect(apart).toBeGreaterThan((0.7 * bytes) / SEGMENT_BYTES);
    expect(whole).toBeLessThan(0.8 * apart);
  });
});
