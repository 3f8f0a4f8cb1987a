/**
 * The event loop under Node.js, called by address: what of libuv's public C interface a wait of our
 * own needs (docs.libuv.org, uv_loop_t). Older versions, and some distributions' builds, do not
 * export all of it; then it says which function is missing.
 */

import { monotonicMs } from './clock.ts';
import { koffi } from './koffi.ts';
import { Scratch } from './libc.ts';

// uv_metrics_t
const METRICS_BYTES = 128;
const METRICS_EVENTS_OFFSET = 8;

/** Node.js does not export this function. */
export class MissingFunction extends Error {
  /** Its name in C. */
  readonly missing: string;

  constructor(missing: string, cause: unknown) {
    super(`this Node.js has no ${missing}`, { cause });
    this.missing = missing;
  }
}

/** The event loop of this thread. */
export class Libuv {
  /** Readable when a descriptor that libuv watches is ready. */
  readonly fd: number;
  readonly #loop: bigint;
  readonly #uvUpdateTime: (loop: bigint) => void;
  readonly #backendTimeout: (loop: bigint) => number;
  readonly #metricsInfo: (loop: bigint, metrics: number) => number;
  readonly #metrics = new Scratch(METRICS_BYTES);
  #updatedAt = 0;

  /** @throws {MissingFunction} where this Node.js does not export all of it */
  constructor() {
    const out = new Scratch(8);
    find('napi_get_uv_event_loop', 'int', ['uintptr_t', 'uintptr_t'])(koffi.node.env, out.address);
    this.#loop = out.view.getBigUint64(0, true);
    this.fd = find('uv_backend_fd', 'int', ['uintptr_t'])(this.#loop);
    this.#uvUpdateTime = find('uv_update_time', 'void', ['uintptr_t']);
    this.#backendTimeout = find('uv_backend_timeout', 'int', ['uintptr_t']);
    this.#metricsInfo = find('uv_metrics_info', 'int', ['uintptr_t', 'uintptr_t']);
  }

  /** Brings libuv's notion of now up to date, against which `timeoutMs` counts. */
  updateTime(): void {
    this.#uvUpdateTime(this.#loop);
    this.#updatedAt = monotonicMs();
  }

  /**
   * How long libuv itself would wait: not above 0 when a callback is due, infinite without one.
   * A timer that was set since `updateTime` may seem to be due early, never late.
   */
  timeoutMs(now: number): number {
    const ms = this.#backendTimeout(this.#loop);
    return ms < 0 ? Number.POSITIVE_INFINITY : ms - (now - this.#updatedAt);
  }

  /** How many events of descriptors libuv has handled, ever. */
  events(): number {
    this.#metricsInfo(this.#loop, this.#metrics.address);
    return this.#metrics.view.getUint32(METRICS_EVENTS_OFFSET, true);
  }
}

const node = koffi.load(null);

function find(name: string, result: string, parameters: string[]): ReturnType<typeof node.func> {
  try {
    return node.func(name, result, parameters);
  } catch (error) {
    throw new MissingFunction(name, error);
  }
}
