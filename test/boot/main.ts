/**
 * `npm run boottest`: the Debian package under a real systemd, as a machine boots: installed, enabled,
 * rebooted, with a file that is wrong in each way, killed, upgraded, removed. Needs root, and once the
 * network for debootstrap; takes some ten minutes. Leaves all that was seen in dist/boot/report.txt.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { closeLab, openLab, runCommand } from '../lab/openlabs.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { unbootable } from './bootedmachine.ts';
import { bootBrokenFiles } from './brokenfiles.ts';
import { Checks } from './checks.ts';
import { openDebianRoot } from './debianroot.ts';
import { liveThroughADay } from './life.ts';
import { bootMistakes } from './mistakes.ts';
import { installByHand } from './npmlayout.ts';
import { livePackage } from './packagelife.ts';
import { makePackages } from './packages.ts';
import { buildSite, type Site } from './site.ts';

const REPORT = join(REPOSITORY, 'dist', 'boot', 'report.txt');

/** In this order: each finds the machine off and leaves it so. */
const CHAPTERS = {
  files: bootBrokenFiles,
  mistakes: bootMistakes,
  life: liveThroughADay,
  package: livePackage,
  npm: installByHand,
} satisfies Record<string, (site: Site, checks: Checks) => Promise<void>>;
type Chapter = keyof typeof CHAPTERS;

await runCommand('boottest', async (words) => {
  const chapters = words.length > 0 ? words : Object.keys(CHAPTERS);
  const unknown = chapters.find((word) => !(word in CHAPTERS));
  if (unknown !== undefined) {
    throw new Error(`${unknown}: expected some of ${Object.keys(CHAPTERS).join(', ')}, or nothing`);
  }
  const reason = unbootable();
  if (reason !== null) {
    console.log(`boottest: SKIPPED: ${reason}`);
    return 0;
  }
  const checks = new Checks();
  try {
    await run(chapters as Chapter[], checks);
  } finally {
    checks.say(`\n${checks.table}`);
    mkdirSync(dirname(REPORT), { recursive: true });
    writeFileSync(REPORT, checks.report);
  }
  console.log(`\nboottest: ${checks.summary}; all that was seen is in dist/boot/report.txt`);
  return checks.failed === 0 ? 0 : 1;
});

async function run(chapters: readonly Chapter[], checks: Checks): Promise<void> {
  const packages = await makePackages(checks);
  const root = await openDebianRoot();
  checks.note(root.description);
  const lab = await openLab();
  try {
    const site = await buildSite(lab, root, packages);
    try {
      checks.show(
        'dpkg, on a machine that is off',
        await site.machine.installOffline(packages.current),
      );
      for (const chapter of chapters) await CHAPTERS[chapter](site, checks);
    } catch (error) {
      checks.fail(error);
    } finally {
      site.machine.close();
    }
  } finally {
    await closeLab(lab);
  }
}
