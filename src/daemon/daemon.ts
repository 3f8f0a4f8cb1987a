/**
 * The daemon: opens the interface, the sockets and the control socket, follows what becomes of
 * them, and answers the operator. It holds the only loop; what a turn of it does with packets is
 * datapath.ts.
 */

import { Arena } from '../arena.ts';
import { openHeldSocketFile, type SocketFile } from '../control/socketfile.ts';
import { serveUapi, type UapiServer } from '../control/uapiserver.ts';
import { chooseSuite, cryptoPreference } from '../crypto/openssl/suite.ts';
import type { CryptoSuite } from '../crypto/suite.ts';
import { Datapath } from '../datapath/datapath.ts';
import type { DropReason } from '../device/drops.ts';
import { type Floodgate, openFloodgate } from '../gate/floodgate.ts';
import { packEstate, unpackEstate, useEstate } from '../handover/estate.ts';
import { openUpgrade, type Upgrade } from '../handover/upgrade.ts';
import { watchSuspension } from '../host/suspension.ts';
import { Log } from '../log.ts';
import { interfaceIndex } from '../netlink/netlink.ts';
import { numberInSysfs } from '../netlink/sysfs.ts';
import { createKernels } from '../packet/kernels/fastest.ts';
import type { Kernels } from '../packet/kernels/kernels.ts';
import { enterSandbox, planSandbox, type SandboxPlan } from '../sandbox/sandbox.ts';
import { Persistence } from '../state/persistence.ts';
import { monotonicMs } from '../sys/clock.ts';
import { Loop } from '../sys/loop.ts';
import { drainSoon, type Watch } from '../sys/poller.ts';
import { type LinkState, type Monitor, openLinkEvents, watchLink } from '../tun/linkmonitor.ts';
import { openTun } from '../tun/tun.ts';
import { tunName } from '../tun/tundevice.ts';
import type { Request } from '../uapi/request.ts';
import { EAGAIN, EIO, refuseSet, refuseUpgrade } from '../uapi/response.ts';
import { VERSION } from '../version.ts';
import { Operator } from './operator.ts';
import type { DaemonOptions } from './options.ts';
import { openRehearsal, type Rehearsal } from './rehearsal.ts';
import { Surroundings } from './surroundings.ts';
import { Underlay, type UnderlayOptions } from './underlay.ts';

/** Room for the largest batch of either side and for what the Device adds to it. */
const ARENA_BYTES = 6 * 1024 * 1024;
const DEFAULT_MTU = 1420;

