/**
 * The values after the words: what each may be, and one line that says so when it is not. Pure;
 * knows no order of words.
 */

import { formatAddress, isMapped, parseAddress } from '../packet/address.ts';
import { isHostName } from '../packet/hostname.ts';
import { couldHoldKey, visible } from '../quotation.ts';
import { INTERFACE_NAME_BYTES_MAX, interfaceNameError } from '../sys/interfacename.ts';
import { habit } from './habits.ts';
import { nearest } from './nearest.ts';

const MAX_TEXT_BYTES = 255;

/** Whether Linux takes `name` for an interface, and nobody takes it for an option. */
export function isInterfaceName(name: string): boolean {
  return interfaceNameError(name) === null && !name.startsWith('-');
}

/** What isInterfaceName asks for, for a message. */
export const INTERFACE_NAME_RULE = `expected the name of an interface: 1 to ${INTERFACE_NAME_BYTES_MAX} characters, no blanks, "/", ":" or "%"`;

/** ifconfig's rule for interfaces that may be created: a number says which one. */
export function isCreatableName(name: string): boolean {
  return isInterfaceName(name) && /[0-9]$/.test(name);
}

/**
 * Whether a file /etc/hostname.NAME is an interface's: beside these files lie what editors and packages
 * leave there, as wg0~, wg0.bak and wg0.dpkg-old.
 */
export function isStartedName(name: string): boolean {
  return isCreatableName(name) && /^[\w-]+$/.test(name);
}

export function unknownWord(typed: string, candidates: readonly string[]): string {
  const meant = habit(typed);
  if (meant !== null) return `${visible(typed)}: ${meant}`;
  const near = nearest(typed, candidates);
  return near === null
    ? `${visible(typed)}: unknown word; \`tswg help\` lists them all`
    : `${visible(typed)}: unknown word; did you mean ${near}?`;
}

export function textMistake(word: string, text: string): string | null {
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text))
    return `${word}: ${visible(text)}: expected one line of plain text`;
  const length = Buffer.byteLength(text);
  return length > MAX_TEXT_BYTES
    ? `${word}: ${visible(text)}: expected at most ${MAX_TEXT_BYTES} bytes, but it has ${length}`
    : null;
}

/** The bits of a mask without holes, `255.255.255.252` or `0xfffffffc`. */
export function parseNetmask(text: string): number | null {
  let mask: number;
  if (/^0x[0-9a-f]{8}$/i.test(text)) {
    mask = Number.parseInt(text, 16);
  } else {
    const bytes = parseAddress(text);
    if (bytes === null || bytes.length !== 4) return null;
    mask = new DataView(bytes.buffer).getUint32(0);
  }
  const length = Math.clz32(~mask);
  const expected = length === 0 ? 0 : (0xffff_ffff << (32 - length)) >>> 0;
  return mask === expected ? length : null;
}

/** Whether an IPv4 address can only be a mask: 255.255.255.0, or as others write it, 0.0.0.255. */
export function isMask(address: Uint8Array): boolean {
  if (address.length !== 4) return false;
  const inverse = address.map((octet) => octet ^ 0xff);
  return [address, inverse].some((mask) => parseNetmask(formatAddress(mask)) !== null);
}

/** What is wrong with the host of an endpoint: neither an address nor a name that DNS could hold. */
export function hostMistake(host: string): string | null {
  const expected = 'expected an address or a host name';
  const bracketed = host.startsWith('[') && host.endsWith(']');
  const bare = bracketed ? host.slice(1, -1) : host;
  const percent = bare.indexOf('%');
  const address = parseAddress(percent < 0 ? bare : bare.slice(0, percent));
  if (address !== null) {
    if (bracketed && address.length === 4) return `${visible(host)}: ${expected}`;
    if (percent >= 0 && !(address.length === 16 && isInterfaceName(bare.slice(percent + 1)))) {
      return `${visible(host)}: expected an interface after "%", as in fe80::1%eth0`;
    }
    const wrong = endpointMistake(address, percent >= 0);
    return wrong === null ? null : `${visible(host)}: ${wrong}`;
  }
  if (/^([^:]+|\[.*\]):\d+$/.test(host)) {
    return `${visible(host)}: expected HOST and PORT as two words`;
  }
  // A key without its `=` would be a name, and DNS be asked for it.
  const isKey = !bare.replace(/\.$/, '').includes('.') && couldHoldKey(bare);
  if (bracketed || !isHostName(bare) || isKey) return `${visible(host)}: ${expected}`;
  return null;
}

/** What keeps an address from being where a peer is; null when nothing does. */
export function endpointMistake(address: Uint8Array, hasZone: boolean): string | null {
  const expected = 'expected the address of the peer';
  const bytes = isMapped(address) ? address.subarray(12) : address;
  if (bytes.every((octet) => octet === 0)) return `this means every address: ${expected}`;
  if (bytes.every((octet) => octet === 0xff)) return `this is the broadcast address: ${expected}`;
  if (bytes.length === 4 && bytes[0] === 0)
    return `no machine has an address in 0.0.0.0/8: ${expected}`;
  if (bytes.length === 4 && bytes[0] >= 0xf0) return `240.0.0.0/4 is reserved: ${expected}`;
  const isMulticast = bytes.length === 4 ? (bytes[0] & 0xf0) === 0xe0 : bytes[0] === 0xff;
  if (isMulticast) return `this is a multicast group: ${expected}`;
  const isLinkLocal = bytes.length === 16 && bytes[0] === 0xfe && (bytes[1] & 0xc0) === 0x80;
  return isLinkLocal && !hasZone
    ? 'a link-local address: expected %INTERFACE after it, as in fe80::1%eth0'
    : null;
}
