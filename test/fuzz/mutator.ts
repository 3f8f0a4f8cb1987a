/**
 * Hostile inputs out of real ones. Everything is drawn from the dice, so the same dice make the
 * same input; nothing here knows a format. Bytes are changed as bytes; text by its lines, tokens
 * and characters; command lines by their words.
 */

import type { Dice } from '../packet/trains.ts';

/** Where parsers change their minds. */
const NUMBERS = [
  ...[0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 19, 20, 31, 32, 39, 40, 63, 64, 127, 128, 255, 256],
  ...[1279, 1280, 1420, 1500, 32_767, 32_768, 65_534, 65_535, 0x7fff_ffff, 0x8000_0000],
  ...[0xffff_fffc, 0xffff_fffe, 0xffff_ffff],
];
const NEAR = 20;
/** Changes in one input: mostly one, now and then many. */
const CHANGES_MAX = 12;
const BLOCK_MAX = 48;
/** Characters of a value or a line, and of a whole text: parts repeated over and over grow fast. */
const TOKEN_MAX = 16 * 1024;
const TEXT_MAX = 256 * 1024;

type ByteChange = (bytes: Uint8Array, others: readonly Uint8Array[], dice: Dice) => Uint8Array;

/** A changed copy of `base`, at most `lengthMax` bytes. `others`: what pieces are taken from. */
export function mutateBytes(
  base: Uint8Array,
  others: readonly Uint8Array[],
  dice: Dice,
  lengthMax: number,
): Uint8Array {
  let bytes: Uint8Array = base.slice();
  for (let changes = countOf(dice); changes > 0; changes--) {
    bytes = dice.pick(BYTE_CHANGES)(bytes, others, dice);
    if (bytes.length > lengthMax) bytes = bytes.slice(0, lengthMax);
  }
  return bytes;
}

function countOf(dice: Dice): number {
  let changes = 1;
  while (changes < CHANGES_MAX && dice.oneIn(2)) changes++;
  return changes;
}

/** Changes that keep the length: the header fields of a packet, the fields of a message. */
const BYTE_CHANGES_IN_PLACE: readonly ByteChange[] = [
  (bytes, _others, dice) => {
    if (bytes.length > 0) bytes[dice.below(bytes.length)] ^= 1 << dice.below(8);
    return bytes;
  },
  (bytes, _others, dice) => {
    if (bytes.length > 0) bytes[dice.below(bytes.length)] = dice.below(256);
    return bytes;
  },
  (bytes, _others, dice) => {
    setNumber(bytes, dice, dice.pick(NUMBERS));
    return bytes;
  },
  // Length fields: a little more or less than is right, or what is right for the whole.
  (bytes, _others, dice) => {
    const { at, width, little } = place(bytes, dice);
    if (at < 0) return bytes;
    const step = 1 + dice.below(NEAR);
    const value = readNumber(bytes, at, width, little) + (dice.oneIn(2) ? step : -step);
    writeNumber(bytes, at, width, little, value);
    return bytes;
  },
  (bytes, _others, dice) => {
    setNumber(bytes, dice, bytes.length - at0(dice, bytes.length));
    return bytes;
  },
  // One part written over another.
  (bytes, _others, dice) => {
    const length = Math.min(1 + dice.below(BLOCK_MAX), bytes.length);
    const [from, to] = [at0(dice, bytes.length), at0(dice, bytes.length)];
    bytes.copyWithin(to, from, from + length);
    return bytes;
  },
  (bytes, others, dice) => {
    const other = dice.pick(others);
    const from = at0(dice, other.length);
    const part = other.subarray(from, from + 1 + dice.below(BLOCK_MAX));
    const to = at0(dice, bytes.length);
    bytes.set(part.subarray(0, bytes.length - to), to);
    return bytes;
  },
];

const BYTE_CHANGES: readonly ByteChange[] = [
  ...BYTE_CHANGES_IN_PLACE,
  ...BYTE_CHANGES_IN_PLACE,
  (bytes, _others, dice) => bytes.slice(0, at0(dice, bytes.length)),
  (bytes, _others, dice) =>
    extend(bytes, dice.oneIn(8) ? 1 + dice.below(4096) : 1 + dice.below(BLOCK_MAX), dice),
  // A part left out.
  (bytes, _others, dice) => {
    const at = at0(dice, bytes.length);
    const length = 1 + dice.below(BLOCK_MAX);
    return join(bytes.subarray(0, at), bytes.subarray(at + length));
  },
  // A part repeated, often enough to meet a limit now and then.
  (bytes, _others, dice) => {
    const at = at0(dice, bytes.length);
    const block = bytes.slice(at, at + 1 + dice.below(BLOCK_MAX));
    const times = dice.oneIn(16) ? 1 + dice.below(200) : 1 + dice.below(3);
    return join(bytes.subarray(0, at), ...Array(times).fill(block), bytes.subarray(at));
  },
  (bytes, others, dice) => {
    const other = dice.pick(others);
    const head = bytes.subarray(0, at0(dice, bytes.length));
    return join(head, other.subarray(at0(dice, other.length)));
  },
];

