import { describe, expect, it } from 'vitest';
import { type Family, formatExposition } from '../../src/cli/exposition.ts';

const FAMILIES: Family[] = [
  {
    ...{ name: 'x_sent_bytes', kind: 'counter', unit: 'bytes', help: 'bytes "sent", a\\b\nc' },
    samples: [
      { labels: { interface: 'wg0', peer: 'a' }, value: 12 },
      { labels: { interface: 'wg0', peer: 'b' }, value: 1e21 },
    ],
  },
  {
    ...{ name: 'x_roams', kind: 'counter', unit: 'changes', help: 'changes' },
    samples: [{ labels: { interface: 'wg0' }, value: 0 }],
  },
  {
    ...{ name: 'x_lag_seconds', kind: 'gauge', unit: 'seconds', help: 'lag' },
    samples: [{ labels: { interface: 'wg0' }, value: 0.000_001 }],
  },
  {
    ...{ name: 'x_gate', kind: 'info', unit: '', help: 'gate' },
    samples: [{ labels: { interface: 'wg0', state: 'open' }, value: 1 }],
  },
  { name: 'x_nobody', kind: 'gauge', unit: '', help: 'of nobody', samples: [] },
];

describe('series as text', () => {
  it('in the format of Prometheus', () => {
    expect(formatExposition(FAMILIES, 'prometheus')).toBe(
      [
        '# HELP x_sent_bytes_total bytes "sent", a\\\\b\\nc',
        '# TYPE x_sent_bytes_total counter',
        'x_sent_bytes_total{interface="wg0",peer="a"} 12',
        'x_sent_bytes_total{interface="wg0",peer="b"} 1e+21',
        '# HELP x_roams_total changes',
        '# TYPE x_roams_total counter',
        'x_roams_total{interface="wg0"} 0',
        '# HELP x_lag_seconds lag',
        '# TYPE x_lag_seconds gauge',
        'x_lag_seconds{interface="wg0"} 0.000001',
        '# HELP x_gate_info gate',
        '# TYPE x_gate_info gauge',
        'x_gate_info{interface="wg0",state="open"} 1',
        '',
      ].join('\n'),
    );
  });

  it('in OpenMetrics, with the units that the names end in, and an end', () => {
    expect(formatExposition(FAMILIES, 'openmetrics')).toBe(
      [
        '# TYPE x_sent_bytes counter',
        '# UNIT x_sent_bytes bytes',
        '# HELP x_sent_bytes bytes \\"sent\\", a\\\\b\\nc',
        'x_sent_bytes_total{interface="wg0",peer="a"} 12',
        'x_sent_bytes_total{interface="wg0",peer="b"} 1e+21',
        '# TYPE x_roams counter',
        '# HELP x_roams changes',
        'x_roams_total{interface="wg0"} 0',
        '# TYPE x_lag_seconds gauge',
        '# UNIT x_lag_seconds seconds',
        '# HELP x_lag_seconds lag',
        'x_lag_seconds{interface="wg0"} 0.000001',
        '# TYPE x_gate info',
        '# HELP x_gate gate',
        'x_gate_info{interface="wg0",state="open"} 1',
        '# EOF',
        '',
      ].join('\n'),
    );
    expect(formatExposition([], 'openmetrics')).toBe('# EOF\n');
    expect(formatExposition([], 'prometheus')).toBe('');
  });

  it.each([
    ['quotes', 'Anna "Büro"', 'Anna \\"Büro\\"'],
    ['a backslash', 'C:\\', 'C:\\\\'],
    ['a newline', 'two\nlines', 'two\\nlines'],
    ['what would steer a terminal', 'a\u001b[2J\r\u009bb\tc', 'a?[2J??b?c'],
    ['letters beyond the first plane', '👩‍💻 𝔞', '👩‍💻 𝔞'],
    ['nothing', '', ''],
  ])('keeps a label with %s in one line', (_, text, written) => {
    const family: Family = {
      ...{ name: 'x', kind: 'gauge', unit: '', help: 'x' },
      samples: [{ labels: { name: text }, value: 1 }],
    };
    for (const format of ['prometheus', 'openmetrics'] as const) {
      const lines = formatExposition([family], format).split('\n');
      expect(lines[2]).toBe(`x{name="${written}"} 1`);
    }
  });
});
