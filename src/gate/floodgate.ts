/**
 * The gate before a daemon's UDP sockets. It is open as long as we can turn away by ourselves
 * whatever comes to nothing; when that takes more of our time than we have to spare, or the
 * sockets overflow, it is shut: the kernel then lets a part of the strangers pass, which is as
 * large as we have time for, and everything that belongs to a session of ours.
 *
 * Owns when it is shut, how much of each class passes (floodfilter.ts), and whom we expect to hear
 * from. Without bpf(2), which takes root and Linux 5.8, it stays open and says so once.
 *
 * All that takes a capability happens in `openFloodgate`; afterwards it writes memory and sets
 * options of its own sockets.
 */

import type { Guard, GuardState } from '../datapath/guard.ts';
import type { DropReason } from '../device/drops.ts';
import type { Endpoint } from '../device/endpoint.ts';
import { idleMs, monotonicMs, random } from '../sys/clock.ts';
import { Backlog } from './backlog.ts';
import { attachFilter, detachFilter } from './bpf.ts';
import { CLASSES, TRAFFIC } from './floodboard.ts';
import { kernelDrops } from './kerneldrops.ts';
import { type Machinery, openMachinery } from './machinery.ts';
import { Recent } from './recent.ts';
import { shareOut } from './shareout.ts';

/** Between two judgements; sooner while it is open and so many strangers have come. */
const PERIOD_MS = 100;
const STRANGERS_AT_ONCE = 1_000;
const LEAST_PERIOD_MS = 5;
/** While it is shut, one turn in so many is timed. */
const TURNS_A_SAMPLE = 8;
const MS_PER_S = 1_000;
/** The part of our time that strangers may have whatever the sessions need. */
const LEAST_SHARE = 0.02;
/**
 * Of so many a second it would let in one of twenty. Of more it would be lost to the sessions, and
 * no help to who waits: then it is this part, or the least budget.
 */
const LOST_PER_S = 50_000;
const LOST_SHARE = 0.001;
/** What they may have beside it while the sessions need nothing. */
const SPARE_SHARE = 0.6;
/** Sessions that take this part leave none: the ends of their streams need the machine as well. */
const BUSY_SHARE = 0.25;
/**
 * Sessions that take nothing have that to themselves all the same, less and less in about so long: a
 * stream of which the flood has lost something stands still until it sends that again (RFC 6298: 1 s
 * at first, and Linux no less than 200 ms), and what is let in meanwhile is there when it does.
 */
const REST_MS = 1_000;
/** What strangers may take of one period, however little of a second: they may come in bursts. */
const BURST_SHARE = 0.25;
/** So few strangers a second are no flood, whatever they cost. */
const FLOOD_PER_S = 2_000;
/** If a socket is never empty, so many are why, and not the sessions alone. */
const SUDDEN_PER_S = 20_000;
/** It opens when what comes would take less than this part of what strangers may have, so long. */
const CALM_SHARE = 0.8;
const OPEN_AFTER_MS = 2_000;
const WINDOWS_EVERY_MS = 1_000;
/** What counts for long is how it was in so many periods, a second. */
const REMEMBERED_PERIODS = 10;
/** What turning away one of those costs that the filter does not let through at all, ms. */
const HOPELESS_COST_MS = 0.002;
/** However little time we have, so many strangers a second pass. */
const LEAST_BUDGET_PER_S = 250;
/** Sessions that wake up, and have taken so much (ms) since the last judgement, need not wait. */
const AWAKE_MS = 10;
/**
 * How many pass is found by trying: more, until they take more time than they may have, or until a
 * socket has not been empty for so long. What sessions send waits in the same queue.
 */
const BEHIND_MS = 20;
const GROWTH = 1.4;
const CUT = 0.5;
const DEEPEST_CUT = 1 / 8;
/** What part of a flood passes at first: if its cost is known yet, and if not. */
const FIRST_PART = 1 / 4;
const FIRST_PART_BLINDLY = 1 / 64;
/** A budget of which less than this was used is large enough. */
const USED_PART = 0.5;

