import { describe, expect, it } from 'vitest';
import { gigabitsPerSecond, loadArguments, parseDelivery } from './iperf.ts';

const LOAD = { address: '10.99.0.2', seconds: 2 };
/** Of iperf3 3.12's own reports, what is read. */
const SENT = { start: 0, end: 1.000046, seconds: 1.000046, bytes: 309_198_848, sender: true };
const RECEIVED = { start: 0, end: 1.000131, seconds: 1.000131, bytes: 303_955_968, sender: true };
const BACK = { start: 0, end: 1.000131, seconds: 1.000131, bytes: 2_766_667_670, sender: false };

describe('iperf3', () => {
  it.each([
    [{}, '-J -c 10.99.0.2 -t 2'],
    [{ reverse: true }, '-J -c 10.99.0.2 -t 2 -R'],
    [{ streams: 4 }, '-J -c 10.99.0.2 -t 2 -P 4'],
    [{ both: true }, '-J -c 10.99.0.2 -t 2 --bidir'],
    [{ datagramBytes: 64 }, '-J -c 10.99.0.2 -t 2 -u -b 0 -l 64'],
    [{ congestion: 'bbr', omittedSeconds: 1 }, '-J -c 10.99.0.2 -t 2 -C bbr -O 1'],
    [{ bytes: 20e9 }, '-J -c 10.99.0.2 -n 20000000000'],
  ])('is asked for %j with %s', (more, expected) => {
    expect(loadArguments({ ...LOAD, ...more }).join(' ')).toBe(expected);
  });

  it('counts what was received, not what was sent', () => {
    const json = JSON.stringify({ end: { sum_sent: SENT, sum_received: RECEIVED } });
    expect(parseDelivery(json)).toEqual({ bytes: 303_955_968, seconds: 1.000131 });
  });

  it('adds up both directions', () => {
    const end = { sum_received: RECEIVED, sum_received_bidir_reverse: BACK };
    expect(parseDelivery(JSON.stringify({ end })).bytes).toBe(303_955_968 + 2_766_667_670);
  });

  it('passes on what iperf3 complains of', () => {
    const json = JSON.stringify({ end: {}, error: 'unable to connect to server' });
    expect(() => parseDelivery(json)).toThrow('iperf3: unable to connect to server');
  });

  it.each(['', 'iperf3: command not found', '{"end": {'])('refuses %j', (text) => {
    expect(() => parseDelivery(text)).toThrow('iperf3: no JSON report');
  });

  it('refuses a report without a sum', () => {
    expect(() => parseDelivery('{"end": {}}')).toThrow('sum_received');
  });

  it('reckons in decimal gigabits', () => {
    expect(gigabitsPerSecond({ bytes: 250_000_000, seconds: 2 })).toBe(1);
  });
});
