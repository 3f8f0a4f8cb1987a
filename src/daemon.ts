/**
 * The daemon: opens the interface, the sockets and the control socket, follows what becomes of
 * them, and answers the operator. It holds the only loop; what a turn of it does with packets is
 * datapath.ts.
 */

import { Arena } from './arena.ts';
import type { CryptoSuite } from './crypto/suite.ts';
import { Datapath } from './datapath.ts';
import { type DeviceChange, type DeviceStats, wipeKeys } from './device/configuration.ts';
import type { DropReason } from './device/drops.ts';
import { monotonicMs } from './io/clock.ts';
import { SystemError } from './io/libc.ts';
import { type LinkState, type Monitor, watchLink, watchRoutes } from './io/linkmonitor.ts';
import { Loop } from './io/loop.ts';
import { Netlink } from './io/netlink.ts';
import { drainSoon, type Watch } from './io/poller.ts';
import { enterSandbox, planSandbox, type SandboxPlan } from './io/sandbox.ts';
import { chooseSuite } from './io/suite.ts';
import { watchSuspension } from './io/suspension.ts';
import { openTun, type Tun } from './io/tun.ts';
import { serveUapi, type UapiServer } from './io/uapiserver.ts';
import { UAPI_DIRECTORY } from './io/uapisocket.ts';
import { openUdp, type Udp } from './io/udp.ts';
import { Log, type LogLevel } from './log.ts';
import { createKernels, type Kernels } from './packet/kernels/kernels.ts';
import { Persistence } from './persistence.ts';
import { Rehearsal } from './rehearsal.ts';
import { formatState } from './uapi/get.ts';
import type { Request } from './uapi/request.ts';
import { acceptSet, answer, EIO, refuseSet } from './uapi/response.ts';
import { parseSet } from './uapi/set.ts';
import { formatStats } from './uapi/stats.ts';
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
  /** Takes the log's lines, without newlines. */
  readonly writeLog: (line: string) => void;
  /** Called when `wg` can be used. */
  readonly onReady: () => void;
  /** Called when its end begins, before anything is closed. */
  readonly onStopping?: () => void;
}

