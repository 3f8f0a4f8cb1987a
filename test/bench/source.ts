/**
 * A program of its own on a host of the lab: TCP for a tunnel behind which nobody answers. Sends
 * super-packets into the interface, as the kernel's TCP does that has much to send, and no faster than
 * the daemon takes them: what it has read stands in its /proc/PID/io. So the daemon always has
 * something to do, nothing is dropped before it, and little of the machine goes to this program.
 *
 *     node source.js IFNAME PID FROM TO FLOWS SECONDS OUTER
 *
 * OUTER: the interface on which the tunnel's datagrams leave. Prints one line of JSON: a `Taken`.
 */

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import koffi from 'koffi';
import { Netlink } from '../../src/netlink/netlink.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { checksum, pseudoHeaderSum } from '../../src/packet/checksum.ts';
import {
  IPV4_CHECKSUM_OFFSET,
  IPV4_DESTINATION_OFFSET,
  IPV4_HEADER_BYTES,
  IPV4_LENGTH_OFFSET,
  IPV4_PROTOCOL_OFFSET,
  IPV4_SOURCE_OFFSET,
  IPV4_TTL_OFFSET,
  PROTOCOL_TCP,
} from '../../src/packet/ip.ts';
import {
  GSO_TCPV4,
  NEEDS_CHECKSUM,
  TCP_CHECKSUM_OFFSET,
  VIRTIO_CHECKSUM_OFFSET,
  VIRTIO_CHECKSUM_START,
  VIRTIO_FLAGS,
  VIRTIO_GSO_SIZE,
  VIRTIO_GSO_TYPE,
  VIRTIO_HEADER_BYTES,
  VIRTIO_HEADER_LENGTH,
} from '../../src/packet/virtio.ts';
import {
  bindSocket,
  errno,
  Scratch,
  SystemError,
  send,
  setIntOption,
  socket,
} from '../../src/sys/libc.ts';
import { AF_PACKET, SOCK_CLOEXEC, SOCK_RAW } from '../../src/sys/linux.ts';
import { parseProcessStat } from './processes.ts';

export interface Taken {
  /** Payload of the packets that the daemon read, what went out on the outer interface, the time. */
  readonly bytes: number;
  readonly outerBytes: number;
  readonly seconds: number;
  /** Processor time of the daemon meanwhile. */
  readonly cpuSeconds: number;
}

// linux/if_packet.h.
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
const ETH_P_IP = 0x0800;
const TCP_HEADER_BYTES = 20;
/** In words of 32 bits, where the TCP header says it. */
const TCP_HEADER_WORDS = 5;
const TCP_SEQUENCE_OFFSET = 4;
const TCP_LENGTH_OFFSET = 12;
const TCP_FLAGS_OFFSET = 13;
const TCP_WINDOW_OFFSET = 14;
const ACK = 0x10;
const TTL = 64;
const PORT = 5201;
const HEADER_BYTES = IPV4_HEADER_BYTES + TCP_HEADER_BYTES;
/** Of a packet on an interface with an MTU of 1420. */
const SEGMENT_BYTES = 1_420 - HEADER_BYTES;
/** As many as there is room for in 65,535 bytes. */
const SEGMENTS = Math.floor((65_535 - HEADER_BYTES) / SEGMENT_BYTES);
const PAYLOAD_BYTES = SEGMENTS * SEGMENT_BYTES;
const FRAME_BYTES = VIRTIO_HEADER_BYTES + HEADER_BYTES + PAYLOAD_BYTES;
/** Frames on the way to the daemon: well below the 500 for which an interface has room. */
const WINDOW = 128;
/** In which 5 Gbit/s take ten frames. */
const PAUSE_US = 1_000;
const WARM_UP_S = 1;
const MS_PER_S = 1_000;

const usleep = koffi.load(null).func('usleep', 'int', ['uint32_t']);

interface Flow {
  readonly frame: Scratch;
  sequence: number;
}

const [ifname, pid, from, to, flowsWord, secondsWord, outer] = process.argv.slice(2);
const fd = open();
const flows = Array.from({ length: Number(flowsWord) }, (_, i) => createFlow(PORT + i));
const io = openSync(`/proc/${pid}/io`, 'r');
const text = Buffer.alloc(512);
const already = readBytes();
let sent = 0;

sendFor(WARM_UP_S);
const before = look();
sendFor(Number(secondsWord));
const after = look();
closeSync(io);
const taken: Taken = {
  bytes: ((after.read - before.read) / FRAME_BYTES) * PAYLOAD_BYTES,
  outerBytes: after.outerBytes - before.outerBytes,
  seconds: (after.at - before.at) / MS_PER_S,
  cpuSeconds: after.cpuSeconds - before.cpuSeconds,
};
console.log(JSON.stringify(taken));

