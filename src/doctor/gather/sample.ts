/** What is known of a daemon at one moment, whichever way it was asked. */

import type { ReportedState } from '../../uapi/get.ts';
import type { ReportedStats } from '../../uapi/stats.ts';
import type { AnsweringDaemon } from '../evidence.ts';

/** What an answering daemon said at one moment; keys are only the public ones. */
export interface DaemonSample {
  readonly state: Omit<ReportedState, 'privateKey'>;
  readonly publicKey: string | null;
  readonly key: AnsweringDaemon['key'];
  /** null where the daemon is not tswgd. */
  readonly stats: ReportedStats | null;
}
