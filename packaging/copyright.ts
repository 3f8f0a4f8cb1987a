/** Debian's file of copyrights (DEP-5): ours, and that of each package that comes along, word by word. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** @param folder as stage.ts lays it; @param installed where it will lie */
export function formatCopyright(folder: string, installed: string): string {
  const own = readFileSync(join(folder, 'LICENSE'), 'utf8');
  const others = packagesIn(join(folder, 'node_modules')).map((path) =>
    paragraph(`${installed}/node_modules/${path}/*`, join(folder, 'node_modules', path)),
  );
  return [
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: tswg',
    `Files: *\nCopyright: ${copyrightOf(own)}\nLicense: ISC\n${indent(bodyOf(own))}`,
    ...others,
  ]
    .join('\n\n')
    .concat('\n');
}

/** All packages, and those within them, with their scopes. */
function packagesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
    .flatMap((name) => {
      if (name.startsWith('@'))
        return packagesIn(join(folder, name)).map((one) => `${name}/${one}`);
      const inner = packagesIn(join(folder, name, 'node_modules'));
      return [name, ...inner.map((one) => `${name}/node_modules/${one}`)];
    });
}

function paragraph(files: string, folder: string): string {
  const { name, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((one) => /^(licen[cs]e|copying)/i.test(one));
  const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8');
  // koffi's native part has none of its own: that of koffi is its licence.
  const holder = typeof author === 'string' ? author : (author?.name ?? `the authors of ${name}`);
  const copyright = copyrightOf(text) || holder;
  // A short name may stand for one text only, and these differ in their first lines.
  const short = `${license}-${name.replaceAll(/[^a-z0-9]+/g, '-').replace(/^-/, '')}`;
  const body =
    text === '' ? `As ${license}; see https://spdx.org/licenses/${license}.html` : bodyOf(text);
  return `Files: ${files}\nCopyright: ${copyright}\nLicense: ${short}\n${indent(body)}`;
}

function copyrightOf(text: string): string {
  const lines = text.match(/^.*\bcopyright\b.*\d{4}.*$/gim) ?? [];
  return lines.map((line) => line.replace(/^.*?copyright\s*(\(c\)|©)?\s*/i, '').trim()).join('\n ');
}

function bodyOf(text: string): string {
  return text.trim();
}

function indent(text: string): string {
  const lines = text.split('\n').map((line) => line.trimEnd());
  return lines.map((line) => (line === '' ? ' .' : ` ${line}`)).join('\n');
}
