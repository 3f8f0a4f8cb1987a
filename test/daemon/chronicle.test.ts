/** What a daemon keeps of what happens, and whom it tells what. */

import { describe, expect, it } from 'vitest';
import type { Feed } from '../../src/control/feed.ts';
import { type Audience, Chronicle } from '../../src/daemon/chronicle.ts';
import type { Datapath } from '../../src/datapath/datapath.ts';
import type { PeerChange } from '../../src/device/configuration.ts';
import type { EventBody, EventRecord } from '../../src/events/record.ts';
import { EventsAnswer, type EventsItem } from '../../src/uapi/events.ts';
import { A_TO_B, pair } from '../device/world.ts';

const linkDown: EventBody = { kind: 'linkDown' };

function begin() {
  const { world, a, b } = pair();
  const path = { device: a.device, now: 0 } as unknown as Datapath;
  const chronicle = new Chronicle(path);
  /** As the operator changes the configuration. */
  const set = (...peers: PeerChange[]) => {
    chronicle.settle();
    a.configure({ peers });
    chronicle.configured('set', { peers });
  };
  return { world, a, b, path, chronicle, set };
}

function read(feed: string | Feed): EventsItem[] {
  if (typeof feed === 'string') throw new Error(`refused: ${feed}`);
  const answer = new EventsAnswer();
  const items: EventsItem[] = [];
  for (let text = feed.read(); text !== null && text !== ''; text = feed.read()) {
    items.push(...answer.push(text));
  }
  return items;
}

const records = (items: readonly EventsItem[]): EventRecord[] =>
  items.flatMap((item) => (item.kind === 'event' ? [item.record] : []));

const all = (chronicle: Chronicle, audience: Audience = 'operator') =>
  records(read(chronicle.read([], audience)));

const kinds = (events: readonly EventRecord[]) => events.map(({ kind }) => kind);

const peerOf = (n: number, change: Partial<PeerChange> = {}): PeerChange => ({
  ...{ publicKey: new Uint8Array(32).fill(n), allowedIps: [] },
  ...change,
});
const key = (n: number) => Buffer.alloc(32, n).toString('base64');

