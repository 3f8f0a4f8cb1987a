/** Long requests: what is answered when, what a mistake at the end of one leaves, and who waits. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import type { Feed } from '../../src/control/feed.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import { Chronicle } from '../../src/daemon/chronicle.ts';
import { Operator, type OperatorOptions } from '../../src/daemon/operator.ts';
import { Datapath } from '../../src/datapath/datapath.ts';
import { RequestReader } from '../../src/uapi/request.ts';

const PEERS = 400;
const PREFIXES = 20;
const ACCEPTED = 'errno=0\n\n';
const EINVAL = 'errno=-22\n\n';
const EAGAIN = 'errno=-11\n\n';
const keyOf = (i: number): string =>
  Buffer.alloc(32, 1)
    .fill(i >> 8, 0, 1)
    .fill(i & 255, 1, 2)
    .toString('hex');

let path: Datapath;
let options: OperatorOptions;
let operator: Operator;
let told: string[];
let ending: { isSucceeded: boolean; bugs: unknown[]; surface: (bug: unknown) => void };

beforeEach(() => {
  const arena = new Arena(1 << 20);
  path = new Datapath({ arena, suite: createPortableSuite(arena), warm: false });
  told = [];
  ending = { isSucceeded: false, bugs: [], surface: (bug) => ending.bugs.push(bug) };
  options = {
    path,
    ending,
    log: { error: (line: string) => told.push(line) },
    underlay: { apply: () => {}, tellPort: () => {} },
    chronicle: {
      settle: () => told.push('settled'),
      configured: () => told.push('configured'),
      *follow() {
        told.push('configured');
        yield;
      },
    },
    onChange: () => told.push('changed'),
    subject: {},
    troubles: () => [],
  } as unknown as OperatorOptions;
  operator = new Operator(options);
});
afterEach(() => {
  operator.stop();
  expect(ending.bugs).toEqual([]);
  path.close();
});

function ask(text: string): string | Promise<string> | Feed {
  const [request] = new RequestReader().push(text);
  return operator.answer(request);
}

/** A whole answer to a `get`. */
const get = (): string => read('get=1\n\n');

function read(request: string): string {
  const feed = ask(request) as Feed;
  let text = '';
  for (let piece = feed.read(); piece !== null; piece = feed.read()) text += piece;
  return text;
}

const peersIn = (text: string): number => text.match(/^public_key=/gm)?.length ?? 0;

