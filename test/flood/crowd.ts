/**
 * Newcomers at a site: makes their keys, makes them known to the victim, and measures how long each
 * waits in the midst of what goes on.
 */

import type { Child } from '../lab/command.ts';
import { compiledProgram } from '../lab/repository.ts';
import { createKeyPair, formatEndpoint, TUNNEL_PORT } from '../lab/tunnel.ts';
import type { Arrival, CrowdPlan } from './newcomers.ts';
import type { Direction } from './rows.ts';
import { type Site, VICTIM } from './site.ts';

export interface Waiting {
  /** Seconds of each newcomer; Infinity for who was not connected in time. */
  readonly seconds: readonly number[];
  /** Cookies that the connected ones were given. */
  readonly cookies: number;
}

const CONFIGURATION = '/run/newcomers.conf';
const TALK_PER_S = 10;
const TALK_BYTES = 32;
const MS_PER_S = 1_000;

export class Crowd {
  readonly #site: Site;
  readonly #direction: Direction;
  readonly #seconds: number;
  readonly #inners: readonly string[];
  readonly #child: Child;

  private constructor(
    site: Site,
    direction: Direction,
    seconds: number,
    inners: readonly string[],
    child: Child,
  ) {
    this.#site = site;
    this.#direction = direction;
    this.#seconds = seconds;
    this.#inners = inners;
    this.#child = child;
  }

  /**
   * The victim knows them from now on, and nothing is said yet.
   *
   * @param seconds after which who is not connected is given up
   */
  static async gather(
    site: Site,
    count: number,
    direction: Direction,
    seconds: number,
  ): Promise<Crowd> {
    const isCalling = direction === 'calling';
    const newcomers = site.newcomerPlaces(count).map((place) => ({ ...place, ...createKeyPair() }));
    const sections = newcomers.map(({ publicKey, inner, outer }) => {
      // Who calls is looked for nowhere.
      const endpoint = isCalling ? '' : `Endpoint = ${formatEndpoint(outer, TUNNEL_PORT)}\n`;
      return `[Peer]\nPublicKey = ${publicKey}\nAllowedIPs = ${inner}/32\n${endpoint}`;
    });
    const { host, ifname, keys } = site.victim;
    await host.writeFile(CONFIGURATION, sections.join(''));
    await host.run('wg', ['addconf', ifname, CONFIGURATION]);
    const plan: CrowdPlan = {
      victim: {
        ...{ publicKey: keys.publicKey, outer: site.victimOuter },
        ...{ inner: VICTIM, port: TUNNEL_PORT },
      },
      newcomers,
      isCalling,
      seconds,
    };
    const program = compiledProgram('test/flood/newcomers.ts');
    const child = site.crowd.spawn(process.execPath, [program]);
    child.writeInput(`${JSON.stringify(plan)}\n`);
    await child.waitForOutput(/ready/);
    const inners = newcomers.map(({ inner }) => inner);
    return new Crowd(site, direction, seconds, inners, child);
  }

  /** Lets all of them, or the victim, call; resolves when all are connected or time is over. */
  async connect(): Promise<Waiting> {
    this.#child.writeInput('\n');
    const begunAt = Number((await this.#child.waitForOutput(/begun (\d+)/))[1]);
    const talker = this.#direction === 'called' ? this.#callAll() : null;
    const calledAt = talker === null ? begunAt : await talker.begunAt;
    const status = await this.#child.exited;
    await talker?.stop();
    if (status !== 0) throw new Error(`newcomers: ended with ${status}\n${this.#child.stderr}`);
    const arrivals = parseArrivals(this.#child.stdout);
    const seconds = this.#inners.map((_, number) => {
      const arrival = arrivals.find(({ newcomer }) => newcomer === number);
      return arrival === undefined ? Number.POSITIVE_INFINITY : (arrival.at - calledAt) / MS_PER_S;
    });
    return { seconds, cookies: arrivals.reduce((sum, { cookies }) => sum + cookies, 0) };
  }

  /** The victim's host has something to say to each of them, ten times a second. */
  #callAll() {
    const perSecond = TALK_PER_S * this.#inners.length;
    const words = [this.#seconds, perSecond, TALK_BYTES, ...this.#inners].map(String);
    const program = compiledProgram('test/flood/talker.ts');
    const child = this.#site.victim.host.spawn(process.execPath, [program, ...words]);
    return {
      begunAt: child.waitForOutput(/talking (\d+)/).then(([, at]) => Number(at)),
      stop: async () => {
        child.kill();
        await child.exited;
      },
    };
  }
}

function parseArrivals(printed: string): Arrival[] {
  const lines = printed.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as Arrival);
}
