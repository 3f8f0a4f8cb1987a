/** What ends a command for the operator: one line that names the word, the value and the way out. */
export class Refusal extends Error {}

/** Also a SystemError (sys/libc.ts), known by its name: loading it would load koffi. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Refusal || (error as Error).name === 'SystemError';
}

/** A daemon with its files, sockets and pipes has some thirty, and more with many who ask it. */
const DESCRIPTORS_MIN = 128;

/**
 * The line about a limit of descriptors that is too low for tswg or tswgd to be loaded at all; null
 * for every other error.
 */
function descriptorLimit(error: unknown): string | null {
  if ((error as { code?: unknown }).code !== 'EMFILE') return null;
  return `too many open files (EMFILE): expected a limit of ${DESCRIPTORS_MIN} or more: \`ulimit -n ${DESCRIPTORS_MIN}\`, or LimitNOFILE= in the unit`;
}

/**
 * The line about koffi, by which both programs make their system calls and which a package manager
 * may have left out since the library does without; null for every other error.
 */
function missingKoffi(error: unknown): string | null {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const name = /@koromix\/koffi-[\w-]+/.exec(String(message))?.[0];
  const isAbsent = code === 'MODULE_NOT_FOUND' && name !== undefined;
  // Its JavaScript is there, and not its part for this C library; or it is for another one.
  const isUnfit = code === 'ERR_DLOPEN_FAILED' && /\bkoffi\.node\b/.test(String(message));
  if (!isAbsent && !isUnfit) return null;
  return `koffi could not be installed, and is needed for system calls: \`npm install ${name ?? 'koffi'}\` says why`;
}

/** The line about what keeps tswg or tswgd from being loaded at all; null for every other error. */
export function loadingMistake(error: unknown): string | null {
  return descriptorLimit(error) ?? missingKoffi(error);
}
