/**
 * How a suite that needs the lab is declared: where the machine lacks something it is skipped,
 * with the reason in its title and on the terminal; and the ways in which the data path may run.
 */

import { describe } from 'vitest';
import { Lab } from './lab.ts';
import { unmet } from './requirements.ts';

/** The two data paths, each with the environment that chooses it. */
const DATA_PATHS: readonly {
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
}[] = [
  { path: 'offloads', env: {} },
  { path: 'plain path', env: { TSWG_NO_OFFLOAD: '1' } },
];

/** Declares a suite that runs only where namespaces and `programs` are to be had. */
export function describeInLab(title: string, programs: readonly string[], body: () => void): void {
  const reason = unmet('unshare', 'nsenter', 'ip', 'ping', ...programs);
  if (reason === null) {
    describe(title, body);
    return;
  }
  console.warn(`SKIPPED: ${title}: ${reason}`);
  describe.skipIf(true)(`${title} (SKIPPED: ${reason})`, body);
}

/** The same, once for each data path. */
export function describeOnBothPaths(
  title: string,
  programs: readonly string[],
  body: (env: Readonly<Record<string, string>>) => void,
): void {
  for (const { path, env } of DATA_PATHS) {
    describeInLab(`${title} [${path}]`, programs, () => body(env));
  }
}

/** Runs the body of one test in a lab of its own, which ends with it. */
export async function withLab(
  env: Readonly<Record<string, string>>,
  body: (lab: Lab) => Promise<void>,
): Promise<void> {
  const lab = await Lab.open({ env });
  try {
    await body(lab);
  } finally {
    await lab.close();
  }
}
