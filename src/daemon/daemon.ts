/**
 * The daemon's steps: what is done to which of its parts at the start, when it takes over from
 * another, and at the end. It holds the only loop; what a turn of it does with packets is
 * datapath.ts, which parts there are is parts.ts, which step follows which life.ts, and why and how
 * it ends ending.ts.
 */

import {
  configureAhead,
  type UnpackedContents,
  unpackContents,
  useContents,
} from '../handover/packing.ts';
import { interfaceIndex } from '../netlink/netlink.ts';
import { numberInSysfs } from '../netlink/sysfs.ts';
import { monotonicMs } from '../sys/clock.ts';
import type { BoundSockets } from '../udp/udp.ts';
import { VERSION } from '../version.ts';
import type { Ending } from './ending.ts';
import type { ProgramOptions } from './options.ts';
import { createParts, type Parts } from './parts.ts';

/** Configuring an interface and the first ping take a tenth of that. */
const START_REST_MS = 500;

export class Daemon {
  readonly #options: ProgramOptions;
  readonly #parts: Parts;

  /** @throws Error with one line for the operator */
  constructor(options: ProgramOptions) {
    this.#options = options;
    this.#parts = createParts(options);
  }

  get ending(): Ending {
    return this.#parts.ending;
  }

  /** What of a successor's opening takes a right. @throws {SystemError} */
  prepareTakingOver(): void {
    const { persistence, observing, control, tunnel } = this.#parts;
    persistence?.open();
    observing.open(control.file?.name ?? this.#options.name);
    tunnel.prepare();
  }

  /** Before the daemon confines itself: afterwards it can start nothing. */
  prepareUpgrade(): void {
    const { held, stateDirectory, lastLog } = this.#options;
    const { control, names, observing, tunnel, upgrade } = this.#parts;
    const { file } = control;
    if (file !== undefined) {
      upgrade.open({
        name: file.name,
        index: held?.interfaceIndex ?? numberInSysfs(tunnel.tun?.name ?? file.name),
        socketDirectory: file.place.directory,
        controlFd: file.fd,
        observing: observing.remains,
        stateDirectory,
        log: lastLog,
      });
    }
    names.begin();
  }

  /**
   * Warms the packet path up; resolves when that is over. Before a takeover at once; at a start after
   * the operator's first words and the first packets, for which it would be in the way.
   */
  rehearse(): Promise<void> {
    const { takeover, onRehearsal = () => {} } = this.#options;
    return this.#parts.warmUp.begin(takeover === undefined ? START_REST_MS : 0, onRehearsal);
  }

  /** Gives up every right that is not needed any more; before anything comes from the network. */
  confine(): void {
    const { persistence, confinement, log } = this.#parts;
    this.#options.onConfining?.();
    const directory = persistence?.directory;
    confinement.enter({
      connected: this.#options.connected?.() ?? [],
      writableDirectories: directory === undefined ? [] : [directory],
      onRefusal: (line) => log.debug(line),
      onOff: (line) => log.error(line),
    });
    // A predecessor on this machine has told it.
    const shortfall = this.#options.takeover === undefined ? confinement.shortfall : null;
    if (shortfall !== null) log.error(shortfall);
  }

  /**
   * Takes what a predecessor sends ahead, while packets still are its own; it may be in other hands,
   * so this comes after `confine`.
   *
   * @throws {SystemError} or Error with one line for the operator
   */
  configureAhead(): void {
    const text = this.#options.takeover?.configuration() ?? null;
    if (text !== null) configureAhead(text, this.#parts.path, interfaceIndex);
  }

  /**
   * Opens the interface and the control socket, or takes over those of the predecessor; from its
   * end on all is ours, and packets move.
   *
   * @throws {SystemError} or Error with one line for the operator
   */
  async open(): Promise<void> {
    const { takeover } = this.#options;
    const { control, observing, operator, persistence, path, tunnel, chronicle } = this.#parts;
    const given = takeover && unpackContents(takeover.take());
    const { tunFd, uapiFd } = given ?? this.#options;
    const tun = tunnel.open(this.#options.name, tunFd);
    await control.open(tun.name, uapiFd, operator.answer);
    if (given === undefined) observing.open(tun.name);
    observing.serve(given?.observeFd);
    if (given === undefined) chronicle.tell({ kind: 'started', version: VERSION });
    else this.#takeOver(given);
    takeover?.begin(process.pid, VERSION);
    this.ending.takeOver();
    if (given !== undefined) persistence?.carryOn();
    else persistence?.restore(path.now, tun.isTakenOver);
    tunnel.begin();
    // The interface was taken over and is up: the sessions of before are followed by new ones.
    if (path.device.isUp && given === undefined) path.turn(() => persistence?.resume(path.now));
    this.#parts.signals.open();
    takeover?.serve();
    this.#parts.log.debug(`Started, version ${VERSION}`);
  }

  #takeOver(given: UnpackedContents): void {
    const { age, path, tunnel, underlay, log, chronicle } = this.#parts;
    age.startedAt = monotonicMs() - given.contents.uptimeMs;
    const successors = {
      setMtu: (mtu: number) => tunnel.setMtu(mtu),
      adopt: (udp: BoundSockets) => underlay.adopt(udp),
    };
    useContents(given, path, successors, interfaceIndex);
    chronicle.continue(given.contents.events);
    chronicle.tell({ kind: 'upgraded', from: given.contents.version, version: VERSION });
    log.isDebugging = path.device.isDebugging;
  }

  /** Closes all that is open and erases every key; to whom the rest falls is the ending's kind. */
  close(): Promise<void> {
    return this.#parts.subsystems.close(this.ending);
  }
}
