/**
 * A soak as a picture: memory and descriptors of both daemons, the round trips, and the packets that
 * were lost, over the same time, with what happened.
 */

import type * as echarts from 'echarts';
import { median } from '../bench/statistics.ts';
import { drawSvg, FAINT_INK, GRID, heading, INK, PAPER, panelTitle } from '../lab/paper.ts';
import { livesOf } from './flatness.ts';
import type { Outcome } from './outcome.ts';
import { inThousands } from './report.ts';
import { SIDES, type Side } from './site.ts';
import type { Recording } from './soak.ts';

const WIDTH = 1_040;
const LEFT = 80;
const RIGHT = 24;
const BOTTOM = 56;
/** The panels, from the top. */
const PANELS = [
  { title: 'memory (RSS), MB', top: 112, height: 150 },
  { title: 'descriptors', top: 302, height: 80 },
  { title: 'round trip, ms', top: 422, height: 130 },
  { title: 'packets lost in 5 s', top: 592, height: 80 },
] as const;
const HEIGHT = 672 + BOTTOM + 30;

const SIDE_COLORS: Readonly<Record<Side, string>> = { left: '#2f7d4f', right: '#1f5fa8' };
const MEDIAN_COLOR = '#6e40aa';
const MOST_COLOR = '#c9a2e8';
const LOST_COLOR = '#b3423a';
/** What is marked, and how. */
const MARKS = { kill: '#b3423a', upgrade: '#9a6700', down: '#656d76', crash: '#000000' } as const;
type Marked = keyof typeof MARKS;

const MS_PER_MINUTE = 60_000;
const BUCKET_MS = 5_000;
/** The scale is logarithmic, and nothing is that fast. */
const LEAST_MS = 0.1;

type Point = [minutes: number, value: number | null];

export function drawChart(recording: Recording, outcome: Outcome, about: string): string {
  return drawSvg(WIDTH, HEIGHT, options(recording, outcome, about));
}

function options(recording: Recording, outcome: Outcome, about: string): echarts.EChartsOption {
  return {
    ...PAPER,
    title: [
      heading(titleOf(outcome), subtext(outcome, about)),
      ...PANELS.map(({ title, top }) => panelTitle(title, LEFT, top - 24)),
    ],
    legend: { bottom: 8, textStyle: { color: INK } },
    grid: PANELS.map(({ top, height }) => ({ left: LEFT, right: RIGHT, top, height })),
    xAxis: PANELS.map((_, panel) => timeAxis(panel, outcome.minutes)),
    yAxis: PANELS.map((_, panel) => valueAxis(panel)),
    series: [
      ...SIDES.map((side) => sideSeries(side, 0, recording, ({ rssMb }) => rssMb)),
      ...SIDES.map((side) => sideSeries(side, 1, recording, ({ descriptors }) => descriptors)),
      ...roundTripSeries(recording),
      lossSeries(recording),
      ...markSeries(recording),
    ],
  };
}

function titleOf({ minutes }: Outcome): string {
  return `tswg for ${minutes.toFixed(0)} minutes, reconfigured every ten seconds`;
}

function subtext({ megabytes, sessions, sent, lost }: Outcome, about: string): string {
  return `${inThousands(megabytes)} MB, ${sessions} sessions, ${inThousands(lost)} of ${inThousands(sent)} packets lost. Where a line is broken, another process begins.\n${about}`;
}

function timeAxis(panel: number, minutes: number): echarts.XAXisComponentOption {
  return {
    type: 'value',
    gridIndex: panel,
    min: 0,
    max: minutes,
    axisLine: { lineStyle: { color: GRID } },
    axisTick: { show: false },
    axisLabel: {
      show: panel === PANELS.length - 1,
      color: FAINT_INK,
      showMaxLabel: false,
      formatter: (value: number) => `${value} min`,
    },
    splitLine: { show: false },
  };
}

function valueAxis(panel: number): echarts.YAXisComponentOption {
  const common = {
    gridIndex: panel,
    splitNumber: 3,
    axisLabel: { color: FAINT_INK },
    splitLine: { lineStyle: { color: GRID } },
  };
  if (panel === 2) return { type: 'log', ...common };
  return { type: 'value', min: 0, ...common };
}

