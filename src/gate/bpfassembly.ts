/**
 * An assembler for the kernel's own instructions (Documentation/bpf/standardization,
 * instruction-set.rst): as many of them as floodfilter.ts needs, with labels. Knows no filter.
 */

const REGISTERS = ['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r6', 'r7', 'r8', 'r9', 'r10'] as const;
/** The machine's; r1 to r5 are a call's arguments, r0 is its answer, r10 the end of the stack. */
export type Register = (typeof REGISTERS)[number];

/** The operation with a constant; with a register it is one more bit. */
const JUMPS = { '==': 0x15, '!=': 0x55, '>=': 0x35, '<': 0xa5 } as const;
export type Comparison = keyof typeof JUMPS;
const FROM_REGISTER = 0x08;
const JUMP = 0x05;
const CALL = 0x85;
const EXIT = 0x95;
const MOVE = 0xb7;
const MOVE_32 = 0xb4;
const ADD = 0x07;
const AND = 0x57;
const MULTIPLY = 0x27;
const SHIFT_RIGHT = 0x77;
const SWAP = 0xdc;
const LOAD_CONSTANT_64 = 0x18;
/** The constant is the descriptor of a map, and means the address of its only value. */
const PSEUDO_MAP_VALUE = 2;
const LOAD_8 = 0x71;
const LOAD_32 = 0x61;
const LOAD_64 = 0x79;
const STORE_64 = 0x7b;
const PACKET_32 = 0x20;
const PACKET_16 = 0x28;
const ATOMIC_64 = 0xdb;

/** Runs `write` and returns what it wrote, with the jumps filled in. */
export function assemble(write: (code: Assembly) => void): bigint[] {
  const code = new Assembly();
  write(code);
  return code.finish();
}

export class Assembly {
  readonly #code: bigint[] = [];
  readonly #labels = new Map<string, number>();
  readonly #jumps: { readonly from: number; readonly to: string }[] = [];

  /** The place of the next instruction, for jumps from before and after. */
  label(name: string): void {
    if (this.#labels.has(name)) throw new Error(`bpf assembly: label ${name} is there already`);
    this.#labels.set(name, this.#code.length);
  }

  move(to: Register, from: Register | number): void {
    this.#compute(MOVE, to, from);
  }

  move32(to: Register, from: Register | number): void {
    this.#compute(MOVE_32, to, from);
  }

  add(to: Register, what: Register | number): void {
    this.#compute(ADD, to, what);
  }

  and(to: Register, what: Register | number): void {
    this.#compute(AND, to, what);
  }

  multiply(to: Register, what: Register): void {
    this.#compute(MULTIPLY, to, what);
  }

  shiftRight(to: Register, bits: Register | number): void {
    this.#compute(SHIFT_RIGHT, to, bits);
  }

  /** From network order to the machine's, which is little-endian. */
  swap32(what: Register): void {
    this.#add(SWAP, what, 'r0', 0, 32);
  }

  load8(to: Register, from: Register, offset: number): void {
    this.#add(LOAD_8, to, from, offset);
  }

  load32(to: Register, from: Register, offset: number): void {
    this.#add(LOAD_32, to, from, offset);
  }

  load64(to: Register, from: Register, offset: number): void {
    this.#add(LOAD_64, to, from, offset);
  }

  store64(to: Register, offset: number, what: Register): void {
    this.#add(STORE_64, to, what, offset);
  }

  /**
   * r0 becomes a number of the packet, in network order, whose context is in r6; r1 to r5 are lost.
   * A packet that ends before ends the program, which then drops it.
   */
  loadPacket32(offset: number): void {
    this.#add(PACKET_32, 'r0', 'r0', 0, offset);
  }

  loadPacket16(offset: number): void {
    this.#add(PACKET_16, 'r0', 'r0', 0, offset);
  }

  /** Adds to memory that others add to at the same time. */
  atomicAdd64(base: Register, offset: number, what: Register): void {
    this.#add(ATOMIC_64, base, what, offset);
  }

  loadMapAddress(to: Register, map: number): void {
    this.#code.push(instruction(LOAD_CONSTANT_64, number(to), PSEUDO_MAP_VALUE, 0, map), 0n);
  }

  loadConstant64(to: Register, value: bigint): void {
    const low = Number(BigInt.asIntN(32, value));
    const high = BigInt.asUintN(64, value) >> 32n;
    this.#code.push(instruction(LOAD_CONSTANT_64, number(to), 0, 0, low), high << 32n);
  }

  jump(to: string): void {
    this.#jumps.push({ from: this.#code.length, to });
    this.#add(JUMP, 'r0', 'r0');
  }

  jumpIf(left: Register, comparison: Comparison, right: Register | number, to: string): void {
    this.#jumps.push({ from: this.#code.length, to });
    this.#compute(JUMPS[comparison], left, right);
  }

  call(helper: number): void {
    this.#add(CALL, 'r0', 'r0', 0, helper);
  }

  exit(): void {
    this.#add(EXIT, 'r0', 'r0');
  }

  finish(): bigint[] {
    for (const { from, to } of this.#jumps) {
      const target = this.#labels.get(to);
      if (target === undefined) throw new Error(`bpf assembly: no label ${to}`);
      this.#code[from] |= BigInt((target - from - 1) & 0xffff) << 16n;
    }
    return this.#code;
  }

  #compute(operation: number, to: Register, what: Register | number): void {
    if (typeof what === 'number') this.#add(operation, to, 'r0', 0, what);
    else this.#add(operation | FROM_REGISTER, to, what);
  }

  #add(operation: number, to: Register, from: Register, offset = 0, constant = 0): void {
    this.#code.push(instruction(operation, number(to), number(from), offset, constant));
  }
}

function number(register: Register): number {
  return REGISTERS.indexOf(register);
}

/** struct bpf_insn: the operation, two registers of four bits, an offset and a constant. */
function instruction(
  operation: number,
  destination: number,
  source: number,
  offset: number,
  constant: number,
): bigint {
  const low = operation | (destination << 8) | (source << 12) | ((offset & 0xffff) << 16);
  return BigInt(low >>> 0) | (BigInt(constant >>> 0) << 32n);
}
