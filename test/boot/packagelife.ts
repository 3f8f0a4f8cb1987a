/**
 * The package in its operator's hands: upgraded under a running tunnel, removed, installed again,
 * purged. What it does not own, another's interface and the operator's files, stays.
 */

import { waitFor } from '../lab/command.ts';
import type { Checks } from './checks.ts';
import { NEXT_VERSION } from './packages.ts';
import { Pings } from './pings.ts';
import { BOX, FILE, KEY_FILE, type Site, whileBooted } from './site.ts';

/** Made by somebody else, with an address, as a VPN of another kind would be. */
const OTHERS = 'other0';

export async function livePackage(site: Site, checks: Checks): Promise<void> {
  const { machine, peer, lines } = site;
  await machine.writeFile(KEY_FILE, `${site.privateKey}\n`);
  await machine.writeFile(FILE, lines);
  await whileBooted(site, checks, async () => {
    await machine.run(
      `ip tuntap add ${OTHERS} mode tun; ip address add 198.51.100.1/32 dev ${OTHERS}`,
    );
    const pings = new Pings(peer, BOX);
    await waitFor(() => pings.answered > 20, 'pings', 60_000);
    await upgrade(site, pings, checks);
    await killSuccessor(site, checks);
    await remove(site, checks);
    await installAgain(site, checks);
    await purge(site, checks);
  });
}

async function upgrade({ machine, packages }: Site, pings: Pings, checks: Checks): Promise<void> {
  checks.begin('the package is upgraded under a running tunnel');
  const before = (await machine.run('pidof tswgd')).trim();
  const sessions = await machine.run('tswg wg0 events | grep -c "session" || :');
  const begunMs = performance.now();
  const { status, stdout, stderr } = await machine.install(packages.next);
  checks.note(`${((performance.now() - begunMs) / 1000).toFixed(1)} s`);
  checks.show('what apt says', readable(stdout) + stderr);
  checks.that('it succeeds', status === 0, stdout + stderr);
  const answered = pings.answered;
  await waitFor(() => pings.answered > answered + 20, 'pings after the upgrade', 60_000);
  const escaped = NEXT_VERSION.replaceAll(/[.+]/g, '\\$&');
  checks.matches(
    'apt says who serves it',
    stdout,
    new RegExp(`wg0: now served by tswgd ${escaped}`),
  );
  checks.matches(
    'the new version serves it',
    await machine.run('tswg wg0 stats'),
    new RegExp(escaped),
  );
  const after = (await machine.run('pidof tswgd')).trim();
  checks.that('by another process', after !== '' && after !== before, `${before} ${after}`);
  const main = (await machine.run('systemctl show -P MainPID tswg@wg0')).trim();
  checks.that('which is the service’s', main === after, `${main} ${after}`);
  const restarts = (await machine.run('systemctl show -P NRestarts tswg@wg0')).trim();
  checks.that('it was not started again', restarts === '0', restarts);
  checks.that(
    'no further handshake was made',
    (await machine.run('tswg wg0 events | grep -c "session" || :')) === sessions,
    await machine.run('tswg wg0 events'),
  );
  const { sent, lost } = await pings.stop();
  checks.note(`${lost} of ${sent} pings lost`);
  checks.that('at most one ping was lost', lost <= 1, `${lost} of ${sent}`);
  checks.show('systemctl status', await machine.status());
  checks.show('journal', await machine.journal());
  const errors = await machine.run(
    'journalctl --boot --no-pager --priority=err -u "tswg*" --output=cat',
  );
  checks.that('no error in the journal', !/tswg|ERROR/.test(errors), errors);
}

/** systemd says of a successor that its end may not be noticed. */
async function killSuccessor({ machine, peer }: Site, checks: Checks): Promise<void> {
  checks.begin('kill -9 of the new version');
  const pid = (await machine.run('pidof tswgd')).trim();
  const pings = new Pings(peer, BOX);
  await waitFor(() => pings.answered > 10, 'pings', 20_000);
  await machine.run(`kill -9 ${pid}`);
  const answered = pings.answered;
  await waitFor(() => pings.answered > answered + 20, 'pings after the restart', 60_000);
  const { sent, lost } = await pings.stop();
  checks.note(`${lost} of ${sent} pings lost`);
  const main = (await machine.run('systemctl show -P MainPID tswg@wg0')).trim();
  checks.that('systemd has started another', main !== pid && main !== '0', `${pid} ${main}`);
}

