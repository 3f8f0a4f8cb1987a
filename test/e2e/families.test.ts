import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Lab } from '../lab/lab.ts';
import { ping } from '../lab/probes.ts';
import { describeOnBothPaths } from '../lab/suite.ts';
import { transfer } from '../lab/transfer.ts';
import { buildPair, INNER, type Pair } from '../lab/tunnel.ts';

const FILE_BYTES = 4_000_000;
/** Below, at and above what one tunnel packet takes, up to what IPv4 can fragment. */
const PING_SIZES = [0, 1, 15, 16, 1300, 1372, 1392, 1473, 9000, 65_000];

describeOnBothPaths('families', ['wg'], (env) => {
  for (const outer of [4, 6] as const) {
    describe(`over IPv${outer}`, () => {
      let lab: Lab;
      let pair: Pair;
      beforeAll(async () => {
        lab = await Lab.open({ env });
        pair = await buildPair(lab, { outer });
      });
      afterAll(() => lab.close());

      for (const inner of [4, 6] as const) {
        it(`carries IPv${inner} packets of every size`, async () => {
          for (const size of PING_SIZES) {
            const report = await ping(pair.left.host, INNER[inner][1], { size });
            expect(report.received, `${size} bytes: ${report.text}`).toBe(1);
          }
        });

        it(`carries TCP over IPv${inner} unharmed in both directions`, async () => {
          const { left, right } = pair;
          const there = await transfer(left.host, right.host, INNER[inner][0], FILE_BYTES);
          expect(there.receivedDigest).toBe(there.sentDigest);
          const back = await transfer(right.host, left.host, INNER[inner][1], FILE_BYTES);
          expect(back.receivedDigest).toBe(back.sentDigest);
        });
      }

      it('goes where the endpoint says', async () => {
        const [left, right] =
          outer === 4 ? ['192.0.2.1', '192.0.2.2'] : ['2001:db8::1', '2001:db8::2'];
        expect((await pair.left.peerDump()).endpoint).toContain(right);
        expect((await pair.right.peerDump()).endpoint).toContain(left);
      });
    });
  }
});
