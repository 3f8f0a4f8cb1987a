/** What there is to know of a native library before it is shipped: for which machine, and how bare. */

export interface NativeFile {
  /** As Debian calls it; null for one that is not packaged. */
  readonly architecture: Architecture | null;
  /** It carries a table of symbols for a debugger. */
  readonly hasSymbols: boolean;
  /** The newest version of the GNU C library whose symbols it needs, as in `2.25`. */
  readonly glibc: string | null;
}

export type Architecture = 'amd64' | 'arm64';

// elf(5)
const MAGIC = '\x7fELF';
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const MACHINES: Readonly<Record<number, Architecture>> = { 62: 'amd64', 183: 'arm64' };
const SYMBOL_TABLE = 2;
const SECTIONS_AT = 40;
const SECTION_BYTES = 58;

/** @throws Error for what is no 64-bit little-endian ELF file */
export function readNativeFile(bytes: Buffer): NativeFile {
  const isElf = bytes.toString('latin1', 0, 4) === MAGIC;
  if (!isElf || bytes[4] !== CLASS_64 || bytes[5] !== LITTLE_ENDIAN) {
    throw new Error('expected a 64-bit little-endian ELF file');
  }
  const start = Number(bytes.readBigUInt64LE(SECTIONS_AT));
  const [length, count] = [
    bytes.readUInt16LE(SECTION_BYTES),
    bytes.readUInt16LE(SECTION_BYTES + 2),
  ];
  const types = Array.from({ length: count }, (_, at) =>
    bytes.readUInt32LE(start + at * length + 4),
  );
  const versions = [...bytes.toString('latin1').matchAll(/GLIBC_(\d+)\.(\d+)\b/g)];
  const newest = versions
    .map(([, major, minor]) => [Number(major), Number(minor)] as const)
    .sort((a, b) => a[0] - b[0] || a[1] - b[1])
    .at(-1);
  return {
    architecture: MACHINES[bytes.readUInt16LE(18)] ?? null,
    hasSymbols: types.includes(SYMBOL_TABLE),
    glibc: newest === undefined ? null : newest.join('.'),
  };
}
