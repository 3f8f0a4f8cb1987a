/**
 * A program of the lab, run as `node asker.js PROGRAM` on a host: what a daemon has for names and
 * nothing else of it, a starter and its resolver, the latter in `tswgd` or in the PROGRAM that is
 * given. Each line of its standard input is a name to be looked up; it prints
 *
 *     answer MS NAME ADDRESSES|ERROR    ms since it was asked for the first time
 *     note LINE                         what an operator would be told
 *     stats JSON                        for an empty line
 */

import { createInterface } from 'node:readline';
import { Names } from '../../src/daemon/names.ts';
import { Starter } from '../../src/handover/starter.ts';
import { successorEnvironment } from '../../src/host/launch.ts';
import { formatAddress } from '../../src/packet/address.ts';

const [program] = process.argv.slice(2);
const begun = new Map<string, number>();
const names = new Names({
  startResolver: () => starter.resolve(),
  reapResolver: () => starter.reapResolver(),
  onAnswer: (host, { addresses, error }) => {
    const ms = (performance.now() - begun.get(host)!).toFixed(0);
    begun.delete(host);
    console.log(`answer ${ms} ${host} ${error ?? addresses!.map(formatAddress).join(' ')}`);
  },
  onNote: (line) => console.log(`note ${line}`),
  onBug: (error) => console.log(`bug ${(error as Error).stack}`),
});
const starter = new Starter({
  command: [process.execPath, program, 'wg0'],
  env: { ...successorEnvironment(process.env) },
  onCall: (channel) => channel.close(),
  onResolver: names.connect,
  onBug: (error) => console.log(`bug ${(error as Error).stack}`),
});

names.begin();
createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (line === '') {
      const { steps, outcomes } = names;
      const maps = [steps, outcomes].map((map) => Object.fromEntries(map));
      console.log(`stats ${JSON.stringify([names.state?.text, ...maps, names.troubles()])}`);
      return;
    }
    if (!begun.has(line)) begun.set(line, performance.now());
    names.lookUp(line);
  })
  .on('close', () => {
    names.stop();
    starter.close(false);
    setTimeout(() => process.exit(), 100);
  });
console.log('ready');
