/**
 * The daemon: which parts it has, how they are joined, and in which order they end. It holds the
 * only loop; what a turn of it does with packets is datapath.ts, which step of its life follows
 * which is life.ts, and why and how it ends ending.ts.
 *
 * A further part is one line in the list of subsystems, if it needs no step of its own at the start.
 */

import { Arena } from '../arena.ts';
import { Observing } from '../control/observing.ts';
import { openHeldSocketFile } from '../control/socketfile.ts';
import { chooseSuite, cryptoPreference } from '../crypto/openssl/suite.ts';
import type { CryptoSuite } from '../crypto/suite.ts';
import { Datapath } from '../datapath/datapath.ts';
import type { DropReason } from '../device/drops.ts';
import { type Floodgate, openFloodgate } from '../gate/floodgate.ts';
import type { PackedContents } from '../handover/handover.ts';
import {
  packContents,
  type UnpackedContents,
  unpackContents,
  useContents,
} from '../handover/packing.ts';
import { Log } from '../log.ts';
import { interfaceIndex } from '../netlink/netlink.ts';
import { numberInSysfs } from '../netlink/sysfs.ts';
import { createKernels } from '../packet/kernels/fastest.ts';
import type { Kernels } from '../packet/kernels/kernels.ts';
import { Persistence } from '../state/persistence.ts';
import { monotonicMs } from '../sys/clock.ts';
import { type Loop, openLoop } from '../sys/loop.ts';
import { drainSoon } from '../sys/poller.ts';
import type { BoundSockets } from '../udp/udp.ts';
import { VERSION } from '../version.ts';
import { Confinement } from './confinement.ts';
import { ControlSocket } from './controlsocket.ts';
import { Ending } from './ending.ts';
import { Operator } from './operator.ts';
import type { ProgramOptions } from './options.ts';
import { openRehearsal, type Rehearsal } from './rehearsal.ts';
import { Signals } from './signals.ts';
import { Subsystems } from './subsystem.ts';
import { TunnelInterface } from './tunnelinterface.ts';
import { Underlay } from './underlay.ts';
import { Upgrade } from './upgrade.ts';

/** Room for the largest batch of either side and for what the Device adds to it. */
const ARENA_BYTES = 6 * 1024 * 1024;

export class Daemon {
  readonly ending: Ending;
  readonly #options: ProgramOptions;
  readonly #offload: boolean;
  readonly #isWarm: boolean;
  /** Of the first of all who have followed each other. */
  #startedAt = monotonicMs();
  readonly #log: Log;
  readonly #arena = new Arena(ARENA_BYTES);
  readonly #suite: CryptoSuite;
  readonly #kernels: Kernels;
  readonly #path: Datapath;
  readonly #loop: Loop;
  readonly #gate: Floodgate;
  readonly #underlay: Underlay;
  readonly #interface: TunnelInterface;
  readonly #persistence: Persistence | undefined;
  readonly #confinement: Confinement;
  readonly #control: ControlSocket;
  readonly #observing: Observing;
  readonly #operator: Operator;
  readonly #upgrade: Upgrade;
  readonly #signals: Signals;
  #rehearsal: Rehearsal | undefined;
  readonly #subsystems: Subsystems;

