import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { monotonicMs } from '../../src/sys/clock.ts';
import { close, read, Scratch, socketPair, write } from '../../src/sys/libc.ts';
import { type Loop, type LoopOptions, openLoop } from '../../src/sys/loop.ts';
import { drainSoon } from '../../src/sys/poller.ts';
import { HANG_MS } from '../lab/command.ts';
import { eventually } from '../lab/namespace.ts';
import { RefusedSocket } from './refused.ts';

/** What the kernel was asked for, for how long it waited of that, and the function that Node.js does not export, if any. */
const kernel = vi.hoisted(() => ({ waitsMs: [] as number[], waitedMs: 0 }));
const node = vi.hoisted(() => ({ lacks: '' }));

vi.mock('../../src/sys/koffi.ts', async (importOriginal) => {
  const { koffi } = await importOriginal<typeof import('../../src/sys/koffi.ts')>();
  const load = (...words: Parameters<typeof koffi.load>) => {
    const library = koffi.load(...words);
    const func = (...signature: Parameters<typeof library.func>) => {
      const name = String(signature[0]);
      if (name === node.lacks) throw new Error(`Cannot find function '${name}' in shared library`);
      return library.func(...signature);
    };
    return { func };
  };
  return { koffi: { ...koffi, load } };
});

vi.mock('../../src/sys/libc.ts', async (importOriginal) => {
  const libc = await importOriginal<typeof import('../../src/sys/libc.ts')>();
  return {
    ...libc,
    poll: (fds: number, count: number, timeoutMs: number) => {
      kernel.waitsMs.push(timeoutMs);
      const start = performance.now();
      const found = libc.poll(fds, count, timeoutMs);
      kernel.waitedMs += Math.min(timeoutMs, performance.now() - start);
      return found;
    },
  };
});

const scratch = new Scratch(64);
const drain = (fd: number): number => read(fd, scratch.address, 64);
const poke = (fd: number): number => write(fd, scratch.address, 1);

/** Asks and waits for the echo, many times, each on a new connection; posts how many came. */
const CLIENT = `
  const { connect } = require('node:net');
  const { parentPort, workerData } = require('node:worker_threads');
  const ask = (left) => {
    if (left === 0) return parentPort.postMessage(30);
    const socket = connect(workerData, '127.0.0.1', () => setTimeout(() => socket.write('?'), 5));
    socket.once('data', () => {
      socket.destroy();
      setTimeout(ask, 5, left - 1);
    });
    setTimeout(() => socket.destroyed || parentPort.postMessage(30 - left), ${HANG_MS}).unref();
  };
  setTimeout(ask, 100, 30);
`;

const loops: Loop[] = [];
const fds: number[] = [];
const plain: string[] = [];

function startLoop(options: Partial<LoopOptions> = {}): Loop {
  const loop = openLoop(
    {
      deadline: () => Number.POSITIVE_INFINITY,
      onDeadline: () => {},
      onBug: (error) => {
        throw error;
      },
      ...options,
    },
    (line) => plain.push(line),
  );
  loops.push(loop);
  return loop;
}

function openPair(): readonly [near: number, far: number] {
  const pair = socketPair();
  fds.push(...pair);
  return pair;
}

afterEach(() => {
  node.lacks = '';
  plain.splice(0);
  for (const loop of loops.splice(0)) loop.close();
  for (const fd of fds.splice(0)) close(fd);
});

