import { it } from 'vitest';
import { withLab } from '../lab/suite.ts';
import { describeExample } from './example.ts';
import {
  buildThreeSites,
  expectAllReached,
  expectHealthyTunnels,
  expectMovesWhenCut,
  expectNothingInTheClear,
} from './threesites.ts';

describeExample('bgp', ['nft', 'stdbuf', 'bird'], (example) => {
  it('finds both ways between three sites, and takes the other when one is cut', () =>
    withLab({}, async (lab) => {
      const all = await buildThreeSites(lab, example);
      await expectAllReached(all);
      await expectHealthyTunnels(all);
      await expectMovesWhenCut('BGP', all);
      await expectNothingInTheClear(all);
    }));
});
