import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { seriesName } from '../../src/cli/exposition.ts';
import { familyKind, familyName, type MetricRow, SERIES_TABLES } from '../../src/cli/series.ts';
import { DEVICE_WORDS, PEER_WORDS } from '../../src/cli/troubles.ts';
import { DAEMON_METRICS } from '../../src/daemon/metrics.ts';
import { DROP_REASONS } from '../../src/device/drops.ts';

const TABLES = SERIES_TABLES.map(({ title, scope, rows }) => ({
  title,
  scope,
  rows: rows as readonly MetricRow[],
}));
const PAGE = readFileSync('docs/metrics.md', 'utf8');

/** The lines of the page's table below a heading. */
function tableOf(heading: string): string[] {
  const section = PAGE.split(/^##+ /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  return section.split('\n').filter((line) => line.startsWith('|'));
}

/** A metric as the page lists it. */
function listed(row: MetricRow, scope: string): string {
  const { name, label, kind, unit = '', help, states = [] } = row;
  const place = label === undefined ? '' : `_${label.toUpperCase()}`;
  const words = states.length === 0 ? '' : `: ${states.map((one) => `\`${one}\``).join(', ')}`;
  const family = familyName(row, scope);
  const series =
    family === null ? '' : `\`${seriesName({ name: family, kind: familyKind(row) })}\``;
  return `| \`${name}${place}\` | ${kind} | ${unit} | ${series} | ${help}${words} |`;
}

describe.each(TABLES)('the metrics: $title', ({ title, scope, rows }) => {
  it('have names that no other has, and that a program can use', () => {
    for (const { name, label } of rows) {
      expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
      if (label !== undefined) expect(label).toMatch(/^[a-z]+$/);
    }
    const names = rows.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    // The device and its daemon are told together.
    if (title === 'Of the device') {
      expect(names.filter((name) => DAEMON_METRICS.some((one) => one.name === name))).toEqual([]);
    }
  });

  it('say what they are, and what they count', () => {
    for (const { name, kind, unit, help, states = [] } of rows) {
      expect(help, name).toMatch(/^[a-zA-Z].{9,}[^.]$/);
      expect(help, name).not.toContain('|');
      for (const word of states) expect(word, name).toMatch(/^[a-z]+$/);
      expect(states.length > 0, name).toBe(kind === 'state');
      if (kind === 'counter') expect(unit, name).toMatch(/^[a-z]+s$/);
      // A share, or a yes or no, has none.
      if (kind === 'gauge') expect(unit, name).toMatch(/^([a-z]+s)?$/);
      // The unit that a name ends in is its unit.
      const suffix = /_(bytes|seconds)$/.exec(name)?.[1];
      if (suffix !== undefined) expect(unit, name).toBe(suffix);
    }
  });

  it('stand in docs/metrics.md, and no others', () => {
    expect(tableOf(title)).toEqual([
      '| name | kind | unit | in `tswg metrics` | what it tells |',
      '|---|---|---|---|---|',
      ...rows.map((row) => listed(row, scope)),
    ]);
  });
});

it('no two metrics have series of one name', () => {
  const all = TABLES.flatMap(({ scope, rows }) =>
    rows.flatMap((row) => familyName(row, scope) ?? []),
  );
  expect(new Set(all).size).toBe(all.length);
});

it.each([
  ['Of the daemon and the device', DEVICE_WORDS],
  ['Of a peer', PEER_WORDS],
])(
  'the troubles %s stand in docs/metrics.md with their values, and no others',
  (heading, words) => {
    const rows = tableOf(heading).slice(2);
    const expected = Object.entries(words).map(([code, { values }]) => {
      const names = Object.keys(values).map((name) => ` \`${name}\``);
      return `| \`${code}\` |${names.join('')} |`;
    });
    expect(rows.map((row) => /^\|[^|]*\|[^|]*\|/.exec(row)![0])).toEqual(expected);
  },
);

it('the reasons of drops stand in docs/metrics.md, and no others', () => {
  expect(tableOf('Reasons of drops')).toEqual([
    '| reason | what was dropped |',
    '|---|---|',
    ...Object.entries(DROP_REASONS).map(([reason, meaning]) => `| \`${reason}\` | ${meaning} |`),
  ]);
});