describe('what is kept', () => {
  it('is what the Device tells, in its order', () => {
    const { world, a, b, chronicle } = begin();
    a.send(A_TO_B());
    world.run(10);
    const peer = Buffer.from(b.publicKey).toString('base64');
    expect(all(chronicle)).toMatchObject([
      { seq: 1, kind: 'handshakeBegun', by: 'us', peer, endpoint: '192.0.2.2:51820' },
      { seq: 2, kind: 'handshakeCompleted', by: 'us', peer, session: 1 },
      { seq: 3, kind: 'connected', peer },
    ]);
    // A session that is followed by the next one is told once.
    for (let i = 0; i < 130; i++) {
      a.send(A_TO_B());
      world.run(1_000);
    }
    expect(all(chronicle).slice(3)).toMatchObject([{ kind: 'rekeyed', by: 'us', session: 2 }]);
  });

  it('of a change of the configuration are its fields, and who the peers are called', () => {
    const { chronicle, set } = begin();
    const presharedKey = new Uint8Array(32).fill(9);
    set(peerOf(1, { description: 'laptop', presharedKey, replaceAllowedIps: true }));
    set(peerOf(1, { updateOnly: true, persistentKeepalive: 5 }), peerOf(2, { updateOnly: true }));
    set(peerOf(1, { remove: true }));
    const about = { peer: key(1), name: 'laptop' };
    expect(all(chronicle)).toMatchObject([
      { kind: 'configured', by: 'set', fields: [], peers: 1 },
      { kind: 'peerConfigured', ...about, fields: ['description', 'presharedKey', 'allowedIps'] },
      { kind: 'configured', peers: 2 },
      { kind: 'peerConfigured', ...about, fields: ['persistentKeepalive'] },
      { kind: 'configured', peers: 1 },
      { kind: 'peerRemoved', ...about },
    ]);
    expect(JSON.stringify(all(chronicle))).not.toContain(
      Buffer.from(presharedKey).toString('base64'),
    );
    // Whether there is a preshared key is root's to know.
    expect(all(chronicle, 'observer')[1]).toMatchObject({ fields: ['description', 'allowedIps'] });
  });

  it('of a change of many peers is that there was one', () => {
    const { chronicle, set } = begin();
    set(...Array.from({ length: 17 }, (_, n) => peerOf(n + 1)));
    expect(all(chronicle)).toMatchObject([{ kind: 'configured', peers: 17 }]);
  });

  it('of peers that are removed is each that was one, however that was done', () => {
    const { a, chronicle, set } = begin();
    set(peerOf(1, { description: 'laptop' }), peerOf(2));
    // Nobody's key, or a second time.
    set(peerOf(3, { remove: true }));
    expect(kinds(all(chronicle))).not.toContain('peerRemoved');
    const change = { replacePeers: true, peers: [peerOf(2), peerOf(4)] };
    a.configure(change);
    chronicle.configured('set', change);
    const gone = { kind: 'peerRemoved', peer: key(1), name: 'laptop' };
    const events = all(chronicle).filter(({ kind }) => kind === 'peerRemoved');
    // The second is a peer again, but what it had is gone.
    expect(events).toMatchObject([{ kind: 'peerRemoved', peer: key(2) }, gone]);
    expect(all(chronicle).at(-1)).toMatchObject({ kind: 'peerConfigured', peer: key(4) });
  });

  it('of a peer that is removed and added by one change is both, and all that was before', () => {
    const { chronicle, set } = begin();
    set(peerOf(1, { description: 'laptop' }), peerOf(2));
    const seq = all(chronicle).length;
    set(peerOf(1, { remove: true }), peerOf(2, { persistentKeepalive: 5 }), peerOf(1));
    expect(all(chronicle).slice(seq)).toMatchObject([
      { kind: 'configured', peers: 3 },
      { kind: 'peerRemoved', peer: key(1), name: 'laptop' },
      { kind: 'peerConfigured', peer: key(2) },
      { kind: 'peerConfigured', peer: key(1), name: '' },
    ]);
    // One that was none before is configured only; one that is none after it is removed only.
    set(peerOf(3, { remove: true }), peerOf(3), peerOf(2), peerOf(2, { remove: true }));
    expect(all(chronicle).slice(seq + 4)).toMatchObject([
      { kind: 'configured', peers: 4 },
      { kind: 'peerRemoved', peer: key(2) },
      { kind: 'peerConfigured', peer: key(3) },
    ]);
    for (let i = 0; i < 1_000; i++) chronicle.tell(linkDown);
    expect(all(chronicle)).toContainEqual(expect.objectContaining({ name: 'laptop' }));
  });

  it('of a peer whose key becomes our own is that it is none any more', () => {
    const { a, chronicle, set } = begin();
    const other = pair().b;
    set({ publicKey: other.publicKey, allowedIps: [] });
    const change = { privateKey: other.privateKey, peers: [] };
    a.configure(change);
    chronicle.configured('set', change);
    const peer = Buffer.from(other.publicKey).toString('base64');
    expect(all(chronicle).at(-1)).toMatchObject({ kind: 'peerRemoved', peer });
  });

  it('of a peer that was removed is no longer than what is recent', () => {
    const { a, chronicle, set } = begin();
    set(peerOf(1));
    for (let i = 0; i < 1_000; i++) chronicle.tell(linkDown);
    expect(kinds(all(chronicle))).toContain('peerConfigured');
    set(peerOf(1, { remove: true }));
    expect(kinds(all(chronicle))).not.toContain('peerConfigured');
    set(peerOf(2));
    for (let i = 0; i < 1_000; i++) chronicle.tell(linkDown);
    a.configure({ replacePeers: true });
    chronicle.configured('set', { replacePeers: true, peers: [] });
    expect(kinds(all(chronicle))).not.toContain('peerConfigured');
  });

  it('is nothing of what another process tells from now on', () => {
    const { chronicle } = begin();
    chronicle.tell(linkDown);
    chronicle.stop('stopped');
    chronicle.tell(linkDown);
    chronicle.stop('notOurs');
    chronicle.tell(linkDown);
    expect(all(chronicle)).toHaveLength(2);
  });
});

