/**
 * Programs where no unit finds them by itself: as nvm lays them out, in root's home and with a Node.js
 * of its own there, and no package of Debian's. `tswg netstart --install` makes a service of them.
 */

import { waitFor } from '../lab/command.ts';
import type { Checks } from './checks.ts';
import { Pings } from './pings.ts';
import { BOX, FILE, KEY_FILE, type Site, whileBooted } from './site.ts';

const NVM = '/root/.nvm/versions/node/v20.19.2';

/** As `npm install -g` of a tarball does it: a package, and links to its programs. */
const LAY_OUT = `
mkdir -p ${NVM}/bin ${NVM}/lib/node_modules/tswg
cp "$(readlink -f /usr/bin/node)" ${NVM}/bin/node
cp -r /root/stage/. ${NVM}/lib/node_modules/tswg
ln -sf ../lib/node_modules/tswg/bin/tswg ../lib/node_modules/tswg/bin/tswgd ${NVM}/bin
mv /usr/bin/node /usr/bin/node.hidden`;

export async function installByHand(site: Site, checks: Checks): Promise<void> {
  const { machine, peer, lines } = site;
  checks.begin('netstart --install, of an nvm in root’s home');
  await machine.writeFile(KEY_FILE, `${site.privateKey}\n`);
  await machine.writeFile(FILE, `${lines}!tswg --version >/run/found\n`);
  await machine.copyStage();
  await whileBooted(site, checks, async () => {
    const nvm = `PATH=${NVM}/bin:$PATH`;
    await machine.packageCommand('purge', 'tswg');
    await machine.run(LAY_OUT);
    const { status, stdout, stderr } = await machine.sh(`${nvm} tswg netstart --install wg0`);
    checks.show('tswg netstart --install wg0', stdout + stderr);
    checks.that('it succeeds, without a warning', status === 0 && stderr === '', stderr);
    const before = await machine.sh('systemctl is-enabled tswg@wg0 || :; pidof tswgd || :');
    checks.that(
      'nothing is enabled or started',
      !/^(enabled|\d+)$/m.test(before.stdout),
      before.stdout,
    );
    await machine.run('systemctl enable --now tswg@wg0');
    const pings = new Pings(peer, BOX);
    await waitFor(() => pings.answered > 10, 'pings', 60_000);
    checks.show('systemctl status', await machine.status());
    checks.show('journal', await machine.journal());
    checks.matches(
      'a command of the file finds tswg',
      await machine.run('cat /run/found'),
      /^tswg \d/,
    );
    await machine.run('systemctl reload tswg@wg0');
    const upgraded = await machine.run(`${nvm} tswg wg0 upgrade`);
    checks.matches('it is upgraded in place', upgraded, /now served by tswgd/);
    const { sent, lost } = await pings.stop();
    checks.note(`${lost} of ${sent} pings lost`);
    const errors = await machine.run(
      'journalctl --boot --no-pager --priority=err -u "tswg*" --output=cat',
    );
    checks.that('no error in the journal', !/tswg|ERROR/.test(errors), errors);
  });
}
