import { expect, it } from 'vitest';
import { formatGrowth, type GrowthPoint } from './growth.ts';
import { drawGrowth } from './growthchart.ts';
import type { Machine } from './machine.ts';

const MACHINE: Machine = {
  date: '2026-01-02T03:04:05.000Z',
  cpu: 'A CPU',
  cores: 2,
  memoryGib: 8,
  kernel: 'Linux 6.18',
  node: 'v20.20.2',
  openssl: '3.0',
  tswg: '0.1.0',
  wireguardGo: 'wireguard-go v0.0.20230223',
  iperf3: 'iperf 3.12',
};
const POINTS: GrowthPoint[] = [1, 1_000].flatMap((peers): GrowthPoint[] => [
  {
    ...{ side: 'wireguard-go', peers, gigabits: 2.5, rssMb: 300.4 },
    ...{ standstillMs: 41.2, upgradePauseMs: null },
  },
  {
    ...{ side: 'tswg', peers, gigabits: 4.25, rssMb: 99.6 },
    ...{ standstillMs: 0, upgradePauseMs: 30 },
  },
]);

it('growth is a line for each number of peers', () => {
  expect(formatGrowth(POINTS).split('\n').slice(2)).toEqual([
    '| 1 | 2.50 | 4.25 | 300 | 100 | 41 | 0 | 30 |',
    '| 1,000 | 2.50 | 4.25 | 300 | 100 | 41 | 0 | 30 |',
  ]);
});

it('what was not measured of one is no figure', () => {
  const ours = POINTS.filter(({ side }) => side === 'tswg');
  expect(formatGrowth(ours)).toContain('| 1 | - | 4.25 | - | 100 | - | 0 | 30 |');
});

it('the chart of growth has a line for each daemon in each panel, and one for upgrades', () => {
  const svg = drawGrowth(POINTS, MACHINE);
  const texts = Array.from(svg.matchAll(/<text[^>]*>([^<]*)</g), ([, text]) => text);
  for (const text of ['one TCP stream, Gbit/s', 'memory (RSS), MB', 'longest pause, ms']) {
    expect(texts).toContain(text);
  }
  for (const text of ['tswg', 'wireguard-go', 'tswg, upgrade', '1 peer', '1,000 peers']) {
    expect(texts).toContain(text);
  }
  // The legend's are filled.
  const lines = (color: string) =>
    svg.match(new RegExp(`<path[^>]*fill="none"[^>]*stroke="${color}"`, 'g'))?.length;
  expect([lines('#2f7d4f'), lines('#1f5fa8'), lines('#9a6700')]).toEqual([3, 3, 1]);
});
