/**
 * Debian's file of copyrights (DEP-5): ours, that of what is in the two programs by the bundler's own
 * list, and that of koffi, which is beside them.
 */

/**
 * @param {{ own: string, bundled: string, koffi: string }} texts LICENSE, dist/program/licenses.txt, and
 *   koffi's licence
 */
export function formatCopyright({ own, bundled, koffi }) {
  const header = [
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/',
    'Upstream-Name: tswg',
  ].join('\n');
  const paragraphs = [
    paragraph('*', own, 'ISC'),
    paragraph('usr/lib/tswg/dist/program/*', bundled, 'tswg-and-packages'),
    paragraph('usr/lib/tswg/node_modules/*', koffi, 'Expat'),
  ];
  return `${[header, ...paragraphs].join('\n\n')}\n`;
}

function paragraph(files, text, name) {
  const holders = text.match(/^.*\bcopyright\b.*$/gim) ?? [];
  const found = holders.flatMap((line) => /copyright\s*(?:\(c\)|©)\s*(.+)$/i.exec(line)?.[1] ?? []);
  if (found.length === 0) throw new Error(`${files}: no copyright in its licence`);
  const body = text
    .trim()
    .split('\n')
    .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`));
  return [
    `Files: ${files}`,
    `Copyright: ${[...new Set(found)].join('\n ')}`,
    `License: ${name}`,
    ...body,
  ].join('\n');
}
