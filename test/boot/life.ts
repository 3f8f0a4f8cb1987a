/**
 * A day of a machine whose file is good: SIGKILL, stop and start, reload, a boot after another, the
 * shipped example, and what the system's own tools call the daemon.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../lab/command.ts';
import { REPOSITORY } from '../lab/repository.ts';
import type { Checks } from './checks.ts';
import { Pings } from './pings.ts';
import { BOX, FILE, type Site } from './site.ts';

const LOST = /no daemon serves it any longer: .*`tswg wg0 destroy` removes it/;

export async function liveThroughADay(site: Site, checks: Checks): Promise<void> {
  const { machine, peer, lines } = site;
  checks.begin('a clean boot');
  await machine.writeFile(FILE, `${lines}!echo run >>/run/commands\n`);
  let pings = new Pings(peer, BOX);
  await machine.boot();
  await waitFor(() => pings.answered > 20, 'pings', 60_000);

  const journal = await machine.run('journalctl --boot --no-pager --output=cat -u "tswg*"');
  checks.that(
    'the journal has nothing but systemd’s lines',
    !/tswgd?: |ERROR/.test(journal),
    journal,
  );
  await expectNames(site, checks);

  checks.begin('reload');
  checks.matches('commands ran once', await machine.run('wc -l </run/commands'), /^1$/m);
  await machine.run('systemctl reload tswg@wg0');
  checks.matches('they run again', await machine.run('wc -l </run/commands'), /^2$/m);
  await machine.writeFile(FILE, `${lines}wgpotr 1\n!echo run >>/run/commands\n`);
  const refused = await machine.sh('systemctl reload tswg@wg0');
  checks.that('one with a mistake fails', refused.status !== 0, refused.stderr);
  checks.matches('and changes nothing', await machine.run('wc -l </run/commands'), /^2$/m);
  await machine.writeFile(FILE, `${lines}!echo run >>/run/commands\n`);
  const { sent, lost } = await pings.stop();
  checks.that(`none of ${sent} pings was lost`, lost === 0, `${lost}`);
  checks.note(`${lost} of ${sent} pings lost`);

  await kill(site, checks);
  await crashAgainAndAgain(site, checks);
  await loseTheDisk(site, checks);
  await stopAndStart(site, checks);

  checks.begin('a boot after another');
  await machine.run('systemctl start tswg@wg0');
  await machine.powerOff();
  pings = new Pings(peer, BOX);
  await machine.boot();
  await waitFor(() => pings.answered > 20, 'pings after the boot', 60_000);
  const errors = await machine.run('journalctl --no-pager --boot --priority=err -u "tswg*"');
  const before = await machine.run('journalctl --no-pager --boot=-1 -u "tswg*" | tail -n 8');
  checks.show('the end of the boot before', before);
  checks.that('its end was none in error', !/ERROR|Failed/.test(before), before);
  checks.that('no error in the journal', !/tswg/.test(errors), errors);
  const { lost: lostSince } = await pings.stop();
  checks.that('no ping is lost once one was answered', lostSince === 0, `${lostSince}`);
  await machine.powerOff();
  await bootExample(site, checks);
}

/** As which the daemon is known. */
async function expectNames({ machine }: Site, checks: Checks): Promise<void> {
  const pid = (await machine.run('systemctl show -P MainPID tswg@wg0')).trim();
  checks.matches('pidof', await machine.run('pidof tswgd'), new RegExp(`^${pid}$`, 'm'));
  checks.matches('ps', await machine.run(`ps -o comm=,args= -p ${pid}`), /^tswgd +tswgd wg0$/m);
  const sockets = await machine.run('ss -uapn sport = :51820');
  checks.matches('ss', sockets, /users:\(\("tswgd",/);
  // Something for the log: a word of the protocol that there is not.
  await machine.sh(`printf 'set=1\\nno_such_word=1\\n\\n' |
    node -e 'process.stdin.pipe(require("net").connect("/run/wireguard/wg0.sock"))'`);
  const errors = await machine.run('journalctl --boot --no-pager --priority=err -u tswg@wg0');
  checks.matches('an error has the priority of one', errors, /ERROR: \(wg0\) .* set refused/);
}

async function kill({ machine, peer }: Site, checks: Checks): Promise<void> {
  checks.begin('kill -9');
  const pings = new Pings(peer, BOX);
  await waitFor(() => pings.answered > 20, 'pings', 20_000);
  const answered = pings.answered;
  await machine.run('kill -9 $(pidof tswgd)');
  await waitFor(() => pings.answered > answered + 20, 'pings after the restart', 60_000);
  const { sent, lost } = await pings.stop();
  checks.note(`${lost} of ${sent} pings of 100 ms lost`);
  const { stdout } = await machine.sh('systemctl is-active tswg@wg0');
  checks.matches('it runs again', stdout, /^(active|activating)$/m);
}

/** A daemon that cannot live is started more and more seldom. */
async function crashAgainAndAgain({ machine }: Site, checks: Checks): Promise<void> {
  checks.begin('a daemon that ends again and again');
  const pauses: number[] = [];
  for (let crash = 1; crash <= 5; crash++) {
    const killed = Number(await machine.run('kill -9 $(pidof tswgd); cut -d" " -f1 /proc/uptime'));
    const started = await waitFor(
      async () => {
        const { stdout } = await machine.sh(
          'systemctl is-active tswg@wg0 && systemctl show -P ExecMainStartTimestampMonotonic tswg@wg0',
        );
        const [state, microseconds] = stdout.split('\n');
        const seconds = Number(microseconds) / 1e6;
        return state === 'active' && seconds > killed ? seconds : null;
      },
      'the next daemon',
      60_000,
    );
    pauses.push(started - killed);
  }
  checks.note(`started after ${pauses.map((one) => one.toFixed(1)).join(' ')} s`);
  checks.that('the last pauses are longer', pauses.at(-1)! > 3, pauses.join(' '));
}

/** The state's file system turns read-only, as a disk with errors does, and is repaired later. */
async function loseTheDisk({ machine, peer }: Site, checks: Checks): Promise<void> {
  checks.begin('a read-only /var/lib/tswg');
  await machine.run(`systemctl stop tswg@wg0
    mount -t tmpfs -o mode=700 tmpfs /var/lib/tswg
    systemctl start tswg@wg0`);
  const state = '/var/lib/tswg/wg0/state';
  await waitFor(async () => (await machine.sh(`test -s ${state}`)).status === 0, 'a state');
  let pings = new Pings(peer, BOX);
  await waitFor(() => pings.answered > 20, 'pings', 20_000);
  await machine.run('mount -o remount,ro /var/lib/tswg; tswg wg0 wgfwmark 7');
  const journal = () =>
    machine.run('journalctl --boot --no-pager --output=cat --priority=err -u tswg@wg0 | tail -n 3');
  const readOnly = /save the state \/var\/lib\/tswg\/wg0\/state: the file system is read-only/;
  await waitFor(async () => readOnly.test(await journal()), 'a line in the journal', 60_000);
  const { sent, lost } = await pings.stop();
  checks.that(`none of ${sent} pings was lost`, lost === 0, `${lost}`);
  const saved = (mark: number) =>
    waitFor(
      async () => (await machine.sh(`grep -x fwmark=${mark} ${state}`)).stdout || null,
      'the next attempt',
      60_000,
    );
  await machine.run('mount -o remount,rw /var/lib/tswg; tswg wg0 wgfwmark 8');
  checks.matches('it is saved again', await saved(8), /^fwmark=8$/m);
  // The unit's own view of its folder is that of its start.
  await machine.run('mount -o remount,ro /var/lib/tswg; systemctl restart tswg@wg0');
  pings = new Pings(peer, BOX);
  await waitFor(() => pings.answered > 20, 'pings after a restart', 60_000);
  await pings.stop();
  const shown = await machine.run(
    'tswg wg0 wgfwmark 9; sleep 2; tswg wg0 stats; systemctl is-active tswg@wg0',
  );
  checks.matches('stats', shown, /sandbox user: [1-9]\d+, .*state: save .*read-only.*\nactive$/ms);
  await machine.run(
    'mount -o remount,rw /var/lib/tswg; systemctl restart tswg@wg0; tswg wg0 wgfwmark 10',
  );
  checks.matches('it is after another restart', await saved(10), /^fwmark=10$/m);
  checks.show('the journal', await journal());
  await machine.run('systemctl stop tswg@wg0; umount /var/lib/tswg; systemctl start tswg@wg0');
}

async function stopAndStart({ machine, peer }: Site, checks: Checks): Promise<void> {
  checks.begin('stop and start');
  await machine.run('systemctl stop tswg@wg0');
  const active = (await machine.sh('systemctl is-active tswg@wg0 tswg-config@wg0')).stdout;
  checks.matches('both units are inactive', active, /^inactive\ninactive$/m);
  for (const words of ['', ' stats', ' up', ' wgport 1', ' upgrade']) {
    const { stderr } = await machine.sh(`tswg wg0${words}`);
    checks.matches(`tswg wg0${words}`, stderr, LOST);
  }
  checks.matches('tswg', (await machine.sh('tswg')).stderr, LOST);
  await machine.run('rm /run/commands; systemctl start tswg@wg0');
  const shown = await machine.run('cat /run/commands; tswg wg0');
  checks.matches('start returns when all is done', shown, /run\n.*wgport 51820.*wgpeer/s);
  const pings = new Pings(peer, BOX);
  await waitFor(() => pings.answered > 20, 'pings after the start', 20_000);
  await pings.stop();
  await machine.run('systemctl stop tswg@wg0; tswg wg0 destroy');
  const left = await machine.run('ls -A /var/lib/tswg /run/wireguard; ip -brief link');
  checks.that('destroy leaves nothing', !/wg0/.test(left), left);
  const none = await machine.sh('tswg wg0');
  checks.matches('it is gone', none.stderr, /^tswg: wg0: no such interface$/m);
}

/** As it is shipped, with the other site's key not known yet. */
async function bootExample({ machine }: Site, checks: Checks): Promise<void> {
  checks.begin('the shipped hostname.wg0, on a machine without a key');
  await machine.writeFile(FILE, readFileSync(join(REPOSITORY, 'examples', 'hostname.wg0'), 'utf8'));
  await machine.discard('/etc/wg');
  await machine.boot({ SYSTEMD_NSPAWN_API_VFS_WRITABLE: 'network' });
  try {
    const made = (await machine.run('tswg pubkey </etc/wg/private.key')).trim();
    const shown = await machine.run('tswg wg0');
    checks.that('the key is made and used', shown.includes(`wgpubkey ${made}`), shown);
    const { stdout } = await machine.sh('systemctl is-active tswg-config@wg0');
    checks.matches('nothing is missing', stdout, /^inactive$/m);
  } finally {
    await machine.powerOff();
  }
}