/** A changed copy of `base` of the same length. */
export function mutateInPlace(
  base: Uint8Array,
  others: readonly Uint8Array[],
  dice: Dice,
): Uint8Array {
  let bytes: Uint8Array = base.slice();
  for (let changes = countOf(dice); changes > 0; changes--) {
    bytes = dice.pick(BYTE_CHANGES_IN_PLACE)(bytes, others, dice);
  }
  return bytes;
}

/** Any offset of something of this length; 0 when it is empty. Every third is among the first 64. */
function at0(dice: Dice, length: number): number {
  return dice.below(Math.max(1, dice.oneIn(3) ? Math.min(length, 64) : length));
}

function place(bytes: Uint8Array, dice: Dice): { at: number; width: number; little: boolean } {
  const width = dice.pick([1, 2, 2, 4]);
  const at = bytes.length < width ? -1 : at0(dice, bytes.length - width + 1);
  return { at, width, little: dice.oneIn(2) };
}

function setNumber(bytes: Uint8Array, dice: Dice, value: number): void {
  const { at, width, little } = place(bytes, dice);
  if (at >= 0) writeNumber(bytes, at, width, little, value);
}

function readNumber(bytes: Uint8Array, at: number, width: number, little: boolean): number {
  let value = 0;
  for (let i = 0; i < width; i++) value = value * 256 + bytes[little ? at + width - 1 - i : at + i];
  return value;
}

function writeNumber(
  bytes: Uint8Array,
  at: number,
  width: number,
  little: boolean,
  value: number,
): void {
  for (let i = 0; i < width; i++) {
    bytes[little ? at + i : at + width - 1 - i] = value;
    value = Math.floor(value / 256);
  }
}

