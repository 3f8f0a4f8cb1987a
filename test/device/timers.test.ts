/** Each rule of whitepaper section 6 on a virtual clock, by name. */

import { describe, expect, it } from 'vitest';
import { MAX_STAGED_PACKETS } from '../../src/device/staged.ts';
import {
  KEEPALIVE_TIMEOUT_MS,
  MAX_TIMER_HANDSHAKES,
  REJECT_AFTER_MESSAGES,
  REJECT_AFTER_TIME_MS,
  REKEY_AFTER_MESSAGES,
  REKEY_AFTER_TIME_MS,
  REKEY_TIMEOUT_JITTER_MAX_MS,
  REKEY_TIMEOUT_MS,
} from '../../src/noise/constants.ts';
import { A_TO_B, B_TO_A, pair } from './world.ts';

const INITIATION = 1;
const RESPONSE = 2;
const DATA = 4;
const SECOND = 1_000;
const KEEPALIVE_BYTES = 32;

/** A has called B; both have a confirmed session, made at world.now = 0 or so. */
function connected(seed = 1) {
  const sites = pair(seed);
  sites.a.send(A_TO_B());
  sites.world.run(10);
  expect(sites.b.delivered.length).toBe(1);
  return sites;
}

describe('6.1 silence is a virtue', () => {
  it('nothing is sent when there is nothing to say', () => {
    const { world } = pair();
    world.run(3_600 * SECOND);
    expect(world.wire).toEqual([]);
  });

  it('an idle session falls silent after its passive keepalive', () => {
    const { world } = connected();
    world.run(30 * SECOND);
    const count = world.wire.length;
    world.run(3_600 * SECOND);
    expect(world.wire.length).toBe(count);
  });
});

describe('6.2 transport message limits', () => {
  it('the initiator begins a new handshake when it sends REKEY_AFTER_TIME after the last', () => {
    const { world, a } = connected();
    world.run(REKEY_AFTER_TIME_MS - SECOND);
    a.send(A_TO_B());
    expect(a.sent(INITIATION).length).toBe(1);
    world.run(2 * SECOND);
    a.send(A_TO_B());
    expect(a.sent(INITIATION).length).toBe(2);
  });

  it('the responder does not begin one when it sends after REKEY_AFTER_TIME', () => {
    const { world, b } = connected();
    world.run(REKEY_AFTER_TIME_MS + 5 * SECOND);
    b.send(B_TO_A());
    expect(b.sent(DATA).length).toBeGreaterThan(0);
    expect(b.sent(INITIATION).length).toBe(0);
  });

  it('either side begins one after REKEY_AFTER_MESSAGES', () => {
    const { world, a, b } = connected();
    world.run(10 * SECOND);
    b.record(a).current!.sendCounter = REKEY_AFTER_MESSAGES;
    b.send(B_TO_A());
    expect(b.sent(INITIATION).length).toBe(1);
  });

  it('the initiator begins one when it receives with the session nearly expired', () => {
    const { world, a, b } = connected();
    const nearly = REJECT_AFTER_TIME_MS - KEEPALIVE_TIMEOUT_MS - REKEY_TIMEOUT_MS;
    world.run(nearly - SECOND);
    b.send(B_TO_A());
    world.run(10);
    expect(a.sent(INITIATION).length).toBe(1);
    world.run(2 * SECOND);
    b.send(B_TO_A());
    world.run(10);
    expect(a.sent(INITIATION).length).toBe(2);
  });

  it('nothing is sent under a session after REJECT_AFTER_TIME: the packet waits for a new one', () => {
    const { world, a, b } = connected();
    world.run(REJECT_AFTER_TIME_MS + SECOND);
    const before = a.sent(DATA).length;
    world.filter = (d) => d.bytes[0] !== RESPONSE;
    a.send(A_TO_B(7));
    expect(a.sent(DATA).length).toBe(before);
    expect(a.record(b).staged.length).toBe(1);
    expect(a.sent(INITIATION).length).toBe(2);
  });

  it('nothing is accepted under a session after REJECT_AFTER_TIME', () => {
    const { world, a, b } = connected();
    world.filter = () => false;
    a.send(A_TO_B(9));
    const late = a.sent(DATA).at(-1)!;
    world.run(REJECT_AFTER_TIME_MS + SECOND);
    const before = b.delivered.length;
    world.inject(a, b, late.bytes);
    world.run(10);
    expect(b.delivered.length).toBe(before);
    expect(b.device.core.drops.get('expiredKey')).toBe(1);
  });

  it('nothing is sent under a session after REJECT_AFTER_MESSAGES', () => {
    const { world, a, b } = connected();
    world.run(10 * SECOND);
    a.record(b).current!.sendCounter = REJECT_AFTER_MESSAGES;
    const before = a.sent(DATA).length;
    a.send(A_TO_B());
    expect(a.sent(DATA).length).toBe(before);
    expect(a.sent(INITIATION).length).toBe(2);
  });

  it('a session replaced by a newer one still opens packets under way', () => {
    const { world, a, b } = connected();
    world.run(REKEY_AFTER_TIME_MS + SECOND);
    world.latencyMs = 300;
    b.send(B_TO_A(1)); // under the old session, while the new handshake is under way
    a.send(A_TO_B(2));
    world.run(2 * SECOND);
    expect(a.delivered.length).toBe(1);
    expect(a.device.core.drops.entries()).toEqual([]);
  });
});

