/** What comes in from the network, read as hostile bytes. */

import { describe, expect, it } from 'vitest';
import { meaningOf, parseIcmpError, parseIcmpv6Error } from '../../src/doctor/gather/icmperror.ts';
import { parseHeader } from '../../src/doctor/gather/innertap.ts';
import { placeOf } from '../../src/doctor/gather/ipsocket.ts';
import { parseQueued } from '../../src/doctor/gather/probes.ts';
import { parseHandshake } from '../../src/doctor/gather/tap.ts';
import { handshakeFilter } from '../../src/doctor/gather/tapfilter.ts';
import { parseAddress } from '../../src/packet/address.ts';

/** An IPv4 or IPv6 packet of UDP. */
function udp(
  source: string,
  destination: string,
  ports: readonly [number, number],
  payload: Uint8Array,
): Uint8Array {
  const [from, to] = [parseAddress(source)!, parseAddress(destination)!];
  const header = from.length === 4 ? 20 : 40;
  const packet = new Uint8Array(header + 8 + payload.length);
  const view = new DataView(packet.buffer);
  packet[0] = from.length === 4 ? 0x45 : 0x60;
  packet[from.length === 4 ? 9 : 6] = 17;
  view.setUint16(from.length === 4 ? 2 : 4, from.length === 4 ? packet.length : packet.length - 40);
  packet.set(from, from.length === 4 ? 12 : 8);
  packet.set(to, from.length === 4 ? 16 : 24);
  view.setUint16(header, ports[0]);
  view.setUint16(header + 2, ports[1]);
  view.setUint16(header + 4, 8 + payload.length);
  packet.set(payload, header + 8);
  return packet;
}

const INITIATION = new Uint8Array(148);
INITIATION[0] = 1;
const PORTS = [51_820, 9] as const;

function icmp(type: number, code: number, quoted: Uint8Array, mtu = 0): Uint8Array {
  const message = new Uint8Array(20 + 8 + quoted.length);
  message[0] = 0x45;
  message.set([type, code], 20);
  new DataView(message.buffer).setUint16(26, mtu);
  message.set(quoted, 28);
  return message;
}

describe('an ICMP error', () => {
  const quoted = udp('10.0.0.1', '198.51.100.20', PORTS, new Uint8Array(0));

  it('tells which datagram it is about', () => {
    expect(parseIcmpError(icmp(3, 3, quoted))).toEqual({
      ...{ type: 3, code: 3, meaning: 'portUnreachable', mtu: 0, protocol: 17 },
      ...{ source: parseAddress('10.0.0.1'), destination: parseAddress('198.51.100.20') },
      ...{ sourcePort: 51_820, destinationPort: 9 },
    });
    expect(parseIcmpError(icmp(3, 4, quoted, 1_400))).toMatchObject({
      meaning: 'tooBig',
      mtu: 1_400,
    });
    // Only of that one is it a size.
    expect(parseIcmpError(icmp(3, 1, quoted, 1_400))).toMatchObject({ mtu: 0 });
  });

  it('of IPv6 too', () => {
    const inner = udp('fd00::1', 'fd00::2', PORTS, new Uint8Array(0));
    const message = new Uint8Array([2, 0, 0, 0, 0, 0, 5, 0, ...inner]);
    expect(parseIcmpv6Error(message)).toMatchObject({
      meaning: 'tooBig',
      mtu: 1_280,
      sourcePort: 51_820,
    });
  });

  it.each([
    [4, 3, 13, 'prohibited'],
    [4, 3, 9, 'prohibited'],
    [4, 3, 0, 'networkUnreachable'],
    [4, 3, 200, 'other'],
    [4, 11, 0, 'timeExceeded'],
    [4, 8, 0, 'other'],
    [6, 1, 1, 'prohibited'],
    [6, 1, 4, 'portUnreachable'],
    [6, 1, 0, 'networkUnreachable'],
    [6, 3, 0, 'timeExceeded'],
  ] as const)('of IPv%d, type %d, code %d, means %s', (family, type, code, meaning) => {
    expect(meaningOf(family, type, code)).toBe(meaning);
  });

  it('is none when it is cut anywhere, or quotes no packet', () => {
    const whole = icmp(3, 3, quoted.subarray(0, 24));
    expect(parseIcmpError(whole)).not.toBeNull();
    for (let length = 0; length < whole.length; length++) {
      expect(parseIcmpError(whole.subarray(0, length))).toBeNull();
    }
    expect(parseIcmpError(icmp(8, 0, quoted))).toBeNull();
    expect(parseIcmpError(icmp(3, 3, new Uint8Array(60)))).toBeNull();
    const short = icmp(3, 3, quoted);
    short[28] = 0x44;
    expect(parseIcmpError(short)).toBeNull();
  });
});