function extend(bytes: Uint8Array, length: number, dice: Dice): Uint8Array {
  const extended = new Uint8Array(bytes.length + length);
  extended.set(bytes);
  if (dice.oneIn(2)) extended.fill(dice.below(256), bytes.length);
  return extended;
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Characters that end, hide or double something somewhere. */
const CHARACTERS = [
  ...['\0', '\r', '\n', '\t', ' ', '=', ':', '/', '.', '-', '%', '[', ']', '+', '"', "'", '\\'],
  ...['\u0085', '\u2028', '\u2029', '\ufeff', '\u202e', '\u00a0', '\u0300', 'ß', 'İ', '٣', '０'],
  ...['\ud800', '\udfff', '\ud83d\ude00', '\u001b[2J', '\u007f', '\u00ad', '\u200b'],
];

const TOKENS = [
  ...['0', '1', '-1', '-0', '+1', '00', '01', '1e3', '0x1', '0X1f', '0b1', '1_000', '1.0', ' 1'],
  ...['255', '256', '32', '33', '128', '129', '65535', '65536', '4294967295', '4294967296'],
  ...['9007199254740992', '18446744073709551616', '9'.repeat(30), 'NaN', 'Infinity', 'null'],
  ...['true', 'false', '', '__proto__', 'constructor', 'toString', '::', '::1', '0.0.0.0/0'],
  ...['::/0', '1.2.3.4', '::ffff:1.2.3.4', 'fe80::1%eth0', '[::1]:1', '1.2.3.4:5', 'a'.repeat(64)],
  ...['0'.repeat(64), 'A'.repeat(43), `${'A'.repeat(42)}E=`],
];

type TextChange = (text: string, others: readonly string[], dice: Dice) => string;

/** A token, a character or a part of the text made another. */
const CHARACTER_CHANGES: readonly TextChange[] = [
  (text, _others, dice) => replaceAt(text, at0(dice, text.length), 1, dice.pick(CHARACTERS)),
  (text, _others, dice) => replaceAt(text, at0(dice, text.length + 1), 0, dice.pick(CHARACTERS)),
  (text, _others, dice) => replaceAt(text, at0(dice, text.length), 1 + dice.below(3), ''),
  (text, _others, dice) => {
    const at = at0(dice, text.length);
    return replaceAt(
      text,
      at,
      1,
      String.fromCharCode((text.charCodeAt(at) || 0) ^ (1 << dice.below(7))),
    );
  },
  (text, _others, dice) => replaceAt(text, at0(dice, text.length + 1), 0, dice.pick(TOKENS)),
  (text, _others, dice) => text.slice(0, at0(dice, text.length)),
  (text, _others, dice) => {
    const at = at0(dice, text.length);
    const part = text.slice(at, at + 1 + dice.below(8));
    const times = dice.oneIn(16) ? 1 + dice.below(3000) : 1 + dice.below(4);
    return replaceAt(text, at, 0, part.repeat(times));
  },
  (text, _others, dice) => (dice.oneIn(2) ? text.toUpperCase() : text.toLowerCase()),
  (text, others, dice) => {
    const other = dice.pick(others);
    return text.slice(0, at0(dice, text.length)) + other.slice(at0(dice, other.length));
  },
  (text, _others, dice) => changeToken(text, dice),
  (text, _others, dice) => changeToken(text, dice),
];

function replaceAt(text: string, at: number, length: number, by: string): string {
  return text.slice(0, at) + by + text.slice(at + length);
}

/** Replaces, drops, doubles or moves one of the tokens between separators. */
function changeToken(text: string, dice: Dice): string {
  const tokens = text.split(/([=:/%,.\s[\]-]+)/);
  const at = dice.below(tokens.length);
  switch (dice.below(4)) {
    case 0:
      tokens[at] = dice.pick(TOKENS);
      break;
    case 1:
      tokens[at] = '';
      break;
    case 2:
      tokens[at] += tokens[at];
      break;
    default: {
      const other = dice.below(tokens.length);
      [tokens[at], tokens[other]] = [tokens[other], tokens[at]];
    }
  }
  return tokens.join('');
}

/** A changed copy of one value or line. */
export function mutateToken(text: string, others: readonly string[], dice: Dice): string {
  let changed = text;
  for (let changes = countOf(dice); changes > 0; changes--) {
    changed = dice.pick(CHARACTER_CHANGES)(changed, others, dice);
    if (changed.length > TOKEN_MAX) changed = changed.slice(0, TOKEN_MAX);
  }
  return changed;
}

/** A changed copy of a text of several lines. `others`: whole texts. */
export function mutateText(text: string, others: readonly string[], dice: Dice): string {
  if (dice.oneIn(3)) return mutateToken(text, others, dice);
  const lines = mutateList(text.split('\n'), dice.pick(others).split('\n'), dice);
  return lines.join('\n').slice(0, TEXT_MAX);
}

/**
 * A changed copy of a command line, as long as the kernel would take one at most.
 * `vocabulary`: the words that mean something.
 */
export function mutateWords(
  words: readonly string[],
  others: readonly (readonly string[])[],
  vocabulary: readonly string[],
  dice: Dice,
): string[] {
  const changed = mutateList(words, dice.oneIn(3) ? dice.pick(others) : vocabulary, dice);
  let room = TEXT_MAX;
  return changed.map((word) => {
    const part = word.slice(0, Math.min(TOKEN_MAX, room));
    room -= part.length;
    return part;
  });
}

/** Drops, doubles, swaps, replaces and changes elements; now and then many of them. */
function mutateList(list: readonly string[], others: readonly string[], dice: Dice): string[] {
  const changed = [...list];
  for (let changes = countOf(dice); changes > 0; changes--) {
    const at = dice.below(Math.max(1, changed.length));
    switch (dice.below(7)) {
      case 0:
        changed.splice(at, 1);
        break;
      case 1: {
        const times = dice.oneIn(64) ? 1 + dice.below(500) : 1;
        changed.splice(at, 0, ...Array<string>(times).fill(changed[at] ?? ''));
        break;
      }
      case 2: {
        const other = dice.below(Math.max(1, changed.length));
        [changed[at], changed[other]] = [changed[other] ?? '', changed[at] ?? ''];
        break;
      }
      case 3:
        changed[at] = dice.pick(others);
        break;
      case 4:
        changed.splice(at, 0, dice.pick(others));
        break;
      default:
        changed[at] = mutateToken(changed[at] ?? '', others, dice);
    }
  }
  return changed;
}
