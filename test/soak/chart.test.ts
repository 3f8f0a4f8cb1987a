/** What of a soak can be seen in its chart. */

import { expect, it } from 'vitest';
import { drawChart } from './chart.ts';
import { evaluate } from './outcome.ts';
import { goodRecording } from './recordings.ts';

it('shows both daemons, the panels over one time, and what happened', () => {
  const recording = goodRecording();
  const svg = drawChart(recording, evaluate(recording), 'a machine');
  const texts = Array.from(svg.matchAll(/<text[^>]*>([^<]*)</g), ([, text]) => text);
  for (const text of ['memory (RSS), MB', 'descriptors', 'round trip, ms', 'left', 'right']) {
    expect(texts).toContain(text);
  }
  expect(texts).toContain('kill');
  expect(texts).not.toContain('upgrade');
  expect(texts.some((text) => text.endsWith('a machine'))).toBe(true);
  // The right daemon, one process, in two panels; the legend has a line and a symbol.
  expect(svg.match(/stroke="#1f5fa8"/g)).toHaveLength(4);
  // A dashed line for the kill in each panel.
  expect(svg.match(/stroke-dasharray/g)).toHaveLength(4);
});
