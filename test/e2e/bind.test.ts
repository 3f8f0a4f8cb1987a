/**
 * `wgbind`: one address or one interface of several, from which all leaves and to which all has to
 * come; gone, and back by itself. The daemon is confined as always, and without the capability that
 * SO_BINDTODEVICE took before Linux 5.7 (CAP_NET_RAW).
 */

import { expect, it } from 'vitest';
import { Capture } from '../lab/capture.ts';
import { sleep, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, ping } from '../lab/probes.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import {
  buildPair,
  INNER,
  OUTER_LEFT,
  OUTER_RIGHT,
  type Pair,
  TUNNEL_PORT,
} from '../lab/tunnel.ts';

const RIGHT = INNER[4][1];
const SECOND_LEFT = '192.0.2.101';
const SECOND_RIGHT = '192.0.2.102';
const SILENCE_MS = 1_500;

/** What `tswg wg0` says, for the word at the beginning of a line. */
async function lineOf(host: Host, label: string): Promise<string | undefined> {
  const text = await host.run('tswg', ['wg0']);
  return text
    .split('\n')
    .map((line) => line.trim().replace(/^trouble: /, ''))
    .find((line) => line.startsWith(label));
}

async function bind(host: Host, near: string | null): Promise<string> {
  const words = near === null ? ['-wgbind'] : ['wgbind', near];
  return (await host.exec('tswg', ['wg0', ...words])).stderr;
}

/** Local ends of the UDP sockets on the tunnel's port. */
async function listening(host: Host): Promise<string[]> {
  const text = await host.run('ss', ['-H', '-u', '-l', '-n', '-a', `sport = :${TUNNEL_PORT}`]);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(/\s+/)[3])
    .sort();
}

async function connected(lab: Lab): Promise<Pair> {
  const pair = await buildPair(lab, { keepalive: 1 });
  await pair.left.host.ip(`address add ${SECOND_LEFT}/24 dev wan`);
  await pair.right.host.ip(`address add ${SECOND_RIGHT}/24 dev wan`);
  await firstPing(pair.left.host, RIGHT);
  return pair;
}

