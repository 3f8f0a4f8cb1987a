/**
 * How answers of the UAPI end, and the signs of the numbers there.
 *
 * The trap: wg(8) puts what follows `errno=` into its own errno. After `set` it negates the number
 * first, so that only a negative one reads as an error's name; after `get` it takes digits only, so
 * that only a positive one is read at all. Every answer of ours is made here.
 */

// Linux's numbers; `node:os` has them too, but that is I/O's to import.
export const EIO = 5;
export const EAGAIN = 11;
export const EACCES = 13;
export const EBUSY = 16;
export const EINVAL = 22;
export const EPROTO = 71;
export const EADDRINUSE = 98;

/** Every answer ends so: an empty line after the errno. */
const END = '\n\n';

/** A `get` or `stats` that succeeded. `body`: what formatState or formatStats made. */
export function answer(body: string): string {
  return `${body}errno=0${END}`;
}

/** A `get`, `stats` or `events` that failed. `errno`: positive. */
export function refuseGet(errno: number): string {
  return `errno=${positive(errno)}${END}`;
}

/** A `set` that succeeded. */
export function acceptSet(): string {
  return `errno=0${END}`;
}

/** A `set` that failed. `errno`: positive. */
export function refuseSet(errno: number): string {
  return `errno=${-positive(errno)}${END}`;
}

/** An `upgrade` that was not carried out. `why`: one line for the operator. */
export function refuseUpgrade(why: string): string {
  return `reason=${why.replaceAll('\n', ' ')}\n${refuseGet(EIO)}`;
}

function positive(errno: number): number {
  if (!Number.isInteger(errno) || errno <= 0) throw new Error(`response: errno ${errno}`);
  return errno;
}

/**
 * The errno of an answer, of either sign, as a positive number; 0 when it succeeded, EPROTO when
 * there is none.
 */
export function parseErrno(text: string): number {
  const errno = /^errno=-?(\d{1,9})$/m.exec(text);
  return errno === null ? EPROTO : Number(errno[1]);
}