/** `first`: of what follows it in the list of peers; `last`: a line at the end. */
function long(first: string, last = ''): string {
  const sections = Array.from({ length: PEERS }, (_, i) => {
    const ips = Array.from(
      { length: PREFIXES },
      (_, k) => `allowed_ip=10.${i >> 8}.${i & 255}.${k}/32\n`,
    );
    return `public_key=${keyOf(i)}\n${ips.join('')}`;
  });
  return `set=1\n${first}${sections.join('')}${last}\n`;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('what waits at the sockets', () => {
  beforeEach(() => {
    const receive = (): number => told.push('read') * 0;
    path.attachTransport({
      ...{ kind: 'waiting', inlets: [{ receive }], isWritable: true, isOffloading: false },
      ...{ errors: new Map(), transmit: () => {}, flush: () => {} },
    });
  });

  it.each([
    ['a change', `set=1\npublic_key=${keyOf(1)}\nendpoint=192.0.2.1:7\n\n`],
    ['a long one', long('')],
  ])('counts before %s, which came later', async (_, text) => {
    expect(await ask(text)).toBe(ACCEPTED);
    expect(told.slice(0, 3)).toEqual(['read', 'settled', 'changed']);
  });

  it('counts before a change that had to wait for a long one', async () => {
    const first = ask(long(''));
    const second = ask(`set=1\npublic_key=${keyOf(1)}\nremove=true\n\n`);
    expect([await first, await second]).toEqual([ACCEPTED, ACCEPTED]);
    const events = told.filter((event) => event === 'read' || event === 'changed');
    expect(events).toEqual(['read', 'changed', 'read', 'changed']);
  });
});

describe('a long change', () => {
  it('is made beside turns of the loop, and is there all at once', async () => {
    const answer = ask(long('listen_port=7\n')) as Promise<string>;
    let isOver = false;
    void answer.then(() => {
      isOver = true;
    });
    let turns = 0;
    for (; !isOver; turns++) {
      expect([0, PEERS]).toContain(path.device.state().peers.length);
      // A turn of packets.
      path.handleTimeout();
      await turn();
    }
    expect(turns).toBeGreaterThan(1);
    expect(await answer).toBe(ACCEPTED);
    expect(path.device.listenPort).toBe(7);
    expect(path.device.core.allowedIps.size).toBe(PEERS * PREFIXES);
    await turn();
    expect(told).toEqual(['settled', 'changed', 'configured']);
  });

  it.each([
    ['a value', 'allowed_ip=nonsense\n', EINVAL],
    ['no line at all', 'nonsense\n', 'errno=-71\n\n'],
  ])('with a mistake in its last line changes nothing: %s', async (_, last, errno) => {
    await ask(`set=1\nfwmark=5\npublic_key=${keyOf(3)}\nallowed_ip=10.9.9.9/32\n\n`);
    const before = get();
    expect(peersIn(before)).toBe(1);
    told.length = 0;
    expect(await ask(long('fwmark=9\nreplace_peers=true\n', last))).toBe(errno);
    expect(get()).toBe(before);
    expect(told.length).toBe(1);
    expect(told[0]).toMatch(/^set refused: /);
    // What was made for nothing is cleared away bit by bit.
    while (path.device.nextTimeout() <= path.now) path.handleTimeout();
    // The next is of the same configuration, and as good as ever.
    expect(await ask(long('replace_peers=true\n'))).toBe(ACCEPTED);
    expect(peersIn(get())).toBe(PEERS);
    expect(path.device.core.rows.length).toBe(PEERS + 1);
  });

  it('holds up those that come after it, and no question', async () => {
    const answers: string[] = [];
    const note = (name: string) => (text: string) => answers.push(`${name} ${text.trim()}`);
    const all = [
      (ask(long('')) as Promise<string>).then(note('long')),
      (ask(`set=1\npublic_key=${keyOf(1)}\nremove=true\n\n`) as Promise<string>).then(
        note('short'),
      ),
      (
        ask(
          long('replace_peers=true\n', `public_key=${keyOf(2)}\nremove=true\n`),
        ) as Promise<string>
      ).then(note('second')),
    ];
    // Of the configuration before.
    expect(peersIn(get())).toBe(0);
    await all[1];
    expect(peersIn(get())).toBe(PEERS - 1);
    await Promise.all(all);
    expect(answers).toEqual(['long errno=0', 'short errno=0', 'second errno=0']);
    const text = get();
    expect(text).toContain(`public_key=${keyOf(1)}\n`);
    expect(text).not.toContain(`public_key=${keyOf(2)}\n`);
  });

  it('is told before one that came meanwhile, and may have removed a peer of it', async () => {
    operator = new Operator({ ...options, chronicle: new Chronicle(path) });
    await Promise.all([
      ask(long('replace_peers=true\n')),
      ask(`set=1\npublic_key=${keyOf(PEERS - 1)}\nremove=true\n\n`),
    ]);
    const kinds = [...read('events=1\n\n').matchAll(/"kind":"(\w+)"/g)].map(([, kind]) => kind);
    expect(kinds).toEqual(['configured', 'configured', 'peerRemoved']);
  });

  it('that another process could not know of changes nothing', async () => {
    const answers = [ask(long('')), ask('set=1\nfwmark=3\n\n')];
    await turn();
    operator.stop();
    expect(await Promise.all(answers)).toEqual([EAGAIN, EAGAIN]);
    expect([peersIn(get()), path.device.fwmark]).toEqual([0, 0]);
  });
});

describe('a long answer', () => {
  it('comes in pieces, and leaves out who was removed meanwhile', async () => {
    await ask(long(''));
    const feed = ask('get=1\n\n') as Feed;
    let text = feed.read()!;
    expect(peersIn(text)).toBeLessThan(PEERS / 2);
    await ask(`set=1\npublic_key=${keyOf(PEERS - 1)}\nremove=true\n\n`);
    for (let piece = feed.read(); piece !== null; piece = feed.read()) {
      expect(piece).not.toBe('');
      text += piece;
    }
    expect(peersIn(text)).toBe(PEERS - 1);
    expect(text).toMatch(/\nerrno=0\n\n$/);
    expect(text.match(/^allowed_ip=/gm)?.length).toBe((PEERS - 1) * PREFIXES);
  });
});
