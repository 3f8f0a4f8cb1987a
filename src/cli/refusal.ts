/** What ends a command for the operator: one line that names the word, the value and the way out. */
export class Refusal extends Error {}

/** Also io's SystemError, known by its name: loading it would load koffi. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Refusal || (error as Error).name === 'SystemError';
}
