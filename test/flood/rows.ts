/**
 * The rows of the flood's table: what is tried, and which figure a tswg has to keep. Pure data; how
 * a row is tried is its section's business.
 */

import { KINDS, type Kind } from './ammunition.ts';
import type { Assault } from './site.ts';
import type { Family, Sources } from './sources.ts';
import type { Rate } from './volley.ts';

interface Common {
  readonly id: string;
  /** Among those of a quick run. */
  readonly isQuick: boolean;
}

/** What a session keeps of a TCP stream. */
export interface SessionRow extends Common, Assault {
  readonly section: 'session';
  readonly family: Family;
  /**
   * Whether it takes somebody who sees the receiver index and the peer's address on the way, and
   * sends as fast as he can: he wins in any case, and the measure is what wireguard-go keeps.
   */
  readonly isOnPath: boolean;
}

/** Who begins the handshake between a victim and a peer that it has never seen. */
export type Direction = 'calling' | 'called';

/** How long newcomers wait. `isBurst`: a burst that shuts a gate goes before the flood. */
export interface NewcomerRow extends Common, Assault {
  readonly section: 'newcomer';
  readonly family: Family;
  readonly direction: Direction;
  readonly isBurst: boolean;
  /** Seconds; null where wireguard-go's median is the measure. */
  readonly limits: { readonly median: number; readonly p95: number } | null;
}

export type Accident =
  | 'receiver restarts'
  | 'sender restarts'
  | 'link down and up'
  | 'roam and return'
  | 'dead sessions';

/** How long two ends are apart, with no attacker, when one of them has lost the session. */
export interface RecoveryRow extends Common {
  readonly section: 'recovery';
  readonly accident: Accident;
  /** Whether the end that lost the session has something to say, too. */
  readonly isSpeaking: boolean;
  /** Of the peer's own datagrams. */
  readonly rate: number;
  /** Seconds. */
  readonly limit: number;
}

export type Row = SessionRow | NewcomerRow | RecoveryRow;

/** Issue: at 10,000/s, at 100,000/s; at the most the measure is wireguard-go. Below: as in calm. */
const CALM_LIMITS = { median: 1, p95: 1 };
const SLOW_LIMITS = { median: 6, p95: 12 };
const FAST_LIMITS = { median: 15, p95: 45 };
/** KEEPALIVE_TIMEOUT + REKEY_TIMEOUT and its jitter: then the sender has noticed. */
const NOTICED_S = 16;
const AT_ONCE_S = 1;

const QUICK: ReadonlySet<string> = new Set([
  'session/mix/random/4/max',
  'session/mix/own/4/max',
  'newcomer/calling/forged-initiations/own/4/10000',
  'newcomer/called/forged-initiations/own/4/max',
  'recovery/receiver-restarts/speaking/12000',
  'recovery/receiver-restarts/silent/12000',
]);

function row<Parts extends object>(words: readonly (string | number)[], parts: Parts) {
  const id = words.map((word) => `${word}`.replaceAll(' ', '-')).join('/');
  return { id, isQuick: QUICK.has(id), ...parts };
}

function session(kind: Kind, sources: Sources, family: Family, rate: Rate): SessionRow {
  const section = 'session';
  const hasIndex = kind === 'flipped data' || kind === 'mix';
  const isOnPath = hasIndex && sources === 'own' && rate === 'max';
  const parts = { section, kind, sources, family, rate, isOnPath } as const;
  return row([section, kind, sources, family, rate], parts);
}

function newcomer(
  direction: Direction,
  sources: Sources,
  family: Family,
  rate: Rate,
  more: { readonly kind?: Kind; readonly isBurst?: boolean } = {},
): NewcomerRow {
  const { kind = 'forged initiations', isBurst = false } = more;
  const limits = newcomerLimits(rate);
  const words = ['newcomer', direction, kind, sources, family, rate, ...(isBurst ? ['burst'] : [])];
  return row(words, {
    section: 'newcomer' as const,
    ...{ direction, kind, sources, family, rate, isBurst, limits },
  });
}

function newcomerLimits(rate: Rate): NewcomerRow['limits'] {
  if (rate === 'max') return null;
  if (rate < 1_000) return CALM_LIMITS;
  return rate <= 10_000 ? SLOW_LIMITS : FAST_LIMITS;
}

