import { describe, expect, it } from 'vitest';
import { troubleLine, wordDeviceTrouble, wordPeerTrouble } from '../../src/cli/troubles.ts';
import type { AnyDeviceTrouble } from '../../src/daemon/troubles.ts';
import type { PeerTrouble } from '../../src/device/troubles.ts';
import { answer } from '../../src/uapi/response.ts';
import { formatStats, parseStats, type ReportedTrouble } from '../../src/uapi/stats.ts';

/** As it arrives in `tswg`. */
function reported(trouble: AnyDeviceTrouble | PeerTrouble): ReportedTrouble {
  const told = formatStats({ facts: {}, counters: {}, troubles: [trouble], peers: [] });
  return parseStats(answer(told)).troubles[0];
}

const REFUSAL = { call: 'bind', error: 'EADDRINUSE' };

const NOBODYS = { prefix: '', owner: '', ownerPrefix: '' };
const ANOTHERS = { owner: 'AQEB=', ownerPrefix: '10.1.0.2/32' };

const OF_DEVICE: readonly [AnyDeviceTrouble, string][] = [
  [{ code: 'noPrivateKey' }, 'key: no private key is set: no handshake can begin'],
  [{ code: 'underLoad' }, 'load: under load: handshakes need a cookie'],
  [
    { code: 'badMac1', messages: 3, address: '192.0.2.1', port: 7, agoMs: 12_400 },
    'mac1: 192.0.2.1 port 7 tried to connect 12 seconds ago with a public key that is not ours: has it the wgpubkey of this interface?',
  ],
  [
    { code: 'stranger', publicKey: 'AQEB=', address: '192.0.2.1', port: 7, agoMs: 12_400 },
    'stranger: an unknown key tried to connect: AQEB= from 192.0.2.1 port 7, 12 seconds ago; if it is to be a peer: `tswg wg0 wgpeer AQEB= wgaip PREFIX`',
  ],
  [
    { code: 'interfaceDown' },
    'down: no packet passes: `tswg wg0 inet ADDRESS/LENGTH` or `tswg wg0 up` brings the interface up',
  ],
  [
    { code: 'unroutable', address: '10.33.8.1', packets: 5, agoMs: 3_000 },
    'wgaip: a packet to 10.33.8.1 was dropped 3 seconds ago, since it is in the wgaip of no peer (5 such packets so far)',
  ],
  [
    { code: 'noSocket', why: 'open UDP port 53: in use', ...REFUSAL },
    'socket: open UDP port 53: in use',
  ],
  [
    { code: 'starterLost' },
    'starter: has ended: no upgrade in place; the control socket does not follow a renaming, and is not removed at the end. Start the daemon again to have another starter',
  ],
  [
    { code: 'resolverLost', why: 'the starter (tswgd-starter) has ended' },
    'names: names of endpoints are not looked up: the starter (tswgd-starter) has ended',
  ],
  [
    { code: 'keysSwappable', error: '', keys: 7 },
    'sandbox: 7 keys are in ordinary memory, which may be swapped out',
  ],
  [
    { code: 'keysSwappable', error: 'EPERM', keys: 0 },
    'sandbox: keys are in ordinary memory, which may be swapped out (mlock: EPERM)',
  ],
  [
    { code: 'stateUnsaved', why: 'the disk is full', ...REFUSAL, isRetried: true },
    'state: the disk is full',
  ],
  [
    { code: 'stateUnsaved', why: 'a read-only disk', ...REFUSAL, isRetried: false },
    'state: a read-only disk; once that is fixed, `tswg wg0 upgrade` or a restart begins to save it',
  ],
  [
    { code: 'sandboxOff' },
    'sandbox: off: the daemon keeps root and every right; for debugging only',
  ],
  [
    { code: 'sandboxRefused', step: 'no_new_privs', call: 'prctl', error: 'EPERM' },
    'sandbox: no new privs does not hold (prctl: EPERM)',
  ],
  [
    { code: 'bindGone', near: 'wan1', why: 'down' },
    'wgbind: wan1: the interface is down: nothing can be sent from there',
  ],
  [
    { code: 'bindGone', near: 'wan1', why: 'noInterface' },
    'wgbind: wan1: there is no such interface: nothing can be sent from there',
  ],
  [
    { code: 'strictFilter', interface: 'wan1' },
    'rp_filter: answers over wan1 are dropped by the kernel: set net.ipv4.conf.wan1.rp_filter to 2',
  ],
  [{ code: 'sandboxRoot' }, 'sandbox: the daemon is still root, as TSWG_USER asks'],
  [
    { code: 'sandboxThreads' },
    'sandbox: the other threads keep the capabilities that they were started with',
  ],
  [
    { code: 'sandboxProcessor', processor: 'mips' },
    'sandbox: system calls are not filtered: there is no filter for mips',
  ],
  [{ code: 'sandboxRing' }, 'sandbox: what is asked of an io_uring is not filtered'],
];

