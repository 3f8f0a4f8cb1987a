/** README's two sites, set up by copying its commands, and what it shows of mistakes. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { buildHandbook } from '../lab/handbook.ts';
import { ping } from '../lab/probes.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';

/** The indented blocks of a section of README, in their order. */
function blocksOf(section: string): string[] {
  const text = readFileSync(path.join(REPOSITORY, 'README.md'), 'utf8');
  const [, body] = text.split(`\n## ${section}\n`);
  const [own] = body!.split('\n## ');
  const blocks = [...own!.matchAll(/(?<=\n\n)(?: {4}.*\n+)+/g)];
  return blocks.map(([block]) => block.replaceAll(/^ {4}/gm, '').trimEnd());
}

/** Of a block that shows a terminal: what is typed, and what is answered. */
function dialogue(block: string): { typed: string; answer: string } {
  const [, typed, answer] = /^# (.*)\n([\s\S]*)$/.exec(block)!;
  return { typed: typed!, answer: `${answer}\n` };
}

describeInLab("README's commands", [], () => {
  it('set up two sites that reach each other, and are answered as it shows', () =>
    withLab({}, async (lab) => {
      const { siteA, siteB } = await buildHandbook(lab);
      const gateways = [siteA.gateway, siteB.gateway];
      const [keys, ...commands] = blocksOf('Two sites');
      const [keyOfA, keyOfB] = await Promise.all(
        gateways.map((one) => one.run('sh', ['-euc', keys!])),
      );
      await siteA.gateway.writeFile('/etc/wg/site-b.pub', keyOfB!);
      await siteB.gateway.writeFile('/etc/wg/site-a.pub', keyOfA!);
      for (const [at, gateway] of gateways.entries()) {
        const answer = await gateway.exec('sh', ['-euc', commands[at]!]);
        expect(answer).toMatchObject({ status: 0, stderr: '' });
      }
      const there = await ping(siteA.host, siteB.hostAddress, { count: 3 });
      expect(there.received, there.text).toBe(3);

      // Numbers and keys are others each time, lines and words are not.
      const shape = (text: string) => text.replaceAll(/[\w+/]{43}=|\d+/g, '#');
      const shown = dialogue(commands[2]!);
      expect(shape(await siteA.gateway.run('sh', ['-euc', shown.typed]))).toBe(shape(shown.answer));

      const mistake = dialogue(blocksOf('When it does not work').at(-1)!);
      expect(await siteA.gateway.exec('sh', ['-euc', mistake.typed])).toEqual({
        status: 1,
        stdout: '',
        stderr: mistake.answer,
      });
    }));
});
