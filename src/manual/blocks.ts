/**
 * What a manual page is made of, before it is mdoc(7). Text has the marks of the help and of docs/:
 * `literal`, **strong** and [links](page.md). Plain values.
 */

/** A term with its explanation, and what belongs to it besides. */
export interface Tagged {
  /** A word of the command line, or literal text. */
  readonly term: readonly TermPart[];
  readonly text: string;
  readonly blocks?: readonly Block[];
}

/** A macro of mdoc(7), and what it marks. */
export interface TermPart {
  readonly macro: 'Ar' | 'Cm' | 'Ev' | 'Fl' | 'Li' | 'Pa';
  readonly text: string;
  /** What stands between it and the part before, instead of a blank. */
  readonly before?: '=' | ',';
}

export type Block =
  | { readonly kind: 'paragraph'; readonly text: string }
  | { readonly kind: 'bullets'; readonly items: readonly string[] }
  | { readonly kind: 'literal'; readonly lines: readonly string[] }
  | { readonly kind: 'tags'; readonly rows: readonly Tagged[]; readonly isCompact?: boolean }
  | { readonly kind: 'heading'; readonly text: string };

export interface Section {
  /** In capitals, as mdoc(7) names it. */
  readonly title: string;
  readonly blocks: readonly Block[];
}

export interface Page {
  readonly name: string;
  readonly section: 5 | 8;
  readonly summary: string;
  /** Lines of mdoc(7) after the name; none where there is no command line. */
  readonly synopsis: readonly string[];
  readonly sections: readonly Section[];
  /** Other pages, as `wg(8)`. */
  readonly seeAlso: readonly string[];
  /** Standards and papers. */
  readonly standards: readonly Reference[];
  /** What mdoc(7) wants after these. */
  readonly lastSections: readonly Section[];
}

export interface Reference {
  readonly author: string;
  readonly title: string;
  /** As `RFC 7748`; empty for none. */
  readonly number: string;
  readonly date: string;
}

export function paragraph(text: string): Block {
  return { kind: 'paragraph', text };
}

/** `text` with a capital at its beginning and a full stop at its end. */
export function sentence(text: string): string {
  const end = /[.!?]$/.test(text) ? '' : '.';
  return `${text[0].toUpperCase()}${text.slice(1)}${end}`;
}
