/** A few of the cases of `npm run doctortest`, which tries them all. */

import { expect, it } from 'vitest';
import { describeInLab, withLab } from '../lab/suite.ts';
import { CASES } from './table.ts';
import { tryCase } from './trial.ts';

const SAMPLE = [
  ...['healthy/plain', 'noPrivateKey', 'portTaken', 'presharedKeyOneSided/there'],
  ...['nothingListens/port', 'forbiddenHere/counted', 'routingLoop/route'],
];

describeInLab('doctor is asked about a tunnel', ['nft'], () => {
  it.concurrent.each(SAMPLE)('that is broken: %s', (id) =>
    withLab({}, async (lab) => {
      const one = CASES.find((each) => each.id === id)!;
      const { fault } = await tryCase(lab, one, null);
      expect(fault).toBeNull();
    }),
  );
});