describe('6.3 key rotation', () => {
  it('all key material is erased 3 x REJECT_AFTER_TIME after the last session', () => {
    const { world, a, b } = connected();
    const keypair = a.record(b).current!;
    world.run(3 * REJECT_AFTER_TIME_MS - SECOND);
    expect(keypair.isWiped).toBe(false);
    world.run(2 * SECOND);
    expect(keypair.isWiped).toBe(true);
    for (const [here, there] of [
      [a, b],
      [b, a],
    ]) {
      const record = here.record(there);
      expect([record.current, record.previous, record.next]).toEqual([null, null, null]);
      expect(record.handshake.state).toBe('none');
      expect(here.device.core.indices.size).toBe(0);
    }
  });

  it('a keypair pushed out of its place is wiped and leaves the index table', () => {
    const { world, a, b } = connected();
    const first = a.record(b).current!;
    for (let i = 0; i < 2; i++) {
      world.run(REKEY_AFTER_TIME_MS + SECOND);
      a.send(A_TO_B());
      world.run(SECOND);
    }
    expect(first.isWiped).toBe(true);
    expect(a.device.core.indices.size).toBe(2);
  });

  it('a handshake given up erases the old keys too, in time', () => {
    const { world, a, b } = connected();
    world.filter = () => false;
    world.run(REJECT_AFTER_TIME_MS);
    a.send(A_TO_B());
    world.run(100 * SECOND + 3 * REJECT_AFTER_TIME_MS);
    expect(a.record(b).current).toBe(null);
    expect(a.record(b).handshake.state).toBe('none');
  });
});

