/**
 * Boots with one bad line in the file, in each way in which a line can be bad: the healthy peer
 * loses nothing, systemd says what is missing, and it is carried out as soon as it can be.
 */

import { waitFor } from '../lab/command.ts';
import type { Checks } from './checks.ts';
import { PING_INTERVAL_MS, Pings } from './pings.ts';
import { BOX, FILE, OTHER_KEY, type Site, whileBooted } from './site.ts';

interface BrokenFile {
  readonly what: string;
  /** Behind the lines of the healthy tunnel, and before one more good one. */
  readonly line: string;
  /** What is said of it. */
  readonly trouble: RegExp;
  /** Makes it good from outside, or by another line in its place. */
  readonly repair: string | ((site: Site) => Promise<unknown>);
  /** Once it is, this says so. */
  readonly evidence: readonly [command: string, output: RegExp];
  /** How /proc/sys can be written to, for systemd-nspawn. */
  readonly env?: Readonly<Record<string, string>>;
}

const OTHER = `wgpeer ${OTHER_KEY} wgaip 10.99.0.3/32`;
const IN_WG: readonly [string, RegExp] = ['tswg wg0', new RegExp(`wgpeer ${literally(OTHER_KEY)}`)];

const BROKEN: readonly BrokenFile[] = [
  {
    what: 'a typo',
    line: 'wgpotr 51820',
    trouble: /hostname\.wg0:4: wgpotr: unknown word; did you mean wgport\?/,
    repair: 'wgport 51820',
    evidence: ['tswg wg0', /wgport 51820/],
  },
  {
    what: 'a command that fails',
    line: '!test -e /run/later && touch /run/done',
    trouble: /hostname\.wg0:4: !test -e \/run\/later && touch \/run\/done: exit code 1/,
    repair: ({ machine }) => machine.run('touch /run/later'),
    evidence: ['ls /run/done', /done/],
  },
  {
    what: 'a kernel parameter where /proc/sys is read-only',
    line: '![ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || echo 1 >/proc/sys/net/ipv4/ip_forward',
    trouble: /hostname\.wg0:4: !\[ .*: exit code \d/,
    repair: ({ box }) => box.forward(),
    evidence: ['cat /proc/sys/net/ipv4/ip_forward', /^1$/m],
    env: { SYSTEMD_NSPAWN_API_VFS_WRITABLE: 'no' },
  },
  {
    what: 'a key file that comes later',
    line: `${OTHER} wgpskfile /etc/wg/later.psk`,
    trouble: /hostname\.wg0:4: wgpskfile: \/etc\/wg\/later\.psk: there is no such file/,
    repair: ({ machine }) =>
      machine.run('(umask 077; tswg genpsk >/etc/wg/.psk && mv /etc/wg/.psk /etc/wg/later.psk)'),
    evidence: ['tswg wg0', /wgpsk \(present\)/],
  },
  {
    what: 'a bad key of a peer among good ones',
    line: 'wgpeer PUBLIC_KEY_OF_SITE_B wgaip 10.99.0.3/32',
    trouble: /hostname\.wg0:4: wgpeer: .*expected a key of 44 base64 characters/,
    repair: OTHER,
    evidence: IN_WG,
  },
];
/** Long enough for five tries. */
const OBSERVED_PINGS = 20_000 / PING_INTERVAL_MS;
/** The daemon asks again after a while, and less and less often. */
const NAME_MS = 120_000;
const WHOLE_UNITS = 'tswg@wg0.service tswg-config@wg0.service';

export async function bootBrokenFiles(site: Site, checks: Checks): Promise<void> {
  for (const broken of BROKEN) {
    checks.begin(broken.what);
    await bootOne(broken, site, checks);
  }
  await bootUnresolved(site, checks);
}

/** A name is no line that is missing: the daemon keeps it, and looks it up until it resolves. */
async function bootUnresolved(site: Site, checks: Checks): Promise<void> {
  checks.begin('a name that does not resolve yet');
  const { machine, peer, lines } = site;
  await machine.writeFile(FILE, `${lines}${OTHER} wgendpoint later.example 51820\n`);
  const pings = new Pings(peer, BOX);
  await whileBooted(site, checks, async () => {
    await waitFor(() => pings.answered > OBSERVED_PINGS, 'pings of the healthy peer', 60_000);
    checks.show('systemctl status', await machine.status());
    checks.show('journal', await machine.journal());
    const { stdout } = await machine.sh('systemctl is-active tswg-config@wg0');
    checks.matches('every line has been carried out', stdout, /^inactive$/m);
    const journal = await machine.journal();
    const told = journal.split('\n').filter((line) => line.includes('ERROR'));
    checks.that('the journal has one error', told.length === 1, journal);
    checks.matches('which names the name', told.join('\n'), /later\.example cannot be looked up/);
    const shown = await machine.run('tswg wg0');
    checks.show('tswg wg0', shown);
    checks.matches('so does tswg', shown, /later\.example/);
    await machine.run('echo 192.0.2.9 later.example >>/etc/hosts');
    const isFound = async () => (await machine.run('tswg wg0')).includes('192.0.2.9');
    await waitFor(isFound, 'the address of later.example', NAME_MS);
    const { sent, lost } = await pings.stop();
    checks.that(`the healthy peer lost none of ${sent} pings`, lost === 0, `${lost} lost`);
    checks.note(`${lost} of ${sent} pings lost`);
  });
}

async function bootOne(broken: BrokenFile, site: Site, checks: Checks): Promise<void> {
  const { machine, peer, lines } = site;
  const fileWith = (line: string) => `${lines}${line}\n!touch /run/last\n`;
  await machine.writeFile(FILE, fileWith(broken.line));
  const pings = new Pings(peer, BOX);
  await machine.boot(broken.env);
  try {
    await waitFor(() => pings.answered > OBSERVED_PINGS, 'pings of the healthy peer', 60_000);
    await expectMissing(broken, site, checks);
    await tellCost(site, checks);
    if (typeof broken.repair === 'string') {
      await machine.writeFile(FILE, fileWith(broken.repair));
    } else await broken.repair(site);
    await expectWhole(broken, site, checks);
    const { sent, lost } = await pings.stop();
    checks.that(`the healthy peer lost none of ${sent} pings`, lost === 0, `${lost} lost`);
    checks.note(`${lost} of ${sent} pings lost`);
  } finally {
    await machine.powerOff();
  }
}

/** How it stands while the line is bad. */
async function expectMissing(broken: BrokenFile, { machine }: Site, checks: Checks) {
  const { stdout: status } = await machine.sh(
    `systemctl --no-pager --lines=0 --full status ${WHOLE_UNITS}`,
  );
  const journal = await machine.run('journalctl --boot --no-pager --output=cat -u "tswg*"');
  checks.show('systemctl status', status.replaceAll(/^ *(Docs|Process|Loaded):.*\n/gm, ''));
  checks.matches('the tunnel runs', status, /tswg@wg0[^●]*Active: active \(running\)/);
  checks.matches(
    'the rest is waited for',
    status,
    /tswg-config@wg0[^●]*Active: active \(running\)/,
  );
  const said = new RegExp(`Status: "Not carried out: 1; ${broken.trouble.source}`);
  checks.matches('STATUS says why', status, said);
  const told = journal.split('\n').filter((line) => broken.trouble.test(line));
  checks.that('the journal has it in one line', told.length === 1, journal);
  const { stdout } = await machine.sh('ls /run/last');
  checks.matches('the line after it was carried out', stdout, /last/);
  const errors = await machine.run('journalctl --boot --no-pager --priority=err -u "tswg*"');
  checks.matches('it is of the priority of an error', errors, broken.trouble);
}

async function expectWhole(broken: BrokenFile, { machine }: Site, checks: Checks) {
  const isDone = async () => {
    const { stdout } = await machine.sh('systemctl is-active tswg-config@wg0 || :');
    return stdout.trim() === 'inactive';
  };
  await waitFor(isDone, 'the end of tswg-config@wg0', 90_000);
  const [command, output] = broken.evidence;
  checks.matches(`made good: ${command}`, await machine.run(command), output);
  const journal = await machine.run('journalctl --boot --no-pager --output=cat -u "tswg*"');
  checks.show('journal', journal);
  checks.matches('the journal says so', journal, /wg0: every line has been carried out/);
}

/** What the bad line takes of the machine, for the reader. */
async function tellCost({ machine }: Site, checks: Checks): Promise<void> {
  const since = 'systemctl show -P ActiveEnterTimestamp tswg-config@wg0';
  const cost = await machine.run(`
    echo "since $(${since}), now $(date +%T)"
    echo "$(journalctl --boot --output=cat --no-pager -u "tswg*" | wc -l) lines in the journal"
    echo "$(($(systemctl show -P CPUUsageNSec tswg-config@wg0) / 1000000)) ms of CPU by tswg-config@wg0"
    grep VmRSS /proc/$(systemctl show -P MainPID tswg-config@wg0)/status`);
  checks.show('cost', cost);
}

function literally(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}
