/**
 * The grammars of addresses and of the control socket: what is right means what it says, and what
 * is broken in one place is refused by the line that is wrong. Single cases stand beside the
 * parsers' own tests; here sentences are put together at random.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatEndpoint } from '../../src/device/endpoint.ts';
import {
  formatAddress,
  formatPrefix,
  parseAddress,
  parsePrefix,
} from '../../src/packet/address.ts';
import { visible } from '../../src/quotation.ts';
import { formatKey } from '../../src/uapi/key.ts';
import { RequestReader } from '../../src/uapi/request.ts';
import { EINVAL } from '../../src/uapi/response.ts';
import { parseSet } from '../../src/uapi/set.ts';
import { description, endpoint, key, prefix } from '../uapi/arbitraries.ts';
import { anyAddress, octets, type Part, part, port, RUNS, spelledMark } from './sentence.ts';

// Spellings of one IPv6 address: any case, leading zeros, one run of zero groups left out or not.
const spelledIpv6 = fc
  .tuple(octets(16), fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), fc.nat(7), fc.nat(8))
  .map(([address, pad, gapAt, gapLength]) => {
    const end = Math.min(8, gapAt + gapLength);
    for (let group = gapAt; group < end; group++) address.fill(0, 2 * group, 2 * group + 2);
    const groups = pad.map((isPadded, group) => {
      const text = ((address[2 * group] << 8) | address[2 * group + 1]).toString(16);
      return isPadded ? text.padStart(4, '0').toUpperCase() : text;
    });
    const isLeftOut = end > gapAt;
    const text = isLeftOut
      ? `${groups.slice(0, gapAt).join(':')}::${groups.slice(end).join(':')}`
      : groups.join(':');
    return { text, address };
  });

describe('addresses', () => {
  it('of IPv6 in every spelling of RFC 4291 are the same address', () => {
    fc.assert(
      fc.property(spelledIpv6, ({ text, address }) => {
        expect(parseAddress(text)).toEqual(address);
      }),
      RUNS,
    );
  });

  it('and prefixes with one character too many, or another instead, are none', () => {
    // None of these stands in an address; a space, a sign and a newline are tolerated elsewhere.
    const wrong = fc.constantFrom(...' +-\n\t\r\0_gxz,;@', '\u00a0', '\u0661', '\uff11');
    fc.assert(
      fc.property(prefix, wrong, fc.nat(), fc.boolean(), (right, character, at, isReplaced) => {
        const text = formatPrefix(right);
        const index = at % (text.length + (isReplaced ? 0 : 1));
        const rest = text.slice(index + (isReplaced ? 1 : 0));
        expect(parsePrefix(`${text.slice(0, index)}${character}${rest}`)).toBeNull();
      }),
      RUNS,
    );
  });

  it('longer than they may be, or with a part missing, are none', () => {
    fc.assert(
      fc.property(anyAddress, fc.integer({ min: 1, max: 1_000 }), (address, more) => {
        const text = formatAddress(address);
        expect(parsePrefix(`${text}/${8 * address.length + more}`)).toBeNull();
        expect(parsePrefix(`${text}/`)).toBeNull();
        if (address.length === 4) {
          expect(parseAddress(`${text}.0`)).toBeNull();
          expect(parseAddress(text.slice(0, text.lastIndexOf('.')))).toBeNull();
        } else expect(parseAddress(`1:${text.replace('::', ':0:')}:1:1:1:1:1:1:1`)).toBeNull();
      }),
      RUNS,
    );
  });
});

type Change = Record<string, unknown>;

const devicePart: fc.Arbitrary<Part<Change>> = fc.oneof(
  key.map((bytes) =>
    part<Change>([`private_key=${formatKey(bytes)}`], (m) => (m.privateKey = bytes)),
  ),
  port.map((number) => part<Change>([`listen_port=${number}`], (m) => (m.listenPort = number))),
  spelledMark.map(([text, number]) => part<Change>([`fwmark=${text}`], (m) => (m.fwmark = number))),
  fc.constant(part<Change>(['replace_peers=true'], (m) => (m.replacePeers = true))),
  fc.boolean().map((value) => part<Change>([`debug=${value}`], (m) => (m.debug = value))),
);

const peerPart: fc.Arbitrary<Part<Change>> = fc.oneof(
  key.map((bytes) =>
    part<Change>([`preshared_key=${formatKey(bytes)}`], (m) => (m.presharedKey = bytes)),
  ),
  endpoint.map((one) =>
    part<Change>([`endpoint=${formatEndpoint(one)}`], (m) => (m.endpoint = one)),
  ),
  port.map((seconds) =>
    part<Change>(
      [`persistent_keepalive_interval=${seconds}`],
      (m) => (m.persistentKeepalive = seconds),
    ),
  ),
  fc
    .tuple(prefix, fc.boolean())
    .map(([one, remove]) =>
      part<Change>([`allowed_ip=${remove ? '-' : ''}${formatPrefix(one)}`], (m) =>
        (m.allowedIps as unknown[]).push({ prefix: one, remove }),
      ),
    ),
  description.map((text) => part<Change>([`description=${text}`], (m) => (m.description = text))),
  fc.constantFrom('remove', 'update_only', 'replace_allowed_ips').map((name) => {
    const field = name.replace(
      /_(\w)([^_]*)/g,
      (_, first, rest) => `${first.toUpperCase()}${rest}`,
    );
    const isIps = name === 'replace_allowed_ips';
    return part<Change>([`${name}=true`], (m) => (m[isIps ? 'replaceAllowedIps' : field] = true));
  }),
  fc.constant(part<Change>(['protocol_version=1'], () => {})),
);

const setSentence = fc
  .tuple(
    fc.array(devicePart, { maxLength: 4 }),
    fc.array(fc.tuple(key, fc.array(peerPart, { maxLength: 6 })), { maxLength: 4 }),
  )
  .map(([device, peers]) => {
    const meaning: Change = { peers: [] };
    for (const { means } of device) means(meaning);
    const lines = device.flatMap(({ spelled }) => spelled);
    for (const [publicKey, parts] of peers) {
      const peer: Change = { publicKey, allowedIps: [] };
      for (const { means } of parts) means(peer);
      (meaning.peers as unknown[]).push(peer);
      lines.push(`public_key=${formatKey(publicKey)}`, ...parts.flatMap(({ spelled }) => spelled));
    }
    return { lines, meaning };
  });

/** Wrong for every key that takes this kind of value. */
const WRONG_VALUES: Readonly<Record<string, readonly string[]>> = {
  private_key: ['', 'AB', 'g'.repeat(64), 'a'.repeat(65)],
  public_key: ['', 'AB', 'g'.repeat(64), 'a'.repeat(63)],
  preshared_key: ['none', ' '.repeat(64)],
  listen_port: ['', '-1', '65536', '0x10', '1e3', '01', ' 1'],
  fwmark: ['', '-1', '4294967296', '0x', '0x123456789', '1.0'],
  persistent_keepalive_interval: ['off', '65536', '-1'],
  replace_peers: ['false', '1', 'TRUE', ''],
  remove: ['yes', ''],
  update_only: ['false'],
  replace_allowed_ips: ['1'],
  debug: ['1', 'on', ''],
  endpoint: ['host:1', '1.2.3.4', '1.2.3.4:0', '[::1]', '::1:5', '[1.2.3.4]:5', '1.2.3.4:65536'],
  allowed_ip: ['', '10.0.0.0/33', '--::/0', '10.0.0/8', '::/129', 'any', '10.0.0.0/08'],
  protocol_version: ['2', '', '01'],
  description: ['\u0007', `${'x'.repeat(256)}`, '\u2028'],
};

