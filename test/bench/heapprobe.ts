/**
 * Preloaded into a daemon (`node --import`): on SIGHUP collects all garbage and prints one line,
 * `heap USED rss RESIDENT` in bytes, so that what remains is what the daemon holds on to.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

process.on('SIGHUP', () => {
  collect();
  const { heapUsed, rss } = process.memoryUsage();
  process.stdout.write(`heap ${heapUsed} rss ${rss}\n`);
});
