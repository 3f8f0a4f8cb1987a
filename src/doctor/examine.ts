/** Evidence -> what is wrong, what hurts most first, without what follows from something else. Pure. */

import { type Cause, WEIGHTS } from './cause.ts';
import { CAUSES } from './causes.ts';
import type { Evidence } from './evidence.ts';
import type { Finding } from './finding.ts';
import { kernelCommand } from './kernelcommand.ts';
import { isOfKernel } from './peer.ts';

interface Found {
  readonly cause: Cause;
  readonly finding: Finding;
}

/** @param causes others than the table's, in tests */
export function examine(evidence: Evidence, causes: readonly Cause[] = CAUSES): Finding[] {
  const found = [...causes]
    .sort((a, b) => weightOf(a) - weightOf(b))
    .flatMap((cause) => cause.find(evidence).map((finding) => check(cause, finding)))
    .filter(({ finding }) => isOfPeer(finding, evidence.run.peer));
  const causal = found.filter((one) => !found.some((other) => explains(other, one)));
  const told = causal.filter((one) => !causal.some((other) => outweighs(other, one)));
  return told.map(({ finding }) =>
    isOfKernel(evidence) ? inKernelWords(finding, evidence) : finding,
  );
}

function weightOf({ weight }: Cause): number {
  return WEIGHTS.indexOf(weight);
}

/** What is about the whole interface is about the peer, too. */
function isOfPeer(finding: Finding, peer: string | null): boolean {
  return peer === null || finding.peer === null || finding.peer === peer;
}

function check(cause: Cause, finding: Finding): Found {
  if (finding.code !== cause.code) throw new Error(`doctor: ${cause.code} found ${finding.code}`);
  if (finding.proof.length === 0) throw new Error(`doctor: ${cause.code} without proof`);
  return { cause, finding };
}

function explains(one: Found, other: Found): boolean {
  const { explains: codes } = one.cause;
  if (codes === undefined || one.cause === other.cause) return false;
  const isNamed =
    codes === 'lighter'
      ? weightOf(one.cause) < weightOf(other.cause)
      : codes.includes(other.finding.code);
  if (!isNamed) return false;
  return one.finding.peer === null || one.finding.peer === other.finding.peer;
}

function outweighs(one: Found, other: Found): boolean {
  if (one.cause === other.cause || !other.cause.isLastResort || one.cause.isLastResort)
    return false;
  if (weightOf(one.cause) > weightOf(other.cause)) return false;
  return one.finding.peer === null || one.finding.peer === other.finding.peer;
}

/** tswg changes no tunnel of the kernel's own. */
function inKernelWords(finding: Finding, { run }: Evidence): Finding {
  const commands = finding.commands.map((command) => kernelCommand(command, run.name));
  return { ...finding, commands };
}
