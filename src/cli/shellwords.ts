/**
 * Words as a shell spells them: a line into its words, and a word so that a shell reads it back.
 * Pure. No shell is run, so that what only a shell could do (`$`, `;` and the like) is a mistake
 * and not a word.
 */

import { printable } from '../quotation.ts';
import type { Mistake } from './command.ts';
import { mistake } from './command.ts';

/** Stands in a line where a `\` and the end of a line were taken out of it. */
export const CONTINUED = '\n';

/** A mark, blanks, or a piece of a word; sticky, so that nothing is skipped. */
const PIECE =
  /(?<mark>\n)|[ \t]+|'(?<single>[^']*)'|"(?<double>(?:[^"\\$`]|\\.)*)"|\\(?<escaped>.)|(?<plain>[^ \t\n'"\\$`;&|<>()]+)/suy;

/** A `#` before a word hides the rest of the line. */
export function splitShellWords(line: string): string[] | Mistake {
  const words: string[] = [];
  let word: string | null = null;
  for (let at = 0; at < line.length; at = PIECE.lastIndex) {
    if (word === null && line[at] === '#') {
      if (!line.includes(CONTINUED, at)) break;
      return mistake('#: the comment would hide the lines that continue this one: put it above');
    }
    PIECE.lastIndex = at;
    const piece = PIECE.exec(line)?.groups;
    if (piece === undefined) return mistake(pieceMistake(line.slice(at)));
    const text: string | undefined =
      piece.single ?? piece.double?.replace(/\\([$`"\\])/g, '$1') ?? piece.escaped ?? piece.plain;
    if (text !== undefined) {
      word = (word ?? '') + text.replaceAll(CONTINUED, '');
    } else if (word !== null && piece.mark === undefined) {
      words.push(word);
      word = null;
    }
  }
  if (word !== null) words.push(word);
  return words;
}

function pieceMistake(rest: string): string {
  const sign = rest[0];
  const isClosed = /^'[^']*'|^"([^"\\]|\\.)*"/s.test(rest);
  if (`'"`.includes(sign) && !isClosed)
    return `${sign}: expected another ${sign} that ends the text`;
  if (sign === '\\') return '\\: expected a character after it';
  const culprit = sign === '"' ? rest[rest.search(/[$`]/)] : sign;
  return `${culprit}: no shell reads this line: quote it as '${culprit}', or begin the line with ! for a command`;
}

/** So that the line can be copied; control characters have no place in it. */
export function quoteShellWord(word: string): string {
  return /^[\w./+:@%=,-]+$/.test(word) ? word : `'${printable(word).replaceAll("'", "'\\''")}'`;
}
