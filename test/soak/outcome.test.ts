/** Verdicts over recordings that are made up: a good one, and the same with one thing gone wrong. */

import { describe, expect, it } from 'vitest';
import { Random } from '../simulator/random.ts';
import { slopeOf } from './flatness.ts';
import type { SoakEvent } from './losses.ts';
import { evaluate } from './outcome.ts';
import { parsePings } from './pings.ts';
import { RECONFIGURATIONS } from './reconfigurations.ts';
import { BEGIN_MS, BURST, goodRecording, KILLED, MS_PER_MINUTE } from './recordings.ts';
import type { Sample } from './samples.ts';
import { planEvents } from './schedule.ts';
import { Sequence } from './sequence.ts';
import type { Recording } from './soak.ts';
import { Content } from './streamend.ts';

/** With some of the samples changed. */
function withSamples(change: (sample: Sample, index: number) => Partial<Sample>): Recording {
  const good = goodRecording();
  return {
    ...good,
    samples: good.samples.map((sample, i) => ({ ...sample, ...change(sample, i) })),
  };
}

function withStream(change: object): Recording {
  const good = goodRecording();
  const [first, ...rest] = good.traffic.left.streams;
  const left = { ...good.traffic.left, streams: [{ ...first, ...change }, ...rest] };
  return { ...good, traffic: { ...good.traffic, left } };
}

function withDatagrams(change: object): Recording {
  const good = goodRecording();
  const [first, ...rest] = good.traffic.right.datagrams;
  const right = { ...good.traffic.right, datagrams: [{ ...first, ...change }, ...rest] };
  return { ...good, traffic: { ...good.traffic, right } };
}

const minutesOf = ({ atMs }: Sample) => (atMs - BEGIN_MS) / MS_PER_MINUTE;
const failedOf = (recording: Recording): string[] =>
  evaluate(recording)
    .verdicts.filter(({ passed }) => passed !== true)
    .map(({ name }) => name);

