import { describe, expect, it } from 'vitest';
import { parseRoundTrips } from './pings.ts';
import { parseMachineStat, parseProcessStat, parseStatus } from './processes.ts';

describe('what ping prints', () => {
  it('yields every round trip', () => {
    const text = `PING 10.99.0.2 (10.99.0.2) 56(84) bytes of data.
64 bytes from 10.99.0.2: icmp_seq=1 ttl=64 time=0.365 ms
64 bytes from 10.99.0.2: icmp_seq=2 ttl=64 time=12.4 ms
64 bytes from 10.99.0.2: icmp_seq=2 ttl=64 time=13 ms (DUP!)

--- 10.99.0.2 ping statistics ---
2 packets transmitted, 2 received, 0% packet loss, time 1001ms
rtt min/avg/max/mdev = 0.365/6.382/12.400/6.017 ms
`;
    expect(parseRoundTrips(text)).toEqual([0.365, 12.4, 13]);
  });

  it('yields nothing where nothing was answered', () => {
    expect(parseRoundTrips('2 packets transmitted, 0 received, time 1001ms\n')).toEqual([]);
  });
});

describe('what /proc says', () => {
  it('tells a process its user and system time, whatever its name', () => {
    const text =
      '71 (a) b (c) S 1 71 71 0 -1 4194560 900 0 0 0 250 125 0 0 20 0 11 0 5 1000 30 18446744073709551615\n';
    expect(parseProcessStat(text)).toEqual({ userSeconds: 2.5, systemSeconds: 1.25 });
  });

  it('tells all time that the machine did not idle', () => {
    // user nice system idle iowait irq softirq steal guest guest_nice
    const text = 'cpu  100 10 200 9000 900 1 30 9 50 5\ncpu0 1 1 1 1 1 1 1 1 1 1\n';
    expect(parseMachineStat(text)).toBe(3.5);
  });

  it('tells the peak of memory in decimal megabytes', () => {
    const text = 'Name:\tnode\nVmPeak:\t 9999999 kB\nVmHWM:\t  125000 kB\nVmRSS:\t  100 kB\n';
    expect(parseStatus(text, 'VmHWM')).toBe(128);
    expect(() => parseStatus(text, 'VmNone')).toThrow('no VmNone');
  });
});
