/**
 * The control socket under abuse, while a ping goes through the tunnel every 10 ms. A client that
 * may connect is root, so that this is about mistakes and broken programs; packets must not notice.
 * On the observing socket it is others than root, and neither packets nor root's socket may notice.
 */

import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { onlyChild, rssMb } from '../bench/processes.ts';
import { percentile } from '../bench/statistics.ts';
import { sleep, waitFor } from '../lab/command.ts';
import { Lab } from '../lab/lab.ts';
import { firstPing, PingTrain } from '../lab/probes.ts';
import { describeInLab } from '../lab/suite.ts';
import { buildPair, createKeyPair, INNER, type TunnelEnd } from '../lab/tunnel.ts';

const [, RIGHT] = INNER[4];
const PING_INTERVAL_MS = 10;
const MEMORY_LIMIT_MB = 80;
const CLIENTS = 100;
const MIB = 1 << 20;

describeInLab('the control socket under abuse', ['wg'], () => {
  let lab: Lab;
  let left: TunnelEnd;
  let path: string;
  let observingPath: string;
  let daemonPid: number;

  beforeAll(async () => {
    lab = await Lab.open();
    const pair = await buildPair(lab);
    left = pair.left;
    await firstPing(left.host, RIGHT);
    daemonPid = onlyChild(left.daemon.pid);
    path = `/proc/${daemonPid}/root/run/wireguard/wg0.sock`;
    observingPath = `/proc/${daemonPid}/root/run/tswg/wg0.observe`;
  });
  afterAll(() => lab.close());

  it.each<[name: string, abuse: () => Promise<void>]>([
    ['malformed requests of every kind', malformed],
    ['a line without end', () => endless('set=1\n', 'x'.repeat(65_536))],
    ['a request without end', () => endless('set=1\n', 'allowed_ip=10.0.0.0/8\n'.repeat(3_000))],
    ['an endless row of requests whose answers are not read', deaf],
    ['half-open connections, silent from the start or in the midst of a request', halfOpen],
    [`${CLIENTS} clients at once`, crowd],
    ['a storm of connections', storm],
    ['one set of 5,000 peers, which is none', manyPeers],
    ['observers who do not read their answers', () => deaf(observingPath)],
    ['observers who are silent', () => halfOpen(observingPath)],
    ['a storm of observers', () => storm(observingPath)],
  ])('%s', async (name, abuse) => {
    const train = new PingTrain(left.host, RIGHT, PING_INTERVAL_MS);
    await waitFor(() => train.received > 20, 'the first pings');
    const before = rssMb(daemonPid);
    const showing = showAgainAndAgain();
    await abuse();
    const shown = await showing.stop();
    const answered = train.received;
    await waitFor(() => train.received > answered, 'a ping after the abuse');
    const report = await train.stop();
    const times = Array.from(report.text.matchAll(/ time=([\d.]+) ms/g), (match) =>
      Number(match[1]),
    );
    expect(shown).toBeGreaterThan(0);
    // What waits while the daemon is busy is in queues of seconds: only a starved data path loses.
    expect(report.lost, report.text.slice(-300)).toBe(0);
    console.info(`${name}: 99 % of the pings took under ${percentile(times, 99)} ms`);
    expect(rssMb(daemonPid) - before).toBeLessThan(MEMORY_LIMIT_MB);
    expect(left.daemon.status).toBeNull();
  });

  /** A proper client beside the others, who must get a whole answer every time. */
  function showAgainAndAgain(): { stop(): Promise<number> } {
    let isDone = false;
    let shown = 0;
    const loop = async () => {
      do {
        const { peers } = await left.dump();
        expect(peers.length).toBeGreaterThan(0);
        shown++;
        await sleep(50);
      } while (!isDone);
    };
    const running = loop();
    // Its failure is met when it is stopped.
    running.catch(() => {});
    const stop = async () => {
      isDone = true;
      await running;
      return shown;
    };
    return { stop };
  }

  /** A connection whose answers are kept, unless nobody listens to them. */
  function open(isDeaf = false, at = path): Socket & { text: string } {
    const socket = Object.assign(connect(at), { text: '' });
    socket.on('error', () => {});
    if (isDeaf) socket.pause();
    else socket.on('data', (bytes) => (socket.text += bytes));
    return socket;
  }

  async function malformed(): Promise<void> {
    const key = 'a'.repeat(64);
    const requests: [text: string, answer: string][] = [
      ['', ''],
      ['\n', ''],
      ['get\n\n', ''],
      ['get=2\n\n', ''],
      ['GET / HTTP/1.1\r\n\r\n', ''],
      ['get=1\nlisten_port=1\n\n', ''],
      ['\0\xff\xfe\n\n', ''],
      ['set=1\r\n\r\n', ''],
      ['set=1\nlisten_port\n\n', 'errno=-71\n\n'],
      ['set=1\n=\n\n', 'errno=-22\n\n'],
      ['set=1\nprivate_key=xyz\n\n', 'errno=-22\n\n'],
      ['set=1\nlisten_port=65536\n\n', 'errno=-22\n\n'],
      ['set=1\nallowed_ip=10.0.0.0/8\n\n', 'errno=-22\n\n'],
      [`set=1\npublic_key=${key}\nallowed_ip=10.0.0.0/33\n\n`, 'errno=-22\n\n'],
      [`set=1\npublic_key=${key}\nendpoint=nowhere:1\n\n`, 'errno=-22\n\n'],
      [`set=1\npublic_key=${key}\ndescription=\x1b[2J\n\n`, 'errno=-22\n\n'],
      [`set=1\npublic_key=${key.slice(1)}\n\n`, 'errno=-22\n\n'],
    ];
    for (let round = 0; round < 20; round++) {
      for (const [text, answer] of requests) {
        const socket = open();
        socket.end(text, 'latin1');
        await waitFor(() => socket.closed, `the end of ${JSON.stringify(text)}`);
        expect(socket.text, JSON.stringify(text)).toBe(answer);
      }
    }
  }

  async function endless(start: string, piece: string): Promise<void> {
    for (let round = 0; round < 3; round++) {
      const socket = open();
      socket.write(start);
      let sent = 0;
      while (!socket.closed && sent < 64 * MIB) {
        if (!socket.write(piece)) await sleep(1);
        sent += piece.length;
      }
      expect(socket.closed).toBe(true);
      expect(sent).toBeLessThan(32 * MIB);
    }
  }

  async function deaf(at = path): Promise<void> {
    const sockets = Array.from({ length: 10 }, () => open(true, at));
    for (const socket of sockets) socket.write('get=1\n\n'.repeat(20_000));
    await sleep(1_000);
    for (const socket of sockets) socket.destroy();
  }

  async function halfOpen(at = path): Promise<void> {
    const texts = ['', 'ge', 'set=1\n', 'set=1\nprivate_key='];
    // More than there are places for.
    const sockets = Array.from({ length: 300 }, (_, i) => {
      const socket = open(false, at);
      socket.write(texts[i % texts.length]);
      return socket;
    });
    await sleep(1_000);
    for (const socket of sockets) socket.destroy();
    // The other half: closed for writing, and the answer still comes.
    const socket = open(false, at);
    socket.end('get=1\n\n');
    await waitFor(() => socket.closed, 'the answer');
    expect(socket.text).toMatch(/errno=0\n\n$/);
  }

  async function crowd(): Promise<void> {
    const sockets = Array.from({ length: CLIENTS }, () => open());
    await Promise.all(
      sockets.map(async (socket) => {
        for (let i = 1; i <= 20; i++) {
          socket.write(i % 2 === 0 ? 'get=1\n\n' : 'set=1\n\n');
          await waitFor(() => socket.text.match(/errno=0\n\n/g)?.length === i, 'an answer');
        }
        socket.destroy();
      }),
    );
  }

  async function storm(at = path): Promise<void> {
    for (let round = 0; round < 30; round++) {
      const sockets = Array.from({ length: 50 }, () => open(false, at));
      await Promise.race([sleep(20), ...sockets.map((socket) => opened(socket))]);
      for (const socket of sockets) socket.destroy();
    }
  }

  async function manyPeers(): Promise<void> {
    const { publicKey } = createKeyPair();
    const hex = Buffer.from(publicKey, 'base64').toString('hex').slice(8);
    const keys = Array.from({ length: 5_000 }, (_, i) => i.toString(16).padStart(8, '0') + hex);
    const add = keys.map(
      (key, i) => `public_key=${key}\nallowed_ip=10.${100 + (i >> 8)}.${i & 255}.0/24\n`,
    );
    const remove = keys.map((key) => `public_key=${key}\nremove=true\n`);
    for (const lines of [add, remove]) {
      const socket = open();
      socket.end(`set=1\n${lines.join('')}\n`);
      await waitFor(() => socket.closed, 'the answer');
      expect(socket.text).toBe('errno=0\n\n');
    }
  }
});

function opened(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('connect', resolve);
  });
}