/**
 * Runs until SIGTERM or SIGINT, or until the interface or the control socket is deleted. Resolves
 * to the exit code.
 *
 * @throws {SystemError} or Error with one line for the operator when it cannot begin
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const daemon = new Daemon(options);
  try {
    await daemon.open();
    options.onReady();
    daemon.rehearse();
    daemon.confine();
    const code = await daemon.finished;
    options.onStopping?.();
    return code;
  } finally {
    await daemon.close();
  }
}

class Daemon {
  readonly finished: Promise<number>;
  readonly #options: DaemonOptions;
  readonly #offload = process.env.TSWG_NO_OFFLOAD !== '1';
  readonly #startedAt = monotonicMs();
  readonly #log: Log;
  readonly #arena = new Arena(ARENA_BYTES);
  readonly #suite: CryptoSuite;
  readonly #path: Datapath;
  readonly #loop: Loop;
  readonly #kernels: Kernels;
  readonly #persistence: Persistence | undefined;
  #rehearsal: Rehearsal | undefined;
  #finish: (code: number) => void = () => {};
  /** What it means to a successor; undefined for a stop after which one is expected. */
  #ending: 'forGood' | 'byBug' | undefined;

  readonly #sandbox: SandboxPlan;
  /** What of the sandbox holds. */
  #sandboxFacts: Readonly<Record<string, string>> = {};
  #uapi: UapiServer | undefined;
  #monitors: Monitor[] = [];
  #tunWatch: Watch | undefined;
  #udpWatches: Watch[] = [];
  /** Why there is no socket although the interface is up; '' when all is well. */
  #socketTrouble = '';

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#log = new Log(options.name, options.logLevel, options.writeLog, () => new Date());
    this.#sandbox = planSandbox(options.name, process.env);
    this.#suite = chooseSuite(this.#arena, cryptoPreference(), this.#note);
    this.#kernels = createKernels(this.#arena);
    this.#path = new Datapath({
      arena: this.#arena,
      suite: this.#suite,
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
  }

  async open(): Promise<void> {
    const { name, tunFd, uapiFd } = this.#options;
    this.#path.tun = openTun({
      name,
      mtu: DEFAULT_MTU,
      takeOver: this.#persistence !== undefined,
      arena: this.#arena,
      kernels: this.#kernels,
      offload: this.#offload,
      onDrop: this.#countDrop,
      onNote: this.#note,
      onGone: () => this.#endForGood('the interface was deleted'),
      ...(tunFd === undefined ? {} : { fd: tunFd }),
    });
    this.#uapi = await serveUapi({
      name: this.#path.tun.name,
      handle: this.#handleRequest,
      onGone: () => this.#endForGood('the control socket was deleted'),
      ...(uapiFd === undefined ? {} : { fd: uapiFd }),
    });
    if (this.#persistence !== undefined) {
      this.#persistence.restore(this.#path.now, this.#path.tun.isTakenOver);
      this.#path.tun.setPersistent(true);
    }
    this.#tunWatch = this.#loop.watch(this.#path.tun.fd, this.#path.readTun);
    this.#monitors = [
      watchLink(this.#path.tun.fd, this.#path.tun.name, this.#followLink, {
        onNote: this.#note,
        onBug: this.#surface,
      }),
      watchRoutes(this.#forgetPaths, { onBug: this.#surface }),
      watchSuspension(this.#note, this.#surface),
    ];
    if (this.#path.device.isUp) this.#resume();
    process.on('SIGTERM', this.#terminate);
    process.on('SIGINT', this.#terminate);
    this.#log.debug(`Started, version ${VERSION}`);
  }

  /** The interface was taken over and is up: the sessions of before are followed by new ones. */
  #resume(): void {
    this.#path.begin();
    this.#persistence?.resume(this.#path.now);
    this.#path.end();
  }

  /** Warms the packet path up. A machine short of descriptors has a slower start, no more. */
  rehearse(): void {
    try {
      this.#rehearsal = new Rehearsal({
        arena: this.#arena,
        suite: this.#suite,
        kernels: this.#kernels,
        loop: this.#loop,
        offload: this.#offload,
      });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#log.debug(`No rehearsal: ${error.message}`);
    }
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

  /** Removes the control socket and the interface, unless it is to stay, and erases every key. */
  async close(): Promise<void> {
    this.#rehearsal?.close();
    this.#loop.close();
    process.off('SIGTERM', this.#terminate);
    process.off('SIGINT', this.#terminate);
    for (const monitor of this.#monitors) monitor.close();
    this.#closeSockets();
    this.#tunWatch?.close();
    // First, since whoever waits for our end looks for the socket.
    await this.#uapi?.close();
    await this.#leaveState();
    this.#path.close();
    this.#path.tun?.close();
  }

  async #leaveState(): Promise<void> {
    if (this.#persistence === undefined) return;
    if (this.#ending === undefined) await this.#persistence.leave();
    else if (this.#ending === 'byBug') await this.#persistence.abandon();
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
    else if (!link.isUp && this.#path.device.isUp) this.#takeDown();
    this.#path.end();
  };

  #bringUp(): void {
    try {
      this.#openSockets(this.#path.device.listenPort);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#socketTrouble = error.message;
      this.#log.error(`Interface is up, but there is no socket: ${error.message}`);
      return;
    }
    this.#path.device.up(this.#path.now);
    this.#log.debug(`Interface up, listening on UDP port ${this.#path.udp?.port}`);
  }

  #takeDown(): void {
    this.#path.device.down();
    this.#closeSockets();
    this.#log.debug('Interface down');
  }

  /** Opens sockets on `port` in place of those there are, which stay when that fails. */
  #openSockets(port: number, fwmark = this.#path.device.fwmark): void {
    const udp = openUdp({
      arena: this.#arena,
      port,
      fwmark,
      offload: this.#offload,
      onDrop: this.#countDrop,
      onNote: this.#note,
    });
    this.#closeSockets();
    this.#path.udp = udp;
    this.#socketTrouble = '';
    this.#udpWatches = udp.sockets.map((socket) =>
      this.#loop.watch(socket.fd, () => this.#path.readUdp(socket)),
    );
    this.#path.device.setListenPort(udp.port);
  }

  #closeSockets(): void {
    for (const udpWatch of this.#udpWatches) udpWatch.close();
    this.#udpWatches = [];
    this.#path.udp?.close();
    this.#path.udp = undefined;
  }

  /** Routes or addresses changed: each sticky source is looked up again at its next send. */
  readonly #forgetPaths = (): void => this.#path.udp?.forgetPaths();

  // The operator.

  readonly #handleRequest = (request: Request): string => {
    this.#path.begin();
    try {
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
      this.#applyToSockets(parsed.ok);
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

  #applyToSockets(change: DeviceChange): void {
    const port = change.listenPort ?? this.#path.device.listenPort;
    const fwmark = change.fwmark ?? this.#path.device.fwmark;
    if (!this.#path.device.isUp && this.#socketTrouble === '') {
      // No socket is wanted yet, but a port that is taken is better heard of now.
      if (change.listenPort) this.#tryPort(port, fwmark);
    } else if (this.#path.udp === undefined || port !== this.#path.udp.port) {
      this.#openSockets(port, fwmark);
      if (!this.#path.device.isUp) this.#path.device.up(this.#path.now);
    } else if (fwmark !== this.#path.device.fwmark) {
      this.#path.udp.setFwmark(fwmark);
    }
  }

  #tryPort(port: number, fwmark: number): void {
    openUdp({
      arena: this.#arena,
      port,
      fwmark,
      offload: false,
      onDrop: () => {},
      onNote: () => {},
    }).close();
  }

  #stats(): DeviceStats {
    const stats = this.#path.device.stats(this.#path.now);
    const facts: Record<string, string> = {
      version: VERSION,
      uptime_seconds: String(Math.floor((this.#path.now - this.#startedAt) / 1_000)),
      ...stats.facts,
      offload: offloadFact(this.#path.tun, this.#path.udp),
      ...this.#sandboxFacts,
    };
    if (this.#persistence !== undefined) facts.state = this.#persistence.fact;
    if (this.#socketTrouble !== '') facts.socket = this.#socketTrouble;
    for (const [error, count] of this.#path.udp?.errors ?? [])
      facts[`udp_${error}`] = String(count);
    for (const [error, count] of this.#path.tun?.errors ?? [])
      facts[`tun_${error}`] = String(count);
    return { ...stats, facts };
  }
}

function offloadFact(tun: Tun | undefined, udp: Udp | undefined): string {
  const tunPart = tun?.isOffloading ? 'interface yes' : 'interface no';
  if (udp === undefined) return tunPart;
  return `${tunPart}, udp ${udp.isOffloading ? 'yes' : 'no'}`;
}

/** wg(8) names the link of a link-local endpoint; the kernel wants its number. */
function interfaceIndex(name: string): number {
  const netlink = new Netlink();
  try {
    return netlink.linkByName(name)?.index ?? 0;
  } finally {
    netlink.close();
  }
}

function cryptoPreference(): 'auto' | 'openssl' | 'portable' {
  const value = process.env.TSWG_CRYPTO ?? 'auto';
  if (value === 'auto' || value === 'openssl' || value === 'portable') return value;
  throw new Error(`TSWG_CRYPTO: ${value}: expected auto, openssl or portable`);
}