describeInLab('an interface that is bound to one address', ['wg', 'tswg', 'ss', 'tcpdump'], () => {
  it('sends from it, whatever the routes prefer, and continues with its sessions', () =>
    withLab({}, async (lab) => {
      const { left, right } = await connected(lab);
      const { latestHandshake } = await left.peerDump();
      expect(await bind(left.host, SECOND_LEFT)).toBe('');
      expect(await lineOf(left.host, 'wgbind ')).toBe(`wgbind ${SECOND_LEFT}`);
      await firstPing(left.host, RIGHT);
      expect((await right.peerDump()).endpoint).toBe(`${SECOND_LEFT}:${TUNNEL_PORT}`);
      expect(await listening(left.host)).toEqual([`${SECOND_LEFT}:${TUNNEL_PORT}`]);

      await left.host.run('tswg', ['wg0', 'upgrade']);
      await firstPing(left.host, RIGHT);
      expect((await right.peerDump()).endpoint).toBe(`${SECOND_LEFT}:${TUNNEL_PORT}`);
      const told = JSON.parse(await left.host.run('tswg', ['--json', 'wg0']));
      expect(told.wireguard.bind).toBe(SECOND_LEFT);
      expect((await left.peerDump()).latestHandshake).toBe(latestHandshake);

      await bind(left.host, null);
      expect(await lineOf(left.host, 'wgbind')).toBeUndefined();
      expect((await listening(left.host)).length).toBe(2);
      await firstPing(left.host, RIGHT);
    }));

  it('does not answer at the others: the kernel says that nobody listens there', () =>
    withLab({}, async (lab) => {
      const { left, right } = await connected(lab);
      await bind(right.host, OUTER_RIGHT);
      // Whatever it still sends by itself would tell where it is.
      await left.host.nft(`table ip deaf {
        chain in {
          type filter hook input priority 0
          ip saddr ${OUTER_RIGHT} udp sport ${TUNNEL_PORT} drop
        }
      }`);
      const wire = await Capture.start(left.host, 'wan', 'icmp or udp');
      await left.set(`peer ${right.keys.publicKey} endpoint ${SECOND_RIGHT}:${TUNNEL_PORT}`);
      expect((await ping(left.host, RIGHT, { count: 3, deadlineMs: SILENCE_MS })).received).toBe(0);
      const packets = await wire.stop();
      const fromSecond = packets.filter(({ source }) => source === SECOND_RIGHT);
      expect(fromSecond.length).toBeGreaterThan(0);
      // Port unreachable, and no datagram.
      const kinds = new Set(
        fromSecond.map(({ protocol, payload }) => [protocol, payload[1]].join()),
      );
      expect([...kinds]).toEqual(['1,3']);
      await left.host.run('nft', ['flush', 'ruleset']);
      await left.set(`peer ${right.keys.publicKey} endpoint ${OUTER_RIGHT}:${TUNNEL_PORT}`);
      await firstPing(left.host, RIGHT);
    }));

  it.each([
    [4, SECOND_LEFT, 24, OUTER_RIGHT],
    [6, '2001:db8::101', 64, '2001:db8::2'],
  ] as const)(
    'sends nothing while the address is gone, says so, and continues: IPv%i',
    (outer, address, length, there) =>
      withLab({}, async (lab) => {
        const pair = await buildPair(lab, { outer, keepalive: 1 });
        const { host } = pair.left;
        const spelled = `${address}/${length}`;
        const add = (): Promise<void> => host.configure('wan', spelled);
        await add();
        await firstPing(host, RIGHT);
        await bind(host, address);
        await firstPing(host, RIGHT);

        await host.ip(`address delete ${spelled} dev wan`);
        await waitFor(async () => (await lineOf(host, 'wgbind: ')) !== undefined, 'the trouble');
        expect(await lineOf(host, 'wgbind: ')).toBe(
          `wgbind: ${address}: no interface has this address: nothing can be sent from there`,
        );
        const wire = await Capture.start(host, 'wan', `udp and dst host ${there}`);
        expect((await ping(host, RIGHT, { count: 3, deadlineMs: SILENCE_MS })).received).toBe(0);
        expect(await wire.stop()).toEqual([]);

        await add();
        await firstPing(host, RIGHT);
        expect(await lineOf(host, 'wgbind: ')).toBeUndefined();
        expect(await host.run('tswg', ['wg0', 'stats'])).toMatch(/sandbox seccomp: all threads/);
      }),
  );

  it('may be bound before the address is there, and says so at once', () =>
    withLab({}, async (lab) => {
      const { left } = await connected(lab);
      const late = '192.0.2.77';
      expect(await bind(left.host, late)).toContain(
        `wgbind: ${late}: no interface has it now: nothing is sent until then`,
      );
      expect((await ping(left.host, RIGHT, { deadlineMs: SILENCE_MS })).received).toBe(0);
      await left.host.ip(`address add ${late}/24 dev wan`);
      await firstPing(left.host, RIGHT);
      expect(await lineOf(left.host, 'wgbind: ')).toBeUndefined();
    }));

  it('says that the peer’s endpoint is of the other family', () =>
    withLab({}, async (lab) => {
      const { left } = await connected(lab);
      await bind(left.host, '2001:db8::1');
      await ping(left.host, RIGHT, { deadlineMs: SILENCE_MS });
      expect(await lineOf(left.host, 'via: ')).toBe(
        'via: 2001:db8::1: an address of the other family than the endpoint: nothing can be sent from there',
      );
      await bind(left.host, null);
      await firstPing(left.host, RIGHT);
    }));

  it('refuses an address whose port another program has, and keeps the one that it had', () =>
    withLab({}, async (lab) => {
      const { left } = await connected(lab);
      await bind(left.host, OUTER_LEFT);
      const other = left.host.spawn('python3', [
        '-c',
        `import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('${SECOND_LEFT}', ${TUNNEL_PORT})); print('bound', flush=True); input()`,
      ]);
      await other.waitForOutput(/bound/);
      expect(await bind(left.host, SECOND_LEFT)).toContain(
        `wgbind: ${SECOND_LEFT}: another program uses the UDP port there`,
      );
      expect(await lineOf(left.host, 'wgbind ')).toBe(`wgbind ${OUTER_LEFT}`);
      await firstPing(left.host, RIGHT);
      await other.stop();
    }));
});