function open(): number {
  const opened = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (opened < 0) throw new SystemError('open a packet socket', 'socket', errno());
  setIntOption(opened, SOL_PACKET, PACKET_VNET_HDR, 1);
  const netlink = new Netlink();
  const index = netlink.linkByName(ifname)?.index ?? 0;
  netlink.close();
  // struct sockaddr_ll.
  const address = new Scratch(20);
  address.view.setUint16(0, AF_PACKET, true);
  address.view.setUint16(2, ETH_P_IP);
  address.view.setInt32(4, index, true);
  if (bindSocket(opened, address.address, 20) < 0) {
    throw new SystemError(`send into ${ifname}`, 'bind', errno());
  }
  return opened;
}

/** A frame that has everything but its sequence number. */
function createFlow(port: number): Flow {
  const frame = new Scratch(FRAME_BYTES);
  const { bytes, view } = frame;
  view.setUint8(VIRTIO_FLAGS, NEEDS_CHECKSUM);
  view.setUint8(VIRTIO_GSO_TYPE, GSO_TCPV4);
  view.setUint16(VIRTIO_HEADER_LENGTH, HEADER_BYTES, true);
  view.setUint16(VIRTIO_GSO_SIZE, SEGMENT_BYTES, true);
  view.setUint16(VIRTIO_CHECKSUM_START, IPV4_HEADER_BYTES, true);
  view.setUint16(VIRTIO_CHECKSUM_OFFSET, TCP_CHECKSUM_OFFSET, true);
  const ip = VIRTIO_HEADER_BYTES;
  view.setUint8(ip, 0x45);
  view.setUint16(ip + IPV4_LENGTH_OFFSET, HEADER_BYTES + PAYLOAD_BYTES);
  view.setUint8(ip + IPV4_TTL_OFFSET, TTL);
  view.setUint8(ip + IPV4_PROTOCOL_OFFSET, PROTOCOL_TCP);
  bytes.set(parseAddress(from)!, ip + IPV4_SOURCE_OFFSET);
  bytes.set(parseAddress(to)!, ip + IPV4_DESTINATION_OFFSET);
  view.setUint16(ip + IPV4_CHECKSUM_OFFSET, checksum(bytes, ip, IPV4_HEADER_BYTES));
  const tcp = ip + IPV4_HEADER_BYTES;
  view.setUint16(tcp, port);
  view.setUint16(tcp + 2, port);
  view.setUint8(tcp + TCP_LENGTH_OFFSET, TCP_HEADER_WORDS << 4);
  view.setUint8(tcp + TCP_FLAGS_OFFSET, ACK);
  view.setUint16(tcp + TCP_WINDOW_OFFSET, 0xffff);
  // What the sum of the segment itself is added to (virtio 1.2, 5.1.6.2).
  const pseudo = pseudoHeaderSum(bytes, ip, PROTOCOL_TCP, TCP_HEADER_BYTES + PAYLOAD_BYTES);
  view.setUint16(tcp + TCP_CHECKSUM_OFFSET, pseudo);
  return { frame, sequence: 1 };
}

function sendFor(seconds: number): void {
  const end = performance.now() + seconds * MS_PER_S;
  while (performance.now() < end) {
    const allowed = readBytes() - already + WINDOW * FRAME_BYTES;
    while (sent < allowed) sendOne(flows[(sent / FRAME_BYTES) % flows.length]);
    usleep(PAUSE_US);
  }
}

function sendOne(flow: Flow): void {
  const { frame } = flow;
  const at = VIRTIO_HEADER_BYTES + IPV4_HEADER_BYTES + TCP_SEQUENCE_OFFSET;
  frame.view.setUint32(at, flow.sequence);
  flow.sequence = (flow.sequence + PAYLOAD_BYTES) >>> 0;
  if (send(fd, frame.address, FRAME_BYTES, 0) < 0) {
    throw new SystemError(`send into ${ifname}`, 'send', errno());
  }
  sent += FRAME_BYTES;
}

function look(): { at: number; read: number; outerBytes: number; cpuSeconds: number } {
  const times = parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  const outerBytes = Number(readFileSync(`/sys/class/net/${outer}/statistics/tx_bytes`, 'utf8'));
  const cpuSeconds = times.userSeconds + times.systemSeconds;
  return { at: performance.now(), read: readBytes(), outerBytes, cpuSeconds };
}

/** All that the daemon ever read. */
function readBytes(): number {
  const length = readSync(io, text, 0, text.length, 0);
  const match = /^rchar: (\d+)$/m.exec(text.toString('latin1', 0, length));
  if (match === null) throw new Error(`/proc/${pid}/io: no rchar`);
  return Number(match[1]);
}