describe('6.4 handshake initiation retransmission', () => {
  it('repeats after REKEY_TIMEOUT and jitter, and gives up after REKEY_ATTEMPT_TIME', () => {
    const { world, a, b } = pair();
    world.filter = () => false;
    a.send(A_TO_B());
    world.run(200 * SECOND);
    const times = a.sent(INITIATION).map((d) => d.at);
    expect(times.length).toBe(MAX_TIMER_HANDSHAKES + 2);
    const jitters = new Set<number>();
    for (let i = 1; i < times.length; i++) {
      const gap = times[i] - times[i - 1];
      expect(gap).toBeGreaterThanOrEqual(REKEY_TIMEOUT_MS);
      expect(gap).toBeLessThan(REKEY_TIMEOUT_MS + REKEY_TIMEOUT_JITTER_MAX_MS);
      jitters.add(gap);
    }
    expect(jitters.size).toBeGreaterThan(5);
    expect(a.record(b).staged.length).toBe(0);
    expect(a.device.core.drops.get('handshakeTimeout')).toBe(1);
  });

  it('a retry has a fresh ephemeral key and timestamp', () => {
    const { world, a } = pair();
    world.filter = () => false;
    a.send(A_TO_B());
    world.run(6 * SECOND);
    const [first, second] = a.sent(INITIATION).map((d) => d.bytes);
    expect(first.subarray(8, 40)).not.toEqual(second.subarray(8, 40));
    expect(first.subarray(88, 116)).not.toEqual(second.subarray(88, 116));
  });

  it('at most one initiation leaves per REKEY_TIMEOUT, however much there is to send', () => {
    const { world, a } = pair();
    world.filter = () => false;
    for (let i = 0; i < 40; i++) {
      a.send(A_TO_B());
      world.run(100);
    }
    expect(a.sent(INITIATION).length).toBe(1);
  });

  it('a new packet after giving up starts anew', () => {
    const { world, a } = pair();
    world.filter = () => false;
    a.send(A_TO_B());
    world.run(200 * SECOND);
    const before = a.sent(INITIATION).length;
    world.filter = () => true;
    a.send(A_TO_B());
    world.run(10);
    expect(a.sent(INITIATION).length).toBe(before + 1);
    expect(world.sites[1].delivered.length).toBe(1);
  });

  it('packets wait in order for the session, bounded, the oldest dropped', () => {
    const { world, a, b } = pair();
    for (let i = 0; i < MAX_STAGED_PACKETS + 3; i++) a.send(A_TO_B(i));
    world.run(10);
    expect(b.delivered.length).toBe(MAX_STAGED_PACKETS);
    expect(b.delivered.map((p) => p[23])).toEqual(
      Array.from({ length: MAX_STAGED_PACKETS }, (_, i) => (i + 3) & 0xff),
    );
    expect(a.device.core.drops.get('stagedOverflow')).toBe(3);
    expect(a.record(b).drops.get('stagedOverflow')).toBe(3);
  });
});

describe('6.5 passive keepalive', () => {
  it('answers data with an empty packet after KEEPALIVE_TIMEOUT of silence', () => {
    const { world, b } = connected();
    world.run(KEEPALIVE_TIMEOUT_MS - 100);
    expect(b.sent(DATA).length).toBe(0);
    world.run(200);
    expect(b.sent(DATA).map((d) => d.bytes.length)).toEqual([KEEPALIVE_BYTES]);
  });

  it('sends none when data went back meanwhile', () => {
    const { world, b } = connected();
    world.run(SECOND);
    b.send(B_TO_A());
    world.run(KEEPALIVE_TIMEOUT_MS);
    expect(b.sent(DATA).filter((d) => d.bytes.length === KEEPALIVE_BYTES)).toEqual([]);
  });

  it('does not answer a keepalive with a keepalive', () => {
    const { world, a } = connected();
    world.run(60 * SECOND);
    expect(a.sent(DATA).filter((d) => d.bytes.length === KEEPALIVE_BYTES).length).toBe(0);
  });

  it('follows up with another when data kept coming while one was due', () => {
    const { world, a, b } = connected();
    for (let i = 0; i < 9; i++) {
      world.run(SECOND);
      a.send(A_TO_B());
    }
    world.run(25 * SECOND);
    expect(b.sent(DATA).length).toBe(2);
  });

  it('begins a new handshake KEEPALIVE_TIMEOUT + REKEY_TIMEOUT after data that nothing answers', () => {
    const { world, a } = connected();
    world.run(30 * SECOND);
    world.filter = () => false;
    const sentAt = world.now;
    a.send(A_TO_B());
    world.run(40 * SECOND);
    const initiation = a.sent(INITIATION, sentAt)[0];
    const delay = initiation.at - sentAt;
    expect(delay).toBeGreaterThanOrEqual(KEEPALIVE_TIMEOUT_MS + REKEY_TIMEOUT_MS);
    expect(delay).toBeLessThan(
      KEEPALIVE_TIMEOUT_MS + REKEY_TIMEOUT_MS + REKEY_TIMEOUT_JITTER_MAX_MS,
    );
  });

  it('more data meanwhile does not postpone that handshake', () => {
    const { world, a } = connected();
    world.run(30 * SECOND);
    world.filter = () => false;
    const sentAt = world.now;
    for (let i = 0; i < 20; i++) {
      a.send(A_TO_B());
      world.run(SECOND);
    }
    expect(a.sent(INITIATION, sentAt)[0].at - sentAt).toBeLessThan(15_400);
  });
});

