/**
 * What a running daemon answers its operator: the configuration, its changes, and what there is to
 * know. Joins the Device, its sockets, its state and what uapi/ makes of all that.
 */

import { sameBytes } from '../bytes.ts';
import type { Feed } from '../control/feed.ts';
import { TextFeed } from '../control/textfeed.ts';
import type { Datapath } from '../datapath/datapath.ts';
import { type DeviceChange, type PeerState, wiped, wipeKeys } from '../device/configuration.ts';
import type { Draft } from '../device/draft.ts';
import { measure } from '../device/metric.ts';
import { type NearStanding, nearMistake } from '../device/nearmistake.ts';
import type { Log } from '../log.ts';
import { interfaceIndex, Netlink } from '../netlink/netlink.ts';
import { SystemError } from '../sys/libc.ts';
import { Slices } from '../sys/slices.ts';
import { tellObservedState, tellState } from '../uapi/get.ts';
import { LongText, type Request } from '../uapi/request.ts';
import { acceptSet, answer, EAGAIN, EINVAL, EIO, refuseGet, refuseSet } from '../uapi/response.ts';
import { parseSet, readSet, type SetError } from '../uapi/set.ts';
import { tellStats } from '../uapi/stats.ts';
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

/** Peers that are looked at for the history in the turn of the change: some 0.1 ms. */
const FOLLOWED_AT_ONCE = 256;

export class Operator {
  readonly #options: OperatorOptions;
  /** Changes that take long, and those that came meanwhile. */
  readonly #slices = new Slices();

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  /**
   * Answers a request. A long `set` is made aside in slices, and those that come meanwhile wait for
   * it; whoever asks meanwhile is told of the configuration before. An answer about many peers is made
   * while it is read. An upgrade's takes as long as that does.
   */
  readonly answer = (request: Request): string | Promise<string> | Feed => {
    const { path, ending, upgrade, chronicle } = this.#options;
    // What was asked just before another process took over: it will know.
    if (ending.isSucceeded) return refuseSet(EAGAIN);
    try {
      if (request.operation === 'upgrade') return upgrade.request();
      if (request.operation === 'events') return chronicle.read(request.lines, 'operator');
      if (request.operation === 'set') return this.#setInOrder(request.lines);
      path.readClock();
      return new TextFeed(this.#tell(request.operation === 'stats' ? this.#stats() : this.#get()));
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
      const isStats = request.operation === 'stats';
      return new TextFeed(this.#tell(isStats ? this.#stats() : this.#observedState()));
    } catch (error) {
      ending.surface(error);
      return refuseGet(EIO);
    }
  };

  /** The daemon ends, or another process continues: a `set` that is not done changes nothing. */
  stop(): void {
    this.#slices.stop();
  }

  /** Every peer is told as it is when its piece is made. */
  *#get(): Generator<string> {
    const { device } = this.#options.path;
    const own = device.ownState();
    try {
      yield* tellState({ ...own, peers: wiped(device.peerStates()) }, VERSION);
    } finally {
      wipeKeys({ ...own, peers: [] });
    }
  }

  *#observedState(): Generator<string> {
    const { device } = this.#options.path;
    const own = device.ownState();
    // Before anything is made of it.
    wipeKeys({ ...own, peers: [] });
    const peers = keyless(device.peerStates());
    yield* tellObservedState({ ...own, peers }, device.publicKey(), VERSION);
  }

