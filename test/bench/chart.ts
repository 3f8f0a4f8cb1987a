/**
 * The outcome as a picture: one bar a row, how many times as good as wireguard-go, on a scale on
 * which twice and half are equally far from equal.
 */

import type * as echarts from 'echarts';
import { drawSvg, FAINT_INK, GRID, heading, INK, PAPER } from '../lab/paper.ts';
import { formatMachine, type Machine } from './machine.ts';
import type { Row } from './rows.ts';
import type { Outcome } from './samples.ts';
import type { Spread } from './statistics.ts';
import { formatValue } from './table.ts';

const WIDTH = 1_040;
const ROW_HEIGHT = 24;
const TOP = 96;
const BOTTOM = 64;
const LEFT = 290;
const RIGHT = 275;
const BAR_HEIGHT = 14;
const WHISKER_HEIGHT = 8;
const LABEL_GAP = 12;
const TIMES_WIDTH = 52;

const BETTER = '#2f7d4f';
const WORSE = '#b3423a';
const BOUND = '#9a6700';

/** The outcomes with a ratio; the least ratio of a row where less is better is a bar to the right. */
interface Bar {
  readonly row: Row;
  readonly values: string;
  /** Binary logarithms of "times as good". */
  readonly level: number;
  readonly worst: number;
  readonly best: number;
  readonly atLeast: number | null;
  readonly aim: number | null;
}

export function drawChart(outcomes: readonly Outcome[], machine: Machine): string {
  const bars = outcomes.flatMap(toBar);
  const height = TOP + bars.length * ROW_HEIGHT + BOTTOM;
  return drawSvg(WIDTH, height, options(bars, machine));
}

function toBar({ row, baseline, subject, ratio }: Outcome): Bar[] {
  if (baseline === null || subject === null || ratio === null) return [];
  const goodness = timesAsGood(row, ratio);
  const target = row.target?.of === 'ratio' ? row.target : null;
  const bound = (value: number): number => Math.log2(row.better === 'more' ? value : 1 / value);
  return [
    {
      row,
      values: `${formatValue(baseline.median, row.unit)} → ${formatValue(subject.median, row.unit)} ${row.unit}`,
      level: Math.log2(goodness.median),
      worst: Math.log2(goodness.min),
      best: Math.log2(goodness.max),
      atLeast: target === null ? null : bound(target.atLeast),
      aim: target === null ? null : bound(target.aim),
    },
  ];
}

/** A ratio turned so that more is better. */
export function timesAsGood({ better }: Row, ratio: Spread): Spread {
  if (better === 'more') return ratio;
  return { median: 1 / ratio.median, min: 1 / ratio.max, max: 1 / ratio.min };
}

function options(bars: readonly Bar[], machine: Machine): echarts.EChartsOption {
  const levels = bars.flatMap(extremes);
  return {
    ...PAPER,
    title: heading(
      'tswg compared with wireguard-go',
      `Times as good (to the right: tswg is better). Bars: medians; whiskers: extremes of the rounds.\n${formatMachine(machine)}; ${machine.date.slice(0, 10)}`,
    ),
    legend: {
      bottom: 10,
      data: ['promised', 'aim'],
      textStyle: { color: INK },
    },
    grid: { left: LEFT, right: RIGHT, top: TOP, bottom: BOTTOM },
    xAxis: {
      type: 'value',
      min: Math.floor(Math.min(0, ...levels)),
      max: Math.ceil(Math.max(1, ...levels)),
      interval: 1,
      axisLabel: { formatter: formatPower, color: FAINT_INK },
      splitLine: { lineStyle: { color: GRID } },
    },
    yAxis: [categories(bars.map(({ row }) => row.title)), valueLabels(bars)],
    series: [barSeries(bars), whiskerSeries(bars), ...boundSeries(bars)],
  };
}

function extremes({ level, worst, best, atLeast, aim }: Bar): number[] {
  return [level, worst, best, atLeast ?? 0, aim ?? 0];
}

/** Twice, half: the scale's marks are powers of two. */
function formatPower(level: number): string {
  return level >= 0 ? `${2 ** level}×` : `1/${2 ** -level}`;
}

function categories(labels: readonly string[]): echarts.YAXisComponentOption {
  return {
    type: 'category',
    inverse: true,
    data: [...labels],
    axisTick: { show: false },
    axisLine: { lineStyle: { color: GRID }, onZero: false },
    axisLabel: { color: INK, fontSize: 12, interval: 0 },
  };
}

/** The figures behind each bar, at the right edge. */
function valueLabels(bars: readonly Bar[]): echarts.YAXisComponentOption {
  return {
    ...categories(bars.map(({ level, values }) => `{times|${(2 ** level).toFixed(2)}×}${values}`)),
    position: 'right',
    axisLabel: {
      color: FAINT_INK,
      fontSize: 11,
      interval: 0,
      margin: LABEL_GAP,
      rich: { times: { width: TIMES_WIDTH, color: INK, fontSize: 12, fontWeight: 'bold' } },
    },
  } as echarts.YAXisComponentOption;
}

function barSeries(bars: readonly Bar[]): echarts.BarSeriesOption {
  return {
    type: 'bar',
    silent: true,
    barWidth: BAR_HEIGHT,
    data: bars.map(({ level }) => ({
      value: level,
      itemStyle: { color: level >= 0 ? BETTER : WORSE },
    })),
    markLine: {
      silent: true,
      symbol: 'none',
      lineStyle: { color: INK, type: 'solid', width: 1 },
      label: { show: false },
      data: [{ xAxis: 0 }],
    },
  };
}

function whiskerSeries(bars: readonly Bar[]): echarts.CustomSeriesOption {
  return {
    type: 'custom',
    silent: true,
    z: 4,
    data: bars.map(({ worst, best }, index) => [worst, best, index]),
    encode: { x: [0, 1], y: 2 },
    renderItem: (_, api) => {
      const [x1, y] = api.coord([api.value(0), api.value(2)]);
      const [x2] = api.coord([api.value(1), api.value(2)]);
      const line = (fromX: number, fromY: number, toX: number, toY: number) => ({
        type: 'line' as const,
        shape: { x1: fromX, y1: fromY, x2: toX, y2: toY },
        style: { stroke: INK, lineWidth: 1 },
      });
      const half = WHISKER_HEIGHT / 2;
      return {
        type: 'group',
        children: [
          line(x1, y, x2, y),
          line(x1, y - half, x1, y + half),
          line(x2, y - half, x2, y + half),
        ],
      };
    },
  };
}

/** What the speed work has promised, and what it aims at. */
function boundSeries(bars: readonly Bar[]): echarts.ScatterSeriesOption[] {
  const series = (
    name: string,
    of: (bar: Bar) => number | null,
    color: string,
  ): echarts.ScatterSeriesOption => ({
    type: 'scatter',
    silent: true,
    name,
    symbol: 'diamond',
    symbolSize: 9,
    z: 5,
    itemStyle: { color, borderColor: BOUND, borderWidth: 1.5 },
    data: bars.flatMap((bar, index) => {
      const bound = of(bar);
      return bound === null ? [] : [[bound, index]];
    }),
  });
  return [
    series('promised', ({ atLeast }) => atLeast, '#ffffff'),
    series('aim', ({ aim }) => aim, BOUND),
  ];
}
