/**
 * Names beside what is there already: a session, a state of before a crash or a boot, other lines of a
 * file; and answers that are of no use. With a name server whose answers change. Figures are printed.
 */

import { expect, it } from 'vitest';
import { type Child, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { NameServer, useNameServers } from '../lab/nameserver.ts';
import { firstPing, PingTrain, ping } from '../lab/probes.ts';
import { compiledProgram } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { createKeyPair, type KeyPair, TunnelEnd } from '../lab/tunnel.ts';

const NAME = 'gw.example.net';
const OUTER = '192.0.2.2';
/** Another address of the far end's. */
const OTHER = '192.0.2.77';
const [INNER_NEAR, INNER_FAR] = ['10.9.0.1', '10.9.0.2'];

interface Site {
  readonly host: Host;
  readonly far: TunnelEnd;
  readonly server: NameServer;
  readonly keys: KeyPair;
}

/** Two machines; the near one has a name server, which knows no name, and no tunnel yet. */
async function build(lab: Lab): Promise<Site> {
  const [host, farHost] = await lab.hosts('near', 'far');
  await host.connect('wan', farHost, 'wan');
  await host.configure('wan', '192.0.2.1/24', '2001:db8::1/64');
  await farHost.configure('wan', `${OUTER}/24`, `${OTHER}/24`, '2001:db8::2/64');
  const far = await TunnelEnd.start(farHost, [`${INNER_FAR}/24`]);
  const keys = createKeyPair();
  await far.addPeer({ publicKey: keys.publicKey, allowedIps: [`${INNER_NEAR}/32`] });
  const server = await NameServer.start(host, ['127.0.0.1']);
  await useNameServers(host, ['127.0.0.1']);
  await host.writeFile('/etc/wg/private.key', `${keys.privateKey}\n`);
  return { host, far, server, keys };
}

/** The lines of a file that `netstart` carries out. `endpoint`: the words after wgendpoint. */
function linesOf({ far }: Site, endpoint: string): string {
  return [
    'wgkeyfile /etc/wg/private.key wgport 51820',
    `inet ${INNER_NEAR}/24`,
    `wgpeer ${far.keys.publicKey} wgendpoint ${endpoint} wgaip ${INNER_FAR}/32`,
    'up',
    '',
  ].join('\n');
}

async function netstart(site: Site, endpoint: string, ...options: string[]): Promise<void> {
  await site.host.writeFile('/etc/hostname.wg0', linesOf(site, endpoint));
  const { status, stderr } = await site.host.exec('tswg', ['netstart', ...options, 'wg0']);
  expect([status, stderr]).toEqual([0, '']);
}

/** By tswg's own words. */
function say({ host, far }: Site, endpoint: string): Promise<string> {
  const peer = ['wgpeer', far.keys.publicKey, 'wgendpoint', ...endpoint.split(' ')];
  return host.run('tswg', ['wg0', ...peer]);
}

async function handshakeOf({ far }: Site): Promise<number> {
  return (await far.peerDump()).latestHandshake;
}

async function waitForLine(host: Host, line: string): Promise<void> {
  const isSaid = async () => (await host.run('tswg', ['wg0'])).includes(line);
  await waitFor(isSaid, line).catch(async (error: Error) => {
    throw new Error(`${error.message}\n${await host.run('tswg', ['wg0'])}`);
  });
}

async function resolvers(host: Host): Promise<string[]> {
  return (await host.exec('pgrep', ['-x', 'tswgd-resolver'])).stdout.split('\n').filter(Boolean);
}

function request(host: Host, lines: readonly string[]): Promise<string> {
  const program = compiledProgram('test/lab/uapirequest.ts');
  const socket = '/var/run/wireguard/wg0.sock';
  return host.run('node', [program, socket], { input: `${lines.join('\n')}\n\n` });
}

describeInLab('under a live session', ['wg', 'tswg', 'stdbuf', 'pgrep'], () => {
  it('a name in the place of an address loses nothing, known or not, and moves it when it answers', () =>
    withLab({}, async (lab) => {
      const site = await build(lab);
      const { host, far, server } = site;
      await netstart(site, `${OUTER} 51820`);
      await firstPing(host, INNER_FAR);
      const train = new PingTrain(host, INNER_FAR, 10);
      await waitFor(() => train.received > 20, 'answers');
      await server.set(NAME, 'failing');
      await say(site, `${NAME} 51820`);
      await waitForLine(host, `wgendpoint ${NAME} 51820 (not resolved: EAI_AGAIN)`);
      await server.set(NAME, [OTHER]);
      await waitForLine(host, `wgendpoint ${NAME} 51820 (${OTHER})`);
      const before = train.received;
      await waitFor(() => train.received > before + 100, 'more answers');
      const { lost } = await train.stop();
      console.log(`a name in the place of an address: ${lost} of a 10 ms ping lost`);
      expect(lost).toBe(0);
      expect(await host.run('tswg', ['wg0'])).toContain(`wgendpoint ${NAME} 51820 (${OTHER})`);
      expect(far.daemon.status).toBeNull();
      // The last name is gone: so is who looks them up, and comes again with the next.
      expect(await resolvers(host)).toHaveLength(1);
      await say(site, `${OUTER} 51820`);
      await waitFor(async () => (await resolvers(host)).length === 0, 'the end of the resolver');
      await say(site, `${NAME} 51820`);
      await waitFor(async () => (await resolvers(host)).length === 1, 'another resolver');
      await waitForLine(host, `wgendpoint ${NAME} 51820 (${OTHER})`);
      await host.run('tswg', ['wg0', 'destroy']);
    }));

  it('netstart --keep with names changes nothing, and takes what is new', () =>
    withLab({}, async (lab) => {
      const site = await build(lab);
      const { host, server } = site;
      await server.set(NAME, [OUTER]);
      await netstart(site, `${NAME} 51820`);
      await firstPing(host, INNER_FAR);
      const handshake = await handshakeOf(site);
      const asked = server.queries(NAME).length;
      const train = new PingTrain(host, INNER_FAR, 10);
      await netstart(site, `${NAME} 51820`, '--keep');
      await netstart(site, `${NAME} 51820 wgendpoint backup.example.net 51820`, '--keep');
      await waitForLine(host, `wgendpoint ${NAME} 51820 (${OUTER}, in use)`);
      const { lost } = await train.stop();
      expect([lost, await handshakeOf(site), server.queries(NAME).length]).toEqual([
        0,
        handshake,
        asked,
      ]);
      await host.run('tswg', ['wg0', 'destroy']);
    }));
});

describeInLab('an answer that is of no use', ['wg', 'tswg'], () => {
  it.each([
    ['a broadcast address', ['192.0.2.255']],
    ['nobody', ['0.0.0.0', '::']],
    ['a group', ['224.0.0.1', 'ff02::1']],
    ['of one link', ['fe80::1']],
  ])('is told in one line, and sends nothing: %s', (_, addresses) =>
    withLab({}, async (lab) => {
      const site = await build(lab);
      const { host, server } = site;
      await server.set(NAME, addresses);
      await netstart(site, `${NAME} 51820`);
      await ping(host, INNER_FAR, { count: 3 });
      await waitForLine(host, `wgendpoint ${NAME} 51820 (not resolved: EAI_NODATA)`);
      expect(await host.run('tswg', ['wg0', 'stats'])).not.toMatch(
        /EACCES|[1-9] {2}initiations sent/,
      );
      // Beside one that is, it is none at all.
      await server.set(NAME, [...addresses, OUTER]);
      await waitFor(async () => {
        await ping(host, INNER_FAR, { deadlineMs: 200 });
        return (await host.run('tswg', ['wg0'])).includes(`(${OUTER})`);
      }, OUTER);
      await firstPing(host, INNER_FAR);
      expect(await host.run('tswg', ['wg0', 'stats'])).not.toMatch(/EACCES/);
      await host.run('tswg', ['wg0', 'destroy']);
    }),
  );

  it.each([
    // A proxy on this machine is at home there; nobody else is, and says so.
    ['this machine itself', '127.0.0.1', /leads to this interface itself/],
    ['our own address inside', INNER_NEAR, /leads to this interface itself/],
    ['the address of the peer inside', INNER_FAR, /routed into/],
  ])('is tried and left for the next: %s', (_, useless, said) =>
    withLab({}, async (lab) => {
      const site = await build(lab);
      const { host, server } = site;
      await server.set(NAME, [useless]);
      await netstart(site, `${NAME} 51820`);
      await ping(host, INNER_FAR, { count: 2 });
      await waitFor(async () => {
        await ping(host, INNER_FAR, { deadlineMs: 200 });
        return said.test(await host.run('tswg', ['wg0']));
      }, 'the trouble').catch(async (error: Error) => {
        throw new Error(`${error.message}\n${await host.run('tswg', ['wg0'])}`);
      });
      await server.set(NAME, [useless, OUTER]);
      await waitFor(
        async () => (await ping(host, INNER_FAR, { deadlineMs: 200 })).received > 0,
        'an answer',
      );
      await host.run('tswg', ['wg0', 'destroy']);
    }),
  );
});

describeInLab('a near end that cannot be meant', ['wg', 'tswg'], () => {
  it('is refused in a line and with a verdict, and changes nothing', () =>
    withLab({}, async (lab) => {
      const site = await build(lab);
      const { host, far } = site;
      await netstart(site, `${OUTER} 51820 via 192.0.2.1`);
      const before = await host.run('tswg', ['wg0']);
      const key = Buffer.from(far.keys.publicKey, 'base64').toString('hex');
      const peer = ['wgpeer', far.keys.publicKey, 'wgendpoint', OUTER, '51820', 'via'];
      const way = `public_key=${key}\ntswg_way=${OUTER}:51820 via `;
      const mistakes: readonly [words: string[], line: string, said: string][] = [
        [[...peer, 'wg0'], `${way}wg0`, 'via: wg0: this is the tunnel itself'],
        [[...peer, INNER_NEAR], `${way}${INNER_NEAR}`, `via: ${INNER_NEAR}: this is an address of`],
        [['wgbind', 'wg0'], 'tswg_bind=wg0', 'wgbind: wg0: this is the tunnel itself'],
        [['wgbind', INNER_NEAR], `tswg_bind=${INNER_NEAR}`, `wgbind: ${INNER_NEAR}: this is an`],
        [
          ['wgbind', '127.0.0.1'],
          'tswg_bind=127.0.0.1',
          'via: 192.0.2.1: the whole tunnel is fixed to 127.0.0.1',
        ],
      ];
      for (const [words, lines, said] of mistakes) {
        const { status, stderr } = await host.exec('tswg', ['wg0', ...words]);
        expect([status, stderr]).toEqual([1, expect.stringContaining(said)]);
        expect(await request(host, ['set=1', ...lines.split('\n')]), lines).toContain('errno=-22');
      }
      expect(await host.run('tswg', ['wg0'])).toBe(before);
      // What agrees is none.
      await host.run('tswg', ['wg0', 'wgbind', '192.0.2.1']);
      await host.run('tswg', ['wg0', '-wgbind']);
      await host.run('tswg', ['wg0', 'wgbind', 'wan']);
      await firstPing(host, INNER_FAR);
      await host.run('tswg', ['wg0', 'destroy']);
    }));
});

describeInLab('names of a persistent daemon', ['wg', 'tswg'], () => {
  async function start(host: Host): Promise<Child> {
    const daemon = host.spawn('tswgd', ['-f', '--persist', 'wg0'], {
      env: { LOG_LEVEL: 'debug' },
    });
    await waitFor(async () => (await host.exec('wg', ['show', 'wg0'])).status === 0, 'the daemon');
    return daemon;
  }

  it.each([
    ['a crash', false],
    ['a boot', true],
  ])('are what they were after %s without a name server', (what, isBoot) =>
    withLab({}, async (lab) => {
      const site = await build(lab);
      const { host, server } = site;
      await host.run('mount', ['-t', 'tmpfs', '-o', 'size=1024k,mode=755', 'tmpfs', '/var/lib']);
      const first = await start(host);
      await server.set(NAME, [OUTER]);
      await netstart(site, `${NAME} 51820`);
      await firstPing(host, INNER_FAR);
      const state = '/var/lib/tswg/wg0/state';
      const isSaved = async () => await host.sh(`grep -q '^name=${NAME} ${OUTER}$' ${state}`);
      await waitFor(async () => (await isSaved()).status === 0, 'a state that knows of the name');
      await first.stop(isBoot ? 'SIGTERM' : 'SIGKILL');
      await server.stop();
      if (isBoot) await host.ip('link delete wg0');
      const begun = performance.now();
      const second = await start(host);
      if (isBoot) await netstart(site, `${NAME} 51820`);
      await firstPing(host, INNER_FAR);
      const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
      console.log(`${what} without a name server: ${seconds} s from the start to traffic`);
      const shown = await host.run('tswg', ['wg0']);
      expect(shown).toContain(`wgendpoint ${NAME} 51820 (${OUTER})`);
      await host.run('tswg', ['wg0', 'destroy']);
      expect(await second.exited).toBe(0);
    }),
  );
});
