/**
 * Rows of peers (device/peerrows.ts) as a part of the contents: names and lengths in their JSON, and
 * among the bytes after it, in this order and in this machine's order of bytes,
 *
 *   the preshared keys, those of the sessions, what is set of the replay windows, the timestamps, the
 *   numbers of the peers, and those of the sessions
 */

import type { OwnSide, PeerRows, Rows } from '../device/peerrows.ts';
import { formatHex, parseHex } from '../uapi/key.ts';
import type { Reader, Secrets } from './reader.ts';

const INDEX_MAX = 0xffff_ffff;
const NUMBER_BYTES = Float64Array.BYTES_PER_ELEMENT;

export function describeRows(rows: PeerRows): object {
  const { peers, sessions, presharedKeys, sessionKeys, seen, timestamps } = rows;
  return {
    ...{ peers: describe(peers), sessions: describe(sessions) },
    ownSides: rows.ownSides.map(({ source, sourceInterface }) => ({
      source: source === null ? '' : formatHex(source),
      sourceInterface,
    })),
    presharedKeysLength: presharedKeys.length,
    sessionKeysLength: sessionKeys.length,
    seenLength: seen.length,
    timestampsLength: timestamps.length,
  };
}

function describe({ columns, values }: Rows): object {
  return { columns, length: values.length };
}

/** Borrowed. */
export function rowsBytes(rows: PeerRows): Uint8Array[] {
  const { peers, sessions, presharedKeys, sessionKeys, seen, timestamps } = rows;
  const numbers = [peers, sessions].map(({ values }) => new Uint8Array(values.buffer));
  return [presharedKeys, sessionKeys, seen, timestamps, ...numbers];
}

/** That numbers are what they can be is for those to see who take them. */
export function decodeRows(rows: Reader, secrets: Secrets): PeerRows {
  const take = (name: string): Uint8Array => secrets.take(rows.integer(name, 0));
  const bytes = {
    presharedKeys: take('presharedKeysLength'),
    sessionKeys: take('sessionKeysLength'),
    seen: take('seenLength'),
    timestamps: take('timestampsLength'),
  };
  return {
    ...bytes,
    peers: decode(rows.child('peers'), secrets),
    sessions: decode(rows.child('sessions'), secrets),
    ownSides: rows.children('ownSides').map(decodeOwnSide),
  };
}

function decode(rows: Reader, secrets: Secrets): Rows {
  const bytes = secrets.take(rows.integer('length', 0) * NUMBER_BYTES);
  // Of fewer bytes than were asked for nothing comes (Secrets.isShort).
  const length = Math.floor(bytes.length / NUMBER_BYTES);
  return { columns: rows.texts('columns'), values: new Float64Array(bytes.buffer, 0, length) };
}

function decodeOwnSide(side: Reader): OwnSide {
  const text = side.text('source');
  return {
    source: parseHex(text, 4) ?? parseHex(text, 16),
    sourceInterface: side.integer('sourceInterface', 0, INDEX_MAX),
  };
}
