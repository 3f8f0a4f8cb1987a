/**
 * Which names are being looked up, for somebody who may ask for the same name again before its answer
 * is there. Knows no resolver but by its interface, and is told the time.
 *
 * A question that was asked when the network was another one may wait for a name server of then, for
 * as long as the C library is patient (5 s for each of them, twice). So a name that is asked for again
 * after a moment is looked up a second time beside the first: the first addresses count, and an error
 * only when nothing else is on its way.
 *
 * A lookup that fails may hold one of the resolver's threads for as long. So names that failed the last
 * time have a few places, those that are new a few more, and the rest are for names that were found:
 * these wait for nobody whose name server is silent. Nor do new names wait for those of another
 * domain: as long as a domain has answered nothing, few of its names are looked up at a time.
 */

import type { NameAnswer } from '../device/ways.ts';
import { isHostName } from '../packet/hostname.ts';
import type { Resolver } from './resolver.ts';

/** Questions under way at once; more wait their turn. */
export const ASKED_MAX = 32;
/** Of those, for names that were not found the last time, or are new; the resolver has 32 threads. */
const UNPROVEN_MAX = 24;
/** Of those, for names that were not found. */
export const FAILED_MAX = 16;
/**
 * Of those that are unproven, for names of one domain that has not answered the last time: so many
 * that are new, that were not found, and of each that are looked up a second time beside the first.
 */
export const SILENT_DOMAIN_MAX = 3;
/** That there is no such name is an answer, too: of whoever serves the domain. */
const ANSWERS: readonly string[] = ['EAI_NONAME', 'EAI_NODATA'];
/** What came of so many names is kept; of one that is forgotten nothing is expected. */
const REMEMBERED_MAX = 16_384;
/** Until then a question for the same name is the same question. */
export const FRESH_MS = 2_000;
/**
 * After that it counts as unanswered. The resolver itself gives up before (program.ts), and whoever
 * asked takes the question for lost only later (device/names.ts).
 */
export const PATIENCE_MS = 55_000;
const LOOKUPS_PER_NAME = 2;

/** What came of the last lookup of a name. */
type Past = 'found' | 'failed' | undefined;

interface Question {
  readonly host: string;
  readonly domain: string;
  readonly askedAt: number;
  readonly past: Past;
  readonly isSecond: boolean;
}

export interface QuestionsOptions {
  readonly resolver: Resolver;
  readonly onAnswer: (host: string, answer: NameAnswer) => void;
}

export class Questions {
  readonly #options: QuestionsOptions;
  /** By number, the oldest first. */
  readonly #asked = new Map<number, Question>();
  readonly #waiting = new Set<string>();
  /** By name, the longest ago first. */
  readonly #pasts = new Map<string, Past>();
  /** Domains that have answered the last time, the longest ago first. */
  readonly #answering = new Set<string>();
  /** How often each came: `answered`, `late`, or an error's name. */
  readonly outcomes = new Map<string, number>();
  #lastId = 0;

  constructor(options: QuestionsOptions) {
    this.#options = options;
  }