const OF_PEER: readonly [PeerTrouble, string][] = [
  [
    { code: 'routingLoop' },
    'route: wgendpoint is routed into this interface, so that nothing can be sent: check `ip route get` for it',
  ],
  [
    { code: 'nearGone', near: '192.0.2.9', why: 'noAddress' },
    'via: 192.0.2.9: no interface has this address: nothing can be sent from there',
  ],
  [
    { code: 'nearGone', near: 'wan1', why: 'noCarrier' },
    'via: wan1: nothing is plugged into the interface (no carrier): nothing can be sent from there',
  ],
  [
    { code: 'nearGone', near: '192.0.2.9', why: 'otherFamily' },
    'via: 192.0.2.9: an address of the other family than the endpoint: nothing can be sent from there',
  ],
  [{ code: 'noPrivateKey' }, 'handshake: no private key is set on this side'],
  [
    { code: 'callsUs', initiations: 2 },
    'wgendpoint: leads to this interface itself: expected the address of the peer, or a name that is resolved to that',
  ],
  [
    { code: 'undecipherable', responses: 2 },
    'handshake: the peer answers but its answer does not decrypt: is the preshared key the same on both sides?',
  ],
  [
    { code: 'staleTimestamps', initiations: 2 },
    'handshake: the peer tries to connect with timestamps older than before: was its clock set back?',
  ],
  [
    { code: 'unconfirmed', responses: 4 },
    'handshake: answered 4 initiations of the peer, but it sends no data: do our answers reach it, and is the preshared key the same?',
  ],
  [
    { code: 'noEndpoint', packets: 1 },
    'handshake: no endpoint is known (1 packet could not be sent): set wgendpoint, or wait until the peer calls',
  ],
  [
    { code: 'cannotSend', error: 'EPERM', initiations: 9 },
    'handshake: 9 initiations could not be sent: a firewall of this machine forbids it (EPERM)',
  ],
  [
    { code: 'cannotSend', error: 'EWHAT', initiations: 9 },
    'handshake: 9 initiations could not be sent: refused by the system (EWHAT)',
  ],
  [
    { code: 'peerUnderLoad', cookies: 1 },
    'handshake: the peer is reachable but under load: it asked for a cookie, which we sent',
  ],
  [
    { code: 'noAnswer', initiations: 5, silentMs: 25_499 },
    "handshake: no answer to 5 initiations in 25 seconds: check wgendpoint, the firewalls on the way, that this is the peer's key, and that the peer has our wgpubkey",
  ],
  [
    { code: 'noAllowedIps' },
    'wgaip: there is none: no packet is sent to the peer or accepted from it',
  ],
  [
    { code: 'foreignSource', address: 'fd00::2', packets: 5, agoMs: 3_000, ...NOBODYS },
    'wgaip: a packet from fd00::2, which is not in its wgaip, was dropped 3 seconds ago (5 such packets so far)',
  ],
  [
    { code: 'foreignSource', address: '10.1.0.2', packets: 1, agoMs: 0, prefix: '', ...ANOTHERS },
    'wgaip: a packet from 10.1.0.2, which is in the wgaip 10.1.0.2/32 of AQEB=, was dropped 0 seconds ago (1 such packet so far)',
  ],
  [
    {
      ...{ code: 'foreignSource', address: '10.1.0.2', packets: 1, agoMs: 0 },
      ...{ prefix: '10.1.0.0/24', ...ANOTHERS },
    },
    'wgaip: a packet from 10.1.0.2, which is in its wgaip 10.1.0.0/24, but also in the wgaip 10.1.0.2/32 of AQEB=, which is the longer one, was dropped 0 seconds ago (1 such packet so far)',
  ],
  [
    { code: 'ownSource', address: '10.1.0.2', packets: 7, agoMs: 2_000 },
    'address: a packet from 10.1.0.2, an address of this machine, was dropped 2 seconds ago (7 such packets so far): have both ends the same address?',
  ],
  [
    { code: 'onlyKeepalives', packets: 150, lastedMs: 130_000, agoMs: 4_000 },
    'data: 150 packets were sent in 130 seconds, and nothing came back but keepalives, the last 4 seconds ago: if answers are expected, is our address in the wgaip that the peer has for us, and has it a route back?',
  ],
];

