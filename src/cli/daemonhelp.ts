/** What `tswgd --help` prints, in 80 columns. Pure. */

import {
  DAEMON_DESCRIPTION,
  DAEMON_ENVIRONMENT,
  DAEMON_OPTIONS,
  DAEMON_USAGES,
  type DaemonWord,
} from './daemonwords.ts';
import { COLUMNS_MAX, hang, wrap } from './fold.ts';

/** Where the explanations begin. */
const TERM_COLUMNS = 29;

/** Ends with a newline. */
export function formatDaemonHelp(columns = COLUMNS_MAX): string {
  const usages = DAEMON_USAGES.map(
    (usage, at) => `${at === 0 ? 'usage:' : '      '} tswgd ${usage}`,
  );
  const paragraphs = DAEMON_DESCRIPTION.map((text) => wrap(text, columns).join('\n'));
  const list = (heading: string, rows: readonly DaemonWord[]): string =>
    [
      heading,
      ...rows.map(({ word, summary }) => hang(`  ${word}`, summary, TERM_COLUMNS, columns)),
    ].join('\n');
  return `${[
    usages.join('\n'),
    ...paragraphs,
    list('Options:', DAEMON_OPTIONS),
    list('Environment:', DAEMON_ENVIRONMENT),
  ].join('\n\n')}\n`;
}
