import { expect, it } from 'vitest';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { withLab } from '../lab/suite.ts';
import { describeExample, type Example } from './example.ts';
import { Internet } from './internet.ts';
import { SeenSources } from './seensources.ts';

const TARGET = { 4: '198.51.100.80', 6: '2001:db8:80::80' } as const;
const OUTSIDE = { 4: '192.0.2.10', 6: '2001:db8:a::10' } as const;
const TUNNEL = { 4: '203.0.113.10', 6: '2001:db8:b::10' } as const;

async function build(lab: Lab, example: Example) {
  const [machine, server, target] = await lab.hosts('machine', 'server', 'target');
  const internet = await Internet.open(lab);
  await internet.connect(machine, 'eth0', `${OUTSIDE[4]}/24`, `${OUTSIDE[6]}/64`);
  await internet.connect(server, 'wan', `${TUNNEL[4]}/24`, `${TUNNEL[6]}/64`);
  await internet.connect(target, 'eth0', `${TARGET[4]}/24`, `${TARGET[6]}/64`);
  await example.install(machine, server);
  await example.boot(server);
  await example.boot(machine);
  return { machine, server, seen: await SeenSources.watch(target) };
}

const inside = (machine: Host, ...words: readonly string[]) =>
  machine.exec('ip', ['netns', 'exec', 'tunnel', ...words]);
const pingWords = (address: string): string[] => ['ping', '-n', '-c', '1', '-W', '10', address];

describeExample('namespace', ['nft'], (example) => {
  it('sends what runs in it through the tunnel, and the rest not', () =>
    withLab({}, async (lab) => {
      const { machine, seen } = await build(lab, example);
      for (const family of [4, 6] as const) {
        const fromInside = await seen.during(async () => {
          const { status, stdout } = await inside(machine, ...pingWords(TARGET[family]));
          expect(status, stdout).toBe(0);
        });
        expect(fromInside).toEqual([TUNNEL[family]]);
        const [ping, ...words] = pingWords(TARGET[family]);
        const fromOutside = await seen.during(() => machine.run(ping!, words));
        expect(fromOutside).toEqual([OUTSIDE[family]]);
      }
      const { stdout } = await inside(machine, 'cat', '/etc/resolv.conf');
      expect(stdout).toContain('\nnameserver 10.99.0.1\n');
      expect((await inside(machine, 'tswg', 'wg0')).stdout).toMatch(/last handshake: \d/);
      const doctor = await inside(machine, 'tswg', 'wg0', 'doctor');
      expect(doctor.status, doctor.stdout).toBe(0);
    }));

  it('has no other way: without the tunnel nothing leaves, and a change is carried out again', () =>
    withLab({}, async (lab) => {
      const { machine, seen } = await build(lab, example);
      const { stdout: links } = await inside(machine, 'ip', '-br', 'link');
      expect(links.match(/^\S+/gm)).toEqual(['lo', 'wg0']);
      expect((await inside(machine, 'tswg', 'wg0', 'destroy')).stderr).toBe('');
      const sources = await seen.during(async () => {
        for (const family of [4, 6] as const) {
          expect((await inside(machine, ...pingWords(TARGET[family]))).status).not.toBe(0);
        }
      });
      expect(sources).toEqual([]);
      await example.startTunnels(machine);
      expect((await inside(machine, ...pingWords(TARGET[4]))).status).toBe(0);
    }));
});
