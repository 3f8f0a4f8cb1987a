/**
 * What tswgd counted, for people: facts, counters, and the drops with the reason of each. Pure.
 */

import type { Counters } from '../device/configuration.ts';
import { DROP_REASONS } from '../device/drops.ts';
import { printable } from '../quotation.ts';
import type { ReportedStats } from '../uapi/stats.ts';
import { formatKey } from './keys.ts';

const DROP_PREFIX = 'drop_';

/** Lines with their newlines. */
export function formatStats(name: string, stats: ReportedStats): string {
  const lines = [`${name}:`];
  pushPart(stats.facts, stats.counters, '\t', lines);
  for (const peer of stats.peers) {
    lines.push(`\twgpeer ${formatKey(peer.publicKey)}`);
    pushPart(peer.facts, peer.counters, '\t\t', lines);
  }
  return lines.map((line) => `${line}\n`).join('');
}

function pushPart(
  facts: Readonly<Record<string, string>>,
  counters: Counters,
  indent: string,
  lines: string[],
): void {
  for (const [name, text] of Object.entries(facts)) {
    lines.push(`${indent}${readable(name)}: ${printable(text)}`);
  }
  const all = Object.entries(counters);
  const plain = all.filter(([name]) => !name.startsWith(DROP_PREFIX));
  pushTable(
    plain.map(([name, count]) => [String(count), readable(name)]),
    indent,
    lines,
  );
  const drops = all.filter(([name]) => name.startsWith(DROP_PREFIX));
  if (drops.length === 0) return;
  lines.push(`${indent}dropped packets:`);
  pushTable(
    drops.map(([name, count]) => dropRow(name.slice(DROP_PREFIX.length), count)),
    `${indent}\t`,
    lines,
  );
}

function dropRow(reason: string, count: number): string[] {
  const explanations: Readonly<Record<string, string>> = DROP_REASONS;
  return [String(count), reason, explanations[reason] ?? 'a reason that this tswg does not know'];
}

/** Rows in columns: numbers to the right, texts to the left, no blanks at the end. */
function pushTable(rows: readonly string[][], indent: string, lines: string[]): void {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column].length)),
  );
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
    );
    lines.push(`${indent}${cells.join('  ').trimEnd()}`);
  }
}

/** `handshakes_sent` or `handshakesSent` as words. */
function readable(name: string): string {
  return name
    .replaceAll('_', ' ')
    .replace(
      /([a-z])([A-Z])/g,
      (_, before: string, after: string) => `${before} ${after.toLowerCase()}`,
    );
}
