import { describe, expect, it } from 'vitest';
import {
  commonLength,
  covers,
  hostPrefix,
  isCovered,
  isGroup,
  isHost,
  isLinkLocal,
  lengthOf,
  overlap,
} from '../../src/doctor/prefix.ts';

describe('a prefix', () => {
  it.each<[string, string, boolean]>([
    ['10.20.0.0/24', '10.20.0.7', true],
    ['10.20.0.0/24', '10.20.0.0/24', true],
    ['10.20.0.0/24', '10.20.0.128/25', true],
    ['10.20.0.128/25', '10.20.0.0/24', false],
    ['10.20.0.0/24', '10.20.1.0', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['::/0', '10.0.0.1', false],
    ['fd00::/8', 'fdff::1', true],
    ['10.20.0.0/24', 'office', false],
    ['office', '10.20.0.1', false],
  ])('%s covers %s: %s', (outer, inner, expected) => {
    expect(covers(outer, inner)).toBe(expected);
    if (expected) expect(overlap(inner, outer)).toBe(true);
  });

  it.each<[string, readonly string[], boolean]>([
    ['0.0.0.0/0', ['0.0.0.0/1', '128.0.0.0/1'], true],
    ['0.0.0.0/0', ['0.0.0.0/1', '128.0.0.0/2'], false],
    ['10.0.0.0/30', ['10.0.0.0/32', '10.0.0.1/32', '10.0.0.2/31'], true],
    ['10.0.0.0/30', ['10.0.0.0/32', '10.0.0.1/32', '10.0.0.3/32'], false],
    ['10.0.0.1', ['10.0.0.0/8'], true],
    ['10.0.0.1', [], false],
    ['office', ['0.0.0.0/0'], false],
    ['fd00::/63', ['fd00::/64', 'fd00:0:0:1::/64'], true],
  ])('%s is covered by %j together: %s', (inner, outers, expected) => {
    expect(isCovered(inner, outers)).toBe(expected);
  });

  it('has a length, and is a host when it is the whole address', () => {
    expect(['10.0.0.0/8', '10.0.0.1', 'fd00::/64', 'office'].map(lengthOf)).toEqual([
      8, 32, 64, -1,
    ]);
    expect(['10.0.0.1/32', 'fd00::1', '10.0.0.0/31', 'fd00::/127'].map(isHost)).toEqual([
      ...[true, true, false, false],
    ]);
    expect([hostPrefix('10.0.0.1'), hostPrefix('fd00::1')]).toEqual(['10.0.0.1/32', 'fd00::1/128']);
  });

  it('shares as many bits with another as both begin with', () => {
    expect(commonLength('10.99.0.1', '10.99.0.2/32')).toBe(30);
    expect(commonLength('10.99.0.1', '10.99.0.1')).toBe(32);
    expect(commonLength('10.99.0.1', '172.16.0.1')).toBe(0);
    expect(commonLength('fd00:99::1', 'fd00:99::2')).toBe(126);
    expect(commonLength('fd00:99::1', '10.0.0.1')).toBe(0);
  });

  it('is for a group, or of one link alone, by its address', () => {
    const addresses = ['224.0.0.1', 'ff02::2', '255.255.255.255', '10.0.0.1', 'fd00::1'];
    expect(addresses.map(isGroup)).toEqual([true, true, true, false, false]);
    expect(['169.254.1.1', 'fe80::1', '10.0.0.1', 'fd00::1'].map(isLinkLocal)).toEqual([
      ...[true, true, false, false],
    ]);
  });
});