describe('the verdicts over a soak', () => {
  it('are good when nothing is wrong', () => {
    expect(failedOf(goodRecording())).toEqual([]);
  });

  it.each<[string, () => Recording, string]>([
    [
      'an event that failed',
      () => ({ ...goodRecording(), events: [BURST, KILLED, { ...BURST, failure: 'status 1' }] }),
      'every event went well',
    ],
    [
      'an event that did not happen',
      () => ({ ...goodRecording(), events: [KILLED] }),
      'every event went well',
    ],
    [
      'a stream that broke off',
      () => withStream({ broken: 'ECONNRESET' }),
      'streams last, and all content is what was sent',
    ],
    [
      'a ping that ended by itself',
      () => {
        const good = goodRecording();
        return { ...good, pings: [{ ...good.pings[0], sent: 0 }] };
      },
      'streams last, and all content is what was sent',
    ],
    [
      'a datagram that arrived changed',
      () => withDatagrams({ damaged: 1 }),
      'streams last, and all content is what was sent',
    ],
    [
      'a datagram that arrived twice',
      () => withDatagrams({ duplicates: 1 }),
      'streams last, and all content is what was sent',
    ],
    [
      'a stream that stood still',
      () => withStream({ stalls: [{ fromMs: BEGIN_MS + 10_000, toMs: BEGIN_MS + 12_500 }] }),
      'no stream stands still without an event',
    ],
    [
      'a stream that does not go on after a SIGKILL',
      () => withStream({ stalls: [{ fromMs: KILLED.fromMs, toMs: KILLED.toMs + 12_000 }] }),
      'no stream stands still without an event',
    ],
    [
      'a packet lost in the calm',
      () => withDatagrams({ lostMs: [BEGIN_MS + 50_000] }),
      'no loss without a reason',
    ],
    [
      'a packet lost in a burst that nobody counted',
      () => withDatagrams({ lostMs: [BURST.fromMs + 500] }),
      'no loss without a reason',
    ],
    [
      'a packet lost long after a SIGKILL',
      () => withDatagrams({ lostMs: [KILLED.toMs + 5_000] }),
      'no loss without a reason',
    ],
    [
      'a successor that was late',
      () => {
        const good = goodRecording();
        const sentMs = [good.pings[0].sentMs[0], KILLED.fromMs + 2_600];
        return { ...good, pings: [{ ...good.pings[0], sentMs }] };
      },
      'traffic 2.5 s after a SIGKILL',
    ],
    [
      'one session in half an hour',
      () => withSamples(() => ({ handshakes: 1 })),
      'a new session every two minutes',
    ],
    [
      'memory that grows by half a MB a minute',
      () => withSamples((sample) => ({ rssMb: sample.rssMb + 0.5 * minutesOf(sample) })),
      'memory is flat within a process',
    ],
    [
      'memory that jumps by 15 MB in the life of a process',
      () =>
        withSamples((sample) => ({
          rssMb: sample.side === 'right' && minutesOf(sample) > 15 ? 101 : 86,
        })),
      'memory is flat within a process',
    ],
    [
      'memory that jumps in a life that is too short for a slope',
      () => {
        const jumping = withSamples((sample) => ({ rssMb: minutesOf(sample) > 7 ? 101 : 86 }));
        const samples = jumping.samples.filter((sample) => minutesOf(sample) < 9);
        return { ...jumping, samples };
      },
      'memory is flat within a process',
    ],
    [
      'a successor that is 15 MB larger',
      () => withSamples((sample) => ({ rssMb: sample.pid === 200 ? 101 : 86 })),
      'successors are no larger than the first',
    ],
    [
      'a descriptor more every five minutes',
      () => withSamples((sample) => ({ descriptors: 30 + Math.floor(minutesOf(sample) / 5) })),
      'descriptors are flat',
    ],
    [
      'a process that nobody has ended',
      () => withSamples((sample) => ({ pid: minutesOf(sample) > 20 ? 300 : sample.pid })),
      'no process ends by itself',
    ],
    [
      'a line in the log',
      () => ({ ...goodRecording(), log: { left: [], right: ['ERROR: (wg0) no memory'] } }),
      'nothing is logged as an error',
    ],
    [
      'a daemon that ended without a word and was not killed',
      () => {
        const line = 'ERROR: (wg0) Process 9 has ended without a word: it was killed, or';
        return { ...goodRecording(), log: { left: Array(9).fill(line), right: [] } };
      },
      'nothing is logged as an error',
    ],
  ])('see %s', (_, breakage, name) => {
    expect(failedOf(breakage())).toContain(name);
  });

  it('let one of several successors be late on a busy machine, but not very late', () => {
    const good = goodRecording();
    const others = [1, 2].map((turn) => ({
      ...KILLED,
      fromMs: KILLED.fromMs - turn * MS_PER_MINUTE,
      toMs: KILLED.toMs - turn * MS_PER_MINUTE,
    }));
    const late = (ms: number): Recording => ({
      ...good,
      events: [BURST, ...others, KILLED],
      pings: [{ ...good.pings[0], sentMs: [good.pings[0].sentMs[0], KILLED.fromMs + ms] }],
    });
    expect(failedOf(late(4_000))).toEqual([]);
    expect(failedOf(late(6_000))).toEqual(['traffic 2.5 s after a SIGKILL']);
  });

  it('let a packet go of which a daemon says that it dropped it then', () => {
    const counted = withSamples((sample) => ({
      drops: sample.atMs > BURST.fromMs ? { receiveOverflow: 1 } : {},
    }));
    const lose = (count: number): Recording => {
      const { traffic } = withDatagrams({ lostMs: Array(count).fill(BURST.fromMs + 500) });
      return { ...counted, traffic };
    };
    // One on either side.
    expect(failedOf(lose(2))).toEqual([]);
    expect(evaluate(lose(2)).accounting.byCounter).toEqual({ receiveOverflow: 2 });
    expect(failedOf(lose(3))).toEqual(['no loss without a reason']);
  });

  it('give a stall to the event that it began with, and know the slowest ping beside it', () => {
    const later: SoakEvent = { ...KILLED, kind: 'upgrade', name: 'upgrade' };
    const events = [KILLED, { ...later, fromMs: KILLED.toMs + 1_000, toMs: KILLED.toMs + 2_000 }];
    const stalls = [
      { fromMs: KILLED.fromMs + 1, toMs: KILLED.toMs + 1_500 },
      { fromMs: KILLED.toMs + 1_010, toMs: KILLED.toMs + 1_080 },
    ];
    const { costs } = evaluate({ ...withStream({ stalls }), events });
    expect(costs.map(({ stallMs }) => stallMs)).toEqual([2_399, 70]);
    expect(costs.map(({ slowestMs }) => slowestMs)).toEqual([0.5, 0]);
    expect(costs.map(({ lostPings }) => lostPings)).toEqual([2, 0]);
    expect(costs[0].recoveryMs).toBeCloseTo(850.5);
  });

  it('give a loss to an event that had begun, rather than to the one right behind it', () => {
    const upgrade: SoakEvent = {
      ...{ ...KILLED, kind: 'upgrade', name: 'upgrade' },
      ...{ fromMs: KILLED.toMs + 30, toMs: KILLED.toMs + 1_000 },
    };
    const events = [KILLED, upgrade];
    const lostMs = [KILLED.fromMs - 20, upgrade.fromMs - 10, upgrade.fromMs + 5];
    const good = goodRecording();
    const lost = (all: SoakEvent[]) =>
      evaluate({ ...good, events: all, pings: [{ ...good.pings[0], lostMs }] }).costs.map(
        ({ lostPings }) => lostPings,
      );
    expect(lost(events)).toEqual([2, 1]);
    // Moments of sending are interpolated: alone it would be the upgrade's.
    expect(lost([upgrade])).toEqual([2]);
  });

  it('do not say of a short run what it cannot tell', () => {
    const short = withSamples(() => ({}));
    const samples = short.samples.filter((sample) => minutesOf(sample) < 2);
    const { verdicts } = evaluate({ ...short, samples });
    const memory = verdicts.find(({ name }) => name === 'memory is flat within a process');
    expect(memory?.passed).toBe(null);
  });
});

