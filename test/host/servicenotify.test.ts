import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { takeServiceNotifier } from '../../src/host/servicenotify.ts';
import { NotifySocket } from '../lab/notifysocket.ts';

const directory = mkdtempSync(join(tmpdir(), 'tswg-notify-'));
afterAll(() => rmSync(directory, { recursive: true }));

const ABSTRACT = `@tswg/notify/${process.pid}`;
/** sun_path has room for 107 bytes and the zero behind them, or behind the zero of an `@`. */
const LONGEST = `${ABSTRACT}/${'x'.repeat(107 - ABSTRACT.length)}`;

it.each([
  ['a path', join(directory, 'notify')],
  ['an abstract name', ABSTRACT],
  ['the longest abstract name', LONGEST],
])('tells whoever listens at %s, a datagram each', (_, name) => {
  const notes: string[] = [];
  const manager = new NotifySocket(name);
  const service = takeServiceNotifier({ NOTIFY_SOCKET: name }, (note) => notes.push(note));
  expect(manager.states).toEqual([]);
  service.ready();
  service.succeeded(4711);
  service.status('Missing: 1');
  service.stopping();
  const told = ['READY=1', 'MAINPID=4711', 'STATUS=Missing: 1', 'STOPPING=1'];
  expect(manager.states).toEqual(told);
  expect(notes).toEqual([]);
  manager.close();
});

it.each([
  ['nobody', join(directory, 'nobody'), /connect: ENOENT/],
  ['a socket out of its reach', 'vsock:2:1234', /expected \/PATH or @NAME \(connect: EAFNOSUPPORT/],
  ['too long a path', `/${'x'.repeat(108)}`, /path too long \(connect: ENAMETOOLONG/],
])('says in one line that it cannot tell %s', (_, name, reason) => {
  const notes: string[] = [];
  takeServiceNotifier({ NOTIFY_SOCKET: name }, (note) => notes.push(note)).ready();
  expect(notes).toEqual([expect.stringMatching(reason)]);
  expect(notes[0]).toContain(`tell the service manager READY=1 (NOTIFY_SOCKET=${name}): `);
});

it('tells a status as one word of the protocol, cut where it is too long', () => {
  const manager = new NotifySocket(ABSTRACT);
  const service = takeServiceNotifier({ NOTIFY_SOCKET: ABSTRACT }, (note) => expect.fail(note));
  service.status('one\nMAINPID=1');
  service.status('é'.repeat(2_000));
  expect(manager.states[0]).toBe('STATUS=one MAINPID=1');
  expect(manager.states[1]).toMatch(/^STATUS=é{508}$/);
  manager.close();
});

it('says nothing outside of a service', () => {
  for (const env of [{}, { NOTIFY_SOCKET: '' }]) {
    const service = takeServiceNotifier(env, (note) => expect.fail(note));
    service.ready();
    service.succeeded(4711);
    service.stopping();
  }
});

it('leaves the variable to nobody that the service starts', () => {
  const env: Record<string, string | undefined> = { NOTIFY_SOCKET: '@x', OTHER: 'y' };
  takeServiceNotifier(env, () => {});
  expect(env).toEqual({ OTHER: 'y' });
});
