/**
 * Which gaps of a sandbox an operator hears of at the start, without asking, and in which words: what
 * this machine refuses although its kernel could have given it. `stats` tells all of them.
 *
 * Not told is what no such kernel has (Landlock before 5.13, and of its threads before ABI 8: the
 * other steps hold, and nothing but another kernel helps), and what the operator asked for.
 */

import type { SandboxGap } from './gap.ts';

/** Why a step is refused, by the error; of others the error says enough. */
const REASONS: Readonly<Record<string, string>> = {
  EPERM: 'not permitted here, as in a container without this right',
  ENOSYS: 'this kernel has none',
  EINVAL: 'this kernel has none',
  EOPNOTSUPP: 'switched off: lsm= of the kernel leaves it out',
};

/**
 * One line, or null when there is nothing to tell.
 *
 * @param memory how the kernel refused to lock memory for keys, by the error's name; or empty
 */
export function describeShortfall(gaps: readonly SandboxGap[], memory: string): string | null {
  const parts = gaps.map(partOf).filter((part) => part !== null);
  if (memory !== '') parts.push(`key memory: keys may be swapped out (mlock: ${memory})`);
  if (parts.length === 0) return null;
  return `Sandbox: not all of it holds, and the tunnel runs all the same: ${parts.join('; ')}`;
}

function partOf(gap: SandboxGap): string | null {
  switch (gap.code) {
    case 'sandboxRefused': {
      const { step, call, error } = gap;
      if (step === 'landlock' && error === 'ENOSYS') return null;
      const what = step === 'user' ? 'user: the daemon is still root' : step.replaceAll('_', ' ');
      const reason = REASONS[error] === undefined ? '' : `: ${REASONS[error]}`;
      return `${what} (${call}: ${error}${reason})`;
    }
    case 'sandboxProcessor':
      return `seccomp (there is no filter for ${gap.processor})`;
    case 'sandboxRing':
      return 'seccomp (requests through io_uring are not filtered)';
    // That one has been told louder; these are asked for, or follow from a step that is told.
    case 'sandboxOff':
    case 'sandboxRoot':
    case 'sandboxThreads':
      return null;
  }
}
