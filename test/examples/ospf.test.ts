import { expect, it } from 'vitest';
import { withLab } from '../lab/suite.ts';
import { describeExample } from './example.ts';
import {
  buildThreeSites,
  expectAllReached,
  expectHealthyTunnels,
  expectMovesWhenCut,
  expectNothingInTheClear,
} from './threesites.ts';

describeExample('ospf', ['nft', 'stdbuf', 'bird'], (example) => {
  it('finds both ways between three sites, and takes the other when one is cut', () =>
    withLab({}, async (lab) => {
      const all = await buildThreeSites(lab, example);
      await expectAllReached(all);
      await expectHealthyTunnels(all);
      await expectMovesWhenCut('OSPF', all);
      await expectNothingInTheClear(all);
    }));

  it('has one bird.conf for all sites', () => {
    const [a, b, c] = ['site-a', 'site-b', 'site-c'].map((site) =>
      example.text(site, 'bird/bird.conf'),
    );
    expect(b).toBe(a);
    expect(c).toBe(a);
  });
});
