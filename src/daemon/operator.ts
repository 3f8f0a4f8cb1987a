/**
 * What a running daemon answers its operator: the configuration, its changes, and what there is to
 * know. Joins the Device, its sockets, its state and what uapi/ makes of all that.
 */

import { secretMemoryFact } from '../crypto/openssl/secretmemory.ts';
import { type Datapath, pathFacts } from '../datapath/datapath.ts';
import { type DeviceStats, wipeKeys } from '../device/configuration.ts';
import type { Log } from '../log.ts';
import { interfaceIndex } from '../netlink/netlink.ts';
import type { Persistence } from '../state/persistence.ts';
import { SystemError } from '../sys/libc.ts';
import { formatObservedState, formatState } from '../uapi/get.ts';
import type { Request } from '../uapi/request.ts';
import { acceptSet, answer, EIO, refuseSet } from '../uapi/response.ts';
import { parseSet } from '../uapi/set.ts';
import { formatStats } from '../uapi/stats.ts';
import { VERSION } from '../version.ts';
import type { Underlay } from './underlay.ts';

export interface OperatorOptions {
  readonly path: Datapath;
  readonly underlay: Underlay;
  readonly persistence: Persistence | undefined;
  readonly log: Log;
  /** When the first of all who have followed each other began; monotonic ms. */
  readonly startedAt: () => number;
  /** What of the sandbox holds. */
  readonly sandboxFacts: () => Readonly<Record<string, string>>;
  /** What an observer finds. */
  readonly observingFact: () => string;
  /** What is lost without a starter; '' as long as there is one. */
  readonly starterTrouble: () => string;
}

export class Operator {
  readonly #options: OperatorOptions;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  /** Answers all but an upgrade, in a turn that has begun. */
  answer(request: Request): string {
    if (request.operation === 'set') return this.#set(request.lines);
    if (request.operation === 'stats') return answer(formatStats(this.#stats()));
    const state = this.#options.path.device.state();
    const text = formatState(state, VERSION);
    wipeKeys(state);
    return answer(text);
  }

  /** Answers an observer, to whom no key is told. */
  observe(request: Request): string {
    if (request.operation === 'stats') return answer(formatStats(this.#stats()));
    const { device } = this.#options.path;
    const state = device.state();
    // Before anything is made of it.
    wipeKeys(state);
    return answer(formatObservedState(state, device.publicKey(), VERSION));
  }

  /** Applies a `set` whole or not at all: what can fail, the sockets, comes first. */
  #set(lines: readonly string[]): string {
    const { path, underlay, persistence, log } = this.#options;
    const parsed = parseSet(lines, interfaceIndex);
    if ('error' in parsed) {
      log.error(`set refused: ${parsed.error.line}: expected ${parsed.error.expected}`);
      return refuseSet(parsed.error.errno);
    }
    try {
      underlay.apply(parsed.ok, path.now);
    } catch (error) {
      wipeKeys(parsed.ok);
      if (!(error instanceof SystemError)) throw error;
      log.error(`set refused: ${error.message}`);
      return refuseSet(error.errno === 0 ? EIO : error.errno);
    }
    path.device.configure(path.now, parsed.ok);
    wipeKeys(parsed.ok);
    if (path.udp !== undefined) path.device.setListenPort(path.udp.port);
    persistence?.changed();
    if (parsed.ok.debug !== undefined) log.isDebugging = parsed.ok.debug;
    path.end();
    return acceptSet();
  }

  #stats(): DeviceStats {
    const { path, underlay, persistence, startedAt, sandboxFacts } = this.#options;
    const starterTrouble = this.#options.starterTrouble();
    const { device, now } = path;
    const stats = device.stats(now);
    const facts = {
      version: VERSION,
      pid: String(process.pid),
      uptime_seconds: String(Math.floor((now - startedAt()) / 1_000)),
      ...stats.facts,
      ...pathFacts(path),
      ...sandboxFacts(),
      sandbox_key_memory: secretMemoryFact(),
      observing: this.#options.observingFact(),
      ...(persistence === undefined ? {} : { state: persistence.fact }),
      ...(underlay.trouble === '' ? {} : { socket: underlay.trouble }),
      ...(starterTrouble === '' ? {} : { starter: starterTrouble }),
    };
    return { ...stats, facts };
  }
}
