/**
 * What there is to observe <-> the text that answers our own `stats=1`, of the device first, then
 * of each peer, which begins with its `public_key=`:
 *
 *   fact_NAME=TEXT            an info
 *   trouble=CODE NAME=VALUE   what is wrong; as many values as it has, each after a blank: a decimal
 *                             number, true, false, or a string as in JSON
 *   NAME=COUNT                a counter or a gauge, in decimal
 *
 * Names and codes are the Device's and the daemon's to choose. A reader skips what it cannot make
 * sense of, so that each side may be of another version.
 */

import type { Measured } from '../device/metric.ts';
import { formatKey, parseKey } from './key.ts';
import { readLines } from './lines.ts';
import { parseErrno } from './response.ts';

const FACT_PREFIX = 'fact_';
const PEER_KEY = 'public_key';
const TROUBLE_KEY = 'trouble';
const ERRNO_KEY = 'errno';

export type TroubleValue = number | string | boolean;

/** What is told of the device, or of one peer. The numbers in it are finite. */
interface Part extends Measured {
  readonly troubles: readonly (Readonly<Record<string, TroubleValue>> & {
    readonly code: string;
  })[];
}

export interface Stats extends Part {
  readonly peers: Iterable<Part & { readonly publicKey: Uint8Array }>;
}

/** The body of the answer, for response.ts to end. Throws on a name that cannot be told: our bug. */
export function formatStats(stats: Stats): string {
  return [...tellStats(stats)].join('');
}

/** The same in pieces, one of the interface itself and one of each peer. */
export function* tellStats(stats: Stats): Generator<string> {
  yield formatPart(stats);
  for (const peer of stats.peers) {
    yield `${PEER_KEY}=${formatKey(peer.publicKey)}\n${formatPart(peer)}`;
  }
}

function formatPart(part: Part): string {
  const lines: string[] = [];
  for (const [name, text] of Object.entries(part.facts)) {
    if (!isName(name) || text.includes('\n')) throw new Error(`stats: fact ${name}`);
    lines.push(`${FACT_PREFIX}${name}=${text}`);
  }
  for (const { code, ...values } of part.troubles) {
    const words = Object.entries(values).map(([name, value]) => {
      const isSound = CODE.test(name) && (typeof value !== 'number' || NUMBER.test(String(value)));
      if (!isSound) throw new Error(`stats: trouble ${code}: ${name}`);
      return ` ${name}=${typeof value === 'string' ? JSON.stringify(value) : value}`;
    });
    if (!CODE.test(code)) throw new Error(`stats: trouble ${code}`);
    lines.push(`${TROUBLE_KEY}=${code}${words.join('')}`);
  }
  for (const [name, count] of Object.entries(part.counters)) {
    const isTaken = name.startsWith(FACT_PREFIX) || RESERVED.includes(name);
    if (!isName(name) || isTaken || !COUNT.test(String(count))) {
      throw new Error(`stats: counter ${name}: ${count}`);
    }
    lines.push(`${name}=${count}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

const RESERVED: readonly string[] = [PEER_KEY, TROUBLE_KEY, ERRNO_KEY];
/** Of a trouble, and of its values. */
const CODE = /^[a-z][a-zA-Z0-9]*$/;

function isName(text: string): boolean {
  return /^\w+$/.test(text);
}

/** A trouble as a daemon tells of it, which may be one of another version, or no daemon of ours. */
export interface ReportedTrouble {
  /** Of letters and digits only, as are the names of the values. */
  readonly code: string;
  /** Numbers are finite; strings are foreign text. */
  readonly values: Readonly<Record<string, TroubleValue>>;
}

interface ReportedPart extends Measured {
  readonly troubles: readonly ReportedTrouble[];
}

/** What a daemon observed, and how the request ended. */
export interface ReportedStats extends ReportedPart {
  /** Positive, 0 for success; EPROTO when the answer is cut short before it. */
  readonly errno: number;
  readonly peers: readonly ReportedPeer[];
}

export interface ReportedPeer extends ReportedPart {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** Reads a whole answer to `stats`. Lines that make no sense are skipped; never throws. */
export function parseStats(text: string): ReportedStats {
  const device = newPart();
  const peers: (PartDraft & { publicKey: Uint8Array })[] = [];
  let part = device;
  readLines(text, meaningOf, (meaning, value) => {
    switch (meaning.kind) {
      case 'peer': {
        const publicKey = parseKey(value);
        part = newPart();
        if (publicKey !== null) peers.push(Object.assign(part, { publicKey }));
        return;
      }
      case 'trouble': {
        const trouble = parseTrouble(value);
        if (trouble !== null) part.troubles.push(trouble);
        return;
      }
      case 'fact':
        put(part.facts, meaning.name, value);
        return;
      case 'counter':
        if (COUNT.test(value)) put(part.counters, meaning.name, Number(value));
    }
  });
  return { errno: parseErrno(text), ...device, peers };
}

type Meaning =
  | { readonly kind: 'peer' | 'trouble' }
  | { readonly kind: 'fact' | 'counter'; readonly name: string };

/** null for what is shown to nobody: it would be shown on a terminal as it is. */
function meaningOf(key: string): Meaning | null {
  if (!isName(key) || key === ERRNO_KEY) return null;
  if (key === PEER_KEY) return { kind: 'peer' };
  if (key === TROUBLE_KEY) return { kind: 'trouble' };
  if (!key.startsWith(FACT_PREFIX)) return { kind: 'counter', name: key };
  return { kind: 'fact', name: key.slice(FACT_PREFIX.length) };
}

/** So that a name such as `__proto__` is a name like any other. */
function put<T>(all: Record<string, T>, name: string, value: T): void {
  if (name !== '__proto__') all[name] = value;
  else Object.defineProperty(all, name, { value, enumerable: true });
}

/** Of a trouble: what JavaScript writes without an exponent and reads as the same. */
const NUMBER = /^-?\d{1,15}(?:\.\d{1,6})?$/;
const COUNT = /^\d{1,20}(?:\.\d{1,20})?$/;
/** One value and the blank before it. */
const VALUE =
  / (?<name>[a-z][a-zA-Z0-9]*)=(?<value>"(?:[^"\\]|\\.)*"|-?\d{1,15}(?:\.\d{1,6})?|true|false)(?= |$)/y;

/** null when the code is none. What follows something that makes no sense is not read. */
function parseTrouble(text: string): ReportedTrouble | null {
  const [code = ''] = text.split(' ', 1);
  if (!CODE.test(code)) return null;
  const values = new Map<string, TroubleValue>();
  VALUE.lastIndex = code.length;
  for (let found = VALUE.exec(text); found !== null; found = VALUE.exec(text)) {
    const { name = '', value = '' } = found.groups!;
    try {
      // Zero has no sign.
      values.set(name, /^-0(\.0+)?$/.test(value) ? 0 : JSON.parse(value));
    } catch {
      // A string with an escape that is none, or a number that begins with a zero.
      break;
    }
  }
  return { code, values: Object.fromEntries(values) };
}

interface PartDraft {
  readonly facts: Record<string, string>;
  readonly counters: Record<string, number>;
  readonly troubles: ReportedTrouble[];
}

function newPart(): PartDraft {
  return { facts: {}, counters: {}, troubles: [] };
}
