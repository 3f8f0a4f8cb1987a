/**
 * The values in command lines, requests and files, each by every parser that takes one: addresses
 * (held against node:net's), prefixes, endpoints, keys, key files, ports, marks, masks, host and
 * interface names.
 */

import { isIPv4, isIPv6 } from 'node:net';
import { sameBytes } from '../../../src/bytes.ts';
import { keyIn } from '../../../src/cli/keyfiles.ts';
import {
  formatKey as formatBase64Key,
  keyMistake,
  parseKey as parseBase64Key,
} from '../../../src/cli/keys.ts';
import { Refusal } from '../../../src/cli/refusal.ts';
import {
  hostMistake,
  isCreatableName,
  isInterfaceName,
  parseNetmask,
  textMistake,
} from '../../../src/cli/values.ts';
import { formatEndpoint } from '../../../src/device/endpoint.ts';
import {
  formatAddress,
  formatPrefix,
  parseAddress,
  parseDecimal,
  parsePort,
  parsePrefix,
} from '../../../src/packet/address.ts';
import { visible } from '../../../src/quotation.ts';
import { parseEndpoint } from '../../../src/uapi/endpoint.ts';
import { formatKey, parseKey } from '../../../src/uapi/key.ts';
import { parseMark } from '../../../src/uapi/set.ts';
import type { Dice } from '../../packet/trains.ts';
import { mutateToken } from '../mutator.ts';
import { holds, holdsEqual, type RunningTarget, type Target } from '../target.ts';

const CORPUS = [
  ...['203.0.113.10', '0.0.0.0', '255.255.255.255', '2001:db8::1', '::', '::1', 'fe80::1%eth0'],
  ...['::ffff:192.0.2.1', '64:ff9b::192.0.2.33', '1:2:3:4:5:6:7:8', '1::8', '1:2:3:4:5:6:7::'],
  ...['10.20.0.0/24', 'fd00:20::/64', '0.0.0.0/0', '::/0', '203.0.113.10:51820', '[::1]:65535'],
  ...['[fe80::1%3]:1', '[::ffff:192.0.2.1]:9', '51820', '0', '65535', '0xca6c', '4294967295'],
  ...['255.255.255.252', '0xfffffffc', 'vpn.example.net', '_wg.my-host.x1', 'localhost.', 'wg0'],
  ...['ab'.repeat(32), `${'A'.repeat(42)}E=`, `${'B'.repeat(42)}E=\n`, '  to the Berlin office '],
];
const interfaceIndex = (name: string) => (name === 'eth0' ? 3 : 0);
const MESSAGE_MAX = 300;

class Values implements RunningTarget {
  generate(dice: Dice): string {
    return mutateToken(dice.pick(CORPUS), CORPUS, dice);
  }

  run(text: string): string {
    checkNumbers(text);
    checkNames(text);
    const kinds = [checkAddress(text), checkPrefix(text), checkEndpoint(text), checkKeys(text)];
    return kinds.filter((kind) => kind !== '').join(', ') || 'none';
  }
}

function checkAddress(text: string): string {
  const address = parseAddress(text);
  // node:net takes zones, and for IPv4 the same spellings.
  const isAddress = isIPv4(text) || (isIPv6(text) && !text.includes('%'));
  holds((address !== null) === isAddress, `an address is ${isAddress} to node:net`);
  if (address === null) return '';
  const formatted = formatAddress(address);
  holds(sameBytes(parseAddress(formatted)!, address), `an address comes back from ${formatted}`);
  return address.length === 4 ? 'IPv4' : 'IPv6';
}

function checkPrefix(text: string): string {
  const prefix = parsePrefix(text);
  if (prefix === null) return '';
  holds(prefix.length <= prefix.address.length * 8, 'a prefix longer than its address');
  holdsEqual(parsePrefix(formatPrefix(prefix)), prefix, 'a prefix written and read');
  return 'prefix';
}

function checkEndpoint(text: string): string {
  const endpoint = parseEndpoint(text, interfaceIndex);
  if (endpoint === null) return '';
  holdsEqual(parseEndpoint(formatEndpoint(endpoint)), endpoint, 'an endpoint written and read');
  return 'endpoint';
}

function checkKeys(text: string): string {
  const key = parseKey(text);
  if (key !== null) holds(formatKey(key) === text.toLowerCase(), 'a key written and read');
  const base64 = parseBase64Key(text);
  if (base64 !== null) holds(formatBase64Key(base64) === text, 'a base64 key written and read');
  else checkMessage(keyMistake('wgkey', text), text, true);
  const file = keyOfFile(text);
  holds(file === null || formatBase64Key(file) === text.trim(), 'the key of a file');
  return [key && 'key', base64 && 'base64 key', file && 'key file'].filter(Boolean).join(', ');
}

function keyOfFile(text: string): Uint8Array | null {
  try {
    return keyIn(text, 'wgkeyfile', '/etc/wg/private.key');
  } catch (error) {
    holds(error instanceof Refusal, 'a key file is refused by an exception');
    checkMessage(error.message, text, true);
    return null;
  }
}

function checkNumbers(text: string): void {
  const port = parsePort(text);
  if (port !== null) holds(String(port) === text && port <= 65_535, 'a port written and read');
  const number = parseDecimal(text, Number.MAX_SAFE_INTEGER);
  if (number !== null) holds(String(number) === text, 'a number written and read');
  const mark = parseMark(text);
  if (mark !== null) holds(mark >= 0 && mark <= 0xffff_ffff, 'a mark of more than 32 bits');
  const mask = parseNetmask(text);
  if (mask !== null) holds(mask >= 0 && mask <= 32, 'a mask of more than 32 bits');
}

function checkNames(text: string): void {
  checkMessage(hostMistake(text), text, false);
  checkMessage(textMistake('wgdescr', text), text, false);
  holds(!isCreatableName(text) || isInterfaceName(text), 'a name that may be made, and is none');
  if (isInterfaceName(text)) {
    holds(Buffer.byteLength(text) <= 15 && !/[\s/]/.test(text), `a name that Linux refuses`);
  }
}

/** One line that an operator can read, and which repeats no secret. */
function checkMessage(message: string | null, text: string, isSecret: boolean): void {
  if (message === null) return;
  const isLine = message !== '' && message.length <= MESSAGE_MAX && visible(message) !== '""';
  holds(isLine && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(message), 'a message of more than a line');
  holds(!isSecret || text.length < 20 || !message.includes(text), 'a secret in a message');
}

export const values: Target = {
  name: 'values',
  sources: ['packet/address', 'uapi/endpoint', 'uapi/key', 'cli/values', 'cli/keys'],
  create: () => new Values(),
};
