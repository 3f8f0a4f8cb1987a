/**
 * The daemon: builds io and the Device, joins them, and holds the only loop.
 *
 * A turn begins when a descriptor is readable, a deadline is due or the operator asks for
 * something. It reads the clock once, gives the Device a bounded number of packets, flushes what
 * the Device put out, and takes the arena back. Node's event loop comes round between turns, so a
 * busy tunnel does not keep the control socket, the timers or the other descriptor waiting.
 */

import { Arena } from './arena.ts';
import type { CryptoSuite } from './crypto/suite.ts';
import type { DeviceChange, DeviceStats } from './device/configuration.ts';
import { Device } from './device/device.ts';
import type { DropReason } from './device/drops.ts';
import { rehearse } from './device/rehearsal.ts';
import { monotonicMs, random, wallClockMs } from './io/clock.ts';
import { SystemError } from './io/libc.ts';
import { type LinkState, type Monitor, watchLink, watchRoutes } from './io/linkmonitor.ts';
import { Netlink } from './io/netlink.ts';
import { type Watch, watch } from './io/poller.ts';
import { chooseSuite } from './io/suite.ts';
import { openTun, type Tun } from './io/tun.ts';
import { serveUapi, type UapiServer } from './io/uapiserver.ts';
import { openUdp, type Udp, type UdpSocket } from './io/udp.ts';
import { Log, type LogLevel } from './log.ts';
import { formatState } from './uapi/get.ts';
import type { Request } from './uapi/request.ts';
import { acceptSet, answer, EIO, refuseSet } from './uapi/response.ts';
import { parseSet } from './uapi/set.ts';
import { formatStats } from './uapi/stats.ts';
import { VERSION } from './version.ts';

/** Room for the largest batch of either side and for what the Device adds to it. */
const ARENA_BYTES = 6 * 1024 * 1024;
const DEFAULT_MTU = 1420;
/** Packets a turn takes from one descriptor before the others have theirs. */
const TUN_BUDGET = 256;
const UDP_BUDGET = 256;

export interface DaemonOptions {
  /** The interface's name. */
  readonly name: string;
  readonly logLevel: LogLevel;
  /** A TUN descriptor that is open already (WG_TUN_FD). */
  readonly tunFd?: number;
  /** A listening UNIX socket that is open already (WG_UAPI_FD). */
  readonly uapiFd?: number;
  /** Takes the log's lines, without newlines. */
  readonly writeLog: (line: string) => void;
  /** Called when `wg` can be used. */
  readonly onReady: () => void;
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
    return await daemon.finished;
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
  readonly #device: Device;
  #finish: (code: number) => void = () => {};

  #tun: Tun | undefined;
  #udp: Udp | undefined;
  #uapi: UapiServer | undefined;
  #monitors: Monitor[] = [];
  #tunWatch: Watch | undefined;
  #udpWatches: Watch[] = [];
  /** Why there is no socket although the interface is up; '' when all is well. */
  #socketTrouble = '';

