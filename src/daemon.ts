/**
 * The daemon: opens the interface, the sockets and the control socket, follows what becomes of
 * them, and answers the operator. It holds the only loop; what a turn of it does with packets is
 * datapath.ts.
 */

import { Arena } from './arena.ts';
import type { CryptoSuite } from './crypto/suite.ts';
import { Datapath, pathFacts } from './datapath.ts';
import { type DeviceStats, wipeKeys } from './device/configuration.ts';
import type { DropReason } from './device/drops.ts';
import { packEstate, unpackEstate, useEstate } from './estate.ts';
import { monotonicMs } from './io/clock.ts';
import { type Floodgate, openFloodgate } from './io/floodgate.ts';
import { SystemError } from './io/libc.ts';
import { type LinkState, type Monitor, watchLink } from './io/linkmonitor.ts';
import { Loop } from './io/loop.ts';
import { interfaceIndex } from './io/netlink.ts';
import { drainSoon, type Watch } from './io/poller.ts';
import { enterSandbox, planSandbox, type SandboxPlan } from './io/sandbox.ts';
import type { Predecessor } from './io/succession.ts';
import { chooseSuite, cryptoPreference } from './io/suite.ts';
import { watchSuspension } from './io/suspension.ts';
import { openTun } from './io/tun.ts';
import { serveUapi, type UapiServer } from './io/uapiserver.ts';
import { UAPI_DIRECTORY } from './io/uapisocket.ts';
import { Log, type LogLevel, type LogPriority } from './log.ts';
import { createKernels, type Kernels } from './packet/kernels/kernels.ts';
import { Persistence } from './persistence.ts';
import { openRehearsal, type Rehearsal } from './rehearsal.ts';
import { Surroundings } from './surroundings.ts';
import { formatState } from './uapi/get.ts';
import type { Request } from './uapi/request.ts';
import { acceptSet, answer, EAGAIN, EIO, refuseSet, refuseUpgrade } from './uapi/response.ts';
import { parseSet } from './uapi/set.ts';
import { formatStats } from './uapi/stats.ts';
import { Underlay, type UnderlayOptions } from './underlay.ts';
import { openUpgrade, type Successor, type Upgrade } from './upgrade.ts';
import { VERSION } from './version.ts';

/** Room for the largest batch of either side and for what the Device adds to it. */
const ARENA_BYTES = 6 * 1024 * 1024;
const DEFAULT_MTU = 1420;

export interface DaemonOptions {
  /** The interface's name. */
  readonly name: string;
  readonly logLevel: LogLevel;
  /** A TUN descriptor that is open already (WG_TUN_FD). */
  readonly tunFd?: number;
  /** A listening UNIX socket that is open already (WG_UAPI_FD). */
  readonly uapiFd?: number;
  /**
   * The daemon is persistent: the interface outlives it, and this is the folder with the state that
   * its successor restores.
   */
  readonly stateDirectory?: string;
  /** The daemon that we are to follow, while it runs. */
  readonly predecessor?: Predecessor;
  /** How our own successor is started; without it there is no upgrade in place. */
  readonly successor?: Successor;
  /** Takes the log's lines, without newlines. */
  readonly writeLog: (line: string, priority: LogPriority) => void;
  /** Called when `wg` can be used. */
  readonly onReady: () => void;
  /** Called when its end begins, before anything is closed. */
  readonly onStopping?: () => void;
  /** Called instead of that when another process goes on in its place. */
  readonly onSucceeded?: (pid: number) => void;
}

