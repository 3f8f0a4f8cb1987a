/** The words after `tswg IF doctor`. Pure. */

import { visible } from '../quotation.ts';
import type { Command, Mistake } from './command.ts';
import { parseKey } from './keys.ts';
import { DOCTOR_OPTIONS } from './options.ts';

/** It could not look: neither healthy nor found to be wrong. */
export const CANNOT_LOOK = 2;

/** @param words after `doctor` */
export function parseDoctor(name: string, words: readonly string[]): Command | Mistake {
  const given = new Map<string, string>();
  for (let at = 0; at < words.length; at++) {
    const word = words[at];
    if (!Object.hasOwn(DOCTOR_OPTIONS, word)) {
      return wrong(`doctor: ${visible(word)}: expected ${listed(Object.keys(DOCTOR_OPTIONS))}`);
    }
    if (given.has(word)) return wrong(`doctor: ${word}: expected it once`);
    const { argument } = DOCTOR_OPTIONS[word];
    if (argument !== null && (words[at + 1] ?? '') === '') {
      return wrong(`doctor: ${word}: expected ${argument} after it`);
    }
    given.set(word, argument === null ? '' : words[++at]);
  }
  const mistaken = contradiction(given);
  if (mistaken !== null) return wrong(`doctor: ${mistaken}`);
  return {
    kind: 'doctor',
    request: {
      name,
      json: given.has('--json'),
      isQuick: given.has('--quick'),
      peer: given.get('--peer') ?? null,
      other: given.get('--other') ?? null,
      record: given.get('--record') ?? null,
      evidence: given.get('--evidence') ?? null,
    },
  };
}

function contradiction(given: ReadonlyMap<string, string>): string | null {
  if (given.has('--evidence')) {
    const other = ['--other', '--record', '--quick'].find((word) => given.has(word));
    if (other !== undefined) return `${other}: expected it where the evidence is gathered`;
  }
  const files = ['--other', '--record', '--evidence'].filter((word) => given.has(word));
  const keyed = files.find((word) => parseKey(given.get(word)!) !== null);
  return keyed === undefined ? null : `${keyed}: this is a key: expected a path`;
}

function listed(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function wrong(text: string): Mistake {
  return { kind: 'mistake', text, exitCode: CANNOT_LOOK };
}