function sideSeries(
  side: Side,
  panel: number,
  { beginMs, samples }: Recording,
  value: (sample: Recording['samples'][number]) => number,
): echarts.LineSeriesOption {
  const own = samples.filter((sample) => sample.side === side);
  const data = livesOf(own).flatMap(({ samples: life }): Point[] => [
    ...life.map((sample): Point => [(sample.atMs - beginMs) / MS_PER_MINUTE, value(sample)]),
    [(life[life.length - 1].atMs - beginMs) / MS_PER_MINUTE, null],
  ]);
  return line(side, panel, SIDE_COLORS[side], data);
}

function line(
  name: string,
  panel: number,
  color: string,
  data: readonly Point[],
): echarts.LineSeriesOption {
  return {
    type: 'line',
    name,
    silent: true,
    xAxisIndex: panel,
    yAxisIndex: panel,
    showSymbol: false,
    lineStyle: { color, width: 1.5 },
    itemStyle: { color },
    data: [...data],
  };
}

function roundTripSeries(recording: Recording): echarts.LineSeriesOption[] {
  const buckets = new Map<number, number[]>();
  for (const { sentMs, roundTripMs } of recording.pings) {
    sentMs.forEach((atMs, i) => {
      const bucket = Math.floor((atMs - recording.beginMs) / BUCKET_MS);
      const times = buckets.get(bucket);
      if (times === undefined) buckets.set(bucket, [roundTripMs[i]]);
      else times.push(roundTripMs[i]);
    });
  }
  const over = (value: (times: number[]) => number): Point[] =>
    [...buckets]
      .sort(([a], [b]) => a - b)
      .map(([bucket, times]) => [
        (bucket * BUCKET_MS) / MS_PER_MINUTE,
        Math.max(LEAST_MS, value(times)),
      ]);
  return [
    line(
      'most',
      2,
      MOST_COLOR,
      over((times) => Math.max(...times)),
    ),
    line('median', 2, MEDIAN_COLOR, over(median)),
  ];
}

function lossSeries({ beginMs, endMs, pings, traffic }: Recording): echarts.LineSeriesOption {
  const datagrams = SIDES.flatMap((side) => traffic[side].datagrams);
  const counts = Array<number>(Math.ceil((endMs - beginMs) / BUCKET_MS)).fill(0);
  for (const atMs of [...pings, ...datagrams].flatMap(({ lostMs }) => lostMs)) {
    counts[Math.floor((atMs - beginMs) / BUCKET_MS)]++;
  }
  // Bars would stretch the axis by half of the first one, and it is the same as those above.
  const points = counts.map(
    (count, bucket): Point => [(bucket * BUCKET_MS) / MS_PER_MINUTE, count],
  );
  return {
    ...line('lost', 3, LOST_COLOR, points),
    step: 'end',
    areaStyle: { color: LOST_COLOR, opacity: 0.3 },
  };
}

/** A line through every panel for each event of the marked kinds, which stand in the legend. */
function markSeries({ beginMs, events }: Recording): echarts.ScatterSeriesOption[] {
  return (Object.keys(MARKS) as Marked[]).flatMap((kind) => {
    const own = events.filter((event) => event.kind === kind);
    if (own.length === 0) return [];
    return PANELS.map(
      (_, panel): echarts.ScatterSeriesOption => ({
        type: 'scatter',
        name: kind,
        silent: true,
        xAxisIndex: panel,
        yAxisIndex: panel,
        symbol: 'rect',
        itemStyle: { color: MARKS[kind] },
        data: [],
        markLine: {
          silent: true,
          symbol: 'none',
          label: { show: false },
          lineStyle: { color: MARKS[kind], type: 'dashed', width: 1, opacity: 0.6 },
          data: own.map(({ fromMs }) => ({ xAxis: (fromMs - beginMs) / MS_PER_MINUTE })),
        },
      }),
    );
  });
}
