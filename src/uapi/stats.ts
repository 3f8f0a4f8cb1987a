/**
 * DeviceStats <-> the text that answers our own `stats=1`: counters as `name=count`, facts as
 * `fact_name=text`, and `public_key=` beginning each peer. Names are the Device's to choose.
 */

import type { DeviceStats } from '../device/configuration.ts';
import { formatKey, parseKey } from './key.ts';
import { parseErrno } from './response.ts';

const FACT_PREFIX = 'fact_';
const PEER_KEY = 'public_key';
const ERRNO_KEY = 'errno';

/** The body of the answer, for response.ts to end. */
export function formatStats(stats: DeviceStats): string {
  const lines: string[] = [];
  formatPart(stats, lines);
  for (const peer of stats.peers) {
    lines.push(`${PEER_KEY}=${formatKey(peer.publicKey)}`);
    formatPart(peer, lines);
  }
  return lines.map((line) => `${line}\n`).join('');
}

type Part = Pick<DeviceStats, 'facts' | 'counters'>;

function formatPart(part: Part, lines: string[]): void {
  for (const [name, text] of Object.entries(part.facts)) {
    if (!isName(name) || text.includes('\n')) throw new Error(`stats: fact ${name}`);
    lines.push(`${FACT_PREFIX}${name}=${text}`);
  }
  for (const [name, count] of Object.entries(part.counters)) {
    const isTaken = name.startsWith(FACT_PREFIX) || name === PEER_KEY || name === ERRNO_KEY;
    if (!isName(name) || isTaken) throw new Error(`stats: counter ${name}`);
    lines.push(`${name}=${count}`);
  }
}

function isName(text: string): boolean {
  return /^\w+$/.test(text);
}

/** What a daemon counted, and how the request ended. */
export interface ReportedStats extends DeviceStats {
  /** Positive, 0 for success; EPROTO when the answer is cut short before it. */
  readonly errno: number;
}

/** Reads a whole answer to `stats`. Lines that make no sense are passed over; never throws. */
export function parseStats(text: string): ReportedStats {
  const device = newPart();
  const peers: (PartDraft & { publicKey: Uint8Array })[] = [];
  let part = device;
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (equals <= 0) continue;
    const name = line.slice(0, equals);
    const value = line.slice(equals + 1);
    // It would be shown on a terminal as it is.
    if (!isName(name)) continue;
    if (name === PEER_KEY) {
      const publicKey = parseKey(value);
      part = newPart();
      if (publicKey !== null) peers.push({ publicKey, ...part });
    } else if (name.startsWith(FACT_PREFIX)) {
      part.facts.set(name.slice(FACT_PREFIX.length), value);
    } else if (name !== ERRNO_KEY && /^\d{1,20}$/.test(value)) {
      part.counters.set(name, Number(value));
    }
  }
  return {
    errno: parseErrno(text),
    ...finish(device),
    peers: peers.map((peer) => ({ publicKey: peer.publicKey, ...finish(peer) })),
  };
}

interface PartDraft {
  readonly facts: Map<string, string>;
  readonly counters: Map<string, number>;
}

function newPart(): PartDraft {
  return { facts: new Map(), counters: new Map() };
}

// By way of maps, so that a name such as `__proto__` is a name like any other.
function finish(part: PartDraft): Part {
  return { facts: Object.fromEntries(part.facts), counters: Object.fromEntries(part.counters) };
}
