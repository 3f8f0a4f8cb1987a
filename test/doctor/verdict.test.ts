import { expect, it } from 'vitest';
import type { Case } from './case.ts';
import { CASES } from './table.ts';
import { type Answer, type Finding, judge, readAnswer } from './verdict.ts';

const finding = (code: string, changes: Partial<Finding> = {}): Finding => ({
  code,
  peer: null,
  sentence: 'a sentence',
  proof: ['a proof'],
  commands: [],
  ...changes,
});
const answer = (status: number, ...codes: string[]): Answer => ({
  status,
  findings: codes.map((code) => finding(code)),
  failure: '',
});
const injected = (changes: Partial<Case> = {}): Case => ({
  id: 'broken',
  code: 'broken',
  inject: async () => undefined,
  ...changes,
});

it.each<[string, Case, Answer, RegExp | null]>([
  ['the cause alone', injected(), answer(1, 'broken'), null],
  ['another first', injected(), answer(1, 'other', 'broken'), /expected broken first/],
  ['nothing', injected(), answer(0), /said nothing/],
  ['a false one beside it', injected(), answer(1, 'broken', 'false'), /beside broken .* false/],
  ['a true one beside it', injected({ beside: ['b'] }), answer(1, 'broken', 'b'), null],
  [
    'a true one before it',
    injected({ beside: ['b'] }),
    answer(1, 'b', 'broken'),
    /expected broken/,
  ],
  ['what else was injected', injected({ also: ['b', 'c'] }), answer(1, 'broken', 'b', 'c'), null],
  [
    'what else was injected, and is not named',
    injected({ also: ['b', 'c'] }),
    answer(1, 'broken', 'c'),
    /after broken, expected b, c/,
  ],
  [
    'what else was injected, in another order',
    injected({ also: ['b', 'c'] }),
    answer(1, 'broken', 'c', 'b'),
    /after broken, expected b, c/,
  ],
  [
    'a false one beside what else was injected',
    injected({ also: ['b'] }),
    answer(1, 'broken', 'b', 'false'),
    /beside broken .* false/,
  ],
  ['a wrong exit code', injected(), answer(0, 'broken'), /exit code 0: expected 1/],
  ['silence of a healthy one', injected({ code: null }), answer(0), null],
  ['a finding of a healthy one', injected({ code: null }), answer(1, 'x'), /expected nothing/],
  ['the exit code of a healthy one', injected({ code: null }), answer(1), /expected 0/],
  ['words that have to be there', injected({ says: /a proof/ }), answer(1, 'broken'), null],
  [
    'words that are not there',
    injected({ says: /51820/ }),
    answer(1, 'broken'),
    /expected .*51820/,
  ],
  [
    'no proof',
    injected(),
    { status: 1, findings: [finding('broken', { proof: [] })], failure: '' },
    /how it is known/,
  ],
])('judges %s', (_, one, said, fault) => {
  const found = judge(one, said);
  if (fault === null) expect(found).toBeNull();
  else expect(found).toMatch(fault);
});

it('reads what doctor prints, and shows what it printed instead', () => {
  const said = answer(1, 'a');
  expect(readAnswer(JSON.stringify({ findings: said.findings }), '', 1)).toEqual(said);
  expect(readAnswer('', 'tswg: doctor: unknown word', 1).failure).toBe(
    'no findings: tswg: doctor: unknown word',
  );
  expect(judge(injected({ code: null }), readAnswer('{}', '', 0))).toMatch(/no findings: \{\}/);
});

it('has cases of different ids, and every finding that is injected has a code', () => {
  const ids = CASES.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { id, code } of CASES) expect(id.split('/')[0]).toBe(code ?? 'healthy');
});
