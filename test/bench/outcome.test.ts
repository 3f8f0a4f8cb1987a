import { describe, expect, it } from 'vitest';
import { drawChart, timesAsGood } from './chart.ts';
import { before, TSWG_PORTABLE } from './implementation.ts';
import type { Machine } from './machine.ts';
import { formatRecord } from './record.ts';
import { listRows, ROWS, selectRows } from './rows.ts';
import { BEFORE, OBSERVED, Samples } from './samples.ts';
import { randomPrefixes } from './scale.ts';
import type { Settings } from './scenario.ts';
import { formatPageTable, formatTable, formatValue } from './table.ts';

const MACHINE: Machine = {
  date: '2026-01-02T03:04:05.000Z',
  cpu: 'A <fast> & "quoted" CPU',
  cores: 2,
  memoryGib: 8,
  kernel: 'Linux 6.18',
  node: 'v20.20.2',
  openssl: '3.0',
  tswg: '0.1.0',
  wireguardGo: 'wireguard-go v0.0.20230223',
  iperf3: 'iperf 3.12',
};
const SETTINGS: Settings = {
  rounds: 3,
  seconds: 2,
  rows: new Set(),
  peerCounts: [],
  prefixCounts: [],
  heapBytes: 20e9,
};

function samplesOf(row: string, baseline: number[], subject: number[]): Samples {
  const samples = new Samples();
  for (const value of baseline) samples.record(row, 'wireguard-go', value);
  for (const value of subject) samples.record(row, 'tswg', value);
  return samples;
}

describe('rows', () => {
  it('have ids and titles of their own, and are listed by them', () => {
    expect(new Set(ROWS.map(({ id }) => id)).size).toBe(ROWS.length);
    expect(new Set(ROWS.map(({ title }) => title)).size).toBe(ROWS.length);
    const lines = listRows().split('\n');
    expect(lines.map((line) => line.split(/ {2,}/))).toEqual(
      ROWS.map(({ id, title }) => [id, title]),
    );
  });

  it('have targets of which the aim is the harder one', () => {
    for (const { better, target } of ROWS) {
      if (target === undefined) continue;
      const { aim, atLeast } = target;
      expect(better === 'more' ? aim >= atLeast : aim <= atLeast).toBe(true);
    }
  });

  it.each([
    [['tcp'], ['tcp']],
    [['ping-load-*'], ['ping-load-median', 'ping-load-p99']],
    [
      ['rss', 'udp-*'],
      ['udp-64', 'udp-1300', 'rss'],
    ],
    [['tcp-plain'], ['tcp', 'tcp-plain']],
  ])('are selected by %j', (patterns, expected) => {
    expect([...selectRows(patterns)].sort()).toEqual([...expected].sort());
  });

  it('are all selected by nothing', () => {
    expect(selectRows([]).size).toBe(ROWS.length);
  });

  it('are refused by a name that none has', () => {
    expect(() => selectRows(['tcp', 'tpc'])).toThrow('--rows tpc: expected one of tcp, ');
    expect(() => selectRows(['.*'])).toThrow('--rows .*');
  });
});

