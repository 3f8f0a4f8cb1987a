/** One try of one row against one implementation, whatever its section. */

import type { Implementation } from '../bench/implementation.ts';
import { type NewcomerResult, tryNewcomers } from './newcomertrial.ts';
import { type RecoveryResult, tryRecovery } from './recoverytrial.ts';
import type { Row } from './rows.ts';
import { type SessionResult, trySession } from './sessiontrial.ts';
import type { Settings } from './trial.ts';

/** A row that could not be tried to its end. */
export interface Failure {
  readonly section: 'failure';
  /** One line. */
  readonly reason: string;
}

export type Result = SessionResult | NewcomerResult | RecoveryResult | Failure;

/** Never rejects: a row that fails must not take the others with it. */
export async function attempt(
  row: Row,
  implementation: Implementation,
  settings: Settings,
): Promise<Result> {
  try {
    switch (row.section) {
      case 'session':
        return await trySession(row, implementation, settings);
      case 'newcomer':
        return await tryNewcomers(row, implementation, settings);
      case 'recovery':
        return await tryRecovery(row, implementation, settings);
    }
  } catch (error) {
    return { section: 'failure', reason: (error as Error).message.split('\n')[0] };
  }
}
