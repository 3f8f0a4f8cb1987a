/**
 * Upgrade in place, as the running daemon sees it: what the operator is answered, what the log
 * says, and what becomes of the Device when a successor fails. The steps are handover/handover.ts'.
 */

import { counted } from '../counted.ts';
import type { Datapath } from '../datapath/datapath.ts';
import type { EventBody } from '../events/record.ts';
import { Handover, type Outcome } from '../handover/handover.ts';
import { type Belongings, Packing } from '../handover/packing.ts';
import type { Remains } from '../handover/starter.ts';
import type { Log } from '../log.ts';
import { SystemError } from '../sys/libc.ts';
import { answer, refuseUpgrade } from '../uapi/response.ts';
import type { Ending } from './ending.ts';

/** How the successor is started. */
export interface Successor {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface UpgradeOptions {
  /** Without it there is no upgrade. */
  readonly successor: Successor | undefined;
  readonly path: Datapath;
  readonly log: Log;
  /** What is handed over beside the Device, as of a turn that has just begun. */
  readonly belongings: () => Belongings;
  readonly ending: Ending;
  /** Whether somebody who asks would get no answer if another process continued now. */
  readonly isBusy: () => boolean;
  /** A resolver that was started has called (resolver/remoteresolver.ts). */
  readonly onResolver: (fds: readonly number[]) => void;
  readonly tell: (event: EventBody) => void;
  /** The process of this number continues: from now on nothing may be sent. */
  readonly onHandedOver: (pid: number) => void;
}

export class Upgrade {
  readonly #options: UpgradeOptions;
  #handover: Handover | undefined;
  #isStarterLost = false;

  constructor(options: UpgradeOptions) {
    this.#options = options;
  }

  /**
   * Before the daemon confines itself: afterwards it can start nothing. Where descriptors are short
   * there is no upgrade, and a line in the log.
   */
  open(remains: Remains): void {
    const { successor, path, belongings, log, ending, isBusy, onResolver } = this.#options;
    if (successor === undefined) return;
    const packing = new Packing(path);
    try {
      this.#handover = new Handover({
        ...successor,
        remains,
        ahead: () => packing.ahead(),
        pack: (isAhead) => {
          path.readClock();
          return packing.pack(isAhead, belongings());
        },
        isBusy,
        onOutcome: this.#follow,
        onStarterGone: this.#miss,
        onResolver,
        onBug: ending.surface,
      });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      log.error(
        `There will be no upgrade in place, and the control socket will not be removed at the end: ${error.message}`,
      );
    }
  }

  troubles(): { readonly code: 'starterLost' }[] {
    return this.#isStarterLost ? [{ code: 'starterLost' }] : [];
  }

  /** Starts the successor and hands over to it; resolves to the answer for the client. */
  async request(): Promise<string> {
    if (this.#handover === undefined) {
      return refuseUpgrade('the daemon was started without a starter');
    }
    const outcome = await this.#handover.upgrade();
    if (outcome.kind !== 'handedOver') return refuseUpgrade(outcome.why);
    const { pid, version, pauseMs } = outcome;
    // The answer is on its way to the client, but not there yet.
    setImmediate(() => this.#options.ending.endSucceeded());
    return answer(`version=${version}\npid=${pid}\npause_ms=${pauseMs.toFixed(0)}\n`);
  }

  /** Has a resolver started, which then calls. Returns why that cannot be, or ''. */
  startResolver(): string {
    return this.#handover?.startResolver() ?? 'the daemon was started without a starter';
  }

  /** The resolver has been let go of. */
  readonly reapResolver = (): void => this.#handover?.reapResolver();

  /** The interface has another name. */
  rename(): void {
    this.#handover?.rename();
  }

  /** The last that a daemon does; `notOurs`: another process continues in its place. */
  close(kind: string): void {
    this.#handover?.close(kind === 'notOurs');
  }

  readonly #miss = (why: string): void => {
    this.#isStarterLost = true;
    this.#options.log.error(
      'The starter, tswgd-starter in `ps`, has ended: no upgrade in place; the control socket does ' +
        'not follow a renaming, and is not removed at the end. Start the daemon again to have ' +
        `another starter (${why})`,
    );
  };

  readonly #follow = (outcome: Outcome): void => {
    const { path, log, ending, tell, onHandedOver } = this.#options;
    if (outcome.kind !== 'handedOver') tell({ kind: 'upgradeFailed', why: outcome.why });
    if (outcome.kind === 'handedOver') {
      log.debug(`Process ${outcome.pid}, version ${outcome.version}, continues`);
      ending.handOver();
      onHandedOver(outcome.pid);
    } else if (outcome.kind === 'kept') {
      log.error(`Upgrade failed: ${outcome.why}; continuing as before`);
    } else {
      const called = path.turn(() => path.device.takeBack(path.now));
      log.error(
        `Upgrade failed: ${outcome.why}; continuing with new sessions (${counted(called, 'peer')})`,
      );
    }
  };
}
