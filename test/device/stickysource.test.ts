/** Which of our own addresses a peer without ways is sent to from, when the line changes under it. */

import { expect, it } from 'vitest';
import { formatAddress } from '../../src/packet/address.ts';
import { A_TO_B, B_TO_A, pair } from './world.ts';

const SECOND = 1_000;
const OLD = '192.0.2.1';
const NEW = '203.0.113.1';
/** KEEPALIVE_TIMEOUT and REKEY_TIMEOUT with its jitter: when silence is noticed. */
const SILENCE = 15.4 * SECOND;

it('is the old line’s again by what was on its way, until silence is noticed if that is dead', () => {
  const { world, a, b } = pair();
  a.another(NEW);
  const sourceOf = () => {
    const { source } = a.record(b).endpoint!;
    return source && formatAddress(source);
  };
  const talk = () => {
    a.send(A_TO_B());
    world.run(40);
    b.send(B_TO_A());
    world.run(60);
  };
  for (let i = 0; i < 50; i++) talk();
  expect(sourceOf()).toBe(OLD);
  // The default route is the other line's now, so that the kernel would choose that, and what was
  // learnt is forgotten; but one datagram is still on its way to the old address.
  b.send(B_TO_A());
  [a.endpoint, a.others[0]] = [a.others[0], a.endpoint];
  a.record(b).endpoint!.forgetSource();
  a.turn(() => a.device.pathsChanged(world.now));
  expect(sourceOf()).toBeNull();
  world.run(10);
  // As in the kernel's WireGuard: an authenticated packet says where the peer reaches us.
  expect(sourceOf()).toBe(OLD);
  world.filter = ({ endpoint, source }) =>
    ![endpoint, source].some(({ address }) => formatAddress(address) === OLD);
  const dead = world.now;
  const { length } = b.delivered;
  while (b.delivered.length === length && world.now - dead < 60 * SECOND) talk();
  const seconds = (world.now - dead) / SECOND;
  console.log(`a source on a line that is dead: left after ${seconds.toFixed(1)} s`);
  expect(world.now - dead).toBeLessThanOrEqual(SILENCE + 100);
  // And the peer has followed.
  for (let i = 0; i < 5; i++) talk();
  expect(sourceOf()).toBe(NEW);
});