describe('who asks', () => {
  it('is told all that is kept, to its end', () => {
    const { chronicle } = begin();
    for (let i = 0; i < 100; i++) chronicle.tell(linkDown);
    const feed = chronicle.read([], 'operator') as Feed;
    chronicle.tell(linkDown);
    const items = read(feed);
    expect(items[0]).toMatchObject({ kind: 'head', seq: 100 });
    expect(records(items)).toHaveLength(100);
    expect(items.at(-1)).toEqual({ kind: 'end', errno: 0 });
    expect([feed.isEndless, chronicle.followers]).toEqual([false, 0]);
  });

  it('and follows is told what comes, or from where it was', () => {
    const { chronicle } = begin();
    for (let i = 0; i < 5; i++) chronicle.tell(linkDown);
    const follow = (...lines: string[]) =>
      chronicle.read([...lines, 'follow=true'], 'operator') as Feed;
    const feeds = [
      follow(),
      follow('since=3'),
      follow('since=0'),
      follow('since=3', 'stream=other'),
    ];
    const told = feeds.map((feed) => records(read(feed)).map(({ seq }) => seq));
    expect(told).toEqual([[], [4, 5], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]);
    const more: number[] = [];
    for (const [i, feed] of feeds.entries()) feed.listen(() => more.push(i));
    chronicle.tell(linkDown);
    expect(more).toEqual([0, 1, 2, 3]);
    for (const feed of feeds) expect(records(read(feed))).toMatchObject([{ seq: 6 }]);
    expect(chronicle.followers).toBe(4);
    for (const feed of feeds) feed.close();
    expect(chronicle.followers).toBe(0);
  });

  it('may be one of sixteen who follow on each socket, and of any number who do not', () => {
    const { chronicle } = begin();
    const follow = (audience: Audience) => chronicle.read(['follow=true'], audience);
    const observers = Array.from({ length: 16 }, () => follow('observer') as Feed);
    expect(follow('observer')).toBe('errno=16\n\n');
    expect(typeof chronicle.read([], 'observer')).toBe('object');
    expect(typeof follow('operator')).toBe('object');
    observers[3].close();
    expect(typeof follow('observer')).toBe('object');
  });

  it('for what there is not is refused', () => {
    const { chronicle } = begin();
    expect(chronicle.read(['private_key=1'], 'observer')).toBe('errno=22\n\n');
  });
});

describe('a successor', () => {
  it('has what its predecessor kept before all that has happened since', async () => {
    const [old, next] = [begin(), begin()];
    old.chronicle.tell(linkDown);
    old.chronicle.tell(linkDown);
    next.chronicle.continue(old.chronicle.handOver());
    next.chronicle.tell({ kind: 'upgraded', from: '1', version: '2' });
    const follower = next.chronicle.read(['follow=true', 'since=1'], 'operator') as Feed;
    expect(kinds(records(read(follower)))).toEqual(['linkDown', 'upgraded']);
    expect(all(next.chronicle).map(({ seq }) => seq)).toEqual([1, 2, 3]);
    // By itself, too, when nobody asks.
    const third = begin();
    third.chronicle.continue(next.chronicle.handOver());
    await new Promise((resolve) => setImmediate(resolve));
    expect(third.chronicle.ring.seq).toBe(3);
  });

  it('has looked at all of it before it tells what is changed, and before its end', () => {
    const [old, next, last] = [begin(), begin(), begin()];
    for (let i = 0; i < 500; i++) old.chronicle.tell(linkDown);
    next.a.configure({ peers: [peerOf(7, { description: 'seven' })] });
    next.chronicle.continue(old.chronicle.handOver());
    next.chronicle.tell({ kind: 'upgraded', from: '1', version: '2' });
    next.set(peerOf(7, { remove: true }));
    const since = records(read(next.chronicle.read(['since=500'], 'operator')));
    expect(since).toMatchObject([
      { seq: 501, kind: 'upgraded' },
      { seq: 502, kind: 'configured' },
      { seq: 503, kind: 'peerRemoved', peer: key(7), name: 'seven' },
    ]);
    last.chronicle.continue(next.chronicle.handOver());
    last.chronicle.stop('stopped');
    expect(last.chronicle.ring.seq).toBe(503);
    last.chronicle.tell(linkDown);
    expect(all(last.chronicle).at(-1)).toMatchObject({ seq: 504, kind: 'linkDown' });
  });
});
