/** What doctor said of a case, and whether that is right. Pure. */

import type { Case } from './case.ts';

/** As `tswg IF doctor --json` puts it. */
export interface Finding {
  readonly code: string;
  readonly peer: string | null;
  readonly sentence: string;
  readonly proof: readonly string[];
  readonly commands: readonly string[];
  /** What else it can be. */
  readonly undecided?: readonly string[];
}

export interface Answer {
  readonly status: number;
  readonly findings: readonly Finding[];
  /** What came instead of findings, when nothing could be read. */
  readonly failure: string;
}

/** Reads what doctor printed. Never throws. */
export function readAnswer(stdout: string, stderr: string, status: number): Answer {
  try {
    const { findings } = JSON.parse(stdout) as { findings?: readonly Finding[] };
    if (findings !== undefined) return { status, findings, failure: '' };
  } catch {
    // Told below.
  }
  return { status, findings: [], failure: `no findings: ${stdout}${stderr}`.trim() };
}

/** One line; null when doctor is right. */
export function judge(one: Case, { status, findings, failure }: Answer): string | null {
  if (failure !== '') return failure;
  const codes = findings.map(({ code }) => code);
  const said = codes.join(', ') || 'nothing';
  if (one.code === null) {
    if (codes.length > 0) return `expected nothing, but doctor said ${said}`;
    return status === 0 ? null : `exit code ${status}: expected 0`;
  }
  const [first, ...others] = findings;
  if (first?.code !== one.code) return `expected ${one.code} first, but doctor said ${said}`;
  const { also = [] } = one;
  const told = [...new Set(others.map(({ code }) => code))].filter((code) => also.includes(code));
  if (told.join() !== also.join()) {
    return `after ${one.code}, expected ${also.join(', ')}, but doctor said ${said}`;
  }
  const known = [one.code, ...also, ...(one.beside ?? [])];
  const wrong = others.filter(({ code }) => !known.includes(code)).map(({ code }) => code);
  if (wrong.length > 0) return `beside ${one.code} doctor said ${wrong.join(', ')}`;
  if (status !== 1) return `exit code ${status}: expected 1`;
  const text = [first.sentence, ...first.proof, ...first.commands, ...(first.undecided ?? [])].join(
    '\n',
  );
  if (first.proof.length === 0) return `${one.code}: expected how it is known`;
  if (one.says !== undefined && !one.says.test(text)) return `expected ${one.says} in:\n${text}`;
  return null;
}
