import { describe, expect, it } from 'vitest';
import { CAUSES } from '../../../src/doctor/causes.ts';
import { cannotLook, type Evidence } from '../../../src/doctor/evidence.ts';
import { examine } from '../../../src/doctor/examine.ts';
import type { Finding } from '../../../src/doctor/finding.ts';
import { RECORDS } from './table.ts';

function textOf({ sentence, proof, commands, undecided = [] }: Finding): string {
  return [sentence, ...proof, ...commands, ...undecided].join('\n');
}

describe('on recorded evidence', () => {
  it.each(RECORDS)('$id', ({ codes, evidence, says }) => {
    const found = examine(evidence);
    const text = found.map(textOf).join('\n\n');
    expect(found.map(({ code }) => code), text).toEqual(codes);
    if (says !== undefined) expect(textOf(found[0])).toMatch(says);
  });

  it('each is another record', () => {
    const ids = RECORDS.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)]);
  });
});

/** Evidence with one section that could not be looked at. */
function without(evidence: Evidence, section: keyof Evidence): Evidence {
  return { ...evidence, [section]: cannotLook('nobody may') };
}

describe('what could not be looked at', () => {
  const sections = (Object.keys(RECORDS[0].evidence) as (keyof Evidence)[]).filter(
    (name) => name !== 'run' && name !== 'other',
  );

  // What a cause explains is true as well, and told where the cause itself cannot be seen.
  const explainedBy = (codes: readonly string[]): readonly string[] =>
    CAUSES.filter(({ code }) => codes.includes(code)).flatMap(({ explains }) =>
      Array.isArray(explains) ? explains : [],
    );
  // So is what remains when nothing else is seen, unless all is well.
  const remaining = CAUSES.filter(({ isLastResort }) => isLastResort).map(({ code }) => code);

  it.each(sections)('proves nothing: %s', (section) => {
    const wrong = RECORDS.flatMap(({ id, codes, evidence }) => {
      const right = [...codes, ...explainedBy(codes), ...(codes.length === 0 ? [] : remaining)];
      const found = examine(without(evidence, section)).map(({ code }) => code);
      return found.filter((code) => !right.includes(code)).map((code) => `${id}: ${code}`);
    });
    expect(wrong).toEqual([]);
  });
});

describe('what is told', () => {
  const findings = RECORDS.flatMap(({ id, evidence }) =>
    examine(evidence).map((finding) => [id, finding] as const),
  );

  it.each(findings)('%s is one sentence, with proof of what was seen', (_, finding) => {
    const { sentence, proof } = finding;
    expect(sentence).not.toMatch(/[.\n]$/);
    expect(textOf(finding)).not.toMatch(/undefined|NaN|null|\[object/);
    expect(proof.every((line) => line.length > 0)).toBe(true);
  });

  it('is told of every cause in a record at least', () => {
    const told = new Set(RECORDS.flatMap(({ codes }) => codes));
    expect(CAUSES.map(({ code }) => code).filter((code) => !told.has(code))).toEqual([]);
  });
});
