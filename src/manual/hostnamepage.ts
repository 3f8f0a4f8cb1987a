/** The page hostname.wg(5), out of docs/boot.md and the words of tswg. Pure. */

import type { Block, Page } from './blocks.ts';
import { sectionOf } from './markdown.ts';
import { bySectionAndName } from './tswgpage.ts';

/** @param docs the pages of docs/, by their names */
export function hostnamePage(docs: (name: string) => string): Page {
  const boot = docs('boot.md');
  const changes = sectionOf(boot, 'After a change to the file');
  return {
    name: 'hostname.wg',
    section: 5,
    summary: 'configuration files of WireGuard interfaces',
    synopsis: [],
    sections: [
      {
        title: 'DESCRIPTION',
        blocks: [
          ...sectionOf(boot, null),
          { kind: 'heading', text: 'Setting the interface up' },
          ...sectionOf(boot, 'Any system'),
          { kind: 'heading', text: 'A line that cannot be carried out yet' },
          ...sectionOf(boot, 'A line that cannot be carried out yet'),
          { kind: 'heading', text: 'After a change to the file' },
          ...changes.filter((block) => !isDifference(block)),
        ],
      },
      {
        title: 'FILES',
        blocks: [
          {
            kind: 'tags',
            rows: [
              {
                term: [{ macro: 'Pa', text: '/etc/hostname.INTERFACE' }],
                text: "The file of each interface, root's alone.",
              },
            ],
          },
        ],
      },
    ],
    seeAlso: ['hosts(5)', 'resolv.conf(5)', 'systemd.unit(5)', 'tswg(8)', 'tswgd(8)', 'ip(8)'].sort(
      bySectionAndName,
    ),
    standards: [],
    lastSections: [{ title: 'CAVEATS', blocks: changes.filter(isDifference) }],
  };
}

function isDifference(block: Block): boolean {
  return block.kind === 'paragraph' && block.text.startsWith('Unlike on OpenBSD');
}
