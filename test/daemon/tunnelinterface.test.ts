/** An interface whose packets the transport cannot take: they wait in the kernel, and nothing spins. */

import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import { Ending } from '../../src/daemon/ending.ts';
import { TunnelInterface } from '../../src/daemon/tunnelinterface.ts';
import type { Underlay } from '../../src/daemon/underlay.ts';
import { Datapath } from '../../src/datapath/datapath.ts';
import { Log } from '../../src/log.ts';
import { openLoop } from '../../src/sys/loop.ts';
import { Line } from '../datapath/inprocess.ts';
import { describeInNamespace, enterNamespace, eventually, ip } from '../lab/namespace.ts';

const NAME = 'held0';

function rethrow(error: unknown): void {
  throw error;
}

describeInNamespace('the interface of a transport that takes no more', () => {
  beforeAll(enterNamespace);

  it.each([
    ['before it is read for the first time', true],
    ['while it is read', false],
  ])('is not read, nor watched in vain, when it is held %s', async (_, isEarly) => {
    const arena = new Arena(6 << 20);
    const log = new Log(
      NAME,
      'silent',
      () => {},
      () => new Date(),
    );
    const ending = new Ending(log, false);
    const path = new Datapath({
      arena,
      suite: createPortableSuite(arena),
      onHold: (isHeld) => tunnel.hold(isHeld),
    });
    let waits = 0;
    const deadline = (): number => {
      waits++;
      return Number.POSITIVE_INFINITY;
    };
    const loop = openLoop({ deadline, onDeadline: () => {}, onBug: rethrow }, rethrow);
    const tunnel = new TunnelInterface({
      ...{ path, loop, log, ending, tell: () => {} },
      underlay: {
        ...{ trouble: '', bringUp: () => true, follow: () => {}, close: () => {} },
      } as unknown as Underlay,
      isPersistent: false,
      tun: { arena, offload: false, onDrop: () => {}, onNote: () => {} },
      onNamed: () => {},
    });
    tunnel.open(NAME, undefined);
    const full = new Line(arena, 0);
    const hold = (): void => {
      path.attachTransport(full);
      path.handleTimeout();
    };
    if (isEarly) hold();
    tunnel.begin();
    if (!isEarly) hold();
    ip('addr', 'add', '10.8.0.1/24', 'dev', NAME);
    ip('link', 'set', NAME, 'up');
    spawnSync('ping', ['-c', '1', '-W', '1', '10.8.0.2']);
    await sleep(50);
    const before = waits;
    await sleep(200);
    // A loop that spins comes to thousands.
    expect(waits - before).toBeLessThan(100);
    expect(path.moved).toBe(0);
    path.turn(() => path.detachTransport());
    await eventually(() => path.moved > 0, 'what waited');
    tunnel.stop();
    loop.close();
    path.close();
    tunnel.close('stopped');
  });
});
