/**
 * A section of a page of docs/ -> blocks, so that the manual says in no other words what stands there.
 * Knows what those pages are written in: paragraphs, lists, indented terminals, tables of two columns.
 * Pure.
 */

import { type Block, paragraph } from './blocks.ts';

/**
 * The blocks under a heading, up to the next one.
 *
 * @param page the text of the page
 * @param heading null for what stands before the first one, without whom the page is for
 * @throws Error when there is no such heading, or nothing under it
 */
export function sectionOf(page: string, heading: string | null): Block[] {
  const parts = page.split(/^(#+ .*)\n/m);
  const isMeant = (part: string): boolean => part.replace(/^#+ /, '') === heading;
  const found = heading === null ? 1 : parts.findIndex(isMeant);
  const blocks = blocksOf(parts[found + 1] ?? '').slice(heading === null ? 1 : 0);
  if (found < 1 || blocks.length === 0) {
    throw new Error(`manual: expected a section "${heading}" in ${parts[1] ?? 'the page'}`);
  }
  // Which test tries it is for who has the sources.
  return blocks.filter((block) => block.kind !== 'paragraph' || !block.text.includes('`test/'));
}

/** What a line belongs to, together with those before it. */
interface Open {
  readonly kind: 'paragraph' | 'literal' | 'table' | 'bullets';
  readonly lines: string[];
}

function blocksOf(text: string): Block[] {
  const opened: Open[] = [];
  let isBlankBefore = true;
  for (const line of text.split('\n')) {
    const last = opened.at(-1);
    if (line.trim() === '') {
      if (last?.kind === 'literal') last.lines.push('');
      isBlankBefore = true;
      continue;
    }
    const kind = kindOf(line, isBlankBefore, last);
    if (last?.kind === kind && (kind !== 'paragraph' || !isBlankBefore)) last.lines.push(line);
    else opened.push({ kind, lines: [line] });
    isBlankBefore = false;
  }
  return opened.map(close);
}

function kindOf(line: string, isBlankBefore: boolean, last: Open | undefined): Open['kind'] {
  if (line.startsWith('|')) return 'table';
  if (line.startsWith('- ')) return 'bullets';
  const isDeep = /^ {4}/.test(line) && (isBlankBefore || last?.kind === 'literal');
  if (isDeep) return 'literal';
  return last?.kind === 'bullets' && /^ {2}/.test(line) ? 'bullets' : 'paragraph';
}

function close({ kind, lines }: Open): Block {
  const joined = (some: readonly string[]): string => some.map((line) => line.trim()).join(' ');
  switch (kind) {
    case 'paragraph':
      return paragraph(joined(lines));
    case 'bullets': {
      const items = lines.join('\n').split(/^- /m).slice(1);
      return { kind: 'bullets', items: items.map((item) => joined(item.trim().split('\n'))) };
    }
    case 'literal': {
      const indent = Math.min(
        ...lines.filter((line) => line !== '').map((line) => line.search(/\S/)),
      );
      const all = lines.map((line) => line.slice(indent));
      return { kind: 'literal', lines: all.join('\n').trimEnd().split('\n') };
    }
    case 'table': {
      // After the heads of the columns and the line below them.
      const rows = lines.slice(2).map((line) => line.slice(1, -1).split(/(?<!\\)\|/));
      return {
        kind: 'tags',
        rows: rows.map(([term, ...rest]) => ({
          term: [{ macro: 'Li', text: term.trim().replace(/`/g, '').replaceAll('\\|', '|') }],
          text: rest.map((cell) => cell.trim().replaceAll('\\|', '|')).join(' '),
        })),
      };
    }
  }
}