  /** Has a name looked up; its answer comes later, never inside the call. */
  ask(now: number, host: string): void {
    if (!isHostName(host)) {
      setImmediate(() => this.#tell(host, { error: 'EAI_NONAME' }));
      return;
    }
    const same = [...this.#asked.values()].filter((one) => one.host === host);
    const isFresh = same.some(({ askedAt }) => now - askedAt < FRESH_MS);
    if (isFresh || same.length >= LOOKUPS_PER_NAME) return;
    this.#waiting.add(host);
    // For those that wait already there was no place, and there is none for this one's coming.
    if (this.#asked.size < ASKED_MAX) {
      this.#askIfPlace(now, host, new Places(this.#asked.values()));
    }
  }

  /** Nobody wants to know anything any more: what is asked is forgotten. */
  rest(): void {
    this.#waiting.clear();
    for (const id of this.#asked.keys()) this.#options.resolver.forget(id);
    this.#asked.clear();
  }

  /** When `expire` is due; infinite when nothing is asked. */
  get deadline(): number {
    const [oldest] = this.#asked.values();
    return oldest === undefined ? Number.POSITIVE_INFINITY : oldest.askedAt + PATIENCE_MS;
  }

  /** Those that nobody has answered in all this time fail. */
  expire(now: number): void {
    for (const [id, { askedAt }] of this.#asked) {
      if (now - askedAt < PATIENCE_MS) return;
      this.#options.resolver.forget(id);
      this.answered(now, id, { error: 'EAI_AGAIN' });
    }
  }

  /** The resolver's answer, under the number of its question. */
  answered(now: number, id: number, answer: NameAnswer): void {
    const question = this.#asked.get(id);
    if (question === undefined) {
      this.#count('late');
      return;
    }
    this.#asked.delete(id);
    this.#settle(question.host, answer);
    this.#askNext(now);
  }

  #settle(host: string, answer: NameAnswer): void {
    const others = [...this.#asked].filter(([, one]) => one.host === host);
    const isFound = 'addresses' in answer && answer.addresses.length > 0;
    if (!isFound && others.length > 0) return;
    for (const [id] of others) {
      this.#asked.delete(id);
      this.#options.resolver.forget(id);
    }
    this.#tell(host, answer);
  }

  /** Of those that wait, whoever there is a place for. */
  #askNext(now: number): void {
    const places = new Places(this.#asked.values());
    for (const host of this.#waiting) {
      if (this.#asked.size >= ASKED_MAX) return;
      this.#askIfPlace(now, host, places);
    }
  }

  #askIfPlace(now: number, host: string, places: Places): void {
    const past = this.#pasts.get(host);
    if (places.areTaken(past)) return;
    const [domain, isSecond] = [domainOf(host), places.hosts.has(host)];
    const question = { host, domain, askedAt: now, past, isSecond };
    if (!places.hasOneFor(question, this.#answering.has(domain))) return;
    this.#waiting.delete(host);
    places.take(question);
    const id = ++this.#lastId;
    this.#asked.set(id, question);
    this.#options.resolver.ask(id, host);
  }

  #remember(host: string, answer: NameAnswer): void {
    const { error } = answer;
    this.#pasts.delete(host);
    this.#pasts.set(host, error === undefined ? 'found' : 'failed');
    const domain = domainOf(host);
    this.#answering.delete(domain);
    if (error === undefined || ANSWERS.includes(error)) this.#answering.add(domain);
    for (const known of [this.#pasts, this.#answering]) {
      if (known.size <= REMEMBERED_MAX) continue;
      const [oldest] = known.keys();
      known.delete(oldest);
    }
  }

  #tell(host: string, answer: NameAnswer): void {
    this.#count('error' in answer ? answer.error : 'answered');
    this.#remember(host, answer);
    this.#options.onAnswer(host, answer);
  }

  #count(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }
}

/** What is taken of the places for questions, counted once for all that wait: there may be thousands. */
class Places {
  /** Those that are looked up. */
  readonly hosts = new Set<string>();
  #unproven = 0;
  #failed = 0;
  /** Of those that are unproven, how many are alike. */
  readonly #alike = new Map<string, number>();

  constructor(asked: Iterable<Question>) {
    for (const question of asked) this.take(question);
  }

  take(question: Question): void {
    this.hosts.add(question.host);
    if (question.past === 'found') return;
    this.#unproven++;
    if (question.past === 'failed') this.#failed++;
    const kind = kindOf(question);
    this.#alike.set(kind, (this.#alike.get(kind) ?? 0) + 1);
  }

  /** Whether all are that a name with such a past may have, whatever its domain. */
  areTaken(past: Past): boolean {
    if (past === 'found') return false;
    return this.#unproven >= UNPROVEN_MAX || (past === 'failed' && this.#failed >= FAILED_MAX);
  }

  /** Of those that are not taken. `isAnswering`: the name's domain has answered the last time. */
  hasOneFor(question: Question, isAnswering: boolean): boolean {
    if (question.past === 'found' || isAnswering) return true;
    return (this.#alike.get(kindOf(question)) ?? 0) < SILENT_DOMAIN_MAX;
  }
}

function kindOf({ domain, past, isSecond }: Question): string {
  return `${past} ${isSecond} ${domain}`;
}

/** What is served together, as a rule: all but the first label; a name of two labels is its own. */
function domainOf(host: string): string {
  const parent = host.slice(host.indexOf('.') + 1);
  return parent.includes('.') || parent === host ? parent : host;
}
