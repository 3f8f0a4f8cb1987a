/**
 * A persistent daemon's life after death: what it leaves to its successor, and how the
 * successor takes that up. Joins the Device, the state's text (state/savedstate.ts) and its file
 * (state/statekeeper.ts); that the interface stays is the TUN device's.
 *
 * A state belongs to its interface. Where that is gone (the machine was started again, or somebody
 * deleted it while nobody served it), its peers are not brought back: the operator's files may no
 * longer name them. What names of hosts were is remembered nevertheless: those that the operator's
 * files name again can be called although no name server answers.
 */

import { counted } from '../counted.ts';
import { type DeviceChange, wiped, wipeKeys } from '../device/configuration.ts';
import type { Device } from '../device/device.ts';
import type { DeviceEvent } from '../device/events.ts';
import type { EventBody } from '../events/record.ts';
import type { Log } from '../log.ts';
import type { WritableDirectory } from '../sandbox/sandbox.ts';
import { SystemError } from '../sys/libc.ts';
import { Slices } from '../sys/slices.ts';
import type { InterfaceIndex } from '../uapi/endpoint.ts';
import { parseSavedState, type SavedState, tellSavedState } from './savedstate.ts';
import { StateKeeper, type StateTrouble } from './statekeeper.ts';

export interface PersistenceOptions {
  /** The interface's name. */
  readonly name: string;
  /** Where states are kept. */
  readonly directory: string;
  readonly device: Device;
  readonly log: Log;
  readonly interfaceIndex: InterfaceIndex;
  readonly tell: (event: EventBody) => void;
  /** The Device is configured as before; there are no keys in the change any more. */
  readonly onRestored: (change: DeviceChange) => void;
}

export class Persistence {
  readonly #options: PersistenceOptions;
  readonly #keeper: StateKeeper;
  readonly #slices = new Slices();
  /** Before that there is nothing to be saved. */
  #isRestored = false;

  constructor(options: PersistenceOptions) {
    this.#options = options;
    this.#keeper = new StateKeeper({
      name: options.name,
      directory: options.directory,
      render: this.#render,
      onNote: (note) => options.log.error(note),
    });
    options.device.observe(this.#notice);
  }

  /**
   * Configures the Device as its predecessor was: before the interface is looked at, and before the
   * daemon loses its right to open paths. A state that is missing or of no use is a line in the
   * log. `isTakenOver`: the interface was there before.
   */
  restore(now: number, isTakenOver: boolean): void {
    const { device, log, onRestored } = this.#options;
    this.#isRestored = true;
    const saved = this.#read(isTakenOver);
    if (saved !== null) {
      device.rememberNames(saved.names);
      device.configure(now, saved.change);
      wipeKeys(saved.change);
      onRestored(saved.change);
      if (device.recall(saved.memories)) {
        log.error(
          'The clock is earlier than the handshakes before the restart: was it set back? Handshakes continue from their timestamps',
        );
      }
    }
    this.#keeper.begun();
  }

  /** For `carryOn`, before the daemon loses its right to open paths. */
  open(): void {
    try {
      this.#keeper.open();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#options.log.error(`${error.message}${this.#keeper.remedy}`);
    }
  }

  /** Instead of `restore`, for a daemon that has everything from a predecessor that was alive. */
  carryOn(): void {
    this.#isRestored = true;
    this.#keeper.changed();
  }

  /** The interface has another name, and so has the state's folder. */
  renamed(name: string): void {
    this.#keeper.renamed(name);
  }

  /** Call once the interface is up: the sessions before the restart are followed by new ones. */
  resume(now: number): void {
    const peers = this.#options.device.resume(now);
    this.#options.log.debug(
      `Taken over: ${counted(peers, 'peer had a session and is', 'peers had a session and are')} sent an initiation`,
    );
  }

  /** Call after a change by the operator. */
  changed(): void {
    this.#keeper.changed();
  }

  readonly #notice = (event: DeviceEvent): void => {
    if (event.kind === 'roamed' || event.kind === 'nameResolved') this.#keeper.moved();
    else if (event.kind === 'responseReceived' || event.kind === 'sessionConfirmed') {
      // Of a session that the file does not know of, the successor could not know to call.
      if (event.session === 1) this.#keeper.changed();
      else this.#keeper.drifted();
    }
  };

  /** Where the daemon continues to write. */
  get directory(): WritableDirectory | undefined {
    return this.#keeper.directory;
  }

  /** That the state is saved, or soon will be. */
  get isSaved(): boolean {
    return this.#keeper.trouble === null;
  }

  troubles(): StateTrouble[] {
    const { trouble } = this.#keeper;
    return trouble === null ? [] : [trouble];
  }

  /**
   * The daemon ends, before the Device is closed: what the successor finds is the state of this
   * moment, or after a bug the last that was known to be sound; after the interface's end, none. A
   * state that is another process's already stays as it is.
   */
  close(kind: 'stopped' | 'forGood' | 'byBug' | 'notOurs'): Promise<void> {
    if (kind === 'forGood') return this.#keeper.remove();
    return kind === 'stopped' && this.#isRestored ? this.#keeper.close() : this.#keeper.abandon();
  }

  #read(isTakenOver: boolean): SavedState | null {
    const { log, interfaceIndex, tell } = this.#options;
    const consequence = isTakenOver ? 'starting without peers' : 'starting without a configuration';
    try {
      const file = this.#keeper.open();
      let found = file.read();
      if (found.kind === 'nothing') {
        if (isTakenOver) log.error(`There is no state ${file.path}: ${consequence}`);
        return null;
      }
      const saved = found.kind === 'text' ? parseSavedState(found.text, interfaceIndex) : null;
      if (saved === null && found.kind === 'text')
        found = file.refuse('its contents cannot be parsed');
      if (found.kind === 'refused') {
        tell({ kind: 'stateRefused', why: found.why });
        log.error(
          `The state ${file.path} is refused, ${found.why}: ${consequence}; it is kept as ${found.keptAs}`,
        );
      } else if (!isTakenOver) {
        // As after every boot.
        log.debug(`The state ${file.path} is of an interface that is gone: ${consequence}`);
        if (saved !== null) {
          wipeKeys(saved.change);
          this.#options.device.rememberNames(saved.names);
        }
        return null;
      }
      return saved;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      tell({ kind: 'stateRefused', why: error.message });
      log.error(`${error.message}: ${consequence}${this.#keeper.remedy}`);
      return null;
    }
  }

  /** In slices; again when the configuration has changed meanwhile, so that it is always one. */
  readonly #render = async (): Promise<string> => {
    for (;;) {
      const text = await this.#slices.run(this.#tell());
      if (text !== null) return text;
    }
  };

  *#tell(): Generator<void, string | null> {
    const { device } = this.#options;
    const { revision } = device;
    const own = device.ownState();
    const peers = wiped(device.peerStates());
    const memories = device.peerMemories();
    try {
      let text = '';
      for (const piece of tellSavedState({ ...own, peers }, memories, device.nameMemories())) {
        if (device.revision !== revision) return null;
        text += piece;
        yield;
      }
      return text;
    } finally {
      wipeKeys({ ...own, peers: [] });
    }
  }
}