  /** @throws Error with one line for the operator */
  constructor(options: ProgramOptions) {
    this.#options = options;
    const { environment = {}, takeover, held } = options;
    this.#offload = environment.TSWG_NO_OFFLOAD !== '1';
    this.#isWarm = environment.TSWG_WARM !== '0';
    const heldFile = takeover ? openHeldSocketFile(options.name, held?.controlFd) : null;
    // The interface may have been renamed since the first of all was started.
    const name = heldFile?.name ?? options.name;
    this.#log = new Log(name, options.logLevel, options.writeLog, () => new Date());
    this.ending = new Ending(this.#log, takeover === undefined);
    this.#control = new ControlSocket(heldFile, {
      log: this.#log,
      ending: this.ending,
      onRenamed: (found) => this.#subsystems.renamed(found),
    });
    this.#confinement = new Confinement(options);
    this.#suite = chooseSuite(this.#arena, cryptoPreference(environment.TSWG_CRYPTO), this.#note);
    this.#kernels = createKernels(this.#arena);
    this.#gate = openFloodgate({ onDrop: this.#countDrop, onNote: this.#note });
    this.#path = this.#createPath();
    this.#persistence = this.#createPersistence(name);
    this.#loop = this.#openLoop();
    this.#underlay = this.#createUnderlay();
    this.#interface = this.#createInterface();
    this.#upgrade = this.#createUpgrade();
    this.#operator = this.#createOperator();
    const [handle, onNote] = [this.#operator.observe, this.#note];
    this.#observing = new Observing({ handle, onNote, fileFd: held?.observeFd });
    this.#signals = new Signals({
      ending: this.ending,
      stop: options.stop,
      ofProcess: options.signals ?? false,
      onUpgrade: () => void this.#upgrade.request(),
    });
    this.#subsystems = this.#list();
  }

  /** All parts, in the order in which they end. */
  #list(): Subsystems {
    const [log, underlay] = [this.#log, this.#underlay];
    return new Subsystems([
      this.#signals,
      { close: () => this.#rehearsal?.close() },
      this.#loop,
      {
        noticed: (event) => log.event(event),
        renamed: (name) => {
          log.name = name;
        },
      },
      this.#confinement,
      this.#observing,
      this.#control,
      ...(this.#persistence === undefined ? [] : [this.#persistence]),
      {
        troubles: () =>
          underlay.trouble === '' ? [] : [{ code: 'noSocket', why: underlay.trouble }],
        stop: () => underlay.close(),
      },
      { stop: () => this.#gate.close() },
      // Erases every key.
      this.#path,
      this.#interface,
      // The control socket is the starter's to remove, last of all: whoever waits for our end looks
      // for it.
      this.#upgrade,
    ]);
  }

  #openLoop(): Loop {
    const options = {
      deadline: () => this.#path.device.nextTimeout(),
      onDeadline: this.#path.handleTimeout,
      onPause: this.#path.stayWarm,
      onBug: this.ending.surface,
    };
    return openLoop(options, (line) => this.#log.debug(line));
  }

  #createPath(): Datapath {
    return new Datapath({
      arena: this.#arena,
      suite: this.#suite,
      guard: this.#gate,
      warm: this.#isWarm,
      onHold: (isHeld) => this.#interface.hold(isHeld),
      observe: (event) => {
        this.#subsystems.noticed(event);
        drainSoon();
      },
    });
  }

  #createPersistence(name: string): Persistence | undefined {
    const { stateDirectory: directory } = this.#options;
    if (directory === undefined) return undefined;
    const { device } = this.#path;
    return new Persistence({ name, directory, device, log: this.#log, interfaceIndex });
  }

  #createUnderlay(): Underlay {
    const [path, loop, gate] = [this.#path, this.#loop, this.#gate];
    return new Underlay({ path, loop, gate, ...this.#ways() });
  }

  #createInterface(): TunnelInterface {
    const [path, underlay, loop] = [this.#path, this.#underlay, this.#loop];
    return new TunnelInterface({
      ...{ path, underlay, loop, log: this.#log, ending: this.ending },
      isPersistent: this.#persistence !== undefined,
      tun: { kernels: this.#kernels, ...this.#ways() },
      onNamed: (name) => {
        if (!this.#control.follow(name)) return;
        this.#observing.follow(name);
        this.#upgrade.rename();
      },
    });
  }

  /** What interface and sockets have in common. */
  #ways() {
    const [arena, offload] = [this.#arena, this.#offload];
    return { arena, offload, onDrop: this.#countDrop, onNote: this.#note };
  }

  #createUpgrade(): Upgrade {
    return new Upgrade({
      successor: this.#options.successor,
      path: this.#path,
      log: this.#log,
      pack: () => this.#pack(),
      onHandedOver: (pid) => {
        this.ending.handOver();
        this.#subsystems.stop(this.ending.kind);
        this.#options.onSucceeded?.(pid);
      },
      onDone: () => setImmediate(() => this.ending.endSucceeded()),
      onBug: this.ending.surface,
    });
  }

  #pack(): PackedContents {
    const { tun } = this.#interface;
    if (tun === undefined) throw new Error('daemon: no interface is open');
    const belongings = {
      ...{ tunFd: tun.fd, uapi: this.#control.server },
      ...{ udp: this.#underlay.bound, observeFd: this.#observing.fd },
    };
    return packContents(this.#path, belongings, this.#path.now - this.#startedAt);
  }

  #createOperator(): Operator {
    return new Operator({
      ...{ path: this.#path, underlay: this.#underlay, log: this.#log },
      ...{ ending: this.ending, upgrade: this.#upgrade },
      subject: {
        ...{ path: this.#path, confinement: this.#confinement, persistence: this.#persistence },
        observing: this.#observing,
        startedAt: () => this.#startedAt,
      },
      troubles: () => this.#subsystems.troubles(),
      onChange: () => this.#subsystems.changed(),
    });
  }

  /** What of a successor's opening takes a right. @throws {SystemError} */
  prepareTakingOver(): void {
    this.#persistence?.open();
    this.#observing.open(this.#control.file?.name ?? this.#options.name);
    this.#interface.prepare();
  }

  /** Before the daemon confines itself: afterwards it can start nothing. */
  prepareUpgrade(): void {
    const { held, stateDirectory, lastLog } = this.#options;
    const { file } = this.#control;
    if (file === undefined) return;
    this.#upgrade.open({
      name: file.name,
      index: held?.interfaceIndex ?? numberInSysfs(this.#interface.tun?.name ?? file.name),
      socketDirectory: file.place.directory,
      controlFd: file.fd,
      observing: this.#observing.remains,
      stateDirectory,
      log: lastLog,
    });
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
      const [offload, warm] = [this.#offload, this.#isWarm];
      const options = { arena, suite, kernels, loop, offload, warm, moved, onEnd };
      this.#rehearsal = openRehearsal(options, (line) => this.#log.debug(line));
    });
  }

  /** Gives up every right that is not needed any more; before anything comes from the network. */
  confine(): void {
    const directory = this.#persistence?.directory;
    this.#confinement.enter({
      connected: this.#options.connected?.() ?? [],
      writableDirectories: directory === undefined ? [] : [directory],
      onRefusal: (line) => this.#log.debug(line),
      onOff: this.#note,
    });
  }

  /**
   * Opens the interface and the control socket, or takes over those of the predecessor; from its
   * end on all is ours, and packets move.
   *
   * @throws {SystemError} or Error with one line for the operator
   */
  async open(): Promise<void> {
    const { takeover } = this.#options;
    const given = takeover && unpackContents(takeover.take());
    const { tunFd, uapiFd } = given ?? this.#options;
    const tun = this.#interface.open(this.#options.name, tunFd);
    await this.#control.open(tun.name, uapiFd, this.#operator.answer);
    if (given === undefined) this.#observing.open(tun.name);
    this.#observing.serve(given?.observeFd);
    if (given !== undefined) this.#takeOver(given);
    takeover?.begin(process.pid, VERSION);
    this.ending.takeOver();
    if (given !== undefined) this.#persistence?.carryOn();
    else this.#persistence?.restore(this.#path.now, tun.isTakenOver);
    this.#interface.begin();
    if (this.#path.device.isUp && given === undefined) this.#resume();
    this.#signals.open();
    takeover?.serve();
    this.#log.debug(`Started, version ${VERSION}`);
  }

  #takeOver(given: UnpackedContents): void {
    this.#startedAt = monotonicMs() - given.contents.uptimeMs;
    const successors = {
      setMtu: (mtu: number) => this.#interface.setMtu(mtu),
      adopt: (udp: BoundSockets) => this.#underlay.adopt(udp),
    };
    useContents(given, this.#path, successors, interfaceIndex);
    this.#log.isDebugging = this.#path.device.isDebugging;
  }

  /** The interface was taken over and is up: the sessions of before are followed by new ones. */
  #resume(): void {
    this.#path.turn(() => this.#persistence?.resume(this.#path.now));
  }

  /** Closes all that is open and erases every key; to whom the rest falls is the ending's kind. */
  close(): Promise<void> {
    return this.#subsystems.close(this.ending);
  }

  readonly #countDrop = (reason: DropReason, packets: number): void =>
    this.#path.device.countDrop(reason, packets);

  readonly #note = (note: string): void => this.#log.error(note);
}
