/**
 * Boots with a mistake that leaves nothing of the tunnel: what the operator reads, that it is enough to
 * correct the mistake, and that the tunnel then works without a further command.
 */

import { waitFor } from '../lab/command.ts';
import type { Checks } from './checks.ts';
import { Pings } from './pings.ts';
import { BOX, FILE, KEY_FILE, type Site, whileBooted } from './site.ts';

interface OperatorMistake {
  readonly what: string;
  /** Before the boot. */
  readonly make: (site: Site) => Promise<unknown>;
  /** Said in the status of tswg-config@wg0, and in one line of the journal. */
  readonly told: RegExp;
  readonly correct: (site: Site) => Promise<unknown>;
}

const MISTAKES: readonly OperatorMistake[] = [
  {
    what: 'no private key, and one that is made later',
    make: async ({ machine }) => machine.discard(KEY_FILE),
    told: /hostname\.wg0:2: wgkeyfile: \/etc\/wg\/private\.key: there is no such file/,
    correct: ({ machine, privateKey }) => machine.writeFile(KEY_FILE, `${privateKey}\n`),
  },
  {
    what: 'a file that others can read',
    make: ({ machine, lines }) => machine.writeFile(FILE, lines, '644'),
    told: /\/etc\/hostname\.wg0: .*chmod 600/,
    correct: ({ machine }) => machine.run(`chmod 600 ${FILE}`),
  },
];

export async function bootMistakes(site: Site, checks: Checks): Promise<void> {
  for (const one of MISTAKES) {
    checks.begin(one.what);
    await bootOne(one, site, checks);
  }
  await bootWithoutFile(site, checks);
}

async function bootOne(mistake: OperatorMistake, site: Site, checks: Checks): Promise<void> {
  const { machine, peer, lines } = site;
  await machine.writeFile(FILE, lines);
  await mistake.make(site);
  const pings = new Pings(peer, BOX);
  await whileBooted(site, checks, async () => {
    const status = await machine.status();
    const journal = await machine.journal();
    checks.show('systemctl status', status);
    checks.show('journal', journal);
    checks.matches('the daemon runs', status, /tswg@wg0[^●]*Active: active \(running\)/);
    checks.matches(
      'STATUS says why',
      status,
      new RegExp(`Status: "Not carried out.*${mistake.told.source}`),
    );
    const told = journal.split('\n').filter((line) => mistake.told.test(line));
    checks.that('the journal has it in one line', told.length === 1, journal);
    checks.that('no ping was answered', pings.answered === 0, `${pings.answered}`);
    await mistake.correct(site);
    const answered = pings.answered;
    await waitFor(() => pings.answered > answered + 10, 'pings once it is corrected', 90_000);
    const after = await machine.journal();
    checks.show('journal, once it is corrected', after);
    checks.matches('the journal says so', after, /wg0: every line has been carried out/);
    await pings.stop();
  });
}

/** The unit is enabled, and the file is not there, or has another name. */
async function bootWithoutFile(site: Site, checks: Checks): Promise<void> {
  const { machine } = site;
  checks.begin('no file at all');
  await machine.discard(FILE);
  await whileBooted(site, checks, async () => {
    const status = await machine.status();
    const journal = await machine.journal();
    checks.show('systemctl status', status);
    checks.show('journal', journal);
    checks.matches('the status names the file', status, /\/etc\/hostname\.wg0/);
    const { status: code, stderr } = await machine.sh('tswg netstart');
    checks.matches('tswg netstart says where it looked', stderr, /looked for \/etc\/hostname\./);
    checks.that('and fails', code === 1, `${code}`);
  });
}
