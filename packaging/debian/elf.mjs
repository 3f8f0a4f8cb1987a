/** What there is to know of a native library before it is shipped: for which machine, and how bare. */

// elf(5)
const MAGIC = '\x7fELF';
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const MACHINE_AT = 18;
const SECTIONS_AT = 40;
const SECTION_BYTES_AT = 58;
const SECTION_COUNT_AT = 60;
const SYMBOL_TABLE = 2;
/** As Debian calls those that are packaged. */
const MACHINES = { 62: 'amd64', 183: 'arm64' };

/**
 * Throws for what is no 64-bit little-endian ELF file.
 *
 * @param {Buffer} bytes
 * @returns {{
 *   architecture: 'amd64' | 'arm64' | null,
 *   hasSymbols: boolean,
 *   glibc: string | null,
 * }} the machine, whether a debugger's symbols are in it, and the newest version of the GNU C library
 *   whose symbols it needs, as in `2.25`
 */
export function readNativeFile(bytes) {
  const isElf = bytes.toString('latin1', 0, 4) === MAGIC;
  if (!isElf || bytes[4] !== CLASS_64 || bytes[5] !== LITTLE_ENDIAN) {
    throw new Error('expected a 64-bit little-endian ELF file');
  }
  const start = Number(bytes.readBigUInt64LE(SECTIONS_AT));
  const length = bytes.readUInt16LE(SECTION_BYTES_AT);
  const sections = Array.from({ length: bytes.readUInt16LE(SECTION_COUNT_AT) }, (_, at) =>
    bytes.readUInt32LE(start + at * length + 4),
  );
  const versions = [...bytes.toString('latin1').matchAll(/GLIBC_(\d+)\.(\d+)\b/g)].map(
    ([, major, minor]) => [Number(major), Number(minor)],
  );
  versions.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return {
    architecture: MACHINES[bytes.readUInt16LE(MACHINE_AT)] ?? null,
    hasSymbols: sections.includes(SYMBOL_TABLE),
    glibc: versions.at(-1)?.join('.') ?? null,
  };
}
