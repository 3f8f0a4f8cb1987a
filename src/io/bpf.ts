/**
 * bpf(2): maps, and socket filters written in the kernel's own instructions. Owns the calls and
 * the encoding; what a filter decides is floodgate.ts'.
 *
 * Nothing here throws: a system may have no such thing, or keep it from us.
 */

import { close, putAddress, Scratch, setIntOption } from './libc.ts';
import { SOL_SOCKET } from './linux.ts';
import { invoke } from './syscalls.ts';

// sys/socket.h
const SO_DETACH_FILTER = 27;
const SO_ATTACH_BPF = 50;
// linux/bpf.h
const BPF_MAP_CREATE = 0;
const BPF_MAP_UPDATE_ELEM = 2;
const BPF_PROG_LOAD = 5;
const BPF_PROG_TYPE_SOCKET_FILTER = 1;
export const BPF_MAP_TYPE_HASH = 1;
export const BPF_MAP_TYPE_ARRAY = 2;
/** Memory for an entry of a hash comes with the entry. */
export const BPF_F_NO_PREALLOC = 1;

const ATTRIBUTES_BYTES = 128;
const INSTRUCTION_BYTES = 8;
const attributes = new Scratch(ATTRIBUTES_BYTES);
const licence = new Scratch(16);
licence.bytes.set(new TextEncoder().encode('ISC'));

function call(command: number): number {
  return invoke('bpf', command, attributes.address, ATTRIBUTES_BYTES);
}

export interface MapPlan {
  readonly type: number;
  /** Bytes. */
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly entries: number;
  readonly flags: number;
}

/** Returns the map's descriptor, which is the caller's to close; -1 when refused. */
export function createMap({ type, keyBytes, valueBytes, entries, flags }: MapPlan): number {
  attributes.bytes.fill(0);
  attributes.words.set([type, keyBytes, valueBytes, entries, flags]);
  return call(BPF_MAP_CREATE);
}

/** Stores an entry; false when the map is full. */
export function updateMap(map: number, key: Scratch, value: Scratch): boolean {
  attributes.bytes.fill(0);
  attributes.words[0] = map;
  putAddress(attributes.words, 2, key.address);
  putAddress(attributes.words, 4, value.address);
  return call(BPF_MAP_UPDATE_ELEM) === 0;
}

/** Puts a filter in front of a socket, in place of the one there is; false when refused. */
export function attachFilter(socket: number, instructions: readonly bigint[]): boolean {
  const code = new Scratch(instructions.length * INSTRUCTION_BYTES);
  instructions.forEach((instruction, index) => {
    code.view.setBigUint64(index * INSTRUCTION_BYTES, instruction, true);
  });
  attributes.bytes.fill(0);
  attributes.words.set([BPF_PROG_TYPE_SOCKET_FILTER, instructions.length]);
  putAddress(attributes.words, 2, code.address);
  putAddress(attributes.words, 4, licence.address);
  const program = call(BPF_PROG_LOAD);
  if (program < 0) return false;
  const error = setIntOption(socket, SOL_SOCKET, SO_ATTACH_BPF, program);
  close(program);
  return error === 0;
}

export function detachFilter(socket: number): void {
  setIntOption(socket, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

/** struct bpf_insn: the operation, two registers of four bits, an offset and a constant. */
export function instruction(
  operation: number,
  destination = 0,
  source = 0,
  offset = 0,
  constant = 0,
): bigint {
  const low = operation | (destination << 8) | (source << 12) | ((offset & 0xffff) << 16);
  return BigInt(low >>> 0) | (BigInt(constant >>> 0) << 32n);
}