describe('verdicts', () => {
  it.each([
    ['tcp', [1, 1, 1], [2.5, 2.5, 2.5], 'aim'],
    ['tcp', [1, 1, 1], [1.8, 1.8, 1.8], 'met'],
    ['tcp', [1, 1, 1], [1.79, 1.79, 1.79], 'missed'],
    ['ping-idle', [1], [0.7], 'met'],
    ['ping-idle', [1], [0.45], 'aim'],
    ['ping-idle', [1], [0.71], 'missed'],
    ['rss', [400], [131], 'missed'],
    ['rss', [400], [80], 'aim'],
    ['peers-kept', [0.5], [0.94], 'missed'],
    ['heap', [], [7.9], 'met'],
    ['heap', [], [-0.1], 'aim'],
    ['launch', [10], [5], null],
  ])('of %s with %j against %j: %s', (row, baseline, subject, verdict) => {
    const [outcome] = samplesOf(row, baseline, subject).outcomes();
    expect(outcome.verdict).toBe(verdict);
  });

  it('compare a variant with the row it is a variant of', () => {
    const samples = samplesOf('tcp', [4, 4, 4], [8, 8, 8]);
    samples.record('tcp-portable', 'tswg', 1);
    const variant = samples.outcomes().find(({ row }) => row.id === 'tcp-portable');
    expect(variant?.ratio?.median).toBe(0.25);
  });

  it('leave out rows of which nothing was measured', () => {
    const outcomes = samplesOf('tcp', [4], []).outcomes();
    expect(outcomes.map(({ row }) => row.id)).toEqual(['tcp']);
    expect(outcomes[0].ratio).toBeNull();
    expect(outcomes[0].verdict).toBeNull();
  });

  it('are not given on what is no number', () => {
    expect(() => new Samples().record('tcp', 'tswg', Number.NaN)).toThrow('no number');
  });
});

describe('the table', () => {
  it('has a line for every row, and columns that stand in line', () => {
    const samples = samplesOf('tcp', [4, 5, 4.5], [9, 9.5, 10]);
    samples.record('rss', 'tswg', 79.5);
    samples.record('udp-64', 'tswg', 101_016);
    const lines = formatTable(samples.outcomes()).split('\n');
    expect(lines).toHaveLength(5);
    expect(lines[2]).toMatch(
      /^TCP, 1 stream +Gbit\/s +4\.50 +4\.00\.\.5\.00 +9\.50 +9\.00\.\.10\.00 +2\.11x +1\.90\.\.2\.25 +1\.8x +2\.5x +yes$/,
    );
    expect(lines[4]).toMatch(/^Peak RSS of a daemon +MB +- +79\.5 .* <= 130 +<= 80 +yes, the aim$/);
    const start = lines[0].indexOf('unit');
    expect(lines.slice(2).map((line) => line.slice(start, start + 2))).toEqual(['Gb', 'pa', 'MB']);
  });

  it.each([
    [0.3654, 'ms', '0.365'],
    [5.128, 'Gbit/s', '5.13'],
    [101_016.4, 'packets/s', '101,016'],
    [305.4, 'ms', '305'],
    [-0.001, 'MB', '0.0'],
    [-3, 'MB', '-3.0'],
  ] as const)('writes %d %s as %s', (value, unit, expected) => {
    expect(formatValue(value, unit)).toBe(expected);
  });
});

describe('bench.json', () => {
  it('holds the machine, every sample, and each list on one line', () => {
    const samples = samplesOf('tcp', [4, 5.1234567, 4.5], [9, 9.5, 10]);
    const text = formatRecord(MACHINE, SETTINGS, samples, [{ what: 'rss', why: 'a reason' }]);
    const record = JSON.parse(text);
    expect(record.machine).toEqual(MACHINE);
    expect(record.failures).toEqual([{ what: 'rss', why: 'a reason' }]);
    expect(record.rows[0].samples).toEqual({ wireguardGo: [4, 5.12346, 4.5], tswg: [9, 9.5, 10] });
    expect(record.rows[0].verdict).toBe('met');
    expect(text).toContain('"tswg": [9, 9.5, 10]');
    expect(text.endsWith('}\n')).toBe(true);
  });
});

describe('a watched tswg', () => {
  const samples = new Samples(OBSERVED);
  for (const value of [4, 4, 4]) samples.record('tcp', 'tswg', value);
  for (const value of [3, 3, 3]) samples.record('tcp', 'tswg, observed', value);
  samples.record('rss', 'tswg, observed', 131);

  it('is compared with tswg, and not held to what was promised beside wireguard-go', () => {
    const [tcp, rss] = samples.outcomes();
    expect(tcp.ratio?.median).toBe(0.75);
    expect(tcp.verdict).toBeNull();
    expect(rss.verdict).toBe('missed');
  });

  it('has its name in the table and in the record', () => {
    const [headings] = formatTable(samples.outcomes(), samples.contest).split('\n');
    expect(headings).toMatch(/unit +tswg +\(min\.\.max\) +tswg, observed +\(min\.\.max\) +ratio/);
    const [tcp] = JSON.parse(formatRecord(MACHINE, SETTINGS, samples, [])).rows;
    expect(tcp.samples).toEqual({ tswg: [4, 4, 4], observed: [3, 3, 3] });
  });
});

