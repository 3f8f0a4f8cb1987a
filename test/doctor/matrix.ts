/** The outcomes as text: a line for each as it comes, and all of them as cases against codes. */

import type { Outcome } from './trial.ts';

/** What doctor said of a case, and why that is wrong where it is. */
export function formatOutcome({ one, answer, fault, seconds, doctorSeconds }: Outcome): string {
  const said = answer.findings.map(({ code }) => code).join(', ') || 'nothing';
  const times = `${seconds.toFixed(1)} s, doctor ${doctorSeconds.toFixed(1)} s`;
  const line = `  ${fault === null ? 'ok  ' : 'FAIL'} ${one.id}: ${said} (${times})`;
  return fault === null ? line : `${line}\n       ${fault.replaceAll('\n', '\n       ')}`;
}

/** What each finding says to people, indented. */
export function formatFindings({ answer }: Outcome): string {
  return answer.findings
    .flatMap(({ sentence, proof, commands, undecided = [] }) => [
      `       ${sentence}`,
      ...proof.map((line) => `         ${line}`),
      ...undecided.map((line) => `         or: ${line}`),
      ...commands.map((line) => `         $ ${line}`),
    ])
    .join('\n');
}

/**
 * A row for each case, a column for each code: the place among the findings, `.` for none. What has
 * to come first stands in brackets.
 */
export function formatMatrix(outcomes: readonly Outcome[]): string {
  const codes = [
    ...new Set(
      outcomes.flatMap(({ one, answer }) => [
        ...(one.code === null ? [] : [one.code]),
        ...answer.findings.map(({ code }) => code),
      ]),
    ),
  ].sort();
  const width = Math.max(...outcomes.map(({ one }) => one.id.length));
  const legend = codes.map((code, index) => `  ${index + 1} ${code}`);
  const head = `${''.padEnd(width)} ${codes.map((_, index) => `${index + 1}`.padStart(4)).join('')}`;
  const rows = outcomes.map(({ one, answer }) => {
    const cells = codes.map((code) => {
      const place = answer.findings.findIndex((finding) => finding.code === code);
      const text = place < 0 ? '.' : `${place + 1}`;
      return (code === one.code ? `[${text}]` : `${text} `).padStart(4);
    });
    return `${one.id.padEnd(width)} ${cells.join('')}`;
  });
  return [...legend, '', head, ...rows].join('\n');
}
