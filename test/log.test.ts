import { readFileSync } from 'node:fs';
import { expect, describe as group, it } from 'vitest';
import { Endpoint } from '../src/device/endpoint.ts';
import type { DeviceEvent } from '../src/device/events.ts';
import { formatKey } from '../src/keytext.ts';
import { describe, Log } from '../src/log.ts';
import { parseAddress } from '../src/packet/address.ts';
import { VERSION } from '../src/version.ts';

const publicKey = formatKey(new Uint8Array(32).fill(1));
const peer = { publicKey, description: '', endpoint: null };
const endpoint = new Endpoint(parseAddress('203.0.113.10')!, 51820);
const endpoint6 = new Endpoint(parseAddress('2001:db8::1')!, 7);

group('what an event reads like', () => {
  it.each<[DeviceEvent, string]>([
    [
      { kind: 'initiationSent', peer, attempt: 1, begins: true, renews: false },
      'peer(AQEB…BAQE) - Sending handshake initiation',
    ],
    [
      { kind: 'initiationSent', peer, attempt: 3, begins: false, renews: false },
      'peer(AQEB…BAQE) - Sending handshake initiation (the last was not answered; try 3)',
    ],
    [
      { kind: 'roamed', peer, from: endpoint, to: endpoint6 },
      'peer(AQEB…BAQE) - Endpoint moved from 203.0.113.10:51820 to [2001:db8::1]:7',
    ],
    [
      { kind: 'stranger', publicKey, endpoint },
      'Refused an initiation from 203.0.113.10:51820: AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE= is no peer of ours',
    ],
    [
      { kind: 'clockSetBack', ms: 365 * 86_400_000 },
      'The clock was set back by 365 days: handshakes continue from the timestamps sent before',
    ],
    [
      { kind: 'clockSetBack', ms: 90_000 },
      'The clock was set back by 90 seconds: handshakes continue from the timestamps sent before',
    ],
    [
      { kind: 'initiationsStale', peer, endpoint },
      'peer(AQEB…BAQE) - Refused its initiations from 203.0.113.10:51820: their timestamps are not newer than the last one accepted. Was its clock set back?',
    ],
    [
      { kind: 'dropped', reason: 'stagedOverflow', peer, endpoint: null, packets: 2 },
      'peer(AQEB…BAQE) - Dropped (2 packets): packet waiting for a handshake, pushed out by newer ones',
    ],
  ])('%o', (event, text) => {
    expect(describe(event)).toBe(text);
  });
});

group('levels', () => {
  const lines = (level: 'silent' | 'error' | 'debug', isDebugging: boolean): string[] => {
    const written: string[] = [];
    const log = new Log(
      'wg0',
      level,
      (line) => written.push(line),
      () => new Date(0),
    );
    log.isDebugging = isDebugging;
    log.error('e');
    log.debug('d');
    log.event({ kind: 'responseSent', peer });
    return written;
  };

  it('a clock that was set back is told wherever errors are', () => {
    const written: string[] = [];
    const time = () => new Date(0);
    for (const level of ['silent', 'error', 'debug'] as const) {
      const log = new Log('wg0', level, () => written.push(level), time);
      log.event({ kind: 'clockSetBack', ms: 5_000 });
    }
    expect(written).toEqual(['error', 'debug']);
  });

  it('each lets its own through, and `debug` all', () => {
    expect(lines('silent', false)).toEqual([]);
    expect(lines('error', false)).toEqual(['ERROR: (wg0) 1970/01/01 00:00:00 e']);
    expect(lines('debug', false).length).toBe(3);
    expect(lines('silent', true).length).toBe(3);
  });
});

it('each line comes with its priority', () => {
  const written: string[] = [];
  const log = new Log(
    'wg0',
    'debug',
    (_, priority) => written.push(priority),
    () => new Date(0),
  );
  log.error('e');
  log.debug('d');
  log.event({ kind: 'clockSetBack', ms: 5_000 });
  log.event({ kind: 'responseSent', peer });
  expect(written).toEqual(['error', 'debug', 'error', 'debug']);
});

it('the version is that of package.json', () => {
  expect(JSON.parse(readFileSync('package.json', 'utf8')).version).toBe(VERSION);
});
