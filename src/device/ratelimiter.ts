/**
 * Handshake messages a source may cost us while we are under load: a token bucket an IPv4
 * address or IPv6 /64, 20 a second with a burst of 5 (whitepaper 5.3; Linux ratelimiter.c).
 * The table is bounded: when it is full of live buckets, newcomers are refused, since a source
 * that got here has proved by its cookie that it receives at its address.
 */

export const PACKETS_PER_SECOND = 20;
export const BURST_PACKETS = 5;
const MAX_ENTRIES = 8_192;

const COST_MS = 1_000 / PACKETS_PER_SECOND;
const FULL_MS = BURST_PACKETS * COST_MS;

interface Bucket {
  tokensMs: number;
  updatedAt: number;
}

export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();
  #cleanAt = Number.POSITIVE_INFINITY;

  /** Whether one more message from this address (4 or 16 bytes) may be handled at `now` (ms). */
  allow(address: Uint8Array, now: number): boolean {
    if (now >= this.#cleanAt) this.#clean(now);
    const key = sourceKey(address);
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      if (this.#buckets.size >= MAX_ENTRIES) this.#clean(now);
      if (this.#buckets.size >= MAX_ENTRIES) return false;
      this.#buckets.set(key, { tokensMs: FULL_MS - COST_MS, updatedAt: now });
      if (this.#cleanAt === Number.POSITIVE_INFINITY) this.#cleanAt = now + 1_000;
      return true;
    }
    bucket.tokensMs = Math.min(FULL_MS, bucket.tokensMs + now - bucket.updatedAt);
    bucket.updatedAt = now;
    if (bucket.tokensMs < COST_MS) return false;
    bucket.tokensMs -= COST_MS;
    return true;
  }

  /** Sources remembered now. */
  get size(): number {
    return this.#buckets.size;
  }

  /** A source that has been silent until its bucket filled up again needs no entry. */
  #clean(now: number): void {
    for (const [key, bucket] of this.#buckets)
      if (bucket.tokensMs + now - bucket.updatedAt >= FULL_MS) this.#buckets.delete(key);
    this.#cleanAt = this.#buckets.size > 0 ? now + 1_000 : Number.POSITIVE_INFINITY;
  }
}

function sourceKey(address: Uint8Array): string {
  return String.fromCharCode(...(address.length === 4 ? address : address.subarray(0, 8)));
}
