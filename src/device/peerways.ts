/**
 * The ways of one peer: what each leads to at this moment (its candidates), which one the peer's
 * packets take, and to which candidate the next initiation goes. Decides by what it is told; what is
 * sent, and what else follows, is steering.ts'.
 *
 * While initiations are answered, they go where packets go. Once one is not, each goes to the next
 * candidate: the best of every way, then the second best of every way, and so on; first those that
 * the machine has a route to. So a way that is dead costs one retry, however many addresses it has.
 * What answers is what packets take from then on, and the rounds begin there.
 */

import { sameBytes } from '../bytes.ts';
import { isMapped, parseAddress, parseDecimal } from '../packet/address.ts';
import { Endpoint } from './endpoint.ts';
import type { Name, Names } from './names.ts';
import { sameNear } from './near.ts';
import type { Way, WayState } from './ways.ts';

/** `used` of a peer that has moved to where no way leads, or is nowhere yet. */
export const NO_WAY = -1;

/**
 * Initiations to where packets go before another candidate has its turn: one, and one more where
 * something has come back from there since the first, which then may just have been lost.
 */
const TRIES_IN_SILENCE = 1;
const TRIES_IN_TOUCH = 2;

const SCOPE_MAX = 0xffff_ffff;

/** What the machine says of a way. */
export interface WayOutlook {
  /** As DeviceOptions has them. */
  readonly isReachable: (endpoint: Endpoint) => boolean;
  readonly interfaceIndex: (name: string) => number;
}

/** One thing that a way leads to. */
export interface Candidate {
  /** Index of the way. */
  readonly way: number;
  readonly endpoint: Endpoint;
}

/** How it stands with the peer when an initiation is to be sent to it. */
export interface Standing {
  /** Where its packets go; null when that is not known. */
  readonly live: Endpoint | null;
  /** There is a session to send under. */
  readonly hasSession: boolean;
  /** Something came from the peer since the last initiation. */
  readonly isInTouch: boolean;
}

/** A way with its name, if its host is one, and what it leads to. */
class Line<User> {
  readonly way: Way;
  readonly name: Name<User> | null;
  endpoints: readonly Endpoint[] = [];
  isNearMissing = false;
  unanswered = 0;

  constructor(way: Way, name: Name<User> | null) {
    this.way = way;
    this.name = name;
  }
}

export class PeerWays<User> {
  readonly #lines: readonly Line<User>[];
  readonly #outlook: WayOutlook;
  /** Which way packets take: its index, or NO_WAY. */
  used = NO_WAY;
  /**
   * Packets go where a session stands from before the operator said these ways, none of which is
   * known to lead there, until one of them answers. Whoever sets it has just taken no way.
   */
  isProvisional = false;
  /** The same, and none of these ways has been called yet. */
  isCallDue = false;
  /** Nobody has ever been heard where packets go: it was merely the best that was known. */
  isGuess = false;
  /** Of whom the last initiation was asked. */
  calling: Candidate | null = null;
  /** What the peer had received (`rxBytes`) when it left. */
  rxBytesAtCall = 0;
  /** Where the peer was last heard from, and where its packets go because of that. */
  heardFrom: Endpoint | null = null;
  heardFor: Endpoint | null = null;
  /** Until then a handshake of ours alone decides between ways (monotonic ms). */
  settledAt = Number.NEGATIVE_INFINITY;
  /** Data packets, either way, when it was time to move back; null as long as it is not. */
  packetsAtReturn: number | null = null;
  /** Initiations since the last handshake that completed, and those of them to where packets go. */
  #tries = 0;
  #liveTries = 0;
  /** What is left of the round. */
  #round: Candidate[] = [];
  /** Which of the better ways, and of its candidates, the next attempt to move back is made over. */
  #attempts = 0;
  #hasTriedBack = false;