describe('a handshake on a link', () => {
  it('is told with both ends', () => {
    const packet = udp('198.51.100.20', '10.0.0.1', PORTS, INITIATION);
    expect(parseHandshake(packet)).toEqual({
      ...{ source: '198.51.100.20', sourcePort: 51_820, destination: '10.0.0.1' },
      ...{ destinationPort: 9, message: 'initiation', bytes: INITIATION },
    });
    expect(parseHandshake(udp('fd00::1', 'fd00::2', PORTS, INITIATION))?.source).toBe('fd00::1');
  });

  it('is none when it is cut, of another length, or data', () => {
    const packet = udp('198.51.100.20', '10.0.0.1', PORTS, INITIATION);
    for (let length = 0; length < packet.length; length++) {
      expect(parseHandshake(packet.subarray(0, length))).toBeNull();
    }
    const data = new Uint8Array(148);
    data[0] = 4;
    expect(parseHandshake(udp('198.51.100.20', '10.0.0.1', PORTS, data))).toBeNull();
    const options = packet.slice();
    options[0] = 0x4f;
    expect(parseHandshake(options)).toBeNull();
    options[0] = 0x40;
    expect(parseHandshake(options)).toBeNull();
  });

  it('passes the filter of its port, and data and fragments do not', () => {
    const wanted = (port: number, packet: Uint8Array) => runFilter(handshakeFilter(port), packet);
    const packet = udp('198.51.100.20', '10.0.0.1', PORTS, INITIATION);
    expect(wanted(51_820, packet)).toBeGreaterThan(packet.length);
    expect(wanted(9, packet)).toBeGreaterThan(0);
    expect(wanted(10, packet)).toBe(0);
    const ipv6 = udp('fd00::1', 'fd00::2', PORTS, INITIATION);
    expect(wanted(9, ipv6)).toBeGreaterThan(0);
    expect(wanted(10, ipv6)).toBe(0);
    for (const [type, passes] of [
      [0, 0],
      [2, 512],
      [3, 512],
      [4, 0],
      [255, 0],
    ] as const) {
      const payload = INITIATION.slice();
      payload[0] = type;
      expect(wanted(9, udp('198.51.100.20', '10.0.0.1', PORTS, payload))).toBe(passes);
    }
    const fragment = packet.slice();
    fragment[7] = 5;
    expect(wanted(9, fragment)).toBe(0);
    const tcp = packet.slice();
    tcp[9] = 6;
    expect(wanted(9, tcp)).toBe(0);
    const other = packet.slice();
    other[0] = 0x25;
    expect(wanted(9, other)).toBe(0);
  });
});

/** Of classic BPF what the filters use; a load beyond the packet ends with 0, as in the kernel. */
function runFilter(program: Uint8Array, packet: Uint8Array): number {
  const code = new DataView(program.buffer);
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  let [a, x] = [0, 0];
  for (let at = 0; ; at++) {
    const k = code.getUint32(8 * at + 4, true);
    const jump = (isTrue: boolean): number => program[8 * at + (isTrue ? 2 : 3)];
    const load = (from: number, bytes: 1 | 2): number =>
      bytes === 1 ? view.getUint8(from) : view.getUint16(from);
    try {
      switch (code.getUint16(8 * at, true)) {
        case 0x30:
          a = load(k, 1);
          break;
        case 0x28:
          a = load(k, 2);
          break;
        case 0x50:
          a = load(x + k, 1);
          break;
        case 0x48:
          a = load(x + k, 2);
          break;
        case 0xb1:
          x = (load(k, 1) & 15) * 4;
          break;
        case 0x01:
          x = k;
          break;
        case 0x74:
          a >>= k;
          break;
        case 0x15:
          at += jump(a === k);
          break;
        case 0x25:
          at += jump(a > k);
          break;
        case 0x45:
          at += jump((a & k) !== 0);
          break;
        case 0x06:
          return k;
        default:
          throw new Error(`instruction ${at}`);
      }
    } catch (error) {
      if (error instanceof RangeError) return 0;
      throw error;
    }
  }
}

describe('a packet in the tunnel', () => {
  it('is told by its header, of both families', () => {
    const packet = udp('10.0.0.1', '10.0.0.2', PORTS, new Uint8Array(100));
    expect(parseHeader(packet.subarray(0, 40))).toEqual({
      ...{ source: '10.0.0.1', destination: '10.0.0.2', length: 128 },
    });
    const ipv6 = udp('fd00::1', 'fd00::2', PORTS, new Uint8Array(100));
    expect(parseHeader(ipv6)).toMatchObject({ source: 'fd00::1', length: 148 });
    for (let length = 0; length < 20; length++) {
      expect(parseHeader(packet.subarray(0, length))).toBeNull();
    }
    expect(parseHeader(ipv6.subarray(0, 39))).toBeNull();
    expect(parseHeader(new Uint8Array(60))).toBeNull();
  });
});

describe('a message of the error queue', () => {
  const extended = (words: readonly number[], from: readonly number[] = []) => ({
    controls: [{ level: 0, type: 11, data: Uint8Array.from([...words, ...from]) }],
  });

  it('tells the error and who sent it', () => {
    const from = [2, 0, 0, 0, 198, 51, 100, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    // ECONNREFUSED by ICMP type 3, code 3.
    const words = [111, 0, 0, 0, 2, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    expect(parseQueued(extended(words, from))).toEqual({
      ...{ error: 'ECONNREFUSED', origin: 'icmp', meaning: 'portUnreachable' },
      ...{ from: '198.51.100.1', mtu: 0 },
    });
    // EMSGSIZE by the kernel itself, with the size.
    const local = [90, 0, 0, 0, 1, 0, 0, 0, 0x78, 5, 0, 0, 0, 0, 0, 0];
    expect(parseQueued(extended(local))).toEqual({
      ...{ error: 'EMSGSIZE', origin: 'local', meaning: 'tooBig', from: null, mtu: 1_400 },
    });
  });

  it('is none when it is cut or something else', () => {
    expect(parseQueued(extended(new Array(15).fill(0)))).toBeNull();
    expect(
      parseQueued({ controls: [{ level: 1, type: 11, data: new Uint8Array(32) }] }),
    ).toBeNull();
    expect(parseQueued({ controls: [] })).toBeNull();
    expect(placeOf(new Uint8Array(16))).toBeNull();
    expect(placeOf(Uint8Array.of(10, 0, ...new Array(20).fill(0)))).toBeNull();
  });
});
