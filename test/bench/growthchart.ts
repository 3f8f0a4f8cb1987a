/**
 * Growth as a picture: throughput, memory and pauses over the number of peers, one panel each.
 */

import type * as echarts from 'echarts';
import { drawSvg, FAINT_INK, GRID, heading, INK, PAPER, panelTitle } from '../lab/paper.ts';
import { GROWTH_SIDES, type GrowthPoint, type GrowthSide } from './growth.ts';
import { formatMachine, type Machine } from './machine.ts';

const TITLE = 'Growth from one peer to many';
const WIDTH = 1_040;
const LEFT = 80;
const RIGHT = 48;
const BOTTOM = 56;
/** The panels, from the top; each has its own scale. */
const PANELS = [
  { title: 'one TCP stream, Gbit/s', top: 112, height: 150, scale: 'value' },
  { title: 'memory (RSS), MB', top: 312, height: 150, scale: 'value' },
  { title: 'longest pause, ms', top: 512, height: 170, scale: 'log' },
] as const;
const HEIGHT = 682 + BOTTOM + 30;
/** The logarithmic scale of pauses has no zero: what is shorter is drawn as this. */
const LEAST_MS = 1;

const COLORS: Readonly<Record<GrowthSide, string>> = {
  tswg: '#2f7d4f',
  'wireguard-go': '#1f5fa8',
};
const UPGRADE = 'tswg, upgrade';
const UPGRADE_COLOR = '#9a6700';

export function drawGrowth(points: readonly GrowthPoint[], machine: Machine): string {
  return drawSvg(WIDTH, HEIGHT, options(points, machine));
}

function options(points: readonly GrowthPoint[], machine: Machine): echarts.EChartsOption {
  const counts = [...new Set(points.map(({ peers }) => peers))];
  const values: readonly ((point: GrowthPoint) => number)[] = [
    ({ gigabits }) => gigabits,
    ({ rssMb }) => rssMb,
    ({ standstillMs }) => Math.max(LEAST_MS, standstillMs),
  ];
  return {
    ...PAPER,
    title: [
      heading(TITLE, subtext(machine)),
      ...PANELS.map(({ title, top }) => panelTitle(title, LEFT, top - 26)),
    ],
    legend: { bottom: 8, textStyle: { color: INK } },
    grid: PANELS.map(({ top, height }) => ({ left: LEFT, right: RIGHT, top, height })),
    xAxis: PANELS.map((_, panel) => peersAxis(panel, counts)),
    yAxis: PANELS.map(valueAxis),
    series: [
      ...values.flatMap((value, panel) =>
        GROWTH_SIDES.map((side) => {
          const own = points.filter((point) => point.side === side);
          return line(side, panel, COLORS[side], own.map(value));
        }),
      ),
      upgradeSeries(points),
    ],
  };
}

function subtext(machine: Machine): string {
  return `Memory and pauses with twenty prefixes a peer; the longest pause while an operator sets, reads and changes them.\n${formatMachine(machine)}; ${machine.date.slice(0, 10)}`;
}

/** Ten times as many peers are one step. */
function peersAxis(panel: number, counts: readonly number[]): echarts.XAXisComponentOption {
  const isLast = panel === PANELS.length - 1;
  return {
    type: 'category',
    gridIndex: panel,
    boundaryGap: false,
    data: counts.map((count) => count.toLocaleString('en-US')),
    axisLine: { lineStyle: { color: GRID } },
    axisTick: { show: false },
    axisLabel: {
      show: isLast,
      color: FAINT_INK,
      formatter: (text: string) => `${text} ${text === '1' ? 'peer' : 'peers'}`,
    },
  };
}

function valueAxis(
  { scale }: (typeof PANELS)[number],
  panel: number,
): echarts.YAXisComponentOption {
  const common = {
    gridIndex: panel,
    splitNumber: 3,
    axisLabel: { color: FAINT_INK },
    splitLine: { lineStyle: { color: GRID } },
  };
  return scale === 'log'
    ? { type: 'log', min: LEAST_MS, ...common }
    : { type: 'value', min: 0, ...common };
}

function upgradeSeries(points: readonly GrowthPoint[]): echarts.LineSeriesOption {
  const pauses = points.filter(({ side }) => side === 'tswg').map((point) => point.upgradePauseMs);
  return line(UPGRADE, PANELS.length - 1, UPGRADE_COLOR, pauses);
}

function line(
  name: string,
  panel: number,
  color: string,
  data: readonly (number | null)[],
): echarts.LineSeriesOption {
  return {
    type: 'line',
    name,
    silent: true,
    xAxisIndex: panel,
    yAxisIndex: panel,
    symbol: 'circle',
    symbolSize: 6,
    lineStyle: { color, width: 1.5 },
    itemStyle: { color },
    data: [...data],
  };
}
