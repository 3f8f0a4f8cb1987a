/** All records, in the order of the causes. */

import { healthy } from '../healthy.ts';
import { CONTACT } from './contact.ts';
import { MADE_RECORDS } from './made.ts';
import { PASSING } from './passing.ts';
import { type Recorded, well } from './record.ts';
import { WAYS } from './ways.ts';
import { WORKING } from './working.ts';

export const RECORDS: readonly Recorded[] = [
  well('plain', healthy()),
  ...MADE_RECORDS,
  ...CONTACT,
  ...WAYS,
  ...PASSING,
  ...WORKING,
];
