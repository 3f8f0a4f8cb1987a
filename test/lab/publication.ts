/**
 * Where the figures of a run are published: the record beside the program that wrote it, what people
 * look at (a chart, a table) in docs/. Owns how a table of a page is replaced; knows nothing of what
 * was measured.
 */

import path from 'node:path';
import { REPOSITORY } from './repository.ts';

/** Folders, as absolute paths. */
export interface Places {
  readonly record: string;
  readonly charts: string;
}

/**
 * The record and the charts of a run of `name` (`bench`, `soak`). Only a whole run is `published`:
 * others write below dist/, so as not to take its place. `--out` names one folder for everything.
 */
export function placesOf(name: string, isPublished: boolean, out: string | undefined): Places {
  const inRepository = (folder: string) => path.join(REPOSITORY, folder);
  if (out !== undefined) return { record: path.resolve(out), charts: path.resolve(out) };
  if (isPublished) return { record: inRepository(`test/${name}/results`), charts: DOCS };
  return { record: inRepository(`dist/${name}`), charts: inRepository(`dist/${name}`) };
}

/** The folder of the pages, and of the charts that they show. */
export const DOCS = path.join(REPOSITORY, 'docs');

/** Lines of Markdown: the first row is the head. No cell may hold a `|`. */
export function formatMarkdown([head, ...rows]: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const FIRST_TABLE = /^\|.*\n(?:\|.*\n)*/m;

/**
 * The text of a page with its first table replaced.
 *
 * @throws Error when the page has none
 */
export function replaceTable(page: string, table: string): string {
  if (!FIRST_TABLE.test(page)) throw new Error('the page has no table that could be replaced');
  return page.replace(FIRST_TABLE, () => `${table}\n`);
}
