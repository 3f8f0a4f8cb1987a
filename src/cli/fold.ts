/** Lines no wider than the terminal that they go to. Pure. */

const TAB_COLUMNS = 8;
/** Of what is written for a terminal that does not say how wide it is, and at most. */
export const COLUMNS_MAX = 80;
/** A terminal that says that it is narrower is not believed. */
const COLUMNS_MIN = 40;

/** Lines of words, each no longer than `columns` unless it is one word. */
export function wrap(text: string, columns: number): string[] {
  return fill(text.split(' '), columns);
}

/** The same of pieces that are not to be broken, with a blank between two on a line. */
export function fill(words: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.length - 1;
    if (last >= 0 && lines[last].length + 1 + word.length <= columns) lines[last] += ` ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** A term and its explanation, which begins at `column`; below the term if that is too long. */
export function hang(term: string, text: string, column: number, columns: number): string {
  const lines = wrap(text, columns - column);
  const indent = ' '.repeat(column);
  const isLong = term.length > column - 2;
  const head = isLong ? [term, `${indent}${lines[0]}`] : [`${term.padEnd(column)}${lines[0]}`];
  return [...head, ...lines.slice(1).map((line) => `${indent}${line}`)].join('\n');
}

/**
 * Breaks lines wider than `columns` at blanks; what follows stands a tab deeper than the line.
 *
 * @param text lines with their newlines; tabs are at their beginnings only
 * @param columns undefined for what is no terminal: programs get each line whole
 */
export function fold(text: string, columns: number | undefined): string {
  if (columns === undefined) return text;
  return text
    .split('\n')
    .map((line) => foldLine(line, Math.max(columns, COLUMNS_MIN)))
    .join('\n');
}

function foldLine(line: string, columns: number): string {
  const indent = /^\t*/.exec(line)![0];
  if (indent.length * (TAB_COLUMNS - 1) + line.length <= columns) return line;
  // A table's columns are apart by two blanks or more, which the first line keeps.
  const [, head, rest] = /^(\s*(?:\S+ {2,})*)(.*)$/s.exec(line)!;
  const first = columns - indent.length * (TAB_COLUMNS - 1) - head.length;
  const [begin, ...others] = wrap(rest, Math.max(first, 1));
  const deeper = `${indent}\t`;
  const folded = wrap(others.join(' '), columns - deeper.length * TAB_COLUMNS);
  return [`${head}${begin}`, ...folded.map((one) => `${deeper}${one}`)].join('\n');
}
