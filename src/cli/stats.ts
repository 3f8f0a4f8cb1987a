/**
 * What there is to observe of tswgd, for people: facts, troubles in words, counters, and the drops
 * with the reason of each. What `tswg IF` shows is not told again. Pure.
 */

import { DROP_REASONS } from '../device/drops.ts';
import { type Measured, TEXT_SUFFIX } from '../device/metric.ts';
import { DEVICE_METRICS, PEER_METRICS } from '../device/metrics.ts';
import { printable } from '../quotation.ts';
import type { ReportedStats } from '../uapi/stats.ts';
import { formatKey } from './keys.ts';
import { troubleLine, type Wording, wordDeviceTrouble, wordPeerTrouble } from './troubles.ts';

const DROP_PREFIX = 'drop_';

/** What `tswg IF` shows already. */
const SHOWN_BY_GET: ReadonlySet<string> = new Set(
  [...DEVICE_METRICS, ...PEER_METRICS].filter((one) => one.isOfGet).map(({ name }) => name),
);

/** Lines with their newlines. */
export function formatStats(name: string, stats: ReportedStats): string {
  const lines = [`${name}:`];
  const deviceWords = stats.troubles.map((trouble) => wordDeviceTrouble(trouble, name));
  pushPart(stats, deviceWords, '\t', lines);
  for (const peer of stats.peers) {
    const ofPeer = [`\twgpeer ${formatKey(peer.publicKey)}`];
    const peerWords = peer.troubles.map((trouble) => wordPeerTrouble(trouble, name));
    pushPart({ ...peer, counters: occurred(peer.counters) }, peerWords, '\t\t', ofPeer);
    // Of thousands of peers the lines of one at a time.
    lines.push(ofPeer.join('\n'));
  }
  return `${lines.join('\n')}\n`;
}

/**
 * Without what has not occurred, as with the reasons of drops: of hundreds of peers those that are
 * quiet would hide the others.
 */
function occurred(counters: Measured['counters']): Measured['counters'] {
  return Object.fromEntries(Object.entries(counters).filter(([, count]) => count !== 0));
}

function pushPart(
  { facts, counters }: Measured,
  troubles: readonly Wording[],
  indent: string,
  lines: string[],
): void {
  for (const [name, text] of Object.entries(facts)) {
    const isOfState = name.endsWith(TEXT_SUFFIX);
    if (SHOWN_BY_GET.has(name) || (isOfState && Object.hasOwn(facts, stateOf(name)))) continue;
    const shown = Object.hasOwn(facts, name + TEXT_SUFFIX) ? facts[name + TEXT_SUFFIX] : text;
    lines.push(`${indent}${readable(name)}: ${printable(shown)}`);
  }
  for (const wording of troubles) {
    if (!Object.hasOwn(facts, wording.fact)) lines.push(`${indent}${troubleLine(wording)}`);
  }
  const all = Object.entries(counters).filter(([name]) => !SHOWN_BY_GET.has(name));
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

/** The name of the state that this is the text of. */
function stateOf(name: string): string {
  return name.slice(0, -TEXT_SUFFIX.length);
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

/** As readable has told them already: every peer has the same ones. */
const READABLE = new Map<string, string>();

/** `handshakes_sent` or `handshakesSent` as words. */
function readable(name: string): string {
  let words = READABLE.get(name);
  if (words === undefined) {
    words = name
      .replaceAll('_', ' ')
      .replace(
        /([a-z])([A-Z])/g,
        (_, before: string, after: string) => `${before} ${after.toLowerCase()}`,
      );
    READABLE.set(name, words);
  }
  return words;
}
