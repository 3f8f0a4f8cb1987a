/** All records, in the order of the causes. */

import type { Cause } from '../../../src/doctor/cause.ts';
import { ADDRESSES } from '../../../src/doctor/causes/addresses.ts';
import { ALLOWED_IPS } from '../../../src/doctor/causes/allowedips.ts';
import { CAPACITY } from '../../../src/doctor/causes/capacity.ts';
import { CLOCK } from '../../../src/doctor/causes/clock.ts';
import { FILTERING } from '../../../src/doctor/causes/filtering.ts';
import { FORWARDING } from '../../../src/doctor/causes/forwarding.ts';
import { LOAD } from '../../../src/doctor/causes/load.ts';
import { MANAGERS } from '../../../src/doctor/causes/managers.ts';
import { MTU } from '../../../src/doctor/causes/mtu.ts';
import { ROUTES } from '../../../src/doctor/causes/routes.ts';
import { healthy } from '../healthy.ts';
import { PASSING } from './passing.ts';
import { type Recorded, well } from './record.ts';
import { WAYS } from './ways.ts';
import { WORKING } from './working.ts';

export const RECORDS: readonly Recorded[] = [
  well('plain', healthy()),
  ...WAYS,
  ...PASSING,
  ...WORKING,
];

/** The causes of which there has to be a record at least. */
export const RECORDED: readonly Cause[] = [
  ...[...ADDRESSES, ...ROUTES, ...ALLOWED_IPS, ...FORWARDING, ...FILTERING, ...MTU],
  ...[...CLOCK, ...LOAD, ...CAPACITY, ...MANAGERS],
];
