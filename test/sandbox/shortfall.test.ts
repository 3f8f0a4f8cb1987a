/** Which gaps of the sandbox the log has at the start, and which it does not. */

import { describe, expect, it } from 'vitest';
import type { SandboxGap } from '../../src/sandbox/gap.ts';
import { describeShortfall } from '../../src/sandbox/shortfall.ts';

const refused = (step: string, call: string, error: string): SandboxGap => ({
  code: 'sandboxRefused',
  ...{ step, call, error },
});
const BEGINNING = 'Sandbox: not all of it holds, and the tunnel runs all the same: ';

describe('what of the sandbox does not hold', () => {
  it.each<[string, SandboxGap[], string]>([
    ['nothing', [], ''],
    [
      'no Landlock in an old kernel',
      [refused('landlock', 'landlock_create_ruleset', 'ENOSYS')],
      '',
    ],
    ['the user root, as asked', [{ code: 'sandboxRoot' }, { code: 'sandboxThreads' }], ''],
    ['all of it, which has a line of its own', [{ code: 'sandboxOff' }], ''],
  ])('is no line in the log: %s', (_, gaps, memory) => {
    expect(describeShortfall(gaps, memory)).toBeNull();
  });

  it.each<[string, SandboxGap[], string, string]>([
    [
      'Landlock that the kernel has, and its command line leaves out',
      [refused('landlock', 'landlock_create_ruleset', 'EOPNOTSUPP')],
      '',
      'landlock (landlock_create_ruleset: EOPNOTSUPP: switched off: lsm= of the kernel leaves it out)',
    ],
    [
      'several in a container, and what follows from one of them only once',
      [
        refused('landlock', 'landlock_create_ruleset', 'EPERM'),
        refused('user', 'setgroups', 'EPERM'),
        { code: 'sandboxThreads' },
        refused('no_new_privs', 'prctl', 'EBUSY'),
      ],
      'ENOMEM',
      [
        'landlock (landlock_create_ruleset: EPERM: not permitted here, as in a container without this right)',
        'user: the daemon is still root (setgroups: EPERM: not permitted here, as in a container without this right)',
        'no new privs (prctl: EBUSY)',
        'key memory: keys may be swapped out (mlock: ENOMEM)',
      ].join('; '),
    ],
    [
      'a kernel without seccomp',
      [refused('seccomp', 'seccomp', 'ENOSYS')],
      '',
      'seccomp (seccomp: ENOSYS: this kernel has none)',
    ],
    [
      'another processor',
      [{ code: 'sandboxProcessor', processor: 'riscv64' }],
      '',
      'seccomp (there is no filter for riscv64)',
    ],
    [
      'a ring',
      [{ code: 'sandboxRing' }],
      '',
      'seccomp (requests through io_uring are not filtered)',
    ],
  ])('is one line: %s', (_, gaps, memory, line) => {
    expect(describeShortfall(gaps, memory)).toBe(BEGINNING + line);
  });
});
