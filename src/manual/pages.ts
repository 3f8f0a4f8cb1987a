/** All pages of the manual. Pure. */

import type { Page } from './blocks.ts';
import { hostnamePage } from './hostnamepage.ts';
import { tswgdPage } from './tswgdpage.ts';
import { tswgPage } from './tswgpage.ts';

/** @param docs the text of a page of docs/, by its name */
export function manualPages(docs: (name: string) => string): Page[] {
  return [tswgPage(docs), tswgdPage(docs), hostnamePage(docs)];
}
