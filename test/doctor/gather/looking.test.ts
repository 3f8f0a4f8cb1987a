import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { waitUntil } from '../../../src/doctor/gather/looking.ts';

it('what came while we did not run counts as in time', async () => {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  let isThere = false;
  socket.once('message', () => {
    isThere = true;
  });
  const sender = createSocket('udp4');
  sender.connect(socket.address().port, '127.0.0.1');
  await once(sender, 'connect');
  const waited = waitUntil(() => isThere, 20);
  sender.send('x');
  // As on a machine that gives the processor to others, for longer than is waited.
  for (const end = performance.now() + 60; performance.now() < end; );
  await waited;
  expect(isThere).toBe(true);
  socket.close();
  sender.close();
});