/** Those who may pass, and share what we have time for. */
const LIMITED = [TRAFFIC.moved, TRAFFIC.peersCall, TRAFFIC.strangersCall, TRAFFIC.secondCall];
/** Those who do not. */
const HOPELESS = [TRAFFIC.malformed, TRAFFIC.unexpected];

export interface FloodgateOptions {
  /** Told of datagrams that the kernel dropped before we could read them. */
  readonly onDrop: (reason: DropReason, datagrams: number) => void;
  /** Gets a line for the log when the gate is shut or opened. */
  readonly onNote: (note: string) => void;
  /** Tells of each session's index and the greatest counter that it has taken. */
  readonly eachWindow?: (tell: (index: number, greatest: number) => void) => void;
}

interface Guarded {
  readonly family: 4 | 6;
  readonly fd: number;
  /** The kernel's count of drops when it was last asked. */
  drops: number;
}

export class Floodgate implements Guard {
  readonly #options: FloodgateOptions;
  /** null where there is none, and after the end. */
  #machinery: Machinery | null;
  /** Why there is no machinery. */
  readonly #refusal: string;
  #sockets: Guarded[] = [];
  #timer: NodeJS.Timeout | undefined;

  // Of this period.
  #judgedAt = monotonicMs();
  #strangers = 0;
  /** Of the strangers of this period and the one before, those who turned out to be peers. */
  #vindicated = 0;
  #strangersMs = 0;
  #turnsMs = 0;
  /** What `idleMs` was when it began. */
  #idleAt = idleMs();

  /** What part of our time sessions took in about the last REST_MS. */
  #sessionsMean = 0;
  /** Strangers that a second of our time is enough for, as far as it has been tried. */
  #capacity = 0;
  /** What part of our time they may have; and strangers a second that may pass for it. */
  #allowed = LEAST_SHARE;
  #budget = LEAST_BUDGET_PER_S;
  /** Strangers a second that have come, of those classes of which some pass. */
  #wanted = 0;
  readonly #behind = { 4: new Backlog(), 6: new Backlog() };
  /** Of the classes, what passes of the one that fares worst. */
  #leastShare = 1;
  /** The same of calls alone. */
  #leastCallShare = 1;
  #isTimingTurns = false;
  #hasSaidImpossible = false;
  #calmSince = Number.NEGATIVE_INFINITY;
  /** When the board was last told what counters sessions have come to. */
  #windowsAt = Number.NEGATIVE_INFINITY;
  /** Of each class what had come, and been dropped, when it was last judged. */
  readonly #arrived = new Float64Array(CLASSES);
  /** What the filter had dropped then. */
  #refusedBefore = 0;
  /** Buffers that the kernel has dropped since the start, and how many of them overflowed. */
  #dropped = 0;
  #overflowed = 0;
  /** Datagrams a second of each class in the last periods. */
  readonly #rates = Array.from({ length: CLASSES }, () => new Recent(REMEMBERED_PERIODS));
  /** What part of our time strangers took, less what they might have. */
  readonly #excess = new Recent(REMEMBERED_PERIODS);

  constructor(options: FloodgateOptions, machinery: Machinery | null, refusal: string) {
    this.#options = options;
    this.#machinery = machinery;
    this.#refusal = refusal;
  }

  get isShut(): boolean {
    return this.#timer !== undefined;
  }

