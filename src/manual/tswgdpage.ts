/** The page tswgd(8), out of its help, docs/limits.md and docs/crash-safety.md. Pure. */

import {
  DAEMON_DESCRIPTION,
  DAEMON_ENVIRONMENT,
  DAEMON_OPTIONS,
  type DaemonWord,
} from '../cli/daemonwords.ts';
import { type Page, paragraph, sentence, type Tagged, type TermPart } from './blocks.ts';
import { sectionOf } from './markdown.ts';
import { STANDARDS } from './standards.ts';
import { bySectionAndName, FILES } from './tswgpage.ts';

/** @param docs the pages of docs/, by their names */
export function tswgdPage(docs: (name: string) => string): Page {
  return {
    name: 'tswgd',
    section: 8,
    summary: 'WireGuard daemon for one interface',
    synopsis: [
      ...['.Nm', '.Op Fl f | Fl Fl foreground', '.Op Fl Fl persist', '.Ar INTERFACE'],
      ...['.Nm', '.Fl Fl version | Fl Fl help'],
    ],
    sections: [
      {
        title: 'DESCRIPTION',
        blocks: [
          ...DAEMON_DESCRIPTION.map(paragraph),
          paragraph('The options are:'),
          { kind: 'tags', rows: DAEMON_OPTIONS.map((row) => tagged(row, 'Cm')) },
          { kind: 'heading', text: 'How a persistent interface ends' },
          ...sectionOf(docs('crash-safety.md'), 'How it ends'),
          { kind: 'heading', text: 'An upgrade that fails' },
          ...sectionOf(docs('upgrade.md'), 'When it fails'),
        ],
      },
      {
        title: 'ENVIRONMENT',
        blocks: [{ kind: 'tags', rows: DAEMON_ENVIRONMENT.map((row) => tagged(row, 'Ev')) }],
      },
      {
        title: 'FILES',
        blocks: [
          {
            kind: 'tags',
            rows: FILES.map(([path, text]) => ({
              term: [{ macro: 'Pa', text: path }],
              text: sentence(text),
            })),
          },
        ],
      },
      {
        title: 'EXIT STATUS',
        blocks: [
          paragraph(
            'In the foreground, 0 after a regular end; in the background, 0 once the interface is served. 1 when it could not be, or is no longer; a line on standard error or in the log says why.',
          ),
        ],
      },
      {
        title: 'EXAMPLES',
        blocks: [
          paragraph('In the place of wireguard-go, for wg-quick(8):'),
          {
            kind: 'literal',
            lines: ['# WG_QUICK_USERSPACE_IMPLEMENTATION=tswgd wg-quick up wg0'],
          },
          paragraph('In the foreground, with all that it may say:'),
          { kind: 'literal', lines: ['# LOG_LEVEL=verbose tswgd -f wg0'] },
        ],
      },
      { title: 'DIAGNOSTICS', blocks: sectionOf(docs('resources.md'), null) },
    ],
    seeAlso: [
      ...['wg(8)', 'wg-quick(8)', 'hostname.wg(5)', 'tswg(8)', 'dmesg(1)', 'journalctl(1)'],
      ...['systemd.exec(5)', 'capabilities(7)', 'landlock(7)'],
    ].sort(bySectionAndName),
    standards: STANDARDS,
    lastSections: [
      { title: 'CAVEATS', blocks: sectionOf(docs('limits.md'), null) },
      {
        title: 'SECURITY CONSIDERATIONS',
        // Its table is too wide for a page of the manual, and not for operators.
        blocks: sectionOf(docs('least-privilege.md'), null).filter(({ kind }) => kind !== 'tags'),
      },
    ],
  };
}

/** `-f, --foreground` is two words, `NAME=VALUE` a name and what it is set to. */
function tagged({ word, summary }: DaemonWord, macro: TermPart['macro']): Tagged {
  const [name, value] = macro === 'Ev' ? word.split('=') : [word];
  const names = name
    .split(', ')
    .map((text, at): TermPart => ({ macro, text, ...(at === 0 ? {} : { before: ',' }) }));
  const isName = value !== undefined && /[A-Z]/.test(value);
  const taken: TermPart[] =
    value === undefined ? [] : [{ macro: isName ? 'Ar' : 'Li', text: value, before: '=' }];
  return { term: [...names, ...taken], text: sentence(summary) };
}