describe('the plan of a soak', () => {
  const plan = (minutes: number, seed = 1) =>
    planEvents(minutes * MS_PER_MINUTE, new Random(`soak ${seed}`));
  const count = (events: ReturnType<typeof plan>, kind: string, side?: string) =>
    events.filter((event) => event.kind === kind && (side ?? event.side) === event.side).length;

  it('has at least eight kills and eight upgrades in an hour, on both sides', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const events = plan(60, seed);
      expect(count(events, 'reconfiguration')).toBe(360);
      for (const kind of ['kill', 'upgrade']) {
        expect(count(events, kind)).toBeGreaterThanOrEqual(8);
        expect(count(events, kind, 'left')).toBeGreaterThanOrEqual(4);
        expect(count(events, kind, 'right')).toBeGreaterThanOrEqual(4);
      }
      expect(count(events, 'down')).toBe(2);
    }
  });

  it('has all of them in two minutes', () => {
    for (const kind of ['reconfiguration', 'burst', 'kill', 'upgrade', 'down']) {
      expect(count(plan(2), kind)).toBeGreaterThan(0);
    }
  });

  it('leaves every process of a long run alone for a third of it', () => {
    const calm = plan(60).filter(
      ({ atMs }) => atMs >= 20 * MS_PER_MINUTE && atMs < 40 * MS_PER_MINUTE,
    );
    expect(new Set(calm.map(({ kind }) => kind))).toEqual(new Set(['reconfiguration', 'burst']));
  });

  it('does every reconfiguration once a round, on the sides by turns, in the order of the seed', () => {
    const names = plan(60).filter(({ kind }) => kind === 'reconfiguration');
    const round = names.slice(0, RECONFIGURATIONS.length);
    expect(new Set(round.map(({ name }) => name)).size).toBe(RECONFIGURATIONS.length);
    expect(new Set(names.map(({ side }) => side)).size).toBe(2);
    expect(plan(60, 1)).toEqual(plan(60, 1));
    expect(plan(60, 1)).not.toEqual(plan(60, 2));
  });
});

describe('the probes of a soak', () => {
  it('know what is missing and when it was sent, whatever the order', () => {
    const sequence = new Sequence(0, 0);
    for (const number of [0, 1, 4, 3, 3, 6]) sequence.arrived(number, number * 10);
    sequence.end(8, 80);
    expect(sequence.received).toBe(5);
    expect(sequence.duplicates).toBe(1);
    expect(sequence.lostMs).toEqual([20, 50, 70]);
  });

  it('read what ping writes, beyond the end of its numbers', () => {
    const answer = (number: number, seconds: number) =>
      `[${(1_700_000_000 + seconds).toFixed(6)}] 64 bytes from 10.9.0.2: icmp_seq=${number} ttl=64 time=0.500 ms\n`;
    let text = '';
    // An hour's, which go round twice.
    for (let number = 1; number <= 180_000; number++) {
      if (number !== 65_537) text += answer(number % 65_536, number);
    }
    text += '\n--- 10.9.0.2 ping statistics ---\n180000 packets transmitted, 179999 received\n';
    const report = parsePings('ping', text, 0, 180_001_000, 1_700_000_000_000);
    expect(report.sent).toBe(180_000);
    expect(report.sentMs).toHaveLength(179_999);
    expect(report.lostMs).toHaveLength(1);
    expect(report.lostMs[0]).toBeCloseTo(65_537_000 - 0.5, 0);
  });

  it('expect other bytes at every place and in every direction', () => {
    const whole = new Content('there').next(1_000);
    const parts = new Content('there');
    expect(Buffer.concat([parts.next(1), parts.next(998), parts.next(1)])).toEqual(whole);
    expect(new Content('back').next(1_000)).not.toEqual(whole);
    expect(whole.subarray(16, 32)).not.toEqual(whole.subarray(32, 48));
  });

  it('see a slope in what goes up and down', () => {
    const points = Array.from({ length: 100 }, (_, i) => [i, 2 * i + 5 * (i % 2)] as const);
    expect(slopeOf(points)).toBeCloseTo(2, 1);
  });
});