describe('what is wrong is put into words', () => {
  it.each(OF_DEVICE)('with the device: %o', (trouble, expected) => {
    const wording = wordDeviceTrouble(reported(trouble), 'wg0');
    expect(troubleLine(wording)).toBe(`trouble: ${expected}`);
  });

  it.each(OF_PEER)('with a peer: %o', (trouble, expected) => {
    const wording = wordPeerTrouble(reported(trouble), 'wg0');
    expect(troubleLine(wording)).toBe(`trouble: ${expected}`);
    expect(wording.isShownFirst).toBe(true);
  });

  it('and of the device that is shown with the interface which stops it or its next upgrade', () => {
    const first = OF_DEVICE.map(([trouble]) => reported(trouble))
      .filter((trouble) => wordDeviceTrouble(trouble, 'wg0').isShownFirst)
      .map(({ code }) => code);
    expect(first).toEqual([
      ...['badMac1', 'stranger', 'interfaceDown', 'unroutable', 'noSocket', 'starterLost'],
      ...['resolverLost', 'bindGone', 'bindGone', 'strictFilter'],
    ]);
  });
});

it('of the sandbox is said once in `stats`, by the fact where there is one', () => {
  const sandboxed = OF_DEVICE.map(([trouble]) => reported(trouble)).filter(
    ({ code }) => code.startsWith('sandbox') || code === 'keysSwappable',
  );
  const facts = sandboxed.map((trouble) => wordDeviceTrouble(trouble, 'wg0').fact);
  expect(facts).toEqual([
    ...['sandbox_key_memory', 'sandbox_key_memory', 'sandbox', 'sandbox_no_new_privs'],
    ...['sandbox_user', 'sandbox_capabilities', 'sandbox_seccomp', 'sandbox_seccomp'],
  ]);
});

describe('a trouble of another version is shown as code and values', () => {
  it.each<[string, ReportedTrouble, string]>([
    ['an unknown code', { code: 'brandNew', values: {} }, 'brandNew'],
    [
      'with values',
      { code: 'brandNew', values: { count: 7, isNew: true, why: 'a "b" c' } },
      'brandNew count=7 isNew=true why="a \\"b\\" c"',
    ],
    ['a value less', { code: 'noAnswer', values: { silentMs: 1 } }, 'noAnswer silentMs=1'],
    [
      'a value of another kind',
      { code: 'noAnswer', values: { initiations: 'x', silentMs: 1 } },
      'noAnswer initiations="x" silentMs=1',
    ],
    ['what every object has', { code: 'constructor', values: {} }, 'constructor'],
    [
      'what would steer the terminal',
      { code: 'a', values: { b: '\u001b\u009b' } },
      'a b="\\u001b?"',
    ],
  ])('%s', (_, trouble, text) => {
    const expected = { label: '', text, isShownFirst: true, fact: '' };
    expect(troubleLine(expected)).toBe(`trouble: ${text}`);
    expect(wordPeerTrouble(trouble, 'wg0')).toEqual(expected);
    expect(wordDeviceTrouble(trouble, 'wg0')).toEqual(expected);
  });

  it('but a value more is no matter', () => {
    const values = { why: 'in use', ...REFUSAL, since: 7 };
    expect(wordDeviceTrouble({ code: 'noSocket', values }, 'wg0').text).toBe('in use');
  });

  it('and no text of a daemon steers the terminal', () => {
    const values = { why: 'in use\u001b[2J\u202e', ...REFUSAL };
    expect(wordDeviceTrouble({ code: 'noSocket', values }, 'wg0').text).toBe('in use?[2J?');
  });
});
