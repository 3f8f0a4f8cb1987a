/** All fuzz targets, in the order in which they run. */

import type { Target } from './target.ts';
import { daemonWords } from './targets/daemonwords.ts';
import { frames } from './targets/frames.ts';
import { messages } from './targets/messages.ts';
import { netlink } from './targets/netlink.ts';
import { packets } from './targets/packets.ts';
import { requests } from './targets/requests.ts';
import { responses } from './targets/responses.ts';
import { values } from './targets/values.ts';
import { words } from './targets/words.ts';

export const TARGETS: readonly Target[] = [
  ...[messages, frames, packets, netlink],
  ...[requests, responses, words, daemonWords, values],
];
