/**
 * The events of a tunnel as an operator has them: who is connected and who is lost, told as it
 * happens, over upgrades, to slow readers and to commands of his own.
 */

import { expect, it } from 'vitest';
import { type Child, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { firstPing } from '../lab/probes.ts';
import { compiledProgram } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { buildPair, INNER, OUR_DAEMON, type Pair, waitForControl } from '../lab/tunnel.ts';

const [LEFT, RIGHT] = INNER[4];

/** An event as a program reads it. */
interface Told {
  readonly seq: number;
  readonly timeMs: number;
  readonly kind: string;
  readonly [name: string]: unknown;
}

function parse(text: string): Told[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
}

async function ringOf(host: Host, ...words: string[]): Promise<Told[]> {
  return parse(await host.run('tswg', ['wg0', 'events', '--json', ...words]));
}

const kindsOf = (events: readonly Told[]): string[] => events.map(({ kind }) => kind);

const follow = (host: Host, ...words: string[]): Child =>
  host.spawn('tswg', ['wg0', 'events', '--json', '--since', '0', '--follow', ...words]);

/** Waits until a follower has been told of such an event. */
function heard(child: Child, kind: string, times = 1): Promise<Told> {
  return waitFor(
    () => parse(child.stdout).filter((event) => event.kind === kind)[times - 1] ?? null,
    `${kind} in the events`,
  );
}

async function stateOf(host: Host): Promise<string> {
  return /^\t\tstate: (\w+) since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/m.exec(
    await host.run('tswg', ['wg0']),
  )![1];
}

const cut = ({ left }: Pair, isCut: boolean): Promise<string> =>
  left.host.ip(`link set wan ${isCut ? 'down' : 'up'}`);

const pid = async (host: Host): Promise<string> =>
  /^\tpid: (\d+)$/m.exec(await host.run('tswg', ['wg0', 'stats']))![1];

const HOUR_MS = 3_600_000;
/** The wall clock of a program goes back by an hour when it is told to. */
const SET_BACK_BY_SIGNAL = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(
    `const now=Date.now;let ms=0;Date.now=()=>now()-ms;process.on('SIGWINCH',()=>{ms=${HOUR_MS}})`,
  )}`,
};

describeInLab('events', ['wg'], () => {
  it('tell of a peer that is connected, lost with its wire, and back', () =>
    withLab({}, async (lab) => {
      const pair = await buildPair(lab, { bothKnow: true });
      const { left, right } = pair;
      await left.host.run('tswg', ['wg0', 'wgpeer', right.keys.publicKey, 'wgdescr', 'Büro "2"']);
      expect(await stateOf(left.host)).toBe('idle');
      const follower = follow(left.host);
      await firstPing(left.host, RIGHT);
      await heard(follower, 'connected');
      expect([await stateOf(left.host), await stateOf(right.host)]).toEqual([
        ...['connected', 'connected'],
      ]);
      await cut(pair, true);
      const pings = left.host.spawn('ping', ['-q', '-i', '0.5', RIGHT]);
      const lost = await heard(follower, 'disconnected');
      expect(lost).toMatchObject({ peer: right.keys.publicKey, name: 'Büro "2"' });
      expect(lost.cause).toMatch(/^(dataUnanswered|initiationUnanswered)$/);
      expect(await stateOf(left.host)).toBe('lost');
      await cut(pair, false);
      const back = await heard(follower, 'connected', 2);
      await pings.stop('SIGINT');
      expect(await stateOf(left.host)).toBe('connected');
      // The ring has the same, in the same order, and no gap.
      const ring = await ringOf(left.host);
      expect(ring.map(({ seq }) => seq)).toEqual(ring.map((_, i) => i + 1));
      expect(ring).toEqual(expect.arrayContaining(parse(follower.stdout)));
      expect(kindsOf(ring).filter((kind) => /connected$/.test(kind))).toEqual([
        ...['connected', 'disconnected', 'connected'],
      ]);
      expect(kindsOf(ring.slice(0, 2))).toEqual(['started', 'configured']);
      expect(kindsOf(ring)).toEqual(
        expect.arrayContaining([
          'linkUp',
          'peerConfigured',
          'handshakeBegun',
          'handshakeCompleted',
        ]),
      );
      // For people: local time, the peer by its name, the cause in words.
      const lines = await left.host.run('tswg', ['wg0', 'events', '--peer', 'Büro "2"']);
      expect(lines).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d Büro "2": connected$/m);
      expect(lines).toMatch(
        /^.* Büro "2": lost: (data is|handshake initiations are) not answered/m,
      );
      expect(lines).not.toContain('interface up');
      const only = await ringOf(left.host, '--on', 'connected', '--since', `${back.seq - 1}`);
      expect(only).toEqual([back]);
      // Who reads no more is not waited for, although nothing happens, and nobody complains.
      const head = await left.host.sh('tswg wg0 events --since 0 --follow | head -n 3');
      expect([head.status, head.stderr, head.stdout.split('\n').length]).toEqual([0, '', 4]);
    }));

  it('tell where a peer has moved to, and that the interface is down and up', () =>
    withLab({}, async (lab) => {
      const { left, right } = await buildPair(lab);
      await firstPing(left.host, RIGHT);
      await left.host.ip('address add 192.0.2.77/24 dev wan');
      await left.host.ip('address delete 192.0.2.1/24 dev wan');
      await left.host.ip('address add 192.0.2.77/24 dev wan').catch(() => '');
      await firstPing(left.host, RIGHT);
      const follower = follow(right.host);
      expect(await heard(follower, 'roamed')).toMatchObject({
        ...{ peer: left.keys.publicKey, from: '192.0.2.1:51820', to: '192.0.2.77:51820' },
      });
      await right.host.ip('link set wg0 down');
      await heard(follower, 'linkDown');
      expect(await stateOf(right.host)).toBe('idle');
      await right.host.ip('link set wg0 up');
      expect(await heard(follower, 'linkUp', 2)).toMatchObject({ port: 51_820 });
    }));

  it('tell that the wall clock was set back, and the tunnel continues', () =>
    withLab({}, async (lab) => {
      const { left } = await buildPair(lab, { leftEnv: SET_BACK_BY_SIGNAL });
      const { host } = left;
      const follower = follow(host);
      await firstPing(host, RIGHT);
      await heard(follower, 'connected');
      await host.run('kill', ['-WINCH', await pid(host)]);
      // By the next time that a timestamp is needed.
      await host.run('tswg', ['wg0', 'down']);
      await host.run('tswg', ['wg0', 'up']);
      await firstPing(host, RIGHT);
      const { ms, timeMs } = await heard(follower, 'clockSetBack');
      expect(Number(ms)).toBeGreaterThan(HOUR_MS - 60_000);
      expect(Number(ms)).toBeLessThan(HOUR_MS + 60_000);
      expect(timeMs).toBeLessThan(Date.now() - HOUR_MS + 60_000);
      await heard(follower, 'connected', 2);
      expect(await host.run('tswg', ['wg0', 'events'])).toMatch(
        / the clock was set back by 3\d{3} s$/m,
      );
    }));

  it('name what a `set` changes, and never a key', () =>
    withLab({}, async (lab) => {
      const { left, right } = await buildPair(lab);
      const peer = right.keys.publicKey;
      await left.set(`listen-port 51999 peer ${peer} persistent-keepalive 25`);
      await left.set(`peer ${peer} remove`);
      const ring = await ringOf(left.host);
      const changes = ring.filter(({ kind }) => /onfigured$|Removed$/.test(kind));
      expect(changes.slice(-4)).toMatchObject([
        { kind: 'configured', by: 'set', fields: ['listenPort'], peers: 1 },
        { kind: 'peerConfigured', peer, fields: ['persistentKeepalive'] },
        { kind: 'configured', by: 'set', fields: [], peers: 1 },
        { kind: 'peerRemoved', peer },
      ]);
      expect(JSON.stringify(ring)).not.toContain(left.keys.privateKey);
    }));

  it('go on over an upgrade, for the ring and for who follows; and end with the daemon', () =>
    withLab({}, async (lab) => {
      const { left, right } = await buildPair(lab, { bothKnow: true });
      const follower = follow(left.host);
      await firstPing(left.host, RIGHT);
      await heard(follower, 'connected');
      const before = await ringOf(left.host);
      const since = /state: connected (since .*)$/m.exec(await left.host.run('tswg', ['wg0']))![1];
      await left.host.run('tswg', ['wg0', 'upgrade']);
      expect(await heard(follower, 'upgraded')).toMatchObject({ seq: before.length + 1 });
      await left.host.run('tswg', ['wg0', 'upgrade']);
      await heard(follower, 'upgraded', 2);
      expect(await left.host.run('tswg', ['wg0'])).toContain(`\t\tstate: connected ${since}\n`);
      // The session is the same, so that nobody is told that anything was lost.
      await right.host.run('ping', ['-c1', LEFT]);
      const ring = await ringOf(left.host);
      expect(ring.slice(0, before.length)).toEqual(before);
      expect(parse(follower.stdout)).toEqual(ring);
      expect(kindsOf(ring.slice(before.length))).toEqual(['upgraded', 'upgraded']);
      expect([follower.status, follower.stderr]).toEqual([null, '']);
      await left.host.run('tswg', ['wg0', 'destroy']);
      expect(await follower.exited).toBe(1);
      expect(follower.stderr).toBe('tswg: wg0: its daemon has ended\n');
    }));

  it('that a slow reader misses are counted, and hold nothing up', () =>
    withLab({}, async (lab) => {
      const { left, right } = await buildPair(lab, { bothKnow: true });
      await firstPing(left.host, RIGHT);
      const program = compiledProgram('test/e2e/slowreader.ts');
      const reader = left.host.spawn('node', [program, '/run/wireguard/wg0.sock']);
      await reader.waitForOutput(/following/);
      // More than any buffer between holds, and than the ring.
      const peer = right.keys.publicKey;
      const words = Array.from({ length: 4_000 }, (_, i) => `wg set wg0 fwmark ${1 + (i % 2)}`);
      await left.host.run('sh', ['-euc', words.join('\n')], { timeoutMs: 120_000 });
      await left.host.run('ping', ['-c1', RIGHT]);
      await left.set(`peer ${peer} persistent-keepalive 7`);
      reader.writeInput('read\n');
      reader.closeInput();
      const [, told, lost, first, last] = await reader.waitForOutput(
        /told (\d+) lost (\d+) from (\d+) to (\d+)/,
      );
      expect(Number(lost)).toBeGreaterThan(1_000);
      expect(Number(told) + Number(lost)).toBe(Number(last) - Number(first) + 1);
    }));

  it('are read by many, but by no more than there is room for', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const daemon = host.spawn(OUR_DAEMON, ['-f', 'wg0']);
      await waitForControl(host, 'wg0', daemon);
      const followers = Array.from({ length: 16 }, () => follow(host));
      await Promise.all(followers.map((one) => heard(one, 'started')));
      const refused = await host.exec('tswg', ['wg0', 'events', '--follow']);
      expect([refused.status, refused.stderr]).toEqual([
        1,
        'tswg: wg0: events: as many as may already follow its events; try it again when one of them has ended\n',
      ]);
      expect(kindsOf(await ringOf(host))).toContain('started');
      await followers[0].stop('SIGINT');
      const next = follow(host);
      await heard(next, 'started');
      for (const one of [next, ...followers.slice(1)]) await one.stop('SIGINT');
      expect(await host.run('tswg', ['wg0', 'stats'])).toMatch(/\b0 {2}events followers$/m);
    }));
});

describeInLab('a command for each event', ['wg'], () => {
  it('is run in their order with the event in its environment and on its input; one that fails is said', () =>
    withLab({}, async (lab) => {
      const { left, right } = await buildPair(lab, { bothKnow: true });
      const script =
        'read -r json; echo "$TSWG_INTERFACE $TSWG_EVENT $TSWG_PEER $TSWG_CAUSE" >>/run/told; ' +
        'echo "$json" >>/run/json; [ "$TSWG_EVENT" = connected ]';
      const hooks = left.host.spawn('tswg', [
        ...['wg0', 'events', '--on', 'connected,linkDown,linkUp', '--exec', script],
      ]);
      await waitFor(
        async () => (await left.host.run('tswg', ['wg0', 'stats'])).includes('1  events followers'),
        'the follower',
      );
      await firstPing(left.host, RIGHT);
      await left.host.ip('link set wg0 down');
      await left.host.ip('link set wg0 up');
      const told = await waitFor(async () => {
        const { stdout } = await left.host.sh('cat /run/told 2>/dev/null || true');
        return stdout.split('\n').length > 3 ? stdout : null;
      }, 'three commands');
      expect(told).toBe(`wg0 connected ${right.keys.publicKey} \nwg0 linkDown  \nwg0 linkUp  \n`);
      const json = parse(await left.host.run('cat', ['/run/json']));
      expect(kindsOf(json)).toEqual(['connected', 'linkDown', 'linkUp']);
      await hooks.waitForOutput(/for event \d+ \(linkUp\) has failed with exit code 1/);
      expect(hooks.stderr).toMatch(
        /^tswg: wg0: events: the command for event \d+ \(linkDown\) has failed with exit code 1\n/,
      );
      await hooks.stop('SIGINT');
    }));

  it('that hangs is ended, and the next one has its turn', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      const daemon = host.spawn(OUR_DAEMON, ['-f', 'wg0']);
      await waitForControl(host, 'wg0', daemon);
      const script =
        'echo "begun $TSWG_EVENT"; [ "$TSWG_EVENT" = linkDown ] || sleep 600; echo "done $TSWG_EVENT"';
      const hooks = host.spawn('tswg', [
        ...['wg0', 'events', '--since', '0', '--on', 'linkUp,linkDown'],
        ...['--timeout', '1', '--exec', script],
      ]);
      await host.ip('link set wg0 up');
      await hooks.waitForOutput(/begun linkUp/);
      await host.ip('link set wg0 down');
      await hooks.waitForOutput(/done linkDown/);
      expect(hooks.stdout).toBe('begun linkUp\nbegun linkDown\ndone linkDown\n');
      expect(hooks.stderr).toMatch(
        /^tswg: wg0: events: the command for event \d+ \(linkUp\) was still running after 1 s: it is ended\n$/,
      );
      expect((await host.sh('pgrep -x sleep || true')).stdout).toBe('');
      expect(await pid(host)).not.toBe('');
      await hooks.stop('SIGINT');
    }));
});