  /**
   * Of how many turns one has to say what it cost: 0 for none, while there are no strangers, since it
   * costs to find out.
   */
  get turnsASample(): number {
    if (!this.#isTimingTurns) return 0;
    return this.isShut ? TURNS_A_SAMPLE : 1;
  }

  /** Whether calls are held back: then an answer needs a cookie. */
  get isPressed(): boolean {
    return this.isShut && this.#leastCallShare < 1;
  }

  /** How it stands, for `stats`. */
  get state(): GuardState {
    const share = this.isShut ? this.#leastShare : 1;
    if (this.#machinery === null) return { word: 'none', share, refusal: this.#refusal };
    return { word: this.isShut ? 'shut' : 'open', share };
  }

  // Whom we expect.

  expectIndex(index: number): void {
    this.#machinery?.board.countIndex(index, 1);
  }

  forgetIndex(index: number): void {
    this.#machinery?.board.countIndex(index, -1);
  }

  expectPlace(endpoint: Endpoint): void {
    this.#machinery?.board.countPlace(endpoint, 1);
  }

  forgetPlace(endpoint: Endpoint): void {
    this.#machinery?.board.countPlace(endpoint, -1);
  }

  // The sockets.

  /** Guards these sockets, in place of those before, which are closed by their owner. */
  guard(sockets: readonly { readonly family: 4 | 6; readonly fd: number }[]): void {
    // Those of before are open still.
    this.#countOverflow();
    this.#sockets = sockets.map(({ family, fd }) => ({ family, fd, drops: kernelDrops(fd) ?? 0 }));
    this.#behind[4].forget();
    this.#behind[6].forget();
    if (this.isShut) this.#attach();
  }

  /** These are about to be closed; if others are guarded in their place already, it is nothing. */
  release(sockets: readonly { readonly fd: number }[]): void {
    if (this.#sockets[0]?.fd === sockets[0]?.fd) this.guard([]);
  }

  // The judgement.

  /** Call after each read. */
  wasRead(family: 4 | 6, isEmpty: boolean, now: number): void {
    this.#behind[family].wasRead(isEmpty, now);
  }

  vindicate(strangers: number): void {
    this.#vindicated += strangers;
  }

  /**
   * Call after each turn.
   *
   * @param strangers datagrams that came to nothing, or that still may
   * @param strangersMs what of the turn's cost (threadMs) they have to answer for; 0, as `turnMs`,
   * unless the turn was timed, and then that of all turns it stands for (`turnsASample`)
   * @param now what the clock says (ms)
   */
  turned(strangers: number, strangersMs: number, turnMs: number, now: number): void {
    this.#strangers += strangers;
    this.#strangersMs += strangersMs;
    this.#turnsMs += turnMs;
    const elapsedMs = now - this.#judgedAt;
    const isSudden = this.isShut
      ? this.#allowed > LEAST_SHARE && this.#turnsMs - this.#strangersMs >= AWAKE_MS
      : this.#strangers >= STRANGERS_AT_ONCE;
    if ((isSudden && elapsedMs >= LEAST_PERIOD_MS) || elapsedMs >= PERIOD_MS) this.#judge(now);
  }

  #judge(now: number): void {
    const elapsedMs = now - this.#judgedAt;
    const perSecond = (count: number): number => (count * MS_PER_S) / elapsedMs;
    this.#countOverflow();
    // Not by what was dropped: a sender of wrong checksums has it grow.
    const patienceMs = this.#patienceMs;
    const isBehind = Object.values(this.#behind).some((one) => one.isLongerThan(patienceMs, now));
    const sessionsShare = Math.max(0, this.#turnsMs - this.#strangersMs) / elapsedMs;
    const least = this.isShut && this.#wanted > LOST_PER_S ? LOST_SHARE : LEAST_SHARE;
    const taken = this.#sessionsPart(sessionsShare, elapsedMs);
    this.#sessionsMean += (taken - this.#sessionsMean) * Math.min(1, elapsedMs / REST_MS);
    const needed = Math.max(taken, this.#sessionsMean);
    const allowed = least + SPARE_SHARE * Math.max(0, 1 - needed / BUSY_SHARE);
    const rate = perSecond(this.#strangers);
    const share = this.#strangersMs / elapsedMs;
    if (!this.isShut) {
      const uselessRate = perSecond(this.#strangers - this.#vindicated);
      // A moment says how many there are, and only a whole period what they cost.
      const isDear = share > allowed && elapsedMs >= PERIOD_MS;
      if ((isDear && uselessRate >= FLOOD_PER_S) || (isBehind && uselessRate >= SUDDEN_PER_S))
        this.#shut(uselessRate, share, allowed, now);
      else this.#detach();
    } else {
      // By what they were allowed, and not by what they are from now on: sessions may have woken up.
      const excess = share - this.#allowed;
      this.#excess.add(excess);
      const isDear = excess > 0 && (share > BURST_SHARE || this.#excess.mean > 0);
      // Sessions can fill a socket by themselves.
      const isFull = isBehind && share >= sessionsShare;
      if (isFull) this.#capacity *= CUT;
      else if (isDear) this.#capacity *= Math.max(DEEPEST_CUT, this.#allowed / share);
      else if (rate > USED_PART * this.#budget) this.#capacity *= GROWTH;
      this.#allow(allowed);
      this.#publishWindows(now);
      const burden = this.#ration(perSecond);
      const isLittle = this.#excess.mean + burden < (CALM_SHARE - 1) * allowed;
      const isCalm = !isFull && isLittle && this.#leastShare === 1;
      if (!isCalm) this.#calmSince = now;
      else if (now - this.#calmSince >= OPEN_AFTER_MS) this.#open();
    }
    this.#isTimingTurns = this.isShut || rate >= FLOOD_PER_S / 4;
    this.#judgedAt = now;
    this.#strangers = 0;
    this.#vindicated = 0;
    this.#strangersMs = 0;
    this.#turnsMs = 0;
  }

  /**
   * What sessions took of the time that passed: what they computed, and while others had the
   * processor, their part of the waiting. Who is kept from computing is not idle.
   */
  #sessionsPart(computed: number, elapsedMs: number): number {
    const idle = idleMs();
    const busy = Math.max(0, 1 - (idle - this.#idleAt) / elapsedMs);
    this.#idleAt = idle;
    if (this.#turnsMs === 0) return computed;
    return Math.max(computed, (busy * computed * elapsedMs) / this.#turnsMs);
  }

  /** Counts what the kernel has dropped: by the filter, or since it did not fit into a socket. */
  #countOverflow(): void {
    for (const socket of this.#sockets) {
      const drops = kernelDrops(socket.fd) ?? socket.drops;
      this.#dropped += (drops - socket.drops) >>> 0;
      socket.drops = drops;
    }
    const board = this.#machinery?.board;
    const refused = this.#refused();
    const turnedAway = refused - this.#refusedBefore;
    this.#refusedBefore = refused;
    // Those of the filter are read later and may be more by some: what is missing comes next time.
    const overflowed = this.#dropped - (board?.droppedBuffers ?? 0);
    const overflow = Math.max(0, overflowed - this.#overflowed);
    this.#overflowed += overflow;
    if (turnedAway > 0) this.#options.onDrop('turnedAway', turnedAway);
    if (overflow > 0) this.#options.onDrop('receiveOverflow', overflow);
  }

  #refused(): number {
    const board = this.#machinery?.board;
    if (board === undefined) return 0;
    let refused = 0;
    for (let one = 0; one < CLASSES; one++) refused += board.dropped(one);
    return refused;
  }

  /** How long a socket may not be empty: before a flood has filled it, and when it is held back. */
  get #patienceMs(): number {
    return this.isShut ? BEHIND_MS : LEAST_PERIOD_MS;
  }

  #shut(rate: number, share: number, allowed: number, now: number): void {
    const flood = `udp: flood: ${Math.round(rate)} useless datagrams a second`;
    if (this.#machinery === null) {
      if (!this.#hasSaidImpossible) {
        this.#options.onNote(`${flood}; they cannot be filtered in the kernel (${this.#refusal})`);
      }
      this.#hasSaidImpossible = true;
      return;
    }
    const { board } = this.#machinery;
    board.setShare(TRAFFIC.session, 1);
    for (let one = 0; one < CLASSES; one++) {
      this.#arrived[one] = board.arrived(one);
      this.#rates[one].clear();
    }
    this.#excess.clear();
    const part = share === 0 ? FIRST_PART_BLINDLY : FIRST_PART * Math.min(1, allowed / share);
    this.#capacity = (part * rate) / allowed;
    this.#wanted = 0;
    this.#allow(allowed);
    // Until the first count any class may be all of it.
    this.#leastShare = Math.min(1, this.#budget / rate);
    this.#leastCallShare = this.#leastShare;
    for (const one of LIMITED) board.setShare(one, this.#leastShare);
    board.stir(random);
    this.#calmSince = now;
    this.#attach();
    // What is turned away does not wake us.
    this.#timer = setInterval(() => this.turned(0, 0, 0, monotonicMs()), PERIOD_MS);
    this.#timer.unref();
    this.#options.onNote(`${flood}: the kernel filters most of them until it subsides`);
  }

  #allow(share: number): void {
    this.#allowed = share;
    // What was tried stays so large that it can grow again.
    this.#capacity = Math.max(LEAST_BUDGET_PER_S, this.#capacity);
    this.#budget = Math.max(LEAST_BUDGET_PER_S, share * this.#capacity);
  }

  /** There may be ten thousand. What it is told late is let in as before. */
  #publishWindows(now: number): void {
    if (now - this.#windowsAt < WINDOWS_EVERY_MS) return;
    this.#windowsAt = now;
    const { board } = this.#machinery!;
    this.#options.eachWindow?.((index, greatest) => board.setWindow(index, greatest));
  }

  /** A successor that failed has taken it away; so it is put there again. */
  #attach(): void {
    const { filters } = this.#machinery!;
    for (const { fd, family } of this.#sockets) attachFilter(fd, filters[family]);
  }

  #open(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#detach();
    this.#options.onNote('udp: the flood is over');
  }

  /** A successor that failed may have left its own there. */
  #detach(): void {
    for (const { fd } of this.#sockets) detachFilter(fd);
  }

  /**
   * Gives each class its share of the budget. Returns what part of our time the others would take,
   * those that are not let through, if the gate were open.
   */
  #ration(perSecond: (count: number) => number): number {
    const { board } = this.#machinery!;
    for (let one = 0; one < CLASSES; one++) {
      const arrived = board.arrived(one);
      this.#rates[one].add(perSecond(arrived - this.#arrived[one]));
      this.#arrived[one] = arrived;
    }
    const means = LIMITED.map((one) => this.#rates[one].mean);
    const peaks = LIMITED.map((one) => this.#rates[one].max);
    this.#wanted = means.reduce((sum, rate) => sum + rate, 0);
    const lasting = shareOut(this.#budget, means);
    const atOnce = shareOut(Math.max(this.#budget, BURST_SHARE * this.#capacity), peaks);
    const shares = lasting.map((share, i) => Math.min(share, atOnce[i]));
    for (const [i, share] of shares.entries()) board.setShare(LIMITED[i], share);
    board.stir(random);
    this.#leastShare = Math.min(...shares);
    this.#leastCallShare = Math.min(...shares.filter((_, i) => LIMITED[i] !== TRAFFIC.moved));
    this.#attach();
    const hopeless = HOPELESS.map((one) => this.#rates[one].mean);
    return (hopeless.reduce((sum, rate) => sum + rate, 0) * HOPELESS_COST_MS) / MS_PER_S;
  }

  /** The sockets are closed by their owner; what is attached to them holds until then. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#sockets = [];
    this.#machinery?.close();
    this.#machinery = null;
  }
}

/** Loads all that the kernel is to run. Call before the daemon gives up its rights. */
export function openFloodgate(options: FloodgateOptions): Floodgate {
  const machinery = openMachinery();
  return 'refusal' in machinery
    ? new Floodgate(options, null, machinery.refusal)
    : new Floodgate(options, machinery, '');
}
