/** Counts on their way into a sentence: `1 packet`, `2 packets`. */

/** The count and what is counted. @param many where it is more than `one` with an s */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