/**
 * Runs until SIGTERM or SIGINT, or until the interface or the control socket is deleted, or, after
 * SIGUSR2, until its successor goes on. Resolves to the exit code.
 *
 * @throws {SystemError} or Error with one line for the operator when it cannot begin
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const daemon = new Daemon(options);
  try {
    if (options.predecessor !== undefined) {
      // All that takes time comes before the one moment in which no packet moves.
      daemon.prepareUpgrade();
      await daemon.rehearse();
      await daemon.open();
      options.onReady();
    } else {
      await daemon.open();
      options.onReady();
      daemon.prepareUpgrade();
      void daemon.rehearse();
    }
    daemon.confine();
    const code = await daemon.finished;
    if (!daemon.isSucceeded) options.onStopping?.();
    return code;
  } catch (error) {
    options.predecessor?.fail((error as Error).message);
    throw error;
  } finally {
    await daemon.close();
  }
}

class Daemon {
  readonly finished: Promise<number>;
  readonly #options: DaemonOptions;
  readonly #offload = process.env.TSWG_NO_OFFLOAD !== '1';
  /** Of the first of all who have followed each other. */
  #startedAt = monotonicMs();
  readonly #log: Log;
  readonly #arena = new Arena(ARENA_BYTES);
  readonly #suite: CryptoSuite;
  readonly #path: Datapath;
  readonly #loop: Loop;
  readonly #kernels: Kernels;
  readonly #persistence: Persistence | undefined;
  readonly #underlay: Underlay;
  readonly #gate: Floodgate;
  #upgrade: Upgrade | undefined;
  #rehearsal: Rehearsal | undefined;
  #finish: (code: number) => void = () => {};
  /**
   * What its end means to the interface, the control socket and the state: `notOurs` while they are
   * another process's, undefined for a stop after which a persistent daemon's successor is expected.
   */
  #ending: 'forGood' | 'byBug' | 'notOurs' | undefined;

  readonly #sandbox: SandboxPlan;
  /** What of the sandbox holds. */
  #sandboxFacts: Readonly<Record<string, string>> = {};
  #uapi: UapiServer | undefined;
  #monitors: Monitor[] = [];
  #tunWatch: Watch | undefined;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#log = new Log(options.name, options.logLevel, options.writeLog, () => new Date());
    this.#sandbox = planSandbox(options.name, process.env);
    this.#suite = chooseSuite(this.#arena, cryptoPreference(process.env.TSWG_CRYPTO), this.#note);
    this.#kernels = createKernels(this.#arena);
    this.#gate = openFloodgate({ onDrop: this.#countDrop, onNote: this.#note });
    this.#path = new Datapath({
      arena: this.#arena,
      suite: this.#suite,
      gate: this.#gate,
      observe: (event) => {
        this.#log.event(event);
        this.#persistence?.noticed(event);
        drainSoon();
      },
    });
    const { name, stateDirectory } = options;
    if (stateDirectory !== undefined) {
      const { device } = this.#path;
      this.#persistence = new Persistence({
        name,
        directory: stateDirectory,
        device,
        log: this.#log,
        interfaceIndex,
      });
    }
    this.#loop = new Loop({
      deadline: () => this.#path.device.nextTimeout(),
      onDeadline: this.#path.handleTimeout,
      onPause: this.#path.stayWarm,
      onBug: this.#surface,
    });
    const [path, loop, gate] = [this.#path, this.#loop, this.#gate];
    this.#underlay = new Underlay({ path, loop, gate, ...this.#ways() });
  }

  /** What interface and sockets have in common. */
  #ways(): Pick<UnderlayOptions, 'arena' | 'offload' | 'onDrop' | 'onNote'> {
    const [arena, offload] = [this.#arena, this.#offload];
    return { arena, offload, onDrop: this.#countDrop, onNote: this.#note };
  }

  /** Another process goes on in its place. */
  get isSucceeded(): boolean {
    return this.#ending === 'notOurs';
  }

  async open(): Promise<void> {
    const { name, predecessor } = this.#options;
    if (predecessor !== undefined) this.#ending = 'notOurs';
    const inherited = predecessor && unpackEstate(predecessor.take());
    const { tunFd, uapiFd } = inherited ?? this.#options;
    this.#path.tun = openTun({
      name,
      mtu: DEFAULT_MTU,
      takeOver: this.#persistence !== undefined,
      kernels: this.#kernels,
      ...this.#ways(),
      onGone: () => this.#endForGood('the interface was deleted'),
      ...(tunFd === undefined ? {} : { fd: tunFd }),
    });
    this.#uapi = await serveUapi({
      name: inherited?.bequest.socketName ?? this.#path.tun.name,
      handle: this.#handleRequest,
      onGone: () => this.#endForGood('the control socket was deleted'),
      ...(uapiFd === undefined ? {} : { fd: uapiFd }),
    });
    if (inherited !== undefined) {
      this.#startedAt = monotonicMs() - inherited.bequest.uptimeMs;
      useEstate(inherited, this.#path, this.#underlay, interfaceIndex);
      this.#log.isDebugging = this.#path.device.core.isDebugging;
    }
    // From here on all is ours.
    predecessor?.begin(process.pid, VERSION);
    this.#ending = undefined;
    if (inherited !== undefined) this.#persistence?.carryOn();
    else this.#persistence?.restore(this.#path.now, this.#path.tun.isTakenOver);
    if (this.#persistence !== undefined) this.#path.tun.setPersistent(true);
    this.#tunWatch = this.#loop.watch(this.#path.tun.fd, this.#path.readTun);
    const surroundings = new Surroundings(this.#path, this.#surface);
    this.#monitors = [
      watchLink(this.#path.tun.fd, this.#path.tun.name, this.#followLink, {
        onNote: this.#note,
        onPlace: surroundings.followPlace,
        onBug: this.#surface,
      }),
      surroundings,
      watchSuspension(this.#note, this.#surface),
    ];
    if (this.#path.device.isUp && inherited === undefined) this.#resume();
    process.on('SIGTERM', this.#terminate);
    process.on('SIGINT', this.#terminate);
    process.on('SIGUSR2', this.#upgradeBySignal);
    predecessor?.serve();
    this.#log.debug(`Started, version ${VERSION}`);
  }

  /** The interface was taken over and is up: the sessions of before are followed by new ones. */
  #resume(): void {
    this.#path.begin();
    this.#persistence?.resume(this.#path.now);
    this.#path.end();
  }

  /** Warms the packet path up; resolves when that is over. */
  rehearse(): Promise<void> {
    const [arena, suite, kernels, loop] = [this.#arena, this.#suite, this.#kernels, this.#loop];
    return new Promise((resolve) => {
      const onEnd = (): void => {
        resolve();
        drainSoon();
      };
      const moved = (): number => this.#path.moved;
      const options = { arena, suite, kernels, loop, offload: this.#offload, moved, onEnd };
      this.#rehearsal = openRehearsal(options, (line) => this.#log.debug(line));
    });
  }

  /** Gives up every right that is not needed any more; before anything comes from the network. */
  confine(): void {
    const directory = this.#persistence?.directory;
    this.#sandboxFacts = enterSandbox(this.#sandbox, {
      socketDirectory: UAPI_DIRECTORY,
      writableDirectories: directory === undefined ? [] : [directory],
      onRefusal: (line) => this.#log.debug(line),
      onOff: this.#note,
    });
  }

  /** Removes the control socket and the interface, unless they are to stay, and erases every key. */
  async close(): Promise<void> {
    this.#rehearsal?.close();
    this.#loop.close();
    this.#upgrade?.close();
    process.off('SIGTERM', this.#terminate);
    process.off('SIGINT', this.#terminate);
    process.off('SIGUSR2', this.#upgradeBySignal);
    this.#stopMoving();
    // First, since whoever waits for our end looks for the socket.
    if (this.#ending === 'notOurs') {
      this.#uapi?.leave();
      await this.#uapi?.finish();
    } else await this.#uapi?.close();
    await this.#leaveState();
    this.#path.close();
    this.#path.tun?.close();
  }

  /** No packet moves any more, and nothing that happens to the interface is followed. */
  #stopMoving(): void {
    for (const monitor of this.#monitors) monitor.close();
    this.#monitors = [];
    this.#underlay.close();
    this.#gate.close();
    this.#tunWatch?.close();
  }

  async #leaveState(): Promise<void> {
    if (this.#persistence === undefined) return;
    if (this.#ending === undefined) await this.#persistence.leave();
    else if (this.#ending !== 'forGood') await this.#persistence.abandon();
    else {
      await this.#persistence.end();
      this.#path.tun?.setPersistent(false);
    }
  }

  readonly #terminate = (signal: NodeJS.Signals): void => this.#end(`received ${signal}`);

  #end(why: string): void {
    this.#log.debug(`Shutting down: ${why}`);
    this.#finish(0);
  }

  /** Nobody shall take the interface over. */
  #endForGood(why: string): void {
    this.#ending ??= 'forGood';
    this.#end(why);
  }

  /** Our own bug: say so and stop, rather than go on in an unknown state. */
  readonly #surface = (error: unknown): void => {
    this.#ending ??= 'byBug';
    this.#log.error(`bug in tswgd: ${error instanceof Error ? error.stack : error}`);
    this.#finish(1);
  };

  readonly #countDrop = (reason: DropReason, packets: number): void =>
    this.#path.device.countDrop(reason, packets);

  readonly #note = (note: string): void => this.#log.error(note);

  // The predecessor and the successor.

  /** Before the daemon confines itself: afterwards it can start nothing. */
  prepareUpgrade(): void {
    const { successor } = this.#options;
    if (successor === undefined) return;
    this.#upgrade = openUpgrade({
      successor,
      path: this.#path,
      log: this.#log,
      pack: () => packEstate(this.#path, this.#uapi!, this.#path.now - this.#startedAt),
      onHandedOver: (pid) => {
        this.#ending = 'notOurs';
        this.#uapi?.leave();
        this.#stopMoving();
        this.#options.onSucceeded?.(pid);
      },
      onDone: () => setImmediate(() => this.#finish(0)),
      onBug: this.#surface,
    });
  }

  readonly #upgradeBySignal = (): void => void this.#upgrade?.request();

  // The interface and the sockets.

  readonly #followLink = (link: LinkState): void => {
    if (!link.exists) {
      this.#endForGood('the interface was deleted');
      return;
    }
    this.#path.begin();
    this.#path.device.setMtu(link.mtu);
    if (this.#path.tun !== undefined) this.#path.tun.mtu = link.mtu;
    if (link.isUp && !this.#path.device.isUp) this.#bringUp();
    else if (!link.isUp && (this.#path.device.isUp || this.#underlay.trouble !== '')) {
      this.#takeDown();
    }
    this.#path.end();
  };

  #bringUp(): void {
    if (!this.#underlay.bringUp()) {
      this.#log.error(`Interface is up, but there is no socket: ${this.#underlay.trouble}`);
      return;
    }
    this.#path.device.up(this.#path.now);
    this.#log.debug(`Interface up, listening on UDP port ${this.#path.udp?.port}`);
  }

  #takeDown(): void {
    this.#path.device.down();
    this.#underlay.close();
    this.#log.debug('Interface down');
  }

  // The operator.

  readonly #handleRequest = (request: Request): string | Promise<string> => {
    // What was asked just before another process took over: it will know.
    if (this.#ending === 'notOurs') return refuseSet(EAGAIN);
    this.#path.begin();
    try {
      if (request.operation === 'upgrade') {
        return this.#upgrade?.request() ?? refuseUpgrade('it was started without the means for it');
      }
      if (request.operation === 'set') return this.#set(request.lines);
      if (request.operation === 'stats') return answer(formatStats(this.#stats()));
      const state = this.#path.device.state();
      const text = formatState(state, VERSION);
      wipeKeys(state);
      return answer(text);
    } catch (error) {
      this.#surface(error);
      return refuseSet(EIO);
    }
  };

  /** Applies a `set` whole or not at all: what can fail, the sockets, comes first. */
  #set(lines: readonly string[]): string {
    const parsed = parseSet(lines, interfaceIndex);
    if ('error' in parsed) {
      this.#log.error(`set refused: ${parsed.error.line}: expected ${parsed.error.expected}`);
      return refuseSet(parsed.error.errno);
    }
    try {
      this.#underlay.apply(parsed.ok, this.#path.now);
    } catch (error) {
      wipeKeys(parsed.ok);
      if (!(error instanceof SystemError)) throw error;
      this.#log.error(`set refused: ${error.message}`);
      return refuseSet(error.errno === 0 ? EIO : error.errno);
    }
    this.#path.device.configure(this.#path.now, parsed.ok);
    wipeKeys(parsed.ok);
    if (this.#path.udp !== undefined) this.#path.device.setListenPort(this.#path.udp.port);
    this.#persistence?.changed();
    if (parsed.ok.debug !== undefined) this.#log.isDebugging = parsed.ok.debug;
    this.#path.end();
    return acceptSet();
  }

  #stats(): DeviceStats {
    const { device, now } = this.#path;
    const stats = device.stats(now);
    const facts = {
      version: VERSION,
      pid: String(process.pid),
      uptime_seconds: String(Math.floor((now - this.#startedAt) / 1_000)),
      ...stats.facts,
      ...pathFacts(this.#path),
      ...this.#sandboxFacts,
      ...(this.#persistence === undefined ? {} : { state: this.#persistence.fact }),
      ...(this.#underlay.trouble === '' ? {} : { socket: this.#underlay.trouble }),
    };
    return { ...stats, facts };
  }
}
