/**
 * The priority of a line for the journal: systemd reads `<N>` at the beginning of a line of a
 * service's standard error as its syslog(3) severity (sd-daemon(3)), and takes it away.
 */

import { fstatSync } from 'node:fs';

const SEVERITIES = { error: 3, info: 6, debug: 7 } as const;
const STANDARD_ERROR = 2;

export type Priority = keyof typeof SEVERITIES;

/**
 * What stands before a line of standard error: nothing unless that is what JOURNAL_STREAM names, as
 * it would be shown elsewhere.
 */
export function openJournal(
  env: Readonly<Record<string, string | undefined>>,
): (priority: Priority) => string {
  const isIt = isJournal(env.JOURNAL_STREAM);
  return (priority) => (isIt ? `<${SEVERITIES[priority]}>` : '');
}

/** @param stream `DEVICE:INODE`, in decimal */
function isJournal(stream: string | undefined): boolean {
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(STANDARD_ERROR, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
