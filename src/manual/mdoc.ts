/** A page -> mdoc(7), the language of OpenBSD's manual pages. Pure; knows no page. */

import { wrap } from '../cli/fold.ts';
import type { Block, Page, Reference, Section, Tagged, TermPart } from './blocks.ts';

/** Ends with a newline. @param date as mdoc(7) wants it, `January 2, 2026` */
export function formatPage(page: Page, date: string): string {
  const { name, section, summary, synopsis, sections, lastSections, seeAlso, standards } = page;
  const lines = [
    '.\\" Written by src/manual/main.ts out of the tables of src/cli and the pages of docs.',
    `.Dd ${date}`,
    `.Dt ${name.toUpperCase()} ${section}`,
    '.Os',
    '.Sh NAME',
    `.Nm ${name}`,
    `.Nd ${escapeText(summary)}`,
    ...(synopsis.length === 0 ? [] : ['.Sh SYNOPSIS', ...synopsis]),
    ...sections.flatMap(formatSection),
    ...formatSeeAlso(seeAlso),
    ...(standards.length === 0
      ? []
      : ['.Sh STANDARDS', ...standards.flatMap(formatReference).slice(1)]),
    ...lastSections.flatMap(formatSection),
  ];
  return `${lines.join('\n')}\n`;
}

function formatSection({ title, blocks }: Section): string[] {
  return [`.Sh ${title}`, ...formatBlocks(blocks)];
}

/** A paragraph begins with .Pp, unless a heading or the beginning of a list has just stood there. */
function formatBlocks(blocks: readonly Block[]): string[] {
  const lines: string[] = [];
  for (const [at, block] of blocks.entries()) {
    const before = at === 0 ? undefined : blocks[at - 1].kind;
    const isApart = block.kind === 'paragraph' && before !== undefined && before !== 'heading';
    lines.push(...(isApart ? ['.Pp'] : []), ...formatBlock(block));
  }
  return lines;
}

function formatBlock(block: Block): string[] {
  switch (block.kind) {
    case 'heading':
      return [`.Ss ${argument(block.text)}`];
    case 'paragraph':
      return formatText(block.text);
    case 'bullets': {
      const items = block.items.flatMap((item) => ['.It', ...formatText(item)]);
      return ['.Bl -bullet', ...items, '.El'];
    }
    case 'literal':
      return ['.Bd -literal -offset indent', ...block.lines.flatMap(formatLiteral), '.Ed'];
    case 'tags': {
      const width = block.isCompact ? ' -compact' : '';
      return [`.Bl -tag -width Ds${width}`, ...block.rows.flatMap(formatTagged), '.El'];
    }
  }
}

function formatTagged({ term, text, blocks = [] }: Tagged): string[] {
  const [first] = blocks;
  const isApart = first?.kind === 'paragraph';
  return [
    `.It ${term.map(formatPart).join(' ')}`,
    ...formatText(text),
    ...(isApart ? ['.Pp'] : []),
    ...formatBlocks(blocks),
  ];
}

function formatPart({ macro, text, before }: TermPart): string {
  const joined = before === '=' ? 'Ns = Ns ' : before === ',' ? ', ' : '';
  return `${joined}${macro} ${argument(text)}`;
}

function formatSeeAlso(pages: readonly string[]): string[] {
  const lines = pages.map((page, at) => {
    const [, name, section] = /^(.+)\((\d)\)$/.exec(page)!;
    return `.Xr ${name} ${section}${at === pages.length - 1 ? '' : ' ,'}`;
  });
  return ['.Sh SEE ALSO', ...lines];
}

function formatReference({ author, title, number, date }: Reference): string[] {
  return [
    '.Pp',
    '.Rs',
    `.%A ${author}`,
    `.%D ${date}`,
    ...(number === '' ? [] : [`.%R ${number}`]),
    `.%T ${escapeText(title)}`,
    '.Re',
  ];
}

/** As the terminal would show it, but no wider than the page. */
const LITERAL_COLUMNS = 66;

function formatLiteral(line: string): string[] {
  if (line.length <= LITERAL_COLUMNS) return [escapeText(line)];
  const [, command, comment] = /^(.*\S)\s{2,}(# .*)$/.exec(line) ?? [];
  if (command !== undefined) return [comment, command].flatMap(formatLiteral);
  const indent = /^\s*/.exec(line)![0];
  // What a program says is only broken; a command is continued as the shell does it.
  const end = /^\s*(# )?(tswg|ip|wg) /.test(line) ? ' \\' : '';
  const [first, ...rest] = wrap(line.trim(), LITERAL_COLUMNS - indent.length - 8);
  const lines = [`${indent}${first}`, ...rest.map((one) => `${indent}      ${one}`)];
  return lines.map((one, at) => escapeText(at === lines.length - 1 ? one : `${one}${end}`));
}

/** One line for each sentence, as mdoc(7) asks, and one for each literal in it. */
export function formatText(text: string): string[] {
  const plain = text
    // A page that is installed beside this one has no links: only what they say is left.
    .replace(/ ?\((?:\[[^\]]*\]\([^)]*\)(?:, )?)+\)/g, '')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/\*\*/g, '')
    .replace(/``(.+?)``/g, (_, inner: string) => `\`${inner.replaceAll('`', "'")}\``)
    .replaceAll('’', "'");
  return plain.split(/(?<=[.!?]\)?)\s+(?=[A-Z\d`(-])/).flatMap(formatSentence);
}

/** Lines of the source, which mdoc(7) wants no longer than 80; escapes need room. */
const SOURCE_COLUMNS = 72;
/** A literal, another page and OpenBSD: each with the brackets and stops that touch it. */
const MARKED = /(\(?(?:`[^`]*`|(?<![\w.-])[a-z][\w.-]*\(\d\)|OpenBSD(?:'s)?)[.,;:?!)]*)/;

function formatSentence(text: string): string[] {
  return text.split(MARKED).flatMap((piece, at) => {
    if (at % 2 === 1) return [formatMarked(piece)];
    return piece.trim() === '' ? [] : wrap(piece.trim(), SOURCE_COLUMNS).map(escapeText);
  });
}

function formatMarked(piece: string): string {
  const [, before, marked, after] =
    /^(\(?)(`[^`]*`|OpenBSD(?:'s)?|[\w.-]+\(\d\))([.,;:?!)]*)$/.exec(piece)!;
  const page = /^(.+)\((\d)\)$/.exec(marked);
  const system = marked.endsWith("'s") ? ['Ox', 'Ns', "'s"] : ['Ox'];
  const macro = page !== null ? ['Xr', page[1], page[2]] : system;
  const parts = marked.startsWith('`') ? ['Ql', argument(marked.slice(1, -1))] : macro;
  return `.${[parts[0], ...before, ...parts.slice(1), ...after].join(' ')}`;
}

/** Within a line of a macro: in quotes, so that no word of it is taken for another macro. */
function argument(text: string): string {
  // A stop at its end is part of it.
  return `"${escapeText(text)
    .replaceAll('"', '\\(dq')
    .replace(/(?<=[.,;:?!)])$/, '\\&')}"`;
}

/** A `-` that is to be copied is a minus; a line is not to begin as a request does. */
function escapeText(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replace(/(?<![A-Za-z])-|(?<=\d)-(?=\d)/g, '\\-')
    .replace(/^(?=[.'])/, '\\&');
}