describe('requests to set', () => {
  it('mean what their lines say, through the framing as well', () => {
    fc.assert(
      fc.property(setSentence, ({ lines, meaning }) => {
        const requests = new RequestReader().push(
          `set=1\n${lines.join('\n')}${lines.length ? '\n' : ''}\n`,
        );
        expect(requests).toEqual([{ operation: 'set', lines }]);
        expect(parseSet(lines)).toEqual({ ok: meaning });
      }),
      RUNS,
    );
  });

  it('broken in one value are refused by that line, whatever stands around it', () => {
    const broken = fc
      .tuple(setSentence, fc.nat(), fc.nat())
      .filter(([{ lines }]) => lines.length > 0);
    fc.assert(
      fc.property(broken, ([{ lines }, at, which]) => {
        const index = at % lines.length;
        const name = lines[index].slice(0, lines[index].indexOf('='));
        const wrong = WRONG_VALUES[name][which % WRONG_VALUES[name].length];
        const { ok, error } = parseSet(lines.with(index, `${name}=${wrong}`));
        expect(ok).toBeUndefined();
        const shown = wrong === '' ? '' : visible(wrong);
        expect(error!.line).toBe(`${name}=${name.endsWith('_key') ? '(hidden)' : shown}`);
        expect(error!.errno).toBe(EINVAL);
        expect(error!.expected).toMatch(/^[^\n]+$/);
      }),
      RUNS,
    );
  });

  it('with a key where it does not belong, or of no name, say which', () => {
    const stray = fc.constantFrom(
      'remove=true',
      'allowed_ip=::/0',
      'endpoint=',
      'listen_prt=1',
      '=',
      'x=',
    );
    fc.assert(
      fc.property(fc.array(devicePart), stray, (device, line) => {
        const { error } = parseSet([...device.flatMap(({ spelled }) => spelled), line]);
        expect(error!.line).toBe(line);
        expect(error!.expected).toMatch(
          /after a public_key$|^a key of the configuration protocol$/,
        );
      }),
      RUNS,
    );
  });
});