function recovery(accident: Accident, isSpeaking: boolean, rate: number): RecoveryRow {
  const section = 'recovery';
  const limit = isSpeaking ? AT_ONCE_S : NOTICED_S;
  const words = [section, accident, isSpeaking ? 'speaking' : 'silent', rate];
  return row(words, { section, accident, isSpeaking, rate, limit });
}

const SESSION_ROWS: readonly SessionRow[] = [
  // Each kind in its strongest form: no two datagrams from one address.
  ...KINDS.map((kind) => session(kind, 'random', 4, 'max')),
  // A pool is what a per-address defence is good at; own addresses are what it is weak at.
  session('mix', 'pool', 4, 'max'),
  session('forged initiations', 'own', 4, 'max'),
  session('flipped data', 'own', 4, 'max'),
  session('unknown index', 'own', 4, 'max'),
  session('mix', 'own', 4, 'max'),
  // Where a gate is about to shut, and where user space has to do by itself.
  session('forged initiations', 'random', 4, 100_000),
  session('mix', 'own', 4, 100_000),
  session('mix', 'random', 4, 10_000),
  // The other socket, and longer addresses.
  session('forged initiations', 'random', 6, 'max'),
  session('mix', 'random', 6, 'max'),
  session('mix', 'own', 6, 'max'),
];

const NEWCOMER_ROWS: readonly NewcomerRow[] = [
  // Too few to ask anybody for a cookie.
  newcomer('calling', 'random', 4, 150),
  newcomer('calling', 'random', 4, 900),
  newcomer('calling', 'random', 4, 10_000),
  newcomer('calling', 'own', 4, 10_000),
  newcomer('calling', 'random', 4, 100_000),
  newcomer('calling', 'pool', 4, 100_000),
  newcomer('calling', 'own', 4, 100_000),
  newcomer('calling', 'random', 4, 'max'),
  newcomer('calling', 'pool', 4, 'max'),
  newcomer('calling', 'own', 4, 'max'),
  newcomer('calling', 'own', 4, 'max', { kind: 'forged mac2' }),
  newcomer('calling', 'own', 4, 'max', { kind: 'mix' }),
  newcomer('calling', 'random', 6, 'max'),
  newcomer('calling', 'own', 6, 'max'),
  newcomer('called', 'own', 4, 10_000),
  newcomer('called', 'random', 4, 100_000),
  newcomer('called', 'own', 4, 100_000),
  newcomer('called', 'random', 4, 'max'),
  newcomer('called', 'own', 4, 'max'),
  newcomer('called', 'own', 6, 'max'),
  // A gate that a second's burst has shut, and so little after it that nobody would call it a flood:
  // once a second, all at once.
  newcomer('calling', 'own', 4, 240, { kind: 'garbage', isBurst: true }),
  newcomer('called', 'own', 4, 240, { kind: 'garbage', isBurst: true }),
];

const STREAM_RATES = [5_000, 12_000, 50_000, 100_000] as const;

const RECOVERY_ROWS: readonly RecoveryRow[] = [
  ...STREAM_RATES.map((rate) => recovery('receiver restarts', false, rate)),
  ...STREAM_RATES.map((rate) => recovery('receiver restarts', true, rate)),
  ...STREAM_RATES.map((rate) => recovery('sender restarts', true, rate)),
  recovery('link down and up', false, 12_000),
  recovery('link down and up', true, 12_000),
  recovery('link down and up', true, 100_000),
  recovery('roam and return', true, 12_000),
  recovery('roam and return', true, 100_000),
  recovery('dead sessions', false, 12_000),
  recovery('dead sessions', true, 12_000),
];

export const ROWS: readonly Row[] = [...SESSION_ROWS, ...NEWCOMER_ROWS, ...RECOVERY_ROWS];

/**
 * The rows that `patterns` name: ids, in which * stands for anything. No pattern: all rows.
 *
 * @throws {Error} with one line for the operator when a pattern names none
 */
export function selectRows(patterns: readonly string[], isQuick: boolean): readonly Row[] {
  const rows = isQuick ? ROWS.filter((each) => each.isQuick) : ROWS;
  if (patterns.length === 0) return rows;
  const expressions = patterns.map((pattern) => {
    const escaped = pattern.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
    const expression = new RegExp(`^${escaped}$`);
    if (rows.some(({ id }) => expression.test(id))) return expression;
    const ids = rows.map(({ id }) => id).join(', ');
    throw new Error(`--row ${pattern}: expected one of ${ids} (* for anything)`);
  });
  return rows.filter(({ id }) => expressions.some((expression) => expression.test(id)));
}
