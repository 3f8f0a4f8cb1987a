/**
 * Where the time of a sample went, judged by where the processor stood: the kernel, the cipher,
 * compiled JavaScript and WebAssembly, or the glue between them. Pure; reads perf's text and V8's
 * map of compiled code.
 */

export type Place =
  | 'crypto'
  | 'kernel'
  | 'glue'
  | 'JavaScript and WebAssembly'
  | 'iperf3 and its kernel work'
  | 'other programs';

export const PLACES: readonly Place[] = [
  'crypto',
  'kernel',
  'glue',
  'JavaScript and WebAssembly',
  'iperf3 and its kernel work',
  'other programs',
];

export interface PerfSample {
  readonly command: string;
  readonly pid: number;
  readonly address: bigint;
  /** Empty when perf knows none. */
  readonly symbol: string;
  /** The file that the code came from, as perf names it. */
  readonly object: string;
}

/** A piece of compiled code, as V8's --perf-basic-prof lists it. */
export interface CompiledCode {
  readonly start: bigint;
  readonly end: bigint;
  readonly name: string;
}

/** The x86-64 and arm64 kernels live in the upper half of the addresses. */
const KERNEL_START = 0xffff_0000_0000_0000n;
/** The command name of the idle task, whose only work besides idling is interrupts. */
const IDLE_TASK = 'swapper';
const IDLE_SYMBOLS = /idle|safe_halt|mwait|cpu_startup|acpi_processor/;
/** OpenSSL, by its own prefixes and by the names in its assembly. */
const CRYPTO_SYMBOLS =
  /chacha|poly1305|^_?EVP_|^evp_|^CRYPTO_|^OPENSSL_|^ossl_|^OSSL_|x25519|curve25519|^fe(51|64)?_|^x25519|xor128/i;
/** Bytecode handlers and builtins of the language do JavaScript's own work; the rest is calls. */
const INTERPRETER_SYMBOLS = /^Builtins_.*Handler$/;

/** Symbols of C++ hold parentheses; the object is what the last pair holds. */
const SAMPLE = /^\s*(.+?)\s+(\d+)\s+([0-9a-f]+)\s+(.*)\s\(((?:[^()]|\(deleted\))*)\)\s*$/;

/** Lines of `perf script -F comm,pid,ip,sym,dso`; others are passed over. */
export function parsePerfScript(text: string): PerfSample[] {
  const samples: PerfSample[] = [];
  for (const line of text.split('\n')) {
    const match = SAMPLE.exec(line);
    if (match === null) continue;
    const [, command, pid, address, symbol, object] = match;
    samples.push({
      command,
      pid: Number(pid),
      address: BigInt(`0x${address}`),
      symbol: symbol === '[unknown]' ? '' : symbol,
      object,
    });
  }
  return samples;
}

/** The place of a sample; null for idling. `daemons`: their PIDs. */
export function placeOf(sample: PerfSample, daemons: ReadonlySet<number>): Place | null {
  const isKernel = sample.address >= KERNEL_START;
  if (sample.pid === 0 && sample.command.startsWith(IDLE_TASK)) {
    return IDLE_SYMBOLS.test(sample.symbol) ? null : 'kernel';
  }
  if (!daemons.has(sample.pid)) {
    return sample.command.startsWith('iperf3') ? 'iperf3 and its kernel work' : 'other programs';
  }
  if (isKernel) return 'kernel';
  if (!isFile(sample.object)) return 'JavaScript and WebAssembly';
  if (INTERPRETER_SYMBOLS.test(sample.symbol)) return 'JavaScript and WebAssembly';
  return CRYPTO_SYMBOLS.test(sample.symbol) ? 'crypto' : 'glue';
}

/** V8's map, one piece a line; later pieces have taken the place of earlier ones. */
export function parseCompiledCode(text: string): CompiledCode[] {
  const codes = text.split('\n').flatMap((line): CompiledCode[] => {
    const match = /^(?:0x)?([0-9a-f]+) ([0-9a-f]+) (.+)$/.exec(line);
    if (match === null) return [];
    const start = BigInt(`0x${match[1]}`);
    return [{ start, end: start + BigInt(`0x${match[2]}`), name: match[3] }];
  });
  return codes.reverse();
}

export function nameOf(address: bigint, codes: readonly CompiledCode[]): string {
  const code = codes.find(({ start, end }) => start <= address && address < end);
  return code?.name ?? '[compiled code]';
}

/** Compiled code lies in memory without a file: `//anon`, `[JIT]`, `perf-N.map`, `memfd:`. */
function isFile(object: string): boolean {
  return object.startsWith('/') && !object.startsWith('//') && !/\/perf-\d+\.map$/.test(object);
}
