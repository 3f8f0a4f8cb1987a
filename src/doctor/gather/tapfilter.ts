/**
 * The classic BPF programs of the taps, for packets that begin with their IP header: which ones are
 * seen, and how much of them. Pure; bpf(4) of the BSDs has the instructions.
 */

const LOAD_BYTE = 0x30;
const LOAD_HALF = 0x28;
const LOAD_BYTE_X = 0x50;
const LOAD_HALF_X = 0x48;
const LOAD_X_HEADER = 0xb1;
const LOAD_X = 0x01;
const SHIFT_RIGHT = 0x74;
const IF_EQUAL = 0x15;
const IF_GREATER = 0x25;
const IF_SET = 0x45;
const RETURN = 0x06;

const PROTOCOL_UDP = 17;
const FRAGMENT_OFFSET = 0x1fff;
/** The last type of a handshake message; the next is data. */
const COOKIE_REPLY = 3;
/** Of a packet: more than a handshake message and its headers. */
const SNAP_BYTES = 512;

type Target = 'accept' | 'reject' | 'ipv6' | 'ports' | 'type';
type Line =
  | { readonly code: number; readonly k: number; readonly yes?: Target; readonly no?: Target }
  | { readonly label: Target };

/** Handshake messages of one UDP port. Instructions of 8 bytes each (struct sock_filter). */
export function handshakeFilter(port: number): Uint8Array {
  return assemble([
    { code: LOAD_BYTE, k: 0 },
    { code: SHIFT_RIGHT, k: 4 },
    { code: IF_EQUAL, k: 6, yes: 'ipv6' },
    { code: IF_EQUAL, k: 4, no: 'reject' },
    { code: LOAD_BYTE, k: 9 },
    { code: IF_EQUAL, k: PROTOCOL_UDP, no: 'reject' },
    { code: LOAD_HALF, k: 6 },
    { code: IF_SET, k: FRAGMENT_OFFSET, yes: 'reject' },
    { code: LOAD_X_HEADER, k: 0 },
    // Always: the packet is IPv4.
    { code: IF_GREATER, k: 0, yes: 'ports', no: 'ports' },
    { label: 'ipv6' },
    { code: LOAD_BYTE, k: 6 },
    { code: IF_EQUAL, k: PROTOCOL_UDP, no: 'reject' },
    { code: LOAD_X, k: 40 },
    { label: 'ports' },
    { code: LOAD_HALF_X, k: 0 },
    { code: IF_EQUAL, k: port, yes: 'type' },
    { code: LOAD_HALF_X, k: 2 },
    { code: IF_EQUAL, k: port, no: 'reject' },
    { label: 'type' },
    { code: LOAD_BYTE_X, k: 8 },
    { code: IF_EQUAL, k: 0, yes: 'reject' },
    { code: IF_GREATER, k: COOKIE_REPLY, yes: 'reject', no: 'accept' },
    { label: 'accept' },
    { code: RETURN, k: SNAP_BYTES },
    { label: 'reject' },
    { code: RETURN, k: 0 },
  ]);
}

/** All packets, but only as far as both IP headers reach. */
export function headersOnly(): Uint8Array {
  return assemble([{ code: RETURN, k: 40 }]);
}

function assemble(lines: readonly Line[]): Uint8Array {
  const labels = new Map<Target, number>();
  const instructions: Exclude<Line, { label: Target }>[] = [];
  for (const line of lines) {
    if ('label' in line) labels.set(line.label, instructions.length);
    else instructions.push(line);
  }
  const bytes = new Uint8Array(8 * instructions.length);
  const view = new DataView(bytes.buffer);
  for (const [at, { code, k, yes, no }] of instructions.entries()) {
    const distance = (target: Target | undefined): number =>
      target === undefined ? 0 : labels.get(target)! - at - 1;
    view.setUint16(8 * at, code, true);
    bytes[8 * at + 2] = distance(yes);
    bytes[8 * at + 3] = distance(no);
    view.setUint32(8 * at + 4, k, true);
  }
  return bytes;
}