describe('persistent keepalive', () => {
  it('calls at once, then keeps the path open in silence, by the interval', () => {
    const { world, a, b } = pair();
    a.peer(b, ['10.20.0.0/24'], { persistentKeepalive: 25 });
    world.run(10);
    expect(a.sent(INITIATION).length).toBe(1);
    world.run(101 * SECOND);
    const keepalives = a.sent(DATA).map((d) => d.at);
    expect(keepalives.length).toBe(5);
    for (let i = 1; i < 5; i++) expect(keepalives[i] - keepalives[i - 1]).toBe(25 * SECOND);
  });

  it('is postponed by traffic and stopped by 0', () => {
    const { world, a, b } = connected();
    a.peer(b, ['10.20.0.0/24'], { persistentKeepalive: 5 });
    world.run(SECOND);
    const start = world.now;
    for (let i = 0; i < 10; i++) {
      a.send(A_TO_B());
      world.run(4 * SECOND);
    }
    expect(a.sent(DATA, start).filter((d) => d.bytes.length === KEEPALIVE_BYTES)).toEqual([]);
    a.peer(b, ['10.20.0.0/24'], { persistentKeepalive: 0 });
    const stop = world.now;
    world.run(30 * SECOND);
    expect(a.sent(DATA, stop)).toEqual([]);
  });
});

describe('6.6 interaction with the cookie reply', () => {
  it('a cookie does not trigger a message at once: the next retry carries it', () => {
    const { world, a, b } = pair();
    const queue = b.device.core.handshakeQueue;
    queue.isUnderLoad = () => true;
    a.send(A_TO_B());
    world.run(SECOND);
    expect(b.sent(3).length).toBe(1);
    expect(a.sent(INITIATION).length).toBe(1);
    expect(b.sent(RESPONSE).length).toBe(0);
    world.run(5 * SECOND);
    expect(a.sent(INITIATION).length).toBe(2);
    expect(a.sent(INITIATION)[1].bytes.subarray(132)).not.toEqual(new Uint8Array(16));
    expect(b.sent(RESPONSE).length).toBe(1);
  });
});

describe('5.4 key confirmation', () => {
  it('the responder sends no data before confirmation', () => {
    const { world, a, b } = pair();
    world.filter = (d) => d.bytes[0] !== DATA;
    a.send(A_TO_B());
    world.run(100);
    expect(b.sent(RESPONSE).length).toBe(1);
    b.send(B_TO_A());
    expect(b.sent(DATA)).toEqual([]);
    expect(b.record(a).staged.length).toBe(1);
    world.filter = () => true;
    world.run(KEEPALIVE_TIMEOUT_MS + 6 * SECOND);
    expect(a.delivered.length).toBe(1);
  });
});

describe('both call at once', () => {
  it('one session comes of it and nothing is lost', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { world, a, b } = pair(seed);
      world.latencyMs = 20;
      a.send(A_TO_B());
      world.run(seed * 2);
      b.send(B_TO_A());
      world.run(12 * SECOND);
      expect(a.delivered.length, `seed ${seed}`).toBe(1);
      expect(b.delivered.length, `seed ${seed}`).toBe(1);
    }
  });
});