  /** Each host name is taken into use for `user`; `release` ends that. */
  constructor(ways: readonly Way[], names: Names<User>, user: User, outlook: WayOutlook) {
    this.#outlook = outlook;
    this.#lines = ways.map((way) => {
      const isAddress = parseAddress(way.host.split('%')[0]) !== null;
      return new Line<User>(way, isAddress ? null : names.use(way.host, user));
    });
    this.update();
  }

  /** As the operator has said them. */
  get ways(): readonly Way[] {
    return this.#lines.map(({ way }) => way);
  }

  *names(): Generator<Name<User>> {
    for (const { name } of this.#lines) if (name !== null) yield name;
  }

  /**
   * Call when a name has been answered or the machine's interfaces have changed. In a round that has
   * begun, what is gone is not tried any more, and what is new takes turns with the rest: a name
   * service with other addresses in every answer cannot keep other ways from theirs.
   */
  update(): void {
    const fresh: Candidate[] = [];
    for (const [way, line] of this.#lines.entries()) {
      // The same objects as before where they say the same, since others hold them.
      const endpoints = this.#endpointsOf(line).map((one) => {
        const known = line.endpoints.find((old) => old.equals(one));
        if (known === undefined) fresh.push({ way, endpoint: one });
        return known ?? one;
      });
      line.endpoints = endpoints;
    }
    if (this.#round.length === 0) return;
    const left = this.#round.filter(
      ({ way, endpoint }) => way === NO_WAY || this.#lines[way].endpoints.includes(endpoint),
    );
    const length = Math.max(fresh.length, left.length);
    this.#round = Array.from({ length }, (_, i) => [fresh[i], left[i]])
      .flat()
      .filter((one) => one !== undefined);
  }

  #endpointsOf(line: Line<User>): Endpoint[] {
    const { way, name } = line;
    const { near, port } = way;
    const index = near?.kind === 'interface' ? this.#outlook.interfaceIndex(near.name) : 0;
    line.isNearMissing = near?.kind === 'interface' && index === 0;
    if (line.isNearMissing) return [];
    const source = near?.kind === 'address' ? near.address : null;
    const pinned = [source, index, near !== null] as const;
    if (name === null) {
      const [text, zone] = way.host.split('%');
      const scope = zone === undefined ? 0 : this.#scopeOf(zone);
      const said = parseAddress(text)!;
      // No socket sends to the mapped form; it means the IPv4 address.
      const address = isMapped(said) ? said.slice(12) : said;
      const isLost = zone !== undefined && scope === 0;
      return isLost || !isAlike(source, address)
        ? []
        : [new Endpoint(address, port, scope, ...pinned)];
    }
    return name.addresses
      .filter((address) => isAlike(source, address))
      .map((address) => new Endpoint(address, port, 0, ...pinned));
  }

  #scopeOf(zone: string): number {
    return parseDecimal(zone, SCOPE_MAX) ?? this.#outlook.interfaceIndex(zone);
  }

  /** All of them, best first; those that there is a route to, and then the others. */
  candidates(): Candidate[] {
    const rounds = Math.max(0, ...this.#lines.map(({ endpoints }) => endpoints.length));
    const all: Candidate[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const [way, { endpoints }] of this.#lines.entries()) {
        if (round < endpoints.length) all.push({ way, endpoint: endpoints[round] });
      }
    }
    if (all.length < 2) return all;
    const reached = new Set(all.filter(({ endpoint }) => this.#outlook.isReachable(endpoint)));
    return [...reached, ...all.filter((one) => !reached.has(one))];
  }

  /**
   * Whose candidate an endpoint is that a peer was heard from; null when it is none. Of ways to one
   * address the one whose near end it has, or else the one in use.
   */
  find(endpoint: Endpoint): Candidate | null {
    let alike: Candidate | null = null;
    for (const [way, line] of this.#lines.entries()) {
      for (const one of line.endpoints) {
        if (!one.sameRemote(endpoint)) continue;
        if (isNearOf(one, endpoint)) return { way, endpoint: one };
        if (alike === null || way === this.used) alike = { way, endpoint: one };
      }
    }
    return alike;
  }

  /** Whether the way in use still leads to the endpoint. */
  leadsTo(endpoint: Endpoint): boolean {
    return this.candidateInUse(endpoint) !== null;
  }

  /** By which the way in use leads to the far end of the endpoint now; null when it does not. */
  candidateInUse(endpoint: Endpoint): Endpoint | null {
    const line = this.#lines[this.used];
    return line?.endpoints.find((one) => one.sameRemote(endpoint)) ?? null;
  }

  /** There are ways that the operator prefers to where packets go. */
  get isSecondBest(): boolean {
    return this.isProvisional || this.used > 0;
  }

  /**
   * The candidate where a peer without a session is rather taken to be than at `endpoint`, or than
   * nowhere; null: it stays. What has answered stays as long as its way leads there, and so does a
   * peer that has moved by itself.
   */
  instead(endpoint: Endpoint | null): Candidate | null {
    const isStale =
      endpoint === null || this.isProvisional || (this.used !== NO_WAY && !this.leadsTo(endpoint));
    if (!isStale && !(this.isGuess && this.used > 0)) return null;
    const [best] = this.candidates();
    return best !== undefined && (isStale || best.way < this.used) ? best : null;
  }

  /** Whether anything is known to which an initiation could be sent. */
  get leadSomewhere(): boolean {
    return this.#lines.some(({ endpoints }) => endpoints.length > 0);
  }

  /**
   * Until when nobody is called yet, since a name of this way, or of one that is preferred to it, is
   * being looked up for the first time: answers come together as a rule, but in any order.
   */
  heldUntil({ way }: Candidate, holdMs: number): number {
    const awaited = this.#lines.slice(0, way + 1).filter(({ name }) => name?.isNew);
    return Math.max(...awaited.map(({ name }) => name!.askedAt + holdMs), Number.NEGATIVE_INFINITY);
  }

  /** Whether the candidate is only known from before a restart. */
  isRemembered({ way }: Candidate): boolean {
    return this.#lines[way].name?.isRemembered ?? false;
  }

  /** Whether there is no route to the endpoint, but one to another candidate. */
  isCutOff(endpoint: Endpoint): boolean {
    const { isReachable } = this.#outlook;
    return (
      !isReachable(endpoint) &&
      this.#lines.some(({ endpoints }) => endpoints.some((one) => isReachable(one)))
    );
  }

  /** Packets go to the candidate from now on, or where no way leads. */
  take(candidate: Candidate | null): void {
    this.used = candidate?.way ?? NO_WAY;
    this.isProvisional = false;
    this.isCallDue = false;
    this.isGuess = false;
    this.#liveTries = 0;
  }

  /**
   * Where the next initiation goes; null when nobody knows. Call when it is about to be sent, once.
   *
   * @param isClear whether datagrams to an endpoint stay outside of the tunnel
   */
  next(standing: Standing, isClear: (endpoint: Endpoint) => boolean): Candidate | null {
    const tries = this.#tries++;
    const back = tries === 0 && standing.hasSession ? this.#wayBack(isClear) : null;
    const chosen = back ?? this.#tryLive(standing, isClear) ?? this.#nextOfRound(standing, isClear);
    if (chosen !== null && chosen.way !== NO_WAY) this.#lines[chosen.way].unanswered++;
    return chosen;
  }

  /** Where packets go, as long as there is reason to believe in it. */
  #tryLive(
    { live, hasSession, isInTouch }: Standing,
    isClear: (endpoint: Endpoint) => boolean,
  ): Candidate | null {
    const triesMax = isInTouch ? TRIES_IN_TOUCH : TRIES_IN_SILENCE;
    if (live === null || this.#liveTries >= triesMax) return null;
    if (this.isProvisional && !hasSession) return null;
    if (!this.#outlook.isReachable(live) || !isClear(live)) return null;
    this.#liveTries++;
    return { way: this.used, endpoint: live };
  }

  #nextOfRound({ live }: Standing, isClear: (endpoint: Endpoint) => boolean): Candidate | null {
    if (this.#round.length === 0) this.#round = this.#newRound(live);
    const at = this.#round.findIndex(({ endpoint }) => isClear(endpoint));
    const [chosen] = this.#round.splice(0, at < 0 ? this.#round.length : at + 1).slice(-1);
    return at < 0 ? null : chosen;
  }

  /** Every candidate once, where packets go last: that has just been tried. */
  #newRound(live: Endpoint | null): Candidate[] {
    const others = this.candidates().filter(
      ({ endpoint }) => live === null || !isSamePath(endpoint, live),
    );
    return live === null ? others : [...others, { way: this.used, endpoint: live }];
  }

  /** A candidate of a way that the operator prefers to where packets go, if there is one. */
  #wayBack(isClear: (endpoint: Endpoint) => boolean): Candidate | null {
    const { isReachable } = this.#outlook;
    const count = this.isProvisional ? this.#lines.length : Math.max(0, this.used);
    const better = this.#lines.slice(0, count).flatMap(({ endpoints }, way) => {
      const usable = endpoints.filter((one) => isReachable(one) && isClear(one));
      return usable.length === 0 ? [] : [{ way, usable }];
    });
    if (better.length === 0) return null;
    const { way, usable } = better[this.#attempts % better.length];
    const endpoint = usable[Math.floor(this.#attempts / better.length) % usable.length];
    this.#attempts++;
    this.#hasTriedBack = true;
    return { way, endpoint };
  }

  /**
   * Call when a handshake has completed: initiations go where packets go again. True when a better
   * way was tried for it.
   */
  proven(): boolean {
    const hasTriedBack = this.#hasTriedBack;
    this.#hasTriedBack = false;
    this.isGuess = false;
    this.rest();
    if (this.used !== NO_WAY) this.#lines[this.used].unanswered = 0;
    return hasTriedBack;
  }

  /** Call when nothing is tried any more: the interface went down, or all is to begin again. */
  rest(): void {
    this.#tries = 0;
    this.#liveTries = 0;
    this.#round = [];
  }

  /** Initiations since a handshake completed. */
  get tries(): number {
    return this.#tries;
  }

  /** A name of the peer's is being looked up for the first time. */
  get isAwaited(): boolean {
    return this.#lines.some(({ name }) => name?.isAwaited === true);
  }

  states(): WayState[] {
    return this.#lines.map(({ way, name, endpoints, isNearMissing, unanswered }, index) => ({
      ...way,
      isInUse: index === this.used,
      addresses: endpoints.map(({ address }) => address),
      error: isNearMissing ? 'ENODEV' : errorOf(name, endpoints),
      unanswered,
    }));
  }
}

