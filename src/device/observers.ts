/** Who is told of a Device's events, and what becomes of an error of theirs. */

import type { DeviceEvent } from './events.ts';

/**
 * Is told of an event at once, in the midst of one of the Device's inputs: what the input has yet to
 * do is not done. It may keep the event. It must not call an input of the Device, `configure`,
 * `takeOver` or `close`, nor believe what else the Device tells then; `observe` it may call.
 */
export type Observer = (event: DeviceEvent) => void;

export class Observers {
  /** Replaced, never written: whoever comes or goes while an event is told does so for the next. */
  #all: readonly { readonly tell: Observer }[] = [];
  /** The first error of an observer that has not been thrown yet. */
  #failure: { readonly error: unknown } | null = null;

  /** Adds it after those that are there; what it returns takes it away again. */
  add(observer: Observer): () => void {
    const entry = { tell: observer };
    this.#all = [...this.#all, entry];
    return () => {
      this.#all = this.#all.filter((one) => one !== entry);
    };
  }

  /**
   * Tells all of them, in the order in which they came. One that throws is a bug outside of the Device,
   * which the Device outlives: the others are told, the input is carried out, and then `surface`
   * throws the error.
   */
  tell(event: DeviceEvent): void {
    for (const one of this.#all) {
      try {
        one.tell(event);
      } catch (error) {
        this.#failure ??= { error };
      }
    }
  }

  /** `surface` would throw. */
  get hasFailed(): boolean {
    return this.#failure !== null;
  }

  /** Throws the first error since it last did, if there was one. Between two inputs. */
  surface(): void {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure.error;
  }
}