describeInLab('an interface that is bound to another', ['wg', 'tswg', 'ss'], () => {
  it('listens and sends there alone', () =>
    withLab({}, async (lab) => {
      const { left, right } = await connected(lab);
      await right.host.connect('away', left.host, 'away');
      await right.host.configure('away', '198.51.100.1/24');
      await bind(right.host, 'away');
      expect(await lineOf(right.host, 'wgbind ')).toBe('wgbind away');
      await left.set(`peer ${right.keys.publicKey} endpoint ${SECOND_RIGHT}:${TUNNEL_PORT}`);
      expect((await ping(left.host, RIGHT, { count: 3, deadlineMs: SILENCE_MS })).received).toBe(0);
      expect((await listening(right.host)).every((end) => end.includes('%away'))).toBe(true);
      await bind(right.host, 'wan');
      await firstPing(left.host, RIGHT);
    }));

  it('says that it is down, unplugged, or deleted, and continues when it is back', () =>
    withLab({}, async (lab) => {
      const { left, right } = await connected(lab);
      await bind(left.host, 'wan');
      await firstPing(left.host, RIGHT);
      const trouble = (why: string) => `wgbind: wan: ${why}: nothing can be sent from there`;
      const expectTrouble = (why: string): Promise<boolean> =>
        waitFor(async () => (await lineOf(left.host, 'wgbind: ')) === trouble(why), why);

      await left.host.ip('link set wan down');
      await expectTrouble('the interface is down');
      await left.host.ip('link set wan up');
      await firstPing(left.host, RIGHT);
      expect(await lineOf(left.host, 'wgbind: ')).toBeUndefined();

      await right.host.ip('link set wan down');
      await expectTrouble('nothing is plugged into the interface (no carrier)');
      await right.host.ip('link set wan up');
      await firstPing(left.host, RIGHT);

      const { latestHandshake } = await left.peerDump();
      await left.host.ip('link delete wan');
      await expectTrouble('there is no such interface');
      await sleep(300);
      await left.host.connect('wan', right.host, 'wan');
      await right.host.configure('wan', `${OUTER_RIGHT}/24`);
      await left.host.configure('wan', `${OUTER_LEFT}/24`);
      await firstPing(left.host, RIGHT);
      expect(await lineOf(left.host, 'wgbind: ')).toBeUndefined();
      // The session is that of before.
      expect((await left.peerDump()).latestHandshake).toBe(latestHandshake);
      await left.host.run('tswg', ['wg0', 'upgrade']);
      await firstPing(left.host, RIGHT);
      expect((await listening(left.host)).every((end) => end.includes('%wan'))).toBe(true);
    }));

  it('may be bound before there is one, and begins when there is', () =>
    withLab({}, async (lab) => {
      const { left, right } = await connected(lab);
      expect(await bind(left.host, 'ppp9')).toContain(
        'wgbind: ppp9: there is no such interface now: nothing is sent until then',
      );
      expect(await lineOf(left.host, 'wgbind: ')).toContain('ppp9: there is no such interface');
      expect(await listening(left.host)).toEqual([]);
      expect((await ping(left.host, RIGHT, { deadlineMs: SILENCE_MS })).received).toBe(0);
      await left.host.ip('link set wg0 down');
      await left.host.ip('link set wg0 up');
      await left.host.connect('ppp9', right.host, 'ppp9');
      await right.host.configure('ppp9', '198.51.100.2/24');
      await left.host.configure('ppp9', '198.51.100.1/24');
      await left.set(`peer ${right.keys.publicKey} endpoint 198.51.100.2:${TUNNEL_PORT}`);
      await firstPing(left.host, RIGHT);
      expect(await lineOf(left.host, 'wgbind: ')).toBeUndefined();
    }));

  it('is not bound to itself', () =>
    withLab({}, async (lab) => {
      const { left } = await connected(lab);
      expect(await bind(left.host, 'wg0')).toContain('wgbind: wg0: this is the tunnel itself');
    }));
});
