import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DEVICE_WORDS, PEER_WORDS } from '../../src/cli/troubles.ts';
import { DAEMON_METRICS } from '../../src/daemon/metrics.ts';
import { DROP_REASONS } from '../../src/device/drops.ts';
import type { Metric } from '../../src/device/metric.ts';
import { DEVICE_METRICS, PEER_METRICS } from '../../src/device/metrics.ts';

type Row = Omit<Metric<never>, 'read' | 'readEach'> & {
  readonly unit?: string;
  readonly label?: string;
};

const TABLES: Record<string, readonly Row[]> = {
  'Of the daemon': DAEMON_METRICS,
  'Of the device': DEVICE_METRICS,
  'Of each peer': PEER_METRICS,
};
const PAGE = readFileSync('docs/metrics.md', 'utf8');

/** The lines of the page's table below a heading. */
function tableOf(heading: string): string[] {
  const section = PAGE.split(/^##+ /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  return section.split('\n').filter((line) => line.startsWith('|'));
}

/** A metric as the page lists it. */
function listed({ name, label, kind, unit, help }: Row): string {
  const place = label === undefined ? '' : `_${label.toUpperCase()}`;
  return `| \`${name}${place}\` | ${kind} | ${unit ?? ''} | ${help} |`;
}

describe.each(Object.entries(TABLES))('the metrics %s', (heading, table) => {
  it('have names that no other has, and that a program can use', () => {
    for (const { name, label } of table) {
      expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
      if (label !== undefined) expect(label).toMatch(/^[a-z]+$/);
    }
    const names = table.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    // The device and its daemon are told together.
    if (heading === 'Of the device') {
      expect(names.filter((name) => DAEMON_METRICS.some((one) => one.name === name))).toEqual([]);
    }
  });

  it('say what they are, and what they count', () => {
    for (const { name, kind, unit, help } of table) {
      expect(help, name).toMatch(/^[a-zA-Z].{9,}[^.]$/);
      expect(help, name).not.toContain('|');
      if (kind !== 'info') expect(unit, name).toMatch(/^[a-z]+s$/);
      // The unit that a name ends in is its unit.
      const suffix = /_(bytes|seconds)$/.exec(name)?.[1];
      if (suffix !== undefined) expect(unit, name).toBe(suffix);
    }
  });

  it('stand in docs/metrics.md, and no others', () => {
    expect(tableOf(heading)).toEqual([
      '| name | kind | unit | what it tells |',
      '|---|---|---|---|',
      ...table.map(listed),
    ]);
  });
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