/** A name may be known, and have no address of the family of the near end. */
function errorOf(name: Name<unknown> | null, endpoints: readonly Endpoint[]): string | null {
  if (name === null) return null;
  const isOfOther = name.addresses.length > 0 && endpoints.length === 0;
  return name.error ?? (isOfOther ? 'EAI_ADDRFAMILY' : null);
}

/** Whether two lists say the same. */
export function sameWays(one: readonly Way[], other: readonly Way[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ host, port, near }, i) => {
      const also = other[i];
      return host === also.host && port === also.port && sameNear(near, also.near);
    })
  );
}

/** Whether packets would take the same way: a source that was learnt is no part of it. */
function isSamePath(one: Endpoint, other: Endpoint): boolean {
  return one.isPinned || other.isPinned ? one.equals(other) : one.sameRemote(other);
}

/** Both are of one family, or nothing is asked of the one. */
function isAlike(source: Uint8Array | null, address: Uint8Array): boolean {
  return source === null || source.length === address.length;
}

/** Whether a datagram that came to `heard` came to the near end of the candidate, if that has one. */
function isNearOf({ isPinned, source, sourceInterface }: Endpoint, heard: Endpoint): boolean {
  if (!isPinned) return false;
  if (source !== null) return heard.source !== null && sameBytes(source, heard.source);
  return sourceInterface === heard.sourceInterface;
}
