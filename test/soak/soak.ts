/**
 * A soak from its first packet to its last: lets the planned events happen one after the other while
 * the traffic goes on, and looks at the daemons in between. Owns the time line; what it comes to is
 * judged elsewhere.
 */

import { type Child, sleep } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { closeLab, openLab } from '../lab/openlabs.ts';
import { compiledProgram } from '../lab/repository.ts';
import { INNER } from '../lab/tunnel.ts';
import { Random } from '../simulator/random.ts';
import { machineMs } from './clock.ts';
import { perform } from './disruptions.ts';
import type { SoakEvent } from './losses.ts';
import { type PingReport, Pings } from './pings.ts';
import { type Sample, takeSample } from './samples.ts';
import { BEAT_MS, type PlannedEvent, planEvents, SAMPLES_AT } from './schedule.ts';
import { openSite, SIDES, type Side, type Site } from './site.ts';
import type { TrafficReport } from './traffic.ts';

export interface Settings {
  readonly durationMs: number;
  readonly seed: number;
  /** Of the schedule; BEAT_MS but for a test. */
  readonly beatMs?: number;
}

/** All that was seen. Moments are milliseconds on the machine's clock. */
export interface Recording {
  readonly beginMs: number;
  readonly endMs: number;
  readonly planned: readonly PlannedEvent[];
  readonly events: readonly SoakEvent[];
  readonly samples: readonly Sample[];
  readonly pings: readonly PingReport[];
  readonly traffic: Readonly<Record<Side, TrafficReport>>;
  /** What the daemons logged at level error, a line each. */
  readonly log: Readonly<Record<Side, readonly string[]>>;
}

/** What was set so shortly before a SIGKILL may be lost with it: the state is saved after a second. */
const KEPT_MS = 1_500;
const MS_PER_MINUTE = 60_000;
const BYTES_PER_MB = 1e6;

/** @param say gets a line of progress now and then */
export async function runSoak(settings: Settings, say: (line: string) => void): Promise<Recording> {
  const lab = await openLab();
  try {
    const soak = new Soak(await openSite(lab), settings, say);
    return await soak.run();
  } finally {
    await closeLab(lab);
  }
}

class Soak {
  readonly #site: Site;
  readonly #settings: Settings;
  readonly #say: (line: string) => void;
  readonly #planned: readonly PlannedEvent[];
  readonly #events: SoakEvent[] = [];
  readonly #samples: Sample[] = [];
  #beginMs = machineMs();
  #isBusy = false;
  /** The end of the last event. */
  #quietSinceMs = 0;
  #isOver = false;

  constructor(site: Site, settings: Settings, say: (line: string) => void) {
    this.#site = site;
    this.#settings = settings;
    this.#say = say;
    const random = new Random(`soak ${settings.seed}`);
    this.#planned = planEvents(settings.durationMs, random, settings.beatMs);
  }

