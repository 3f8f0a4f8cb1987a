/** Evidence -> what is wrong, what hurts most first, without what follows from something else. Pure. */

import { type Cause, WEIGHTS } from './cause.ts';
import { CAUSES } from './causes.ts';
import type { Evidence } from './evidence.ts';
import type { Finding } from './finding.ts';
import { grouped } from './having.ts';
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
  const causal = without(found, explains);
  const told = without(causal, outweighs);
  return told.map(({ finding }) =>
    isOfKernel(evidence) ? inKernelWords(finding, evidence) : finding,
  );
}

/** Those that follow from none of the others of the same peer or of the whole interface. */
function without(all: readonly Found[], follows: (one: Found, other: Found) => boolean): Found[] {
  const byPeer = grouped(all, ({ finding }) => finding.peer);
  const ofInterface = byPeer.get(null) ?? [];
  return all.filter((one) => {
    const isFollowing = (other: Found): boolean => follows(other, one);
    const { peer } = one.finding;
    const ofPeer = peer === null ? [] : (byPeer.get(peer) ?? []);
    return !ofInterface.some(isFollowing) && !ofPeer.some(isFollowing);
  });
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
  return codes === 'lighter'
    ? weightOf(one.cause) < weightOf(other.cause)
    : codes.includes(other.finding.code);
}

function outweighs(one: Found, other: Found): boolean {
  if (one.cause === other.cause || !other.cause.isLastResort || one.cause.isLastResort)
    return false;
  return weightOf(one.cause) <= weightOf(other.cause);
}

/** tswg changes no tunnel of the kernel's own. */
function inKernelWords(finding: Finding, { run }: Evidence): Finding {
  const commands = finding.commands.map((command) => kernelCommand(command, run.name));
  return { ...finding, commands };
}
