/**
 * Preloaded into a daemon (`node --import`): SIGWINCH makes it believe that the machine has just
 * resumed from a suspension. The clock that goes on meanwhile is SUSPENDED_S later from then on, and
 * the timer that the kernel cancels on a resumption, which is an event descriptor here, is readable.
 */

import koffi from 'koffi';

/** Longer than a session lasts (180 s). */
export const SUSPENDED_S = 200;

const CLOCK_BOOTTIME = 7;
const EFD_NONBLOCK_CLOEXEC = 0o2004000;

const library = koffi.load(null);
const bind = (name: string, parameters: string[], result = 'int') =>
  library.func(name, result, parameters) as (...args: number[]) => number;
const memcpy = bind('memcpy', ['uintptr_t', 'uintptr_t', 'size_t'], 'uintptr_t');
const write = bind('write', ['int', 'uintptr_t', 'size_t'], 'intptr_t');
const eventfd = bind('eventfd', ['uint32_t', 'int']);
const clockGettime = bind('clock_gettime', ['int', 'uintptr_t']);
const timerfdSettime = bind('timerfd_settime', ['int', 'int', 'uintptr_t', 'uintptr_t']);

// An ArrayBuffer of its own, which does not move.
const words = new BigInt64Array(16);
const address = Number(koffi.address(words.buffer));
let suspendedS = 0n;
let timer = -1;

const REPLACEMENTS: Readonly<Record<string, (...args: number[]) => number>> = {
  clock_gettime: (clock, out) => {
    const result = clockGettime(clock, out);
    if (clock !== CLOCK_BOOTTIME || suspendedS === 0n) return result;
    memcpy(address, out, 16);
    words[0] += suspendedS;
    memcpy(out, address, 16);
    return result;
  },
  timerfd_create: () => {
    timer = eventfd(0, EFD_NONBLOCK_CLOEXEC);
    return timer;
  },
  timerfd_settime: (fd, flags, to, old) => (fd === timer ? 0 : timerfdSettime(fd, flags, to, old)),
};

const load = koffi.load;
koffi.load = (...args) => {
  const loaded = load(...args);
  const func = loaded.func.bind(loaded) as (...words: unknown[]) => unknown;
  return new Proxy(loaded, {
    get: (target, property) =>
      property === 'func'
        ? (...words: unknown[]) => REPLACEMENTS[String(words[0])] ?? func(...words)
        : Reflect.get(target, property, target),
  });
};

process.on('SIGWINCH', () => {
  suspendedS += BigInt(SUSPENDED_S);
  words[0] = 1n;
  write(timer, address, 8);
});
