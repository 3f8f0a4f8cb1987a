/**
 * Many peers that call at once: all of them come up, each with its first call. How fast is the
 * benchmark's (its row `callers` has 10,000 of them).
 */

import { expect, it } from 'vitest';
import { callWithin } from '../bench/callers.ts';
import { TSWG } from '../bench/implementation.ts';
import { describeInLab } from '../lab/suite.ts';

const CALLERS = 300;
/** As 10,000 in a minute. */
const WINDOW_S = 1.8;

describeInLab('peers that call within a while', ['wg'], () => {
  it('come up, all of them, though they are behind one address', async () => {
    const { answered, up, cookies } = await callWithin(TSWG, CALLERS, WINDOW_S);
    expect({ answered, up }).toEqual({ answered: CALLERS, up: CALLERS });
    expect(cookies, 'asked for without load').toBe(0);
  });
});
