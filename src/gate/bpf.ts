/**
 * bpf(2): memory shared with programs of the kernel's, and filters before sockets. Owns the calls;
 * how a program is written down is bpfassembly.ts', what a filter decides floodfilter.ts'.
 *
 * Only `openBoard` and `loadFilter` make the call, once at start: it takes a capability that a
 * confined daemon has given up. Nothing here throws: a system may have no such thing, or keep it
 * from us.
 */

import { koffi } from '../sys/koffi.ts';
import { close, errno, errnoName, putAddress, Scratch, setIntOption } from '../sys/libc.ts';
import { SOL_SOCKET } from '../sys/linux.ts';
import { invoke } from '../sys/syscalls.ts';

// sys/socket.h
const SO_DETACH_FILTER = 27;
const SO_ATTACH_BPF = 50;
// linux/bpf.h
const BPF_MAP_CREATE = 0;
const BPF_PROG_LOAD = 5;
const BPF_PROG_TYPE_SOCKET_FILTER = 1;
const BPF_MAP_TYPE_ARRAY = 2;
/** The map's memory can be mapped (Linux 5.5). */
const BPF_F_MMAPABLE = 1 << 10;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;

const ATTRIBUTES_BYTES = 128;
const INSTRUCTION_BYTES = 8;
const attributes = new Scratch(ATTRIBUTES_BYTES);
const licence = new Scratch(16);
licence.bytes.set(new TextEncoder().encode('ISC'));

const libc = koffi.load(null);
const mmap = libc.func('mmap', 'intptr_t', [
  ...['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64_t'],
]);
const munmap = libc.func('munmap', 'int', ['intptr_t', 'size_t']);

function call(command: number): number {
  return invoke('bpf', command, attributes.address, ATTRIBUTES_BYTES);
}

/** Memory that programs of the kernel's and this process see at the same time. */
export interface Board {
  /** Its map, for instructions that name it. */
  readonly fd: number;
  readonly memory: ArrayBuffer;
  /** Gives the memory back: whatever looks into it must be out of reach by then. */
  readonly release: () => void;
}

/** What was refused, for a line of the log. */
export interface BpfRefusal {
  readonly refusal: string;
}

/** Memory of `length` bytes, zeroed: a map of one element whose address a program may take. */
export function openBoard(length: number): Board | BpfRefusal {
  attributes.bytes.fill(0);
  attributes.words.set([BPF_MAP_TYPE_ARRAY, 4, length, 1, BPF_F_MMAPABLE]);
  const fd = call(BPF_MAP_CREATE);
  if (fd < 0) return refused('bpf');
  const address = mmap(0, length, PROT_READ_WRITE, MAP_SHARED, fd, 0);
  if (address === -1) {
    const refusal = refused('mmap');
    close(fd);
    return refusal;
  }
  return { fd, memory: koffi.view(address, length), release: () => munmap(address, length) };
}

/** Loads a filter. Returns its descriptor. */
export function loadFilter(instructions: readonly bigint[]): number | BpfRefusal {
  const code = new Scratch(instructions.length * INSTRUCTION_BYTES);
  instructions.forEach((instruction, index) => {
    code.view.setBigUint64(index * INSTRUCTION_BYTES, instruction, true);
  });
  attributes.bytes.fill(0);
  attributes.words.set([BPF_PROG_TYPE_SOCKET_FILTER, instructions.length]);
  putAddress(attributes.words, 2, code.address);
  putAddress(attributes.words, 4, licence.address);
  const filter = call(BPF_PROG_LOAD);
  return filter < 0 ? refused('bpf') : filter;
}

function refused(name: string): BpfRefusal {
  return { refusal: `${name}: ${errnoName(errno())}` };
}

/** Puts a filter in front of a socket, in place of the one there is; false when refused. */
export function attachFilter(socket: number, filter: number): boolean {
  return setIntOption(socket, SOL_SOCKET, SO_ATTACH_BPF, filter) === 0;
}

export function detachFilter(socket: number): void {
  setIntOption(socket, SOL_SOCKET, SO_DETACH_FILTER, 0);
}
