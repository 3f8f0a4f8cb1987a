/** How often the kernel is asked what it delivers here; the routes themselves: ownaddresses.test.ts. */

import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LocalRoutes } from '../../src/netlink/localroutes.ts';
import { SystemError } from '../../src/sys/libc.ts';

const clock = vi.hoisted(() => ({ now: 0 }));
vi.mock('../../src/sys/clock.ts', async (importOriginal) => ({
  ...(await importOriginal<object>()),
  monotonicMs: () => clock.now,
}));

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const route = (last: number) => ({
  address: Uint8Array.of(10, 9, 0, last),
  length: 32,
  linkIndex: 1,
});

/** Each question takes so long, and has another answer. */
function routes(costMs: number) {
  const asked = { times: 0, due: 0 };
  const local = new LocalRoutes({
    ask: () => {
      clock.now += costMs;
      return [route(++asked.times)];
    },
    onDue: () => asked.due++,
  });
  return { local, asked };
}

it('are asked for each time as long as that costs nothing', () => {
  const { local, asked } = routes(0);
  for (let i = 1; i <= 5; i++) expect(local.get()).toEqual([route(i)]);
  expect(asked).toEqual({ times: 5, due: 0 });
});

it('are asked for a twentieth of the time at most, and once more after the last change', () => {
  const { local, asked } = routes(100);
  local.get();
  for (let i = 0; i < 19; i++) {
    clock.now += 100;
    expect(local.get()).toEqual([route(1)]);
  }
  expect(asked).toEqual({ times: 1, due: 0 });
  clock.now += 100;
  vi.advanceTimersByTime(2_000);
  expect(asked.due).toBe(1);
  expect(local.get()).toEqual([route(2)]);
  vi.advanceTimersByTime(10_000);
  expect(asked).toEqual({ times: 2, due: 1 });
});

it('are not asked for any more once it is closed', () => {
  const { local, asked } = routes(100);
  local.get();
  local.get();
  local.close();
  vi.advanceTimersByTime(10_000);
  expect(asked.due).toBe(0);
});

it('are what they were while the kernel gives no answer', () => {
  let isDeaf = false;
  const ask = () => {
    if (isDeaf) throw new SystemError('list local routes', 'netlink', 16);
    return [route(1)];
  };
  const local = new LocalRoutes({ ask, onDue: () => {} });
  local.get();
  isDeaf = true;
  expect(local.get()).toEqual([route(1)]);
});