  #now = monotonicMs();
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #isTurnQueued = false;
  #isClosed = false;
  /** Whether this turn gave packets to the interface. */
  #hasDelivered = false;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#log = new Log(options.name, options.logLevel, options.writeLog, () => new Date());
    this.#suite = chooseSuite(this.#arena, cryptoPreference(), this.#note);
    this.#device = new Device({
      arena: this.#arena,
      suite: this.#suite,
      random,
      wallClock: wallClockMs,
      outlet: {
        transmit: (offset, length, endpoint, trafficClass) =>
          this.#udp?.transmit(offset, length, endpoint, trafficClass),
        deliver: (offset, length) => {
          this.#hasDelivered = true;
          this.#tun?.deliver(offset, length);
        },
      },
      observe: (event) => this.#log.event(event),
    });
  }

  async open(): Promise<void> {
    const { name, tunFd, uapiFd } = this.#options;
    this.#tun = openTun({
      name,
      mtu: DEFAULT_MTU,
      arena: this.#arena,
      offload: this.#offload,
      onDrop: this.#countDrop,
      onNote: this.#note,
      onGone: () => this.#end('the interface was deleted'),
      ...(tunFd === undefined ? {} : { fd: tunFd }),
    });
    this.#uapi = await serveUapi({
      name: this.#tun.name,
      handle: this.#handleRequest,
      onGone: () => this.#end('the control socket was deleted'),
      ...(uapiFd === undefined ? {} : { fd: uapiFd }),
    });
    this.#tunWatch = watch(this.#tun.fd, this.#readTun, this.#surface);
    this.#monitors = [
      watchLink(this.#tun.fd, this.#tun.name, this.#followLink, {
        onNote: this.#note,
        onBug: this.#surface,
      }),
      watchRoutes(this.#forgetPaths, { onBug: this.#surface }),
    ];
    process.on('SIGTERM', this.#terminate);
    process.on('SIGINT', this.#terminate);
    this.#log.debug(`Started, version ${VERSION}`);
  }

  /** Warms the packet path up, a little in each turn of the event loop. */
  rehearse(): void {
    const rehearsal = rehearse({ arena: this.#arena, suite: this.#suite, random });
    const goOn = (): void => {
      if (this.#isClosed) rehearsal.return();
      else if (!rehearsal.next().done) setImmediate(goOn);
    };
    setImmediate(goOn);
  }

  /** Removes the control socket and the interface, and erases every key. */
  async close(): Promise<void> {
    this.#isClosed = true;
    process.off('SIGTERM', this.#terminate);
    process.off('SIGINT', this.#terminate);
    clearTimeout(this.#timer);
    for (const monitor of this.#monitors) monitor.close();
    this.#closeSockets();
    this.#tunWatch?.close();
    this.#device.close();
    await this.#uapi?.close();
    this.#tun?.close();
  }

  readonly #terminate = (signal: NodeJS.Signals): void => this.#end(`received ${signal}`);

  #end(why: string): void {
    this.#log.debug(`Shutting down: ${why}`);
    this.#finish(0);
  }

  /** Our own bug: say so and stop, rather than go on in an unknown state. */
  readonly #surface = (error: unknown): void => {
    this.#log.error(`bug in tswgd: ${error instanceof Error ? error.stack : error}`);
    this.#finish(1);
  };

  readonly #countDrop = (reason: DropReason, packets: number): void =>
    this.#device.countDrop(reason, packets);

  readonly #note = (note: string): void => this.#log.error(note);

  // The turn.

  readonly #readTun = (): void => {
    this.#now = monotonicMs();
    this.#tun?.read(this.#sendPacket, TUN_BUDGET);
    this.#endTurn();
  };

  #readUdp(socket: UdpSocket): void {
    this.#now = monotonicMs();
    this.#hasDelivered = false;
    socket.receive(this.#receiveDatagram, UDP_BUDGET);
    this.#endTurn();
    // The kernel answers within the write: an echo's reply or an ACK waits on the interface now,
    // and need not wait until the event loop has come round.
    if (this.#hasDelivered) this.#readTun();
  }

  readonly #sendPacket = (offset: number, length: number): void =>
    this.#device.sendPacket(this.#now, offset, length);

  readonly #receiveDatagram: Parameters<Udp['sockets'][0]['receive']>[0] = (
    offset,
    length,
    endpoint,
    trafficClass,
  ) => this.#device.receiveDatagram(this.#now, offset, length, endpoint, trafficClass);

  readonly #handleTimeout = (): void => {
    this.#isTurnQueued = false;
    this.#now = monotonicMs();
    this.#endTurn();
  };

  #endTurn(): void {
    if (this.#device.nextTimeout() <= this.#now) this.#device.handleTimeout(this.#now);
    this.#udp?.flush();
    this.#tun?.flush();
    this.#arena.reset();
    this.#schedule();
  }

  /** Keeps one timer at the Device's next deadline; handshakes that wait get a turn at once. */
  #schedule(): void {
    const next = this.#device.nextTimeout();
    if (next <= this.#now) {
      if (this.#isTurnQueued) return;
      this.#isTurnQueued = true;
      setImmediate(this.#handleTimeout);
    } else if (next < this.#timerAt) {
      clearTimeout(this.#timer);
      this.#timerAt = next;
      this.#timer = setTimeout(this.#timerFired, Math.max(1, Math.ceil(next - monotonicMs())));
    }
  }

  readonly #timerFired = (): void => {
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#handleTimeout();
  };

  // The interface and the sockets.

  readonly #followLink = (link: LinkState): void => {
    if (!link.exists) {
      this.#end('the interface was deleted');
      return;
    }
    this.#now = monotonicMs();
    this.#device.setMtu(link.mtu);
    if (this.#tun !== undefined) this.#tun.mtu = link.mtu;
    if (link.isUp && !this.#device.isUp) this.#bringUp();
    else if (!link.isUp && this.#device.isUp) this.#takeDown();
    this.#endTurn();
  };

  #bringUp(): void {
    try {
      this.#openSockets(this.#device.listenPort);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#socketTrouble = error.message;
      this.#log.error(`Interface is up, but there is no socket: ${error.message}`);
      return;
    }
    this.#device.up(this.#now);
    this.#log.debug(`Interface up, listening on UDP port ${this.#udp?.port}`);
  }

  #takeDown(): void {
    this.#device.down();
    this.#closeSockets();
    this.#log.debug('Interface down');
  }

  /** Opens sockets on `port` in place of those there are, which stay when that fails. */
  #openSockets(port: number, fwmark = this.#device.fwmark): void {
    const udp = openUdp({
      arena: this.#arena,
      port,
      fwmark,
      offload: this.#offload,
      onDrop: this.#countDrop,
      onNote: this.#note,
    });
    this.#closeSockets();
    this.#udp = udp;
    this.#socketTrouble = '';
    this.#udpWatches = udp.sockets.map((socket) =>
      watch(socket.fd, () => this.#readUdp(socket), this.#surface),
    );
    this.#device.setListenPort(udp.port);
  }

  #closeSockets(): void {
    for (const udpWatch of this.#udpWatches) udpWatch.close();
    this.#udpWatches = [];
    this.#udp?.close();
    this.#udp = undefined;
  }

  /** Routes or addresses changed: each sticky source is looked up again at its next send. */
  readonly #forgetPaths = (): void => this.#udp?.forgetPaths();

  // The operator.

  readonly #handleRequest = (request: Request): string => {
    this.#now = monotonicMs();
    try {
      if (request.operation === 'set') return this.#set(request.lines);
      if (request.operation === 'stats') return answer(formatStats(this.#stats()));
      return answer(formatState(this.#device.state(), VERSION));
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
      if (!(error instanceof SystemError)) throw error;
      this.#log.error(`set refused: ${error.message}`);
      return refuseSet(error.errno === 0 ? EIO : error.errno);
    }
    this.#device.configure(this.#now, parsed.ok);
    if (this.#udp !== undefined) this.#device.setListenPort(this.#udp.port);
    if (parsed.ok.debug !== undefined) this.#log.isDebugging = parsed.ok.debug;
    this.#endTurn();
    return acceptSet();
  }

  #applyToSockets(change: DeviceChange): void {
    const port = change.listenPort ?? this.#device.listenPort;
    const fwmark = change.fwmark ?? this.#device.fwmark;
    if (!this.#device.isUp && this.#socketTrouble === '') {
      // No socket is wanted yet, but a port that is taken is better heard of now.
      if (change.listenPort) this.#tryPort(port, fwmark);
    } else if (this.#udp === undefined || port !== this.#udp.port) {
      this.#openSockets(port, fwmark);
      if (!this.#device.isUp) this.#device.up(this.#now);
    } else if (fwmark !== this.#device.fwmark) {
      this.#udp.setFwmark(fwmark);
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
    const stats = this.#device.stats(this.#now);
    const facts: Record<string, string> = {
      version: VERSION,
      uptime_seconds: String(Math.floor((this.#now - this.#startedAt) / 1_000)),
      ...stats.facts,
      offload: offloadFact(this.#tun, this.#udp),
    };
    if (this.#socketTrouble !== '') facts.socket = this.#socketTrouble;
    for (const [error, count] of this.#udp?.errors ?? []) facts[`udp_${error}`] = String(count);
    for (const [error, count] of this.#tun?.errors ?? []) facts[`tun_${error}`] = String(count);
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
