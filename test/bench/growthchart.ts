/**
 * Growth as a picture: throughput, memory and pauses over the number of peers, one panel each. ECharts
 * draws it, as SVG and without a browser.
 */

import * as echarts from 'echarts';
import { GROWTH_SIDES, type GrowthPoint, type GrowthSide } from './growth.ts';
import { formatMachine, type Machine } from './machine.ts';

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

const INK = '#1f2328';
const FAINT_INK = '#656d76';
const GRID = '#d8dee4';
const COLORS: Readonly<Record<GrowthSide, string>> = {
  tswg: '#2f7d4f',
  'wireguard-go': '#1f5fa8',
};
const UPGRADE = 'tswg, upgrade';
const UPGRADE_COLOR = '#9a6700';
const FONT = 'system-ui, Helvetica, Arial, sans-serif';

export function drawGrowth(points: readonly GrowthPoint[], machine: Machine): string {
  const size = { width: WIDTH, height: HEIGHT };
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, ...size });
  chart.setOption(options(points, machine));
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

function options(points: readonly GrowthPoint[], machine: Machine): echarts.EChartsOption {
  const counts = [...new Set(points.map(({ peers }) => peers))];
  const values: readonly ((point: GrowthPoint) => number)[] = [
    ({ gigabits }) => gigabits,
    ({ rssMb }) => rssMb,
    ({ standstillMs }) => Math.max(LEAST_MS, standstillMs),
  ];
  return {
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: FONT, color: INK },
    title: [heading(machine), ...PANELS.map(panelTitle)],
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

function heading(machine: Machine) {
  return {
    text: 'Growth from one peer to many',
    subtext: `Memory and pauses with twenty prefixes a peer; the longest pause while an operator sets, reads and changes them.\n${formatMachine(machine)}; ${machine.date.slice(0, 10)}`,
    left: 16,
    top: 10,
    textStyle: { fontSize: 18, color: INK },
    subtextStyle: { fontSize: 11, color: FAINT_INK, lineHeight: 15 },
  };
}

function panelTitle({ title, top }: (typeof PANELS)[number]) {
  return {
    text: title,
    left: LEFT - 4,
    top: top - 26,
    textStyle: { fontSize: 12, fontWeight: 'bold' as const, color: INK },
  };
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