  /** The whole answer. */
  *#tell(body: Generator<string>): Generator<string> {
    try {
      yield* body;
      yield answer('');
    } catch (error) {
      this.#options.ending.surface(error);
      yield refuseGet(EIO);
    }
  }

  #setInOrder(lines: readonly string[] | LongText): string | Promise<string> {
    const isLong = lines instanceof LongText;
    if (!isLong && !this.#slices.isBusy) return this.#turn(() => this.#set(lines));
    const work = isLong ? this.#setLong(lines) : this.#setLater(lines);
    // Stopped before anything was changed.
    return this.#slices.run(work).then((text) => text ?? refuseSet(EAGAIN));
  }

  *#setLater(lines: readonly string[]): Generator<void, string> {
    yield;
    try {
      return this.#turn(() => this.#set(lines));
    } catch (error) {
      this.#options.ending.surface(error);
      return refuseSet(EIO);
    }
  }

  /**
   * A turn in which the configuration changes, after what has waited until now: or a peer's datagram that
   * came before the operator's word would count after it, and take back an endpoint, say.
   */
  #turn<T>(body: () => T): T {
    const { path } = this.#options;
    path.catchUp();
    return path.turn(body);
  }

  #set(lines: readonly string[]): string {
    const { path } = this.#options;
    const parsed = parseSet(lines, interfaceIndex);
    if ('error' in parsed) return this.#refuse(parsed.error);
    const refusal = this.#use(parsed.ok, () => path.device.configure(path.now, parsed.ok));
    wipeKeys(parsed.ok);
    if (refusal !== null) return refusal;
    this.#follow(parsed.ok);
    return acceptSet();
  }

  /**
   * Of a few peers it is told at once what was configured, of thousands in slices; before the next
   * change, of which nobody could tell whom it removes if they were not known yet.
   */
  #follow(change: DeviceChange): void {
    const { chronicle, ending } = this.#options;
    const following = chronicle.follow('set', change);
    for (let step = 0; step < FOLLOWED_AT_ONCE; step++) if (following.next().done) return;
    void this.#slices.runNext(following).catch(ending.surface);
  }

  /** The same for a text that takes longer to read than packets should wait. */
  *#setLong(lines: LongText): Generator<void, string> {
    const { path, ending } = this.#options;
    const { device } = path;
    const parts = readSet(lines, interfaceIndex);
    let draft: Draft | undefined;
    let isTaken = false;
    try {
      let part = parts.next();
      for (; !part.done; part = parts.next()) {
        if (part.value?.kind === 'device') draft = device.draft(part.value.change);
        else if (part.value?.kind === 'peer') yield* draft!.add(part.value.change);
        yield;
      }
      if (part.value !== null) return this.#refuse(part.value);
      const done = draft!;
      yield* done.finish();
      const { change } = done;
      const refusal = this.#turn(() =>
        this.#use(change, () => {
          device.swapIn(path.now, done);
          isTaken = true;
        }),
      );
      if (refusal !== null) return refusal;
      this.#follow(change);
      return acceptSet();
    } catch (error) {
      ending.surface(error);
      return refuseSet(EIO);
    } finally {
      if (!isTaken) draft?.discard();
      if (draft !== undefined) wipeKeys(draft.change);
    }
  }

  #refuse({ errno, line, expected }: SetError): string {
    this.#options.log.error(`set refused: ${line}: expected ${expected}`);
    return refuseSet(errno);
  }

  /**
   * Applies a change whole or not at all: what can fail, the sockets, comes first. Returns the answer
   * that refuses it, or null.
   */
  #use(change: DeviceChange, configure: () => void): string | null {
    const { path, underlay, log, chronicle, onChange } = this.#options;
    const mistake = nearMistake(change, nearStanding(path));
    if (mistake !== null) {
      log.error(`set refused: ${mistake}`);
      return refuseSet(EINVAL);
    }
    try {
      underlay.apply(change, path.now);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      log.error(`set refused: ${error.message}`);
      return refuseSet(error.errno === 0 ? EIO : error.errno);
    }
    chronicle.settle();
    configure();
    underlay.tellPort();
    onChange();
    if (change.debug !== undefined) log.isDebugging = change.debug;
    return null;
  }

  *#stats(): Generator<string> {
    const { path, subject, troubles } = this.#options;
    const own = measure(DAEMON_METRICS, subject);
    const stats = path.device.ownStats(path.now);
    const ofDaemon = troubles();
    // Without a socket the Device is down although the interface is up.
    const hasNoSocket = ofDaemon.some(({ code }) => code === 'noSocket' || code === 'bindGone');
    const ofDevice = stats.troubles.filter(
      ({ code }) => !(hasNoSocket && code === 'interfaceDown'),
    );
    yield* tellStats({
      facts: { ...own.facts, ...stats.facts },
      counters: { ...own.counters, ...stats.counters },
      troubles: [...ofDevice, ...ofDaemon],
      peers: path.device.peerStats(() => path.readClock()),
    });
  }
}

/** The keys of each are wiped before it is looked at. */
function* keyless(peers: Iterable<PeerState>): Generator<PeerState> {
  for (const peer of peers) {
    wipeKeys({ peers: [peer] });
    yield peer;
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
