/** An answer that is made while it is read: pieces of text, as many at once as pass quickly. */

import type { Feed } from './feed.ts';

/** What is written at once, about. */
const PIECE_CHARACTERS = 8 * 1024;

export class TextFeed implements Feed {
  readonly isEndless = false;
  readonly #pieces: Iterator<string>;

  constructor(pieces: Iterator<string>) {
    this.#pieces = pieces;
  }

  read(): string | null {
    let text = '';
    while (text.length < PIECE_CHARACTERS) {
      const { done, value } = this.#pieces.next();
      if (done) return text === '' ? null : text;
      text += value;
    }
    return text;
  }

  /** There is always another piece. */
  listen(): void {}

  close(): void {
    this.#pieces.return?.();
  }
}
