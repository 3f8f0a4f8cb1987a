/** Long work between the turns of the event loop. */

import { describe, expect, it } from 'vitest';
import { Slices } from '../../src/sys/slices.ts';

/** Notes what it does; `steps` without end if it is Infinity. */
function* work(name: string, steps: number, notes: string[]): Generator<void, string> {
  try {
    for (let i = 0; i < steps; i++) {
      if (notes.at(-1) !== name) notes.push(name);
      yield;
    }
    return name;
  } finally {
    notes.push(`${name} left`);
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('work in slices', () => {
  it('is done one after the other, in the order in which it came', async () => {
    const [slices, notes] = [new Slices(), [] as string[]];
    const done = Promise.all([
      slices.run(work('first', 1_000, notes)),
      slices.run(work('second', 0, notes)),
      slices.run(work('third', 3, notes)),
    ]);
    expect(notes).toEqual([]);
    expect(slices.isBusy).toBe(true);
    expect(await done).toEqual(['first', 'second', 'third']);
    expect(notes).toEqual(['first', 'first left', 'second left', 'third', 'third left']);
    expect(slices.isBusy).toBe(false);
  });

  it('is followed by what belongs to it, and then by what came meanwhile', async () => {
    const [slices, notes] = [new Slices(), [] as string[]];
    const first = slices.run(
      (function* (): Generator<void, Promise<string | null>> {
        yield;
        return slices.runNext(work('rest', 3, notes));
      })(),
    );
    const second = slices.run(work('second', 1, notes));
    expect([await first, await second]).toEqual(['rest', 'second']);
    expect(notes).toEqual(['rest', 'rest left', 'second', 'second left']);
    // Of nothing that is under way.
    expect(await slices.runNext(work('alone', 1, notes))).toBe('alone');
  });

  it('lets the event loop have its turns, and is left where it is when it is stopped', async () => {
    const [slices, notes] = [new Slices(), [] as string[]];
    const endless = slices.run(work('endless', Number.POSITIVE_INFINITY, notes));
    const later = slices.run(work('later', 1, notes));
    for (let i = 0; i < 5; i++) await turn();
    expect(notes).toEqual(['endless']);
    slices.stop();
    expect([await endless, await later]).toEqual([null, null]);
    expect(notes).toEqual(['endless', 'endless left']);
    expect(await slices.run(work('too late', 1, notes))).toBeNull();
    expect(notes).toEqual(['endless', 'endless left']);
  });

  it('that throws is over, and what comes after it is done', async () => {
    const slices = new Slices();
    const bad = slices.run(
      (function* (): Generator<void, string> {
        yield;
        throw new Error('a bug');
      })(),
    );
    const good = slices.run(work('good', 1, []));
    await expect(bad).rejects.toThrow('a bug');
    expect(await good).toBe('good');
  });
});