async function remove({ machine, peer }: Site, checks: Checks): Promise<void> {
  checks.begin('the package is removed');
  // A tunnel that no service has, and one that has outlived its daemon.
  await machine.run(
    `tswg wg7 create
    tswgd --persist wg8
    tswg wg8 wgport 4444
    until [ -s /var/lib/tswg/wg8/state ]; do sleep 0.1; done
    kill -9 $(pgrep -f "^tswgd wg8")`,
  );
  const own = await machine.run('tswg wg7 stats');
  checks.matches('no daemon has an io_uring, by hand', own, /sandbox seccomp: all threads$/m);
  const { status, stdout, stderr } = await machine.packageCommand('remove', 'tswg');
  checks.show('what apt says', readable(stdout) + stderr);
  checks.that('it succeeds', status === 0, stdout + stderr);
  const links = await machine.run('ip -brief link');
  checks.that('no interface of ours is left', !/wg\d/.test(links), links);
  checks.matches('another’s is', links, new RegExp(`^${OTHERS}`, 'm'));
  const left = await machine.run(
    'pidof tswgd || :; ls -A /run/wireguard /run/tswg /usr/lib/tswg 2>&1 || :',
  );
  checks.that('no daemon and no socket is left', !/^\d|\.sock|\.observe/m.test(left), left);
  const kept = await machine.run(`ls ${FILE} ${KEY_FILE}; systemctl is-enabled tswg@wg0 2>&1 || :`);
  checks.that('the operator’s files are', kept.includes(FILE) && kept.includes(KEY_FILE), kept);
  const { stdout: failed } = await machine.sh('systemctl --failed --no-legend --plain');
  checks.that('systemd has no failed unit of ours', !failed.includes('tswg'), failed);
  checks.show('journal', await machine.journal());
  checks.that('the other end is not answered', !(await answers(peer)), 'answered');
}

async function installAgain({ machine, peer, packages }: Site, checks: Checks): Promise<void> {
  checks.begin('it is installed again, and started by one command');
  const begunMs = performance.now();
  const { status, stdout, stderr } = await machine.install(packages.current);
  checks.note(`${((performance.now() - begunMs) / 1000).toFixed(1)} s`);
  checks.show('what apt says', readable(stdout) + stderr);
  checks.that('it succeeds', status === 0, stdout + stderr);
  checks.that('nothing runs by itself', (await machine.sh('pidof tswgd')).status !== 0, stdout);
  await machine.run('systemctl enable --now tswg@wg0');
  const pings = new Pings(peer, BOX);
  await waitFor(() => pings.answered > 10, 'pings', 60_000);
  await pings.stop();
  const stats = await machine.run('tswg wg0 stats');
  const [, crypto = 'none'] = /^\s*crypto.*?: (.*)$/m.exec(stats) ?? [];
  checks.note(`node ${(await machine.run('node --version')).trim()}, crypto: ${crypto}`);
  checks.matches('OpenSSL is used', crypto, /openssl/i);
  const libraries = await machine.run(
    'cat /proc/$(pidof tswgd)/maps | grep -Eo "lib(uv|crypto)[^/]*$" | sort -u',
  );
  checks.show('libraries of the daemon', libraries);
  const ids = await machine.run('ps -o user=,group= -p $(pidof tswgd)');
  checks.matches('the daemon is _tswg, and not in the observers’ group', ids, /^_tswg +nogroup/);
  checks.matches(
    'who may observe',
    await machine.run('ls -l /run/tswg'),
    /root +_tswg .*wg0\.observe/,
  );
  checks.matches('bash completes it', await machine.run(COMPLETE), /wgpeer/);
}

/** As a shell does that a key was pressed in. */
const COMPLETE = `bash -c '
  . /usr/share/bash-completion/completions/tswg
  complete -p tswg >/dev/null
  tswg --complete wg0 wgp'`;

async function purge({ machine }: Site, checks: Checks): Promise<void> {
  checks.begin('the package is purged');
  const { status, stdout, stderr } = await machine.packageCommand('purge', 'tswg');
  checks.show('what apt says', readable(stdout) + stderr);
  checks.that('it succeeds', status === 0, stdout + stderr);
  const traces = await machine.run(
    `find / -xdev \\( -name '*tswg*' -o -lname '*tswg*' \\) -not -path '/proc/*' -not -path '/root/*' \\
       -not -path '/var/log/*' -not -path '/var/lib/systemd/*' 2>/dev/null || :
     ip -brief link | grep wg || :; getent passwd _tswg || :; getent group _tswg || :`,
  );
  checks.that('nothing of it is left', traces.trim() === '', traces);
  const kept = await machine.run(`ls ${FILE} ${KEY_FILE}`);
  checks.that('the operator’s files are', kept.includes(KEY_FILE), kept);
}

/** Without what apt writes over itself on a terminal. */
function readable(text: string): string {
  return text.replaceAll(/\(Reading database \.\.\. (\d+%)?\r?/g, '').replaceAll('\r', '');
}

async function answers(peer: Site['peer']): Promise<boolean> {
  return (await peer.sh(`ping -c 2 -W 1 ${BOX}`)).status === 0;
}
