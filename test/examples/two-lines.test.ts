import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, PingTrain, ping } from '../lab/probes.ts';
import { withLab } from '../lab/suite.ts';
import { describeExample, type Example } from './example.ts';
import { addLan, Internet } from './internet.ts';

const LINE_1 = '192.0.2.10';
const LINE_2 = '198.51.100.10';
const SITE_B = '203.0.113.10';
const MACHINE_B = '10.20.0.5';

interface Sites {
  readonly router: Host;
  /** Of the router, at the end of line 1. */
  readonly endOfLine1: string;
  readonly gateway: Host;
  readonly siteB: Host;
  readonly machineA: Host;
}

async function build(lab: Lab, example: Example): Promise<Sites> {
  const names = ['gateway', 'site-b', 'machine-a', 'machine-b'] as const;
  const [gateway, siteB, machineA, machineB] = await lab.hosts(...names);
  const internet = await Internet.open(lab);
  const endOfLine1 = await internet.connect(gateway, 'wan1', `${LINE_1}/24`);
  // The default route is that of the line that is connected last.
  await internet.connect(gateway, 'wan2', `${LINE_2}/24`);
  await internet.connect(siteB, 'wan', `${SITE_B}/24`);
  await addLan(gateway, machineA, [{ gateway: '10.0.0.1/24', machine: '10.0.0.5/24' }]);
  await addLan(siteB, machineB, [{ gateway: '10.20.0.1/24', machine: `${MACHINE_B}/24` }]);
  // As strict as a kernel may be, so that the example has to say what it needs.
  for (const line of ['wan1', 'wan2']) await gateway.sysctl(`net.ipv4.conf.${line}.rp_filter`, 1);
  await example.install(gateway, siteB);
  await example.boot(siteB);
  await example.boot(gateway);
  await firstPing(machineA, MACHINE_B);
  return { router: internet.router, endOfLine1, gateway, siteB, machineA };
}

/** Waits until site B hears the gateway at this address. */
async function waitForLine(siteB: Host, address: string): Promise<void> {
  const isHeard = async () =>
    (await siteB.run('tswg', ['wg0'])).includes(`\twgendpoint ${address} 51820\n`);
  await waitFor(isHeard, `the gateway at ${address}`);
}

describeExample('two-lines', ['stdbuf'], (example) => {
  it('has the tunnel on its own line, and on the other when that is unplugged', () =>
    withLab({}, async (lab) => {
      const { router, endOfLine1, gateway, siteB, machineA } = await build(lab, example);
      await waitForLine(siteB, LINE_1);
      expect(await gateway.ip(`route get ${SITE_B}`)).toContain('dev wan2');
      const steps = [
        ['line 1 is unplugged', 'down', LINE_2],
        ['line 1 is plugged in', 'up', LINE_1],
      ] as const;
      for (const [what, state, address] of steps) {
        const train = new PingTrain(machineA, MACHINE_B, 10);
        await waitFor(() => train.received > 20, 'answers');
        await router.ip(`link set ${endOfLine1} ${state}`);
        await waitForLine(siteB, address);
        const before = train.received;
        await waitFor(() => train.received > before + 20, `answers after: ${what}`);
        const { lost } = await train.stop();
        console.info(`two lines by hand: ${what}: ${lost * 10} ms of the ping lost`);
      }
      await example.expectHealthy(gateway);
    }));

  it('moves by the commands of the file, and is carried out again without harm', () =>
    withLab({}, async (lab) => {
      const { gateway, siteB, machineA } = await build(lab, example);
      const text = example.text('gateway', 'hostname.wg0');
      const [, commands] = /^# To line 2, and back.*\n((?:# {2}.*\n)*)/m.exec(text)!;
      const [there, back, ...rest] = commands!.trim().split('\n');
      expect(rest).toEqual([]);
      for (const [command, address] of [
        [there, LINE_2],
        [back, LINE_1],
      ] as const) {
        await gateway.run('sh', ['-euc', command!.slice(1)]);
        expect((await ping(machineA, MACHINE_B)).received).toBe(1);
        await waitForLine(siteB, address);
      }
      const rules = await gateway.ip('rule');
      await example.startTunnels(gateway);
      expect(await gateway.ip('rule')).toBe(rules);
      expect((await ping(machineA, MACHINE_B)).received).toBe(1);
    }));
});
