/** What `npm run examples` prints last: a line for each example with its seconds, then the counts. */

import { basename } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

const MS_PER_S = 1000;
const NAME_WIDTH = 26;

export default class ExamplesReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    let passed = 0;
    let failed = 0;
    let skipped = 0;
    let isWhole = true;
    for (const module of modules) {
      const states = [...module.children.allTests()].map((test) => test.result().state);
      const count = (state: string): number => states.filter((one) => one === state).length;
      passed += count('passed');
      failed += count('failed');
      skipped += count('skipped');
      // A file that cannot be loaded has no tests.
      if (module.state() === 'failed') isWhole = false;
      const name = basename(module.moduleId, '.test.ts').padEnd(NAME_WIDTH);
      const seconds = (module.diagnostic().duration / MS_PER_S).toFixed(1).padStart(6);
      console.log(`${module.state().padEnd(8)}${name} ${seconds} s  ${count('passed')} checks`);
    }
    const counts = `${passed} passed, ${failed} failed, ${skipped} skipped`;
    console.log(`examples: ${modules.length} files, ${counts}${isWhole ? '' : ': FAILED'}`);
  }
}
