/**
 * The part of a run that sends and listens: probes, pings, the tap and the ICMP listener. Owns how long
 * is waited: as short as everything answers, and longer only where something does not.
 */

import { counted } from '../../counted.ts';
import { parseKey } from '../../keytext.ts';
import {
  cannotLook,
  type Evidence,
  type Link,
  type Looked,
  looked,
  type RouteAnswer,
} from '../evidence.ts';
import { type IcmpListener, listenToIcmp } from './icmplistener.ts';
import { InnerTap } from './innertap.ts';
import { lookNow, sleep, waitUntil } from './looking.ts';
import { OpenPing } from './pings.ts';
import type { Plan } from './plan.ts';
import { OpenProbe } from './probes.ts';
import type { DaemonSample } from './sample.ts';
import { silentPeers, type Unsettled, unsettledPeers } from './silence.ts';
import { type Tap, tapHandshakes } from './tap.ts';

/** How long ICMP errors may take, of whoever is farthest away. */
const ERRORS_MS = 500;
/** A first echo may need a handshake, with a round trip of its own. */
const ECHO_MS = 700;
/** Three questions for a neighbour, 1 s each (neigh.retrans_time), until it counts as unreachable. */
const NEIGHBOUR_MS = 3_500;
/** A handshake is tried again after 5 s and up to a third of one (whitepaper 6.4). */
const INITIATION_MS = 6_000;
const ASK_MS = 500;
/** Of what an answer took, at least: that about thousands of peers keeps a daemon and us busy. */
const PAUSE_SHARE = 3;
const MS_PER_S = 1_000;
/** Inner sizes between the smallest and the largest, where the largest is lost. */
const LADDER = [1_000, 1_200, 1_280, 1_320, 1_340, 1_360, 1_380, 1_392, 1_400, 1_412, 1_420, 1_440];

/** null when the daemon does not answer. */
type Ask = () => Promise<DaemonSample | null>;
/** Half a sentence for people. */
export type Note = (text: string) => void;

const QUIET = 'left out by --quick';

type Heard = Pick<Evidence, 'icmp' | 'probes' | 'wire' | 'inner' | 'pings'>;

export class Traffic {
  readonly #plan: Plan;
  readonly #first: DaemonSample | null;
  readonly #icmp: Looked<IcmpListener>;
  readonly #tap: Looked<Tap>;
  readonly #inner: Looked<InnerTap>;
  readonly #probes: Looked<readonly OpenProbe[]>;
  readonly #pings: Looked<readonly OpenPing[]>;
  #isClosed = false;

  /** Listens from here on. @param first what the daemon said; null when none answers */
  constructor(plan: Plan, links: readonly Link[], first: DaemonSample | null) {
    this.#plan = plan;
    this.#first = first;
    const ports = new Set<number>();
    this.#icmp = lookNow(() =>
      listenToIcmp(({ sourcePort }) => {
        if (sourcePort === plan.port && plan.port !== 0) return 'daemon';
        return ports.has(sourcePort) ? 'probe' : null;
      }),
    );
    this.#tap =
      plan.port === 0 || first === null
        ? cannotLook(first === null ? 'nothing is known of the daemon' : 'there is no UDP port')
        : lookNow(() =>
            tapHandshakes(
              plan.port,
              plan.publicKey === null ? null : parseKey(plan.publicKey),
              (index) => links.find((link) => link.index === index)?.name ?? `${index}`,
            ),
          );
    const { link } = plan;
    this.#inner =
      link === null
        ? cannotLook('there is no such interface')
        : lookNow(() => new InnerTap(link.index));
    this.#probes = plan.isQuiet ? cannotLook(QUIET) : lookNow(() => openAll(plan.probes, toProbe));
    for (const probe of this.#probes.ok ? this.#probes.value : []) ports.add(probe.port);
    const { name } = plan;
    this.#pings = plan.isQuiet
      ? cannotLook(QUIET)
      : lookNow(() => openAll(plan.pings, (target) => new OpenPing(name, target)));
  }