  async run(): Promise<Recording> {
    this.#beginMs = machineMs();
    const { left, right } = this.#site;
    const pings = [
      new Pings(left.host, 'ping over IPv4', INNER[4][1]),
      new Pings(right.host, 'ping over IPv6', INNER[6][0]),
    ];
    const traffic = await this.#startTraffic();
    this.#note('start', 'left', 'start', this.#beginMs, null);
    const sampling = this.#sampleAll();
    const progress = setInterval(() => this.#tell(traffic.left), MS_PER_MINUTE);
    try {
      await this.#performAll();
      await sleep(this.#beginMs + this.#settings.durationMs - machineMs());
    } finally {
      clearInterval(progress);
      this.#isOver = true;
    }
    await sampling;
    const reports = await finishTraffic(traffic);
    return {
      beginMs: this.#beginMs,
      endMs: machineMs(),
      planned: this.#planned,
      events: this.#events,
      samples: this.#samples,
      traffic: reports,
      pings: await Promise.all(pings.map((each) => each.stop())),
      log: { left: await left.keeper.log(), right: await right.keeper.log() },
    };
  }

  /** The right one listens before the left one calls. */
  async #startTraffic(): Promise<Record<Side, Child>> {
    const start = async (host: Host, side: Side): Promise<Child> => {
      const child = host.spawn(process.execPath, [compiledProgram('test/soak/traffic.ts'), side]);
      await child.waitForOutput(/^ready/m);
      return child;
    };
    const right = await start(this.#site.right.host, 'right');
    return { left: await start(this.#site.left.host, 'left'), right };
  }

  async #performAll(): Promise<void> {
    for (const event of this.#planned) {
      const keptMs = event.kind === 'kill' ? this.#quietSinceMs + KEPT_MS : 0;
      await sleep(Math.max(this.#beginMs + event.atMs, keptMs) - machineMs());
      const fromMs = machineMs();
      this.#isBusy = true;
      const failure = await perform(event, this.#site).then(() => null, lineOf);
      this.#isBusy = false;
      this.#quietSinceMs = machineMs();
      this.#note(event.kind, event.side, event.name, fromMs, failure);
    }
  }

  async #sampleAll(): Promise<void> {
    const { beatMs = BEAT_MS } = this.#settings;
    for (let beat = 0; ; beat++) {
      for (const part of SAMPLES_AT) {
        while (machineMs() < this.#beginMs + (beat + part) * beatMs) {
          if (this.#isOver) return;
          await sleep(beatMs / 100);
        }
        for (const side of SIDES) await this.#sample(side);
      }
    }
  }

  /** A daemon that does not answer, though nobody has just killed it, is started again. */
  async #sample(side: Side): Promise<void> {
    const fromMs = machineMs();
    const isQuiet = (): boolean => !this.#isBusy && this.#quietSinceMs < fromMs;
    try {
      this.#samples.push(await takeSample(this.#site[side], fromMs, isQuiet));
    } catch (error) {
      if (!isQuiet()) return;
      const failure = lineOf(error);
      await this.#site[side].keeper.restart().catch(() => {});
      this.#note('crash', side, 'crash', fromMs, failure);
    }
  }

  #note(
    kind: SoakEvent['kind'],
    side: Side,
    name: string,
    fromMs: number,
    failure: string | null,
  ): void {
    this.#events.push({ kind, side, name, fromMs, toMs: machineMs(), failure });
    if (failure !== null) this.#say(`FAILED: ${name}, ${side}: ${failure}`);
  }

  #tell(traffic: Child): void {
    const minutes = Math.round((machineMs() - this.#beginMs) / MS_PER_MINUTE);
    const moved = Number(/.*^moved (\d+)$/ms.exec(traffic.stdout)?.[1] ?? 0) / BYTES_PER_MB;
    const sizes = SIDES.map((side) => {
      const last = this.#samples.findLast((sample) => sample.side === side);
      if (last === undefined) return side;
      return `${side} ${last.rssMb.toFixed(0)} MB, ${last.descriptors} descriptors`;
    });
    const count = this.#events.length;
    this.#say(
      `${minutes} min: ${count} events, ${moved.toFixed(0)} MB to the left; ${sizes.join('; ')}`,
    );
  }
}

async function finishTraffic(
  traffic: Readonly<Record<Side, Child>>,
): Promise<Record<Side, TrafficReport>> {
  for (const side of SIDES) traffic[side].closeInput();
  const read = async (side: Side): Promise<TrafficReport> => {
    try {
      const [, json] = await traffic[side].waitForOutput(/^report (.*)\n/m);
      return JSON.parse(json) as TrafficReport;
    } catch (error) {
      // An hour's other figures are worth having all the same.
      const broken = {
        name: `all at ${side}`,
        bytesReceived: 0,
        stalls: [],
        broken: lineOf(error),
      };
      return { streams: [broken], datagrams: [] };
    }
  };
  const [left, right] = await Promise.all(SIDES.map(read));
  return { left, right };
}

function lineOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split('\n').slice(0, 2).join(': ');
}
