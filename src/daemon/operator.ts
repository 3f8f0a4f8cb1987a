/**
 * What a running daemon answers its operator: the configuration, its changes, and what there is to
 * know. Joins the Device, its sockets, its state and what uapi/ makes of all that.
 */

import { sameBytes } from '../bytes.ts';
import type { Feed } from '../control/feed.ts';
import type { Datapath } from '../datapath/datapath.ts';
import { wipeKeys } from '../device/configuration.ts';
import { measure } from '../device/metric.ts';
import { type NearStanding, nearMistake } from '../device/nearmistake.ts';
import type { Log } from '../log.ts';
import { interfaceIndex, Netlink } from '../netlink/netlink.ts';
import { SystemError } from '../sys/libc.ts';
import { formatObservedState, formatState } from '../uapi/get.ts';
import type { Request } from '../uapi/request.ts';
import { acceptSet, answer, EAGAIN, EINVAL, EIO, refuseGet, refuseSet } from '../uapi/response.ts';
import { parseSet } from '../uapi/set.ts';
import { formatStats, type Stats } from '../uapi/stats.ts';
import { VERSION } from '../version.ts';
import type { Chronicle } from './chronicle.ts';
import type { Ending } from './ending.ts';
import { DAEMON_METRICS, type DaemonSubject } from './metrics.ts';
import type { DaemonTrouble } from './troubles.ts';
import type { Underlay } from './underlay.ts';
import type { Upgrade } from './upgrade.ts';

export interface OperatorOptions {
  readonly path: Datapath;
  readonly underlay: Underlay;
  readonly log: Log;
  readonly ending: Ending;
  readonly upgrade: Upgrade;
  readonly chronicle: Chronicle;
  /** What there is to observe beside the Device, and what is wrong with any part. */
  readonly subject: DaemonSubject;
  readonly troubles: () => readonly DaemonTrouble[];
  /** The operator has changed the configuration. */
  readonly onChange: () => void;
}

export class Operator {
  readonly #options: OperatorOptions;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  /** Answers a request; an upgrade's answer takes as long as that does. */
  readonly answer = (request: Request): string | Promise<string> | Feed => {
    const { path, ending, upgrade, chronicle } = this.#options;
    // What was asked just before another process took over: it will know.
    if (ending.isSucceeded) return refuseSet(EAGAIN);
    try {
      if (request.operation === 'upgrade') return upgrade.request();
      if (request.operation === 'events') return chronicle.read(request.lines, 'operator');
      if (request.operation === 'set') return path.turn(() => this.#set(request.lines));
      path.readClock();
      if (request.operation === 'stats') return answer(formatStats(this.#stats()));
      return this.#get();
    } catch (error) {
      ending.surface(error);
      return refuseSet(EIO);
    }
  };

  /** Answers an observer's `get`, `stats` or `events`: no key is told. */
  readonly observe = (request: Request): string | Feed => {
    const { path, ending, chronicle } = this.#options;
    if (ending.isSucceeded) return refuseGet(EAGAIN);
    try {
      if (request.operation === 'events') return chronicle.read(request.lines, 'observer');
      path.readClock();
      if (request.operation === 'stats') return answer(formatStats(this.#stats()));
      const state = path.device.state();
      // Before anything is made of it.
      wipeKeys(state);
      return answer(formatObservedState(state, path.device.publicKey(), VERSION));
    } catch (error) {
      ending.surface(error);
      return refuseGet(EIO);
    }
  };

  #get(): string {
    const state = this.#options.path.device.state();
    const text = formatState(state, VERSION);
    wipeKeys(state);
    return answer(text);
  }

  /** Applies a `set` whole or not at all: what can fail, the sockets, comes first. */
  #set(lines: readonly string[]): string {
    const { path, underlay, log, chronicle, onChange } = this.#options;
    const parsed = parseSet(lines, interfaceIndex);
    if ('error' in parsed) {
      log.error(`set refused: ${parsed.error.line}: expected ${parsed.error.expected}`);
      return refuseSet(parsed.error.errno);
    }
    const mistake = nearMistake(parsed.ok, nearStanding(path));
    if (mistake !== null) {
      wipeKeys(parsed.ok);
      log.error(`set refused: ${mistake}`);
      return refuseSet(EINVAL);
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
    underlay.tellPort();
    chronicle.configured('set', parsed.ok);
    onChange();
    if (parsed.ok.debug !== undefined) log.isDebugging = parsed.ok.debug;
    return acceptSet();
  }

  #stats(): Stats {
    const { path, subject, troubles } = this.#options;
    const own = measure(DAEMON_METRICS, subject);
    const stats = path.device.stats(path.now);
    const ofDaemon = troubles();
    // Without a socket the Device is down although the interface is up.
    const hasNoSocket = ofDaemon.some(({ code }) => code === 'noSocket' || code === 'bindGone');
    const ofDevice = stats.troubles.filter(
      ({ code }) => !(hasNoSocket && code === 'interfaceDown'),
    );
    return {
      facts: { ...own.facts, ...stats.facts },
      counters: { ...own.counters, ...stats.counters },
      troubles: [...ofDevice, ...ofDaemon],
      peers: stats.peers,
    };
  }
}

/** In another network than the tunnel's sockets nothing of ours is the tunnel's own. */
function nearStanding({ device, link }: Datapath): NearStanding {
  return {
    bind: device.bind,
    peers: device.ways(),
    isOwnInterface: (name) => link !== 0 && interfaceIndex(name) === link,
    isOwnAddress: (address) => link !== 0 && linkOfAddress(address) === link,
  };
}

/** Index of the link that has the address; 0 for none, or if the kernel does not say. */
function linkOfAddress(address: Uint8Array): number {
  const netlink = new Netlink();
  try {
    return netlink.addresses().find((one) => sameBytes(one.address, address))?.linkIndex ?? 0;
  } catch (error) {
    if (error instanceof SystemError) return 0;
    throw error;
  } finally {
    netlink.close();
  }
}
