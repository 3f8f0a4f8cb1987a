/** What ends a command for the operator: one line that names the word, the value and the way out. */
export class Refusal extends Error {}

/** Also io's SystemError, known by its name: loading it would load koffi. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Refusal || (error as Error).name === 'SystemError';
}

/** A daemon with its files, sockets and pipes has some thirty; loading it takes more. */
const DESCRIPTORS_MIN = 64;

/**
 * The line about a limit of descriptors that is too low for tswg or tswgd to be loaded at all; null
 * for every other error.
 */
export function descriptorLimit(error: unknown): string | null {
  if ((error as { code?: unknown }).code !== 'EMFILE') return null;
  return `too many open files (EMFILE): expected a limit of ${DESCRIPTORS_MIN} or more: \`ulimit -n ${DESCRIPTORS_MIN}\`, or LimitNOFILE= in the unit`;
}
