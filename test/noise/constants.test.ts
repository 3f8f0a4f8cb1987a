import { expect, it } from 'vitest';
import * as constants from '../../src/noise/constants.ts';

it('are the whitepaper’s, section 6.1, and Linux’s where that is silent', () => {
  expect({ ...constants }).toEqual({
    REKEY_AFTER_TIME_MS: 120_000,
    REJECT_AFTER_TIME_MS: 180_000,
    REKEY_ATTEMPT_TIME_MS: 90_000,
    REKEY_TIMEOUT_MS: 5_000,
    REKEY_TIMEOUT_JITTER_MAX_MS: 334,
    KEEPALIVE_TIMEOUT_MS: 10_000,
    MAX_TIMER_HANDSHAKES: 18,
    COOKIE_REFRESH_TIME_MS: 120_000,
    COOKIE_SECRET_LATENCY_MS: 5_000,
    INITIATIONS_PER_SECOND: 50,
    // Lower than the whitepaper's: see there.
    REKEY_AFTER_MESSAGES: 562_949_953_421_312,
    REJECT_AFTER_MESSAGES: 9_007_199_254_732_799,
  });
});

it('the message limits are stricter than the whitepaper’s and exact as numbers', () => {
  expect(BigInt(constants.REKEY_AFTER_MESSAGES)).toBeLessThan(2n ** 60n);
  expect(BigInt(constants.REJECT_AFTER_MESSAGES)).toBeLessThan(2n ** 64n - 2n ** 13n - 1n);
  expect(constants.REKEY_AFTER_MESSAGES).toBeLessThan(constants.REJECT_AFTER_MESSAGES);
  expect(Number.isSafeInteger(constants.REJECT_AFTER_MESSAGES + 2 ** 13)).toBe(true);
});
