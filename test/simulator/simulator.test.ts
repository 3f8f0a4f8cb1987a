/** A few hundred seeds of the simulator, and what the simulator promises of itself. */

import { describe, expect, it, vi } from 'vitest';
import { ReplayWindow } from '../../src/noise/replay.ts';
import { Agenda } from './agenda.ts';
import { runBoth } from './both.ts';
import { Coverage } from './coverage.ts';
import { Random } from './random.ts';
import { type Result, run } from './run.ts';
import { createScenario, type Scenario, select } from './scenario.ts';
import { reproduction, shrink } from './shrink.ts';
import type { CryptoChoice } from './suite.ts';

const TIMEOUT_MS = 600_000;
const SEEDS = 250;
const SEEDS_PER_TEST = 50;
const HOURS = 0.5;
const SEEDS_BOTH_WAYS = 30;

/** What a failing test prints: enough to run it again. */
function verdict({ scenario, failure }: Result, hours: number): string {
  if (failure === null) return 'holds';
  const command = `npm run simulate -- --seed ${scenario.seed} --hours ${hours}`;
  return `${command}: ${failure.invariant}: ${failure.sentence}`;
}

describe('every invariant holds', () => {
  const coverage = new Coverage();
  const starts = Array.from({ length: SEEDS / SEEDS_PER_TEST }, (_, i) => 1 + i * SEEDS_PER_TEST);

  it.each(starts)('in the 50 seeds from %i', { timeout: TIMEOUT_MS }, (first) => {
    for (let seed = first; seed < first + SEEDS_PER_TEST; seed++) {
      const result = run(createScenario(seed, HOURS), { crypto: 'fast' });
      coverage.add(result.coverage);
      expect(verdict(result, HOURS)).toBe('holds');
    }
  });

  it.each<CryptoChoice>(['real', 'portable'])(
    'with the %s suite that ships',
    {
      timeout: TIMEOUT_MS,
    },
    (crypto) => {
      for (let seed = 1; seed <= 3; seed++) {
        const result = run(createScenario(seed, 0.1, 3), { crypto });
        expect(verdict(result, 0.1)).toBe('holds');
        expect(result.delivered).toBeGreaterThan(0);
      }
    },
  );

  it('among 50 devices', { timeout: TIMEOUT_MS }, () => {
    const result = run(createScenario(1, 0.05, 50), { crypto: 'fast' });
    expect(verdict(result, 0.05)).toBe('holds');
    expect(result.delivered).toBeGreaterThan(0);
  });

  it.each(['trouble', 'drop', 'event', 'expiry', 'load', 'session', 'upgrade', 'recovery', 'run'])(
    'and together they have visited every %s',
    (group) => {
      expect(coverage.missing(group)).toEqual([]);
    },
  );
});

describe('a run', () => {
  it('is the same for the same seed, whatever computes its AEAD', { timeout: TIMEOUT_MS }, () => {
    const digest = (seed: number, crypto: CryptoChoice) =>
      run(createScenario(seed, 0.2, 3), { crypto }).digest;
    expect(digest(7, 'fast')).toBe(digest(7, 'fast'));
    expect(digest(7, 'fast')).not.toBe(digest(8, 'fast'));
    expect(digest(7, 'real')).toBe(digest(7, 'portable'));
  });

  it('leaves the same digest with and without a trace', () => {
    const scenario = createScenario(9, 0.1);
    const traced = run(scenario, { crypto: 'fast', trace: true });
    expect(traced.trace.length).toBeGreaterThan(100);
    expect(run(scenario, { crypto: 'fast' }).digest).toBe(traced.digest);
  });
});

describe('runs and their packets', () => {
  it('come to the same, whatever befalls them', { timeout: TIMEOUT_MS }, () => {
    const coverage = new Coverage();
    for (let seed = 1_001; seed <= 1_000 + SEEDS_BOTH_WAYS; seed++) {
      const result = runBoth(createScenario(seed, HOURS), { crypto: 'fast' });
      coverage.add(result.coverage);
      expect(`${verdict(result, HOURS)}`).toBe('holds');
    }
    expect(coverage.missing('run')).toEqual([]);
  });
});

