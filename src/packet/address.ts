/**
 * IP addresses, prefixes and port numbers: text <-> bytes in network order.
 *
 * Owns what is a valid spelling, for the UAPI, the command line and everything shown. It resolves
 * no names and knows no zones: what stands after a `%` means something on one machine only.
 */

/** A prefix of allowed IPs. `address`: 4 or 16 bytes; bits after `length` are zero. */
export interface Prefix {
  readonly address: Uint8Array;
  readonly length: number;
}

const ZERO = 0x30;
const DOT = 0x2e;
const COLON = 0x3a;

/**
 * A plain decimal number from 0 to `max`; null for anything else. A sign, blanks and leading zeros
 * are refused: a leading zero reads as octal to half of the world's parsers.
 */
export function parseDecimal(text: string, max: number): number | null {
  const length = text.length;
  if (length === 0 || length > 15 || (length > 1 && text.charCodeAt(0) === ZERO)) return null;
  let value = 0;
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return null;
    value = value * 10 + digit;
  }
  return value <= max ? value : null;
}

/** A port number, 0 to 65535; null for anything else. */
export function parsePort(text: string): number | null {
  return parseDecimal(text, 65_535);
}

/**
 * An IPv4 address (four decimal octets without leading zeros) as 4 bytes, or an IPv6 address in
 * any form of RFC 4291 2.2 as 16 bytes; null for anything else. A new array each time.
 */
export function parseAddress(text: string): Uint8Array | null {
  if (text.includes(':')) return parseIpv6(text);
  const bytes = new Uint8Array(4);
  return readIpv4(text, 0, text.length, bytes, 0) ? bytes : null;
}

/** Reads a dotted quad from `start` to `end` into `bytes` at `at`. */
function readIpv4(
  text: string,
  start: number,
  end: number,
  bytes: Uint8Array,
  at: number,
): boolean {
  let octets = 0;
  let digits = 0;
  let value = 0;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || octets === 3) return false;
      bytes[at + octets++] = value;
      digits = value = 0;
      continue;
    }
    const digit = code - ZERO;
    if (digit < 0 || digit > 9 || (digits > 0 && value === 0)) return false;
    value = value * 10 + digit;
    digits++;
    if (value > 255) return false;
  }
  if (digits === 0 || octets !== 3) return false;
  bytes[at + 3] = value;
  return true;
}

function parseIpv6(text: string): Uint8Array | null {
  const bytes = new Uint8Array(16);
  const end = text.length;
  let at = 0;
  let gap = -1;
  let i = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return null;
    gap = 0;
    i = 2;
  }
  while (i < end) {
    if (at === 16) return null;
    const groupStart = i;
    let group = 0;
    for (let digit = hexDigit(text, i); digit >= 0; digit = hexDigit(text, ++i)) {
      if (i - groupStart === 4) return null;
      group = (group << 4) | digit;
    }
    if (text.charCodeAt(i) === DOT) {
      // RFC 4291 2.2 (3): the last 32 bits may stand as a dotted quad.
      if (at > 12 || !readIpv4(text, groupStart, end, bytes, at)) return null;
      at += 4;
      break;
    }
    if (i === groupStart) return null;
    bytes[at++] = group >> 8;
    bytes[at++] = group & 0xff;
    if (i === end) break;
    if (text.charCodeAt(i++) !== COLON || i === end) return null;
    if (text.charCodeAt(i) === COLON) {
      if (gap >= 0) return null;
      gap = at;
      i++;
    }
  }
  if (gap < 0) return at === 16 ? bytes : null;
  // RFC 4291 2.2 (2): "::" stands for one or more groups, never for none.
  if (at === 16) return null;
  const tail = at - gap;
  bytes.copyWithin(16 - tail, gap, at);
  bytes.fill(0, gap, 16 - tail);
  return bytes;
}

function hexDigit(text: string, index: number): number {
  const code = text.charCodeAt(index);
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/**
 * The one spelling of an address: a dotted quad, or RFC 5952. An IPv4-mapped address ends in a
 * dotted quad (RFC 5952 5). `bytes`: 4 or 16, only read.
 */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return formatIpv4(bytes, 0);
  if (bytes.length !== 16) throw new Error(`address: ${bytes.length} bytes`);
  if (isMapped(bytes)) return `::ffff:${formatIpv4(bytes, 12)}`;

  // RFC 5952 4.2: the longest run of zero groups is compressed, the first of equals, never one
  // group alone.
  let runStart = -1;
  let runLength = 1;
  for (let group = 0; group < 8; group++) {
    let length = 0;
    while (group + length < 8 && groupAt(bytes, group + length) === 0) length++;
    if (length > runLength) {
      runStart = group;
      runLength = length;
    }
    group += length;
  }
  let text = '';
  for (let group = 0; group < 8; group++) {
    if (group === runStart) {
      text += '::';
      group += runLength - 1;
      continue;
    }
    if (text !== '' && !text.endsWith(':')) text += ':';
    text += groupAt(bytes, group).toString(16);
  }
  return text;
}

function formatIpv4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

function groupAt(bytes: Uint8Array, group: number): number {
  return (bytes[2 * group] << 8) | bytes[2 * group + 1];
}

/** Whether an IPv6 address stands for an IPv4 one: ::ffff:0:0/96 (RFC 4291 2.5.5.2). */
export function isMapped(bytes: Uint8Array): boolean {
  if (bytes.length !== 16 || bytes[10] !== 0xff || bytes[11] !== 0xff) return false;
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return true;
}

/**
 * `ADDRESS/LENGTH`, or an address alone, which means that one host (/32 or /128). Bits after the
 * prefix are masked off, as wg(8) does. null for anything else.
 */
export function parsePrefix(text: string): Prefix | null {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === null) return null;
  const bits = address.length * 8;
  const length = slash < 0 ? bits : parseDecimal(text.slice(slash + 1), bits);
  if (length === null) return null;
  maskInPlace(address, length);
  return { address, length };
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`;
}

/** A copy of `address` (4 or 16 bytes) in which all bits after the first `length` are zero. */
export function maskAddress(address: Uint8Array, length: number): Uint8Array {
  const masked = address.slice();
  maskInPlace(masked, length);
  return masked;
}

/** Whether the address, 4 or 16 bytes, is one of the prefix's; never of another family's. */
export function isWithin(address: Uint8Array, prefix: Prefix): boolean {
  if (address.length !== prefix.address.length) return false;
  return maskAddress(address, prefix.length).every((byte, at) => byte === prefix.address[at]);
}

/** The last address of the network in which `address` is: all bits after the first `length` are one. */
export function broadcastOf(address: Uint8Array, length: number): Uint8Array {
  const network = maskAddress(address, length);
  const mask = maskAddress(new Uint8Array(address.length).fill(0xff), length);
  return network.map((octet, at) => octet | (mask[at] ^ 0xff));
}

function maskInPlace(address: Uint8Array, length: number): void {
  const whole = length >> 3;
  if (whole >= address.length) return;
  address[whole] &= 0xff00 >> (length & 7);
  address.fill(0, whole + 1);
}
