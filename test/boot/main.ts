/**
 * `npm run boottest`: the units and files of examples/ under a real systemd, as a machine boots. Needs
 * root and systemd-nspawn; takes some five minutes.
 */

import { closeLab, openLab, runCommand } from '../lab/openlabs.ts';
import { unbootable } from './bootedmachine.ts';
import { bootBrokenFiles } from './brokenfiles.ts';
import { Checks } from './checks.ts';
import { liveThroughADay } from './life.ts';
import { buildSite } from './site.ts';

await runCommand('boottest', async (words) => {
  if (words.length > 0) throw new Error(`${words[0]}: expected no arguments`);
  const reason = unbootable();
  if (reason !== null) {
    console.log(`boottest: SKIPPED: ${reason}`);
    return 0;
  }
  const checks = new Checks();
  const lab = await openLab();
  try {
    const site = await buildSite(lab);
    try {
      await bootBrokenFiles(site, checks);
      await liveThroughADay(site, checks);
    } finally {
      await site.machine.close();
    }
  } finally {
    await closeLab(lab);
  }
  console.log(`\nboottest: ${checks.summary}`);
  return checks.failed === 0 ? 0 : 1;
});