describe.each([
  ['of our own', ''],
  ["of Node's, without uv_metrics_info", 'uv_metrics_info'],
])('loop %s', (_, lacks) => {
  beforeEach(() => {
    node.lacks = lacks;
  });

  it('calls as long as there is something to read, and not after the watch is closed', async () => {
    const [near, far] = openPair();
    let calls = 0;
    const watch = startLoop().watch(near, { readable: () => ++calls >= 3 && drain(near) });
    poke(far);
    await eventually(() => calls === 3, 'three calls');
    await sleep(20);
    expect(calls).toBe(3);
    watch.close();
    watch.close();
    poke(far);
    await sleep(20);
    expect(calls).toBe(3);
  });

  it('waits without using the processor', async () => {
    const [near] = openPair();
    let waits = 0;
    const deadline = () => {
      waits++;
      return Number.POSITIVE_INFINITY;
    };
    startLoop({ deadline }).watch(near, { readable: () => {} });
    await sleep(50);
    const before = waits;
    await sleep(400);
    // A loop that does not wait comes to thousands, also where others have most of the processor.
    expect(waits - before).toBeLessThan(100);
  });

  it('counts as lag by what it came back late, and not what it waited', async () => {
    const [BLOCK_MS, AHEAD_MS] = [60, 20];
    let deadline = Number.POSITIVE_INFINITY;
    const start = monotonicMs();
    kernel.waitedMs = 0;
    const loop = startLoop({
      deadline: () => deadline,
      onDeadline: () => {
        deadline = Number.POSITIVE_INFINITY;
      },
    });
    await sleep(300);
    const elapsedMs = monotonicMs() - start;
    // Whatever else the machine does: all delays together are what was no wait.
    expect(loop.lagMs(monotonicMs())).toBeLessThanOrEqual(elapsedMs - kernel.waitedMs);
    let calls = 0;
    const [near, far] = openPair();
    loop.watch(near, {
      readable: () => {
        drain(near);
        if (++calls === 1) {
          deadline = monotonicMs() + AHEAD_MS;
          poke(far);
        }
        const end = monotonicMs() + (calls === 1 ? 0 : BLOCK_MS);
        while (monotonicMs() < end);
      },
    });
    poke(far);
    await eventually(() => calls === 2 && deadline === Number.POSITIVE_INFINITY, 'the deadline');
    expect(loop.lagMs(monotonicMs())).toBeGreaterThan(BLOCK_MS - AHEAD_MS - 2);
  });

  it('keeps the deadline, which it asks for anew before every wait', async () => {
    const times: number[] = [];
    const start = monotonicMs();
    let deadline = start + 30;
    let longestMs = 0;
    kernel.waitsMs = [];
    startLoop({
      deadline: () => deadline,
      onDeadline: () => {
        times.push(monotonicMs() - start);
        deadline = times.length < 3 ? start + 30 + 30 * times.length : Number.POSITIVE_INFINITY;
        longestMs = Math.max(...kernel.waitsMs);
      },
    });
    await sleep(200);
    await eventually(() => times.length === 3, 'three deadlines');
    // Whatever else may have woken it, it never meant to sleep longer.
    expect(longestMs).toBeLessThanOrEqual(30);
    for (const [i, time] of times.entries()) expect(time).toBeGreaterThanOrEqual(30 * (i + 1));
  });

  it('takes a deadline that a callback brought forward', async () => {
    const [near, far] = openPair();
    let deadline = Number.POSITIVE_INFINITY;
    let isDone = false;
    const loop = startLoop({
      deadline: () => deadline,
      onDeadline: () => {
        isDone = true;
        deadline = Number.POSITIVE_INFINITY;
      },
    });
    loop.watch(near, {
      readable: () => {
        drain(near);
        deadline = monotonicMs() + 10;
      },
    });
    await sleep(20);
    poke(far);
    await eventually(() => isDone, 'the deadline');
  });

  it('a deadline that is always due starves neither descriptors nor Node', async () => {
    const [near, far] = openPair();
    let calls = 0;
    const loop = startLoop({ deadline: () => Number.NEGATIVE_INFINITY });
    loop.watch(near, {
      readable: () => {
        drain(near);
        calls++;
      },
    });
    for (let i = 0; i < 5; i++) {
      poke(far);
      await sleep(5);
    }
    await eventually(() => calls === 5, 'all that was sent');
  });

  it("Node's timers, immediates, files and promises go on while it waits", async () => {
    startLoop();
    await sleep(20);
    await sleep(25);
    for (let i = 0; i < 50; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      expect((await readFile('/proc/self/stat')).length).toBeGreaterThan(0);
      await Promise.resolve();
    }
  });

  it('connections that Node accepts in its own callbacks are served at once', async () => {
    startLoop();
    const server = createServer((socket) => socket.pipe(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    // Another thread's client: one of ours would wake us up.
    const client = new Worker(CLIENT, { eval: true, workerData: port });
    const answered = await new Promise<number>((resolve) => client.once('message', resolve));
    expect(answered).toBe(30);
    await client.terminate();
    server.close();
  });

  it('a descriptor that is always readable starves neither another one nor Node', async () => {
    const [busy, busyFar] = openPair();
    const [near, far] = openPair();
    let calls = 0;
    const loop = startLoop();
    loop.watch(busy, { readable: () => {} });
    loop.watch(near, {
      readable: () => {
        drain(near);
        calls++;
      },
    });
    poke(busyFar);
    for (let i = 0; i < 5; i++) {
      poke(far);
      await sleep(5);
    }
    await eventually(() => calls === 5, 'all that was sent');
  });

  it('calls while there is room to write, as long as that is asked for', async () => {
    const [near, far] = openPair();
    let calls = 0;
    let reads = 0;
    const readable = (): void => {
      drain(near);
      reads++;
    };
    const writable = (): void => {
      calls++;
      watch.change({ readable });
    };
    while (write(near, scratch.address, 64) > 0);
    let waits = 0;
    const deadline = (): number => {
      waits++;
      return Number.POSITIVE_INFINITY;
    };
    const watch = startLoop({ deadline }).watch(near, { readable, writable });
    await sleep(20);
    expect(calls).toBe(0);
    while (drain(far) > 0);
    await eventually(() => calls === 1, 'room');
    poke(far);
    await eventually(() => reads === 1, 'what was sent');
    expect(calls).toBe(1);
    watch.change({ writable });
    await eventually(() => calls === 2, 'room, asked for again');
    watch.change({});
    poke(far);
    await sleep(20);
    const before = waits;
    await sleep(100);
    // What is not asked for does not end the wait either.
    expect(waits - before).toBeLessThan(50);
    expect(reads).toBe(1);
    watch.change({ readable });
    await eventually(() => reads === 2, 'what was sent, once it is asked for again');
    watch.close();
    watch.change({ readable, writable });
    await sleep(20);
    expect(calls).toBe(2);
  });

  it('a reader that closes its watch hears no more of it, not even that there is room', async () => {
    const [near, far] = openPair();
    let calls = 0;
    const readable = (): void => {
      calls++;
      watch.close();
    };
    const writable = (): void => {
      if (calls > 0) calls++;
    };
    const watch = startLoop().watch(near, { readable, writable });
    poke(far);
    await eventually(() => calls > 0, 'what was sent');
    await sleep(20);
    expect(calls).toBe(1);
  });

  it('an error queue that its reader leaves costs neither rest nor data', async () => {
    const refused = new RefusedSocket(true);
    const results: number[] = [];
    const watch = startLoop().watch(refused.fd, {
      readable: () => results.push(drain(refused.fd)),
    });
    const timers = vi.spyOn(globalThis, 'setTimeout');
    for (let round = 1; round <= 8; round++) {
      refused.provoke();
      await eventually(() => results.length === round, 'an error');
    }
    await sleep(20);
    refused.receive(7);
    await eventually(() => results.length > 8, 'a datagram');
    expect(results).toEqual([...new Array(8).fill(-1), 7]);
    // A rest is a timer of 10 ms and more, the deadline of Node's loop one of a second.
    const rests = timers.mock.calls.filter(([, ms = 0]) => ms >= 10 && ms < 1_000);
    expect(rests).toEqual([]);
    timers.mockRestore();
    watch.close();
    refused.close();
  });

  it('hands exceptions over and continues', async () => {
    const [near, far] = openPair();
    const bugs: unknown[] = [];
    let calls = 0;
    startLoop({ onBug: (error) => bugs.push(error) }).watch(near, {
      readable: () => {
        drain(near);
        if (++calls === 1) throw new Error('planted');
      },
    });
    poke(far);
    await eventually(() => bugs.length === 1, 'the exception');
    poke(far);
    await eventually(() => calls === 2, 'the second call');
    expect(bugs).toEqual([new Error('planted')]);
  });

  it('can be closed, and its watches too, inside a callback', async () => {
    const [near, far] = openPair();
    const [other, otherFar] = openPair();
    let calls = 0;
    const loop = startLoop();
    const watch = loop.watch(near, {
      readable: () => {
        calls++;
        watch.close();
        const readable = (): void => {
          calls++;
          loop.close();
        };
        loop.watch(other, { readable });
      },
    });
    poke(far);
    poke(otherFar);
    await eventually(() => calls === 2, 'both callbacks');
    await sleep(20);
    expect(calls).toBe(2);
  });

  it('lets a promise settled in a callback go on after drainSoon', async () => {
    const [near, far] = openPair();
    const loop = startLoop();
    const promise = new Promise<void>((resolve) => {
      loop.watch(near, {
        readable: () => {
          drain(near);
          resolve();
          drainSoon();
        },
      });
    });
    await sleep(20);
    poke(far);
    // Otherwise it waits for the next timer, which is that of the test's end.
    await promise;
  });
});

describe('loop of our own', () => {
  it('is one for a program: while it lasts, others are of Node, and they all carry', async () => {
    const read: string[] = [];
    const first = startLoop();
    const ends = [first, startLoop()].map((loop, i) => {
      const [near, far] = openPair();
      loop.watch(near, {
        readable: () => {
          drain(near);
          read.push(`loop ${i}`);
        },
      });
      return far;
    });
    expect(plain).toEqual([expect.stringMatching(/another loop of this program/)]);
    for (const far of ends) poke(far);
    while (new Set(read).size < 2) await sleep(5);
    first.close();
    startLoop();
    expect(plain).toHaveLength(1);
  });

  it('calls every millisecond of a pause after something was read, and not when it is idle', async () => {
    const [near, far] = openPair();
    let pauses = 0;
    let reads = 0;
    let pokes = 0;
    const loop = startLoop({ onPause: () => pauses++ });
    loop.watch(near, {
      readable: () => {
        drain(near);
        reads++;
      },
    });
    await sleep(30);
    expect(pauses).toBe(0);
    // One pause has up to 25 of them; a busy machine may let all of it pass at once.
    while (pauses <= 8) {
      const before = pauses;
      poke(far);
      pokes++;
      await eventually(() => reads === pokes, 'what was sent');
      await sleep(60);
      expect(pauses - before).toBeLessThan(30);
    }
    const before = pauses;
    await sleep(30);
    expect(pauses).toBe(before);
  });

  it('calls ever less while an error stays, and the others as before', async () => {
    const [near, far] = openPair();
    const [other, otherFar] = openPair();
    let errors = 0;
    let calls = 0;
    const loop = startLoop();
    loop.watch(near, { readable: () => errors++ });
    loop.watch(other, {
      readable: () => {
        drain(other);
        calls++;
      },
    });
    // No POLLIN comes of a SEQPACKET socket's end that was closed for good, but a closed number.
    close(fds.splice(fds.indexOf(near), 1)[0]);
    close(fds.splice(fds.indexOf(far), 1)[0]);
    await sleep(100);
    await eventually(() => errors > 1, 'errors');
    expect(errors).toBeLessThan(10);
    poke(otherFar);
    await eventually(() => calls === 1, 'the other descriptor');
  });

  it('waits as ever in a pause that nobody wants to use', async () => {
    const [near, far] = openPair();
    let reads = 0;
    startLoop().watch(near, {
      readable: () => {
        drain(near);
        reads++;
      },
    });
    await sleep(20);
    kernel.waitsMs = [];
    poke(far);
    await eventually(() => reads === 1, 'what was sent');
    await sleep(20);
    // In a pause it would wait for 1 ms at a time.
    expect(kernel.waitsMs.filter((ms) => ms > 1)).not.toEqual([]);
    expect(kernel.waitsMs.filter((ms) => ms === 1).length).toBeLessThan(5);
  });
});

describe("loop of Node's", () => {
  it('asks for the deadline after every poll, and not only now and then', async () => {
    node.lacks = 'uv_metrics_info';
    const [near, far] = openPair();
    // The timer by which it would look by itself does not come.
    const { setTimeout: set } = globalThis;
    const timers = vi
      .spyOn(globalThis, 'setTimeout')
      .mockImplementation(((body: () => void, ms: number) =>
        set(ms === 1_000 ? () => {} : body, ms)) as typeof set);
    let deadline = Number.POSITIVE_INFINITY;
    let isDone = false;
    const loop = startLoop({
      deadline: () => deadline,
      onDeadline: () => {
        isDone = true;
        deadline = Number.POSITIVE_INFINITY;
      },
    });
    const readable = (): void => {
      drain(near);
      deadline = monotonicMs() + 10;
    };
    loop.watch(near, { readable });
    // It has looked for the first time by then.
    await sleep(20);
    poke(far);
    await eventually(() => isDone, 'the deadline');
    timers.mockRestore();
  });
});

it.each(['uv_metrics_info', 'uv_backend_fd', 'napi_get_uv_event_loop'])(
  'a Node.js without %s is told in one line, and has a loop all the same',
  async (name) => {
    node.lacks = name;
    const [near, far] = openPair();
    let calls = 0;
    startLoop().watch(near, {
      readable: () => {
        drain(near);
        calls++;
      },
    });
    expect(plain).toEqual([`Packets wait in Node's own event loop: this Node.js has no ${name}`]);
    poke(far);
    await eventually(() => calls === 1, 'what was sent');
  },
);
