import path from 'node:path';
import { expect, it } from 'vitest';
import { REPOSITORY } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';

/** As doctor does before all else; then what it runs as, and what its programs run as. */
const ASK = `
import(${JSON.stringify(path.join(REPOSITORY, 'dist/src/host/giveway.js'))}).then(({ giveWay }) => {
  giveWay();
  const { execFileSync } = require('child_process');
  const { getPriority } = require('os');
  const { readdirSync, readFileSync } = require('fs');
  const said = (command) => execFileSync('sh', ['-c', command], { encoding: 'utf8' }).trim();
  console.log(JSON.stringify({
    threads: readdirSync('/proc/self/task').map((thread) => getPriority(Number(thread))),
    child: Number(said('nice')),
    group: said('cat /proc/self/autogroup 2>/dev/null || true'),
  }));
});`;

interface Said {
  readonly threads: readonly number[];
  readonly child: number;
  /** `/autogroup-7 nice 10`; empty where the kernel has no such groups. */
  readonly group: string;
}

describeInLab('a program that gives way', [], () => {
  it('does so with all its threads and programs, and changes no session but its own', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('one');
      // Not the first of its session, as under cron; the shell prints its own group, too.
      const script = `node -e "$1"; cat /proc/self/autogroup 2>/dev/null; exit 0`;
      const { stdout } = await host.sh(`set -- "$ASK"; ${script}`, { env: { ASK } });
      const [line, shell = ''] = stdout.trim().split('\n');
      const { threads, child, group } = JSON.parse(line) as Said;
      expect(threads.length).toBeGreaterThan(1);
      expect(new Set([...threads, child])).toEqual(new Set([10]));
      if (shell === '') return;
      expect(group).toMatch(/ nice 10$/);
      expect(shell).toMatch(/ nice 0$/);
    }));
});
