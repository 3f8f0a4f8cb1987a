/**
 * seccomp(2): a filter of system calls for all threads of the process, in the classic BPF that the
 * kernel takes for it. Owns the encoding and the installation; what is permitted is
 * permittedcalls.ts'.
 *
 * What is not permitted fails with EPERM. Nobody is killed for it: a call that was forgotten must
 * not cost the tunnel.
 */

import { ERRNO, errno, putAddress, Scratch } from '../sys/libc.ts';
import { type CallName, callNumber, invoke } from '../sys/syscalls.ts';

/** One of a call's arguments, of which the lower 32 bits are looked at unless `half` says otherwise. */
export interface Condition {
  /** From 0. */
  readonly argument: number;
  readonly half?: 'low' | 'high';
  /** The bits that count; all of them if not given. */
  readonly mask?: number;
  readonly isOneOf: readonly number[];
}

/** A call that is permitted when all conditions hold; or refused with another error than EPERM. */
export interface Rule {
  readonly call: CallName;
  readonly when?: readonly Condition[];
  readonly errno?: number;
}

/** linux/audit.h; without a number here there is no filter. */
const AUDIT_ARCHITECTURES: Readonly<Record<string, number>> = {
  x64: 0xc000003e,
  arm64: 0xc00000b7,
};

// linux/bpf_common.h and seccomp.h. The data: number, architecture, address (8), arguments.
const LOAD = 0x20;
const AND = 0x54;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
const NUMBER_AT = 0;
const ARCHITECTURE_AT = 4;
const ARGUMENTS_AT = 16;
const ALLOW = 0x7fff0000;
const REFUSE = 0x00050000;
const INSTRUCTION_BYTES = 8;

const SECCOMP_SET_MODE_FILTER = 1;
/** All threads or none; no_new_privs goes along with it. */
const TSYNC = 0x1;
/** The process runs nobody else's code, against which the mitigations would be. */
const SPEC_ALLOW = 0x4;

export interface Instruction {
  readonly operation: number;
  readonly constant: number;
  /** Instructions to be skipped when a comparison holds, and when it does not. */
  readonly ifTrue: number;
  readonly ifFalse: number;
}

const step = (operation: number, constant: number, ifTrue = 0, ifFalse = 0): Instruction => ({
  operation,
  constant,
  ifTrue,
  ifFalse,
});

/** The whole filter for this machine; null where its architecture is not known. */
export function createFilter(rules: readonly Rule[]): Instruction[] | null {
  const architecture = AUDIT_ARCHITECTURES[process.arch];
  if (architecture === undefined) return null;
  const refusal = step(RETURN, REFUSE | ERRNO.EPERM!);
  return [
    step(LOAD, ARCHITECTURE_AT),
    // Another architecture's numbers mean other calls (int 0x80 on x86-64).
    step(JUMP_IF_EQUAL, architecture, 1, 0),
    refusal,
    step(LOAD, NUMBER_AT),
    ...rules.flatMap(encodeRule),
    refusal,
  ];
}

/**
 * A filter that refuses one call and permits all others, as a kernel does that has no such call; null
 * where that is so. Another architecture's numbers are the whole filter's to refuse.
 */
export function createRefusal(call: CallName): Instruction[] | null {
  const number = callNumber(call);
  if (number === undefined) return null;
  return [
    step(LOAD, NUMBER_AT),
    step(JUMP_IF_EQUAL, number, 0, 1),
    step(RETURN, REFUSE | ERRNO.ENOSYS!),
    step(RETURN, ALLOW),
  ];
}

/** Enters and leaves with the call's number loaded. */
function encodeRule({ call, when = [], errno: error }: Rule): Instruction[] {
  const number = callNumber(call);
  // This machine does without it.
  if (number === undefined) return [];
  const verdict = step(RETURN, error === undefined ? ALLOW : REFUSE | error);
  if (when.length === 0) return [step(JUMP_IF_EQUAL, number, 0, 1), verdict];
  const restore = step(LOAD, NUMBER_AT);
  const body = when.reduceRight<Instruction[]>(
    (after, condition) => encodeCondition(condition, after),
    [verdict, restore],
  );
  return [step(JUMP_IF_EQUAL, number, 0, body.length), ...body];
}

/** `after` ends with the one instruction to which a condition that does not hold leads. */
function encodeCondition(
  { argument, half = 'low', mask, isOneOf }: Condition,
  after: readonly Instruction[],
): Instruction[] {
  const comparisons = isOneOf.map((value, index) => {
    const left = isOneOf.length - index - 1;
    return step(JUMP_IF_EQUAL, value, left, left === 0 ? after.length - 1 : 0);
  });
  return [
    step(LOAD, ARGUMENTS_AT + argument * 8 + (half === 'high' ? 4 : 0)),
    ...(mask === undefined ? [] : [step(AND, mask)]),
    ...comparisons,
    ...after,
  ];
}

/** Puts the filter over every thread, for good. Returns 0, or the error number. */
export function installFilter(filter: readonly Instruction[]): number {
  const code = new Scratch(filter.length * INSTRUCTION_BYTES);
  filter.forEach(({ operation, constant, ifTrue, ifFalse }, index) => {
    const at = index * INSTRUCTION_BYTES;
    code.view.setUint16(at, operation, true);
    code.view.setUint8(at + 2, ifTrue);
    code.view.setUint8(at + 3, ifFalse);
    code.view.setUint32(at + 4, constant, true);
  });
  // struct sock_fprog
  const program = new Scratch(16);
  program.view.setUint16(0, filter.length, true);
  putAddress(program.words, 2, code.address);
  const install = (flags: number): number =>
    invoke('seccomp', SECCOMP_SET_MODE_FILTER, flags, program.address);
  let result = install(TSYNC | SPEC_ALLOW);
  // SPEC_ALLOW came with 4.17.
  if (result < 0 && errno() === ERRNO.EINVAL) result = install(TSYNC);
  if (result < 0) return errno();
  // The number of a thread that has a filter of its own.
  return result === 0 ? 0 : ERRNO.EBUSY!;
}
