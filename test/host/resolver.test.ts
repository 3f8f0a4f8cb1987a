import { expect, it } from 'vitest';
import { createRepeatedLookup } from '../../src/host/resolver.ts';

/** A name service that answers when it is told to, and counts what it was asked. */
function createService() {
  const open: { resolve(found: string[]): void; reject(error: Error): void }[] = [];
  const look = (_host: string) =>
    new Promise<string[]>((resolve, reject) => open.push({ resolve, reject }));
  return { open, look };
}

const AGAIN = expect.objectContaining({ code: 'EAI_AGAIN' });
const UNKNOWN = Object.assign(new Error('none'), { code: 'ENOTFOUND' });

it('a lookup that is repeated gives the answer to the question asked before', async () => {
  const { open, look } = createService();
  const lookup = createRepeatedLookup(5, look);
  await expect(lookup('a.example')).rejects.toEqual(AGAIN);
  await expect(lookup('a.example')).rejects.toEqual(AGAIN);
  expect(open).toHaveLength(1);
  open[0].resolve(['192.0.2.1']);
  expect(await lookup('a.example')).toEqual(['192.0.2.1']);
  // What was answered is asked again, as the answer may be another one by then.
  await expect(lookup('a.example')).rejects.toEqual(AGAIN);
  expect(open).toHaveLength(2);
});

it('a failure that comes late is told, and asked about again at once', async () => {
  const { open, look } = createService();
  const lookup = createRepeatedLookup(5, look);
  await expect(lookup('a.example')).rejects.toEqual(AGAIN);
  open[0].reject(UNKNOWN);
  await expect(lookup('a.example')).rejects.toBe(UNKNOWN);
  const next = lookup('a.example');
  open[1].resolve(['192.0.2.1']);
  expect(await next).toEqual(['192.0.2.1']);
  expect(open).toHaveLength(2);
});

it('a lookup that is answered at once does not wait, and names do not wait for each other', async () => {
  const { look } = createService();
  const lookup = createRepeatedLookup(60_000, async (host) =>
    host === 'silent.example' ? look(host) : [host],
  );
  void lookup('silent.example');
  expect(await lookup('b.example')).toEqual(['b.example']);
});