  /**
   * @param ask the daemon, again; null when it does not answer
   * @param note told before what takes longer
   */
  async run(ask: Ask, note: Note): Promise<void> {
    if (this.#plan.isQuiet) return;
    const pings = this.#pings.ok ? this.#pings.value : [];
    const isAnswered = (): boolean => pings.every((ping) => ping.isAnswered);
    const begun = performance.now();
    for (const ping of pings) ping.send();
    await waitUntil(isAnswered, ECHO_MS);
    for (const ping of pings) ping.send();
    if (!isAnswered()) await waitUntil(isAnswered, ECHO_MS);
    await this.#measure(pings);
    await sleep(Math.max(0, begun + ERRORS_MS - performance.now()));
    await this.#waitForInitiation(ask, note, begun);
  }

  /** Where small ones pass and large ones do not: which do. */
  async #measure(pings: readonly OpenPing[]): Promise<void> {
    const halfDead = pings.filter((ping) => ping.isAlive && !ping.isAnswered);
    if (halfDead.length === 0) return;
    const mtu = this.#plan.link?.mtu ?? 0;
    for (const ping of halfDead) ping.add(LADDER.filter((bytes) => bytes < mtu));
    const isAnswered = (): boolean => halfDead.every((ping) => ping.isAnswered);
    // Each twice, as before: one that is lost or late by chance is no size that does not pass.
    for (let round = 0; round < 2 && !isAnswered(); round++) {
      for (const ping of halfDead) ping.send();
      await waitUntil(isAnswered, ECHO_MS);
    }
  }

  /**
   * Where a peer is silent: until it is known to be, an initiation has gone to each such one while we
   * listened, and what is said of it had time to come.
   */
  async #waitForInitiation(ask: Ask, note: Note, begun: number): Promise<void> {
    const now = (await ask())?.stats ?? null;
    if (silentPeers(now).length === 0) return;
    const first = this.#first?.stats ?? null;
    let unsettled = unsettledPeers(first, now);
    if (unsettled.peers.length > 0) note(saysWait(unsettled));
    let end = performance.now() + INITIATION_MS;
    let isLonger = unsettled.isCrossing;
    if (isLonger) end += INITIATION_MS;
    let pauseMs = ASK_MS;
    while (unsettled.peers.length > 0 && performance.now() < end) {
      await sleep(pauseMs);
      const asked = performance.now();
      unsettled = unsettledPeers(first, (await ask())?.stats ?? null);
      pauseMs = Math.max(ASK_MS, PAUSE_SHARE * (performance.now() - asked));
      if (isLonger || !unsettled.isCrossing) continue;
      isLonger = true;
      end += INITIATION_MS;
      note(saysWait(unsettled));
    }
    await sleep(Math.max(ERRORS_MS, begun + NEIGHBOUR_MS - performance.now()));
  }

  /** Ends all of it. @param routes whose sources the pings have */
  end(routes: readonly RouteAnswer[]): Heard {
    const sourceOf = (address: string): string | null => {
      const found = routes.find(({ destination }) => destination === address)?.answer;
      return found?.kind === 'route' ? found.route.source : null;
    };
    const heard: Heard = {
      icmp: mapLooked(this.#icmp, (listener) => listener.errors()),
      wire: mapLooked(this.#tap, (tap) => tap.flows()),
      inner: mapLooked(this.#inner, (tap) => tap.flows()),
      probes: mapLooked(this.#probes, (probes) => probes.map((probe) => probe.take())),
      pings: mapLooked(this.#pings, (pings) =>
        pings.map((ping, at) => ping.take(sourceOf(this.#plan.pings[at].destination))),
      ),
    };
    this.close();
    return heard;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#inner.ok) this.#inner.value.close();
    if (this.#icmp.ok) this.#icmp.value.close();
    if (this.#tap.ok) this.#tap.value.close();
    for (const one of this.#probes.ok ? this.#probes.value : []) one.close();
    for (const one of this.#pings.ok ? this.#pings.value : []) one.close();
  }
}

function saysWait({ peers, isCrossing }: Unsettled): string {
  const who = counted(peers.length, 'peer has', 'peers have');
  const what = isCrossing ? 'the calls after those that crossed' : 'the next call';
  const time = counted(((isCrossing ? 2 : 1) * INITIATION_MS) / MS_PER_S, 'second');
  return `${who} not answered: waiting for ${what}, at most ${time} (--quick does not wait)`;
}

function toProbe(target: Plan['probes'][number]): OpenProbe {
  return new OpenProbe(target);
}

/** All or none. */
function openAll<T, U extends { close(): void }>(
  targets: readonly T[],
  open: (target: T) => U,
): U[] {
  const opened: U[] = [];
  try {
    for (const target of targets) opened.push(open(target));
    return opened;
  } catch (error) {
    for (const one of opened) one.close();
    throw error;
  }
}

function mapLooked<T, U>(from: Looked<T>, map: (value: T) => U): Looked<U> {
  return from.ok ? looked(map(from.value)) : from;
}