/**
 * Runs until SIGTERM or SIGINT, or until the interface or the control socket is deleted, or, after
 * SIGUSR2, until its successor goes on. Resolves to the exit code.
 *
 * @throws {SystemError} or Error with one line for the operator when it cannot begin
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  let daemon: Daemon | undefined;
  try {
    daemon = new Daemon(options);
    if (options.predecessor !== undefined) {
      // All that takes time comes before the one moment in which no packet moves; and all that
      // takes a right before anything is taken of the predecessor's, who may be in other hands.
      daemon.prepareTakingOver();
      daemon.prepareUpgrade();
      await daemon.rehearse();
      daemon.confine();
      await daemon.open();
      options.onReady();
    } else {
      await daemon.open();
      options.onReady();
      daemon.prepareUpgrade();
      void daemon.rehearse();
      daemon.confine();
    }
    const code = await daemon.finished;
    if (!daemon.isSucceeded) options.onStopping?.();
    return code;
  } catch (error) {
    options.predecessor?.fail((error as Error).message);
    throw error;
  } finally {
    await daemon?.close();
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
  readonly #operator: Operator;
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
  /** The predecessor's control socket's, before there is a server for it. */
  readonly #heldFile: SocketFile | undefined;
  #linkEvents: ReturnType<typeof openLinkEvents> | undefined;
  #monitors: Monitor[] = [];
  #tunWatch: Watch | undefined;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    if (options.predecessor !== undefined) {
      this.#heldFile = openHeldSocketFile(options.name, options.held?.controlFd);
    }
    // The interface may have been renamed since the first of all was started.
    const name = this.#heldFile?.name ?? options.name;
    this.#log = new Log(name, options.logLevel, options.writeLog, () => new Date());
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
    const { stateDirectory } = options;
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
    const underlay = new Underlay({ path, loop, gate, ...this.#ways() });
    this.#underlay = underlay;
    this.#operator = new Operator({
      ...{ path, underlay, persistence: this.#persistence, log: this.#log },
      startedAt: () => this.#startedAt,
      sandboxFacts: () => this.#sandboxFacts,
      starterTrouble: () => this.#upgrade?.trouble ?? '',
    });
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

  /** What of a successor's opening takes a right. */
  prepareTakingOver(): void {
    this.#ending = 'notOurs';
    this.#persistence?.open();
    this.#linkEvents = openLinkEvents();
  }

  async open(): Promise<void> {
    const { name, predecessor } = this.#options;
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
      name: this.#path.tun.name,
      file: this.#heldFile,
      handle: this.#handleRequest,
      onGone: () => this.#endForGood('the control socket was deleted'),
      onRenamed: this.#renamed,
      onKept: this.#kept,
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
        events: this.#linkEvents,
      }),
      surroundings,
      watchSuspension(this.#note, this.#surface),
    ];
    if (this.#path.device.isUp && inherited === undefined) this.#resume();
    process.on('SIGTERM', this.#terminate);
    process.on('SIGINT', this.#terminate);
    process.on('SIGUSR2', this.#upgradeBySignal);
    process.on('uncaughtException', this.#surface);
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
      connected: this.#options.connected?.() ?? [],
      writableDirectories: directory === undefined ? [] : [directory],
      onRefusal: (line) => this.#log.debug(line),
      onOff: this.#note,
    });
  }

  /**
   * Gives up the interface, unless it is to stay, and erases every key. The control socket is the
   * starter's to remove, last of all: whoever waits for our end looks for it.
   */
  async close(): Promise<void> {
    this.#rehearsal?.close();
    this.#loop.close();
    process.off('SIGTERM', this.#terminate);
    process.off('SIGINT', this.#terminate);
    process.off('SIGUSR2', this.#upgradeBySignal);
    process.off('uncaughtException', this.#surface);
    this.#stopMoving();
    if (this.#ending === 'notOurs') {
      this.#uapi?.leave();
      await this.#uapi?.finish();
      this.#heldFile?.close();
    } else await this.#uapi?.close();
    await this.#leaveState();
    this.#path.close();
    this.#path.tun?.close();
    this.#upgrade?.close(this.isSucceeded);
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
    const { successor, stateDirectory, lastLog, held } = this.#options;
    const file = this.#uapi?.file ?? this.#heldFile;
    if (successor === undefined || file === undefined) return;
    this.#upgrade = openUpgrade({
      successor,
      remains: {
        name: file.name,
        index: held?.interfaceIndex ?? numberInSysfs(this.#path.tun?.name ?? file.name),
        socketDirectory: file.place.directory,
        controlFd: file.fd,
        stateDirectory,
        log: lastLog,
      },
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
    if (link.name !== this.#uapi?.file.name) {
      this.#uapi?.file.follow(link.name);
      this.#upgrade?.rename();
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

  readonly #renamed = (name: string): void => {
    this.#log.debug(`Renamed: ${name}`);
    this.#log.name = name;
    this.#persistence?.renamed(name);
  };

  readonly #kept = (): void => {
    const name = this.#path.tun && tunName(this.#path.tun.fd);
    this.#log.error(
      `The interface is now named ${name}; its control socket is still ${this.#uapi?.file.path}`,
    );
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
        return this.#upgrade?.request() ?? refuseUpgrade('it was started without its starter');
      }
      return this.#operator.answer(request);
    } catch (error) {
      this.#surface(error);
      return refuseSet(EIO);
    }
  };
}