describe('a scenario', () => {
  it('of fewer hours is the beginning of one of more', () => {
    const short = createScenario(5, 1);
    const long = createScenario(5, 10);
    const begun = <T extends { from: number }>(all: readonly T[]) =>
      all.filter(({ from }) => from < short.durationMs);
    expect(short.troubles).toEqual(begun(long.troubles));
    expect(begun(short.flows)).toEqual(begun(long.flows));
    expect(short.sites).toEqual(long.sites);
    expect(short.troubles.length).toBeGreaterThan(0);
  });

  it('keeps the draws of a trouble when others are taken out', () => {
    const random = new Random('one');
    const alone = random.fork('trouble 3').fraction();
    random.fork('trouble 2').fraction();
    random.fraction();
    expect(random.fork('trouble 3').fraction()).toBe(alone);
  });
});

describe('the agenda', () => {
  it('gives what is due first, and of equals what was asked for first', () => {
    const random = new Random('agenda');
    const agenda = new Agenda();
    const done: [at: number, number: number][] = [];
    for (let i = 0; i < 1_000; i++) {
      const at = random.below(50);
      agenda.add(at, () => done.push([at, i]));
    }
    while (agenda.next !== Number.POSITIVE_INFINITY) agenda.take()();
    expect(done).toEqual([...done].sort((a, b) => a[0] - b[0] || a[1] - b[1]));
    expect(done).toHaveLength(1_000);
  });
});

describe('a failure', () => {
  /** A window that has seen nothing: every duplicate is delivered. */
  function withoutReplayWindow<T>(body: () => T): T {
    const accept = vi.spyOn(ReplayWindow.prototype, 'accept').mockReturnValue(true);
    const isNew = vi.spyOn(ReplayWindow.prototype, 'isNew').mockReturnValue(true);
    try {
      return body();
    } finally {
      accept.mockRestore();
      isNew.mockRestore();
    }
  }
  const attempt = (scenario: Scenario) => run(scenario, { crypto: 'fast' }).failure;
  /** The first seed whose trouble makes that show as a second delivery. */
  function failingScenario(): Scenario {
    for (let seed = 1; seed < 50; seed++) {
      const scenario = createScenario(seed, 1, 5);
      if (attempt(scenario)?.invariant === 'deliveredOnce') return scenario;
    }
    throw new Error('no seed below 50 delivers anything twice');
  }

  it('shrinks to a readable trace and a command that fails again', { timeout: TIMEOUT_MS }, () => {
    withoutReplayWindow(() => {
      const scenario = failingScenario();
      const failure = attempt(scenario)!;
      expect(failure.invariant).toBe('deliveredOnce');
      let left = 400;
      const shrunk = shrink(scenario, failure, attempt, () => left-- <= 0);

      expect(shrunk.scenario.links).toHaveLength(1);
      expect(shrunk.scenario.troubles.length).toBeLessThanOrEqual(2);
      expect(shrunk.scenario.flows.length).toBeLessThanOrEqual(2);
      const { trace } = run(shrunk.scenario, { crypto: 'fast', trace: true });
      expect(trace.length).toBeLessThan(2_000);
      expect(trace.join('\n')).toMatch(/trouble #\d+ at \d+\.\d+ s duplication /);
      expect(trace.at(-1)).toMatch(/VIOLATED deliveredOnce: .* delivers packet \d+ a second time/);

      const command = reproduction(shrunk, { devices: 5, crypto: 'fast', grouping: 'runs' });
      const option = (name: string) => new RegExp(`--${name} (\\S+)`).exec(command)![1];
      const numbers = (name: string) => option(name).split(',').map(Number);
      const again = select(createScenario(scenario.seed, Number(option('hours')), 5), {
        links: numbers('links'),
        troubles: numbers('troubles'),
        flows: numbers('flows'),
      });
      expect(attempt(again)?.invariant).toBe('deliveredOnce');
    });
  });

  it('is told from its seed alone', () => {
    const [first, second] = [0, 1].map(() => withoutReplayWindow(() => attempt(failingScenario())));
    expect(first).not.toBeNull();
    expect(second).toEqual(first);
  });
});
