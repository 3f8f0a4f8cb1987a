/**
 * Network namespaces for tests: the test's process moves its main thread into one of its own, so
 * whatever it does to interfaces and routes ends with it.
 */

import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync } from 'node:fs';
import koffi from 'koffi';
import { describe } from 'vitest';
import { HANG_MS } from './command.ts';

const CLONE_NEWNET = 0x40000000;
const libc = koffi.load(null);
const unshare = libc.func('unshare', 'int', ['int']);
const setns = libc.func('setns', 'int', ['int', 'int']);

const canUnshare = process.getuid?.() === 0 && process.env.TSWG_TEST_NO_NAMESPACES !== '1';

/** A `describe` whose tests need root and a namespace; says so when it skips. */
export function describeInNamespace(name: string, body: () => void): void {
  if (canUnshare) {
    describe(name, body);
    return;
  }
  console.warn(`SKIPPED: ${name}: needs root, to make network namespaces`);
  describe.skip(`${name} (needs root, to make network namespaces)`, body);
}

/** Moves this thread, and all programs it starts, into a new namespace with loopback up. */
export function enterNamespace(): void {
  if (unshare(CLONE_NEWNET) !== 0) throw new Error(`unshare: errno ${koffi.errno()}`);
  ip('link', 'set', 'lo', 'up');
}

export function ip(...words: string[]): string {
  return execFileSync('ip', words, { encoding: 'utf8' });
}

export function sysctl(path: string, value: string): void {
  execFileSync('sh', ['-c', `echo ${value} > /proc/sys/${path}`]);
}

/** A second namespace beside the current one. */
export class OtherNamespace {
  readonly #fd: number;

  /** A new one, or a name for the current one. */
  constructor(which: 'new' | 'here' = 'new') {
    const here = openSync('/proc/thread-self/ns/net', 'r');
    this.#fd = here;
    if (which === 'here') return;
    if (unshare(CLONE_NEWNET) !== 0) throw new Error(`unshare: errno ${koffi.errno()}`);
    ip('link', 'set', 'lo', 'up');
    this.#fd = openSync('/proc/thread-self/ns/net', 'r');
    setns(here, CLONE_NEWNET);
    closeSync(here);
  }

  /** For `ip link set DEV netns PATH`. */
  get path(): string {
    return `/proc/${process.pid}/fd/${this.#fd}`;
  }

  /** Runs `body` there. Synchronous: the whole thread goes over and comes back. */
  run<T>(body: () => T): T {
    const here = openSync('/proc/thread-self/ns/net', 'r');
    if (setns(this.#fd, CLONE_NEWNET) !== 0) throw new Error(`setns: errno ${koffi.errno()}`);
    try {
      return body();
    } finally {
      setns(here, CLONE_NEWNET);
      closeSync(here);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** How many descriptors this process has open. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Waits until `done` holds; throws when that looks like a hang. */
export async function eventually(done: () => boolean, what: string): Promise<void> {
  const end = performance.now() + HANG_MS;
  while (!done()) {
    if (performance.now() > end) throw new Error(`not within ${HANG_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