describe('an earlier tswg', () => {
  const samples = new Samples(BEFORE);
  for (const [side, rate] of [
    ['tswg, before', 2],
    ['tswg', 3],
  ] as const) {
    samples.record('tcp', side, rate);
    samples.record('tcp-portable', side, rate / 2);
  }

  it('is compared row by row, also in the variants', () => {
    const [tcp, portable] = samples.outcomes();
    expect(tcp.ratio?.median).toBe(1.5);
    expect(portable.baseline?.median).toBe(1);
    expect(portable.ratio?.median).toBe(1.5);
    expect([tcp.verdict, portable.verdict]).toEqual([null, null]);
  });

  it('has its name on the page', () => {
    const [headings] = formatPageTable(samples.outcomes(), samples.contest).split('\n');
    expect(headings).toBe('| row | unit | tswg, before | tswg | ratio | at least |');
  });

  it('has a daemon and a tool of its own, and the same words', () => {
    const old = before(TSWG_PORTABLE, '/elsewhere');
    expect(old.command.slice(1)).toEqual(['/elsewhere/bin/tswgd', '-f', 'wg0']);
    expect(old.tool).toBe('/elsewhere/bin/tswg');
    expect(old.env).toEqual(TSWG_PORTABLE.env);
  });
});

describe('the chart', () => {
  it('is whole SVG, and shows every row with a ratio', () => {
    const samples = samplesOf('tcp', [4, 5, 4.5], [9, 9.5, 10]);
    samples.record('launch', 'wireguard-go', 15);
    samples.record('launch', 'tswg', 150);
    samples.record('heap', 'tswg', 0);
    const svg = drawChart(samples.outcomes(), MACHINE);
    expect(svg).toContain('TCP, 1 stream');
    expect(svg).toContain('Launch to first ping');
    expect(svg).toContain('2.11×');
    expect(svg).toContain('0.10×');
    expect(svg).not.toContain('Heap growth');
    expect(unclosed(svg)).toEqual([]);
  });

  it('turns ratios of rows where less is better round', () => {
    const [cpu] = ROWS.filter(({ id }) => id === 'cpu');
    expect(timesAsGood(cpu, { median: 0.5, min: 0.25, max: 0.8 })).toEqual({
      median: 2,
      min: 1.25,
      max: 4,
    });
  });
});

describe('the table of idle prefixes', () => {
  it('has as many different ones as asked, none of them around the tunnel', () => {
    const prefixes = randomPrefixes(20_000);
    const texts = new Set(prefixes.map(({ word, length }) => `${word}/${length}`));
    expect(texts.size).toBe(20_000);
    for (const { word, length } of prefixes) {
      expect(word % 2 ** (32 - length)).toBe(0);
      expect(word >>> 24).toBe(10);
      expect(word >>> 8).not.toBe(0x0a6300);
    }
    expect(randomPrefixes(10)).toEqual(prefixes.slice(0, 10));
  });
});

/** Names of the elements that are not closed, or whatever is no markup in between. */
function unclosed(svg: string): string[] {
  const open: string[] = [];
  const tag = /<(\/?)([\w:]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g;
  const markup = svg.replaceAll(/<!\[CDATA\[.*?\]\]>/gs, '');
  const rest = markup.replaceAll(tag, (_, closing, name, _attributes, empty) => {
    if (closing === '/' && open.at(-1) === name) open.pop();
    else if (empty === '') open.push(name);
    return '';
  });
  return /</.test(rest) ? [rest] : open;
}
