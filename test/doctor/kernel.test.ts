/** The kernel's own WireGuard: how it is asked, what is found without its counters, and what fixes it. */

import { describe, expect, it } from 'vitest';
import { formatDiagnosis } from '../../src/cli/findings.ts';
import { cannotLook, type Evidence, known, looked } from '../../src/doctor/evidence.ts';
import { examine } from '../../src/doctor/examine.ts';
import { describeDaemon, sampleDaemon } from '../../src/doctor/gather/daemon.ts';
import { parseDump } from '../../src/doctor/gather/wgdump.ts';
import { kernelCommand } from '../../src/doctor/kernelcommand.ts';
import { INNER, NOW_MS } from './healthy.ts';
import { MADE_RECORDS } from './recorded/made.ts';

/** As wg(8) writes it, of keys that were thrown away. */
const DUMP = `MKUGgcHjFbVsgcml74kG8A+iqI6KKB8uaW9fCyq5A2k=\tI4G2kJyw5419B9ccGWYw4I93ie5xyznHpkMVtQqCPXE=\t51999\t0xca6c
Z2R4wqfWn8CHRXkQFcPETEZEQjXu4H9mDBeMqeAsqi8=\t(none)\t[2001:db8::1]:51820\t10.0.0.0/24,fd00::/64\t1764327753\t148\t92\t25
6QKkU7uW3zpKtDh9jxMnhiebiiVcdXl7+yU349EDLUM=\tqGT5fhnxrozIbTBRfamrwMf9dyR+ejiKFBBDMnJpTJM=\t(none)\t(none)\t0\t0\t0\toff
UZFd9536vuUv4Ys873sHHLu+xlsu93iwugbPEAeKS3E=\t(none)\t[fe80::1%lo]:9\t(none)\t0\t0\t0\toff
`;

describe('what wg(8) tells of a tunnel of the kernel’s own', () => {
  const sample = parseDump(DUMP);
  const daemon = describeDaemon(sample, sample, NOW_MS);

  it('is what a daemon would tell, but for counters', () => {
    expect(daemon).toMatchObject({
      ...{ kind: 'answers', version: null, key: 'clamped', listenPort: 51_999, fwmark: 0xca6c },
      ...{ publicKey: 'I4G2kJyw5419B9ccGWYw4I93ie5xyznHpkMVtQqCPXE=', counters: {}, troubles: [] },
      peers: [
        {
          publicKey: 'Z2R4wqfWn8CHRXkQFcPETEZEQjXu4H9mDBeMqeAsqi8=',
          ...{ hasPresharedKey: false, persistentKeepalive: 25, rxBytes: 148, txBytes: 92 },
          endpoint: { address: '2001:db8::1', port: 51_820, scope: 0 },
          ...{ allowedIps: ['10.0.0.0/24', 'fd00::/64'], lastHandshakeMs: 1_764_327_753_000 },
        },
        { hasPresharedKey: true, endpoint: null, allowedIps: [], persistentKeepalive: 0 },
        { hasPresharedKey: false, endpoint: { address: 'fe80::1', port: 9, scope: 1 } },
      ],
    });
  });

  it('has no secret key in it', () => {
    const text = JSON.stringify([sample, daemon]);
    for (const secret of ['MKUGgcHj', 'qGT5fhnx']) {
      const bytes = [...Buffer.from(secret, 'base64')].slice(0, 5);
      expect(text).not.toContain(secret);
      expect(text).not.toContain(bytes.join(','));
    }
  });

  it('is why it could not be asked, where that failed', async () => {
    const link = { ...INNER, name: 'nosuch9', kind: 'wireguard' };
    const daemon = await sampleDaemon('nosuch9', link, '/nonexistent');
    expect(daemon).toEqual({ kind: 'kernel', why: expect.stringMatching(/^wg (is not|fails: )/) });
  });

  it('is nothing of what is no such list', () => {
    for (const text of ['', 'x', '\t\t\t', '\t'.repeat(7), DUMP.replaceAll('\t', ' ')]) {
      const { state, publicKey, key } = parseDump(text);
      expect([state.peers, state.listenPort, publicKey, key]).toEqual([[], 0, null, 'none']);
    }
  });
});

/** The same tunnel as the kernel serves it. */
function ofKernel(evidence: Evidence): Evidence {
  const [daemon, link] = [known(evidence.daemon), known(evidence.link)];
  if (daemon?.kind !== 'answers' || link === null) return evidence;
  const bare = { facts: {}, counters: {}, troubles: [], gained: {} };
  const peers = daemon.peers.map((peer) => ({
    ...{ ...peer, ...bare, ways: [], description: '', troublesBefore: [] },
  }));
  return {
    ...evidence,
    link: looked({ ...link, kind: 'wireguard' }),
    daemon: looked({ ...daemon, ...bare, version: null, peers }),
    processes: looked([]),
    events: cannotLook('the kernel keeps none'),
  };
}

/** Without counters and events less is known: what is told then is true, and not the whole of it. */
const LESS: Readonly<Record<string, string>> = {
  'made: peerIsOurself/copied': 'noPeer',
  'made: wrongPort/other': 'nothingListens',
  'made: endpointRouteUnexpected/neighbour': 'hostUnreachable',
  'made: natMappingLost': 'nothingListens',
};

describe('of a tunnel of the kernel’s own', () => {
  it.each(MADE_RECORDS.map((record) => [record.id, record] as const))(
    'nothing false is found: %s',
    (id, { evidence }) => {
      const codes = [...examine(evidence).map(({ code }) => code), LESS[id]];
      const found = examine(ofKernel(evidence));
      for (const { code, sentence } of found) expect(codes, sentence).toContain(code);
      for (const { commands } of found) expect(commands.join()).not.toMatch(/tswg wg0 [^#]*wgaip/);
    },
  );

  it('what needs no counter is found', () => {
    const found = MADE_RECORDS.filter(({ codes }) => codes.length > 0).filter(
      ({ codes, evidence }) => examine(ofKernel(evidence))[0]?.code === codes[0],
    );
    expect(found.length).toBeGreaterThan(30);
  });

  it('what could not be asked is said in one line', () => {
    const [{ evidence }] = MADE_RECORDS.filter(({ id }) => id === 'made: healthy/plain');
    const daemon = looked({ kind: 'kernel' as const, why: 'wg is not installed' });
    const unasked = { ...ofKernel(evidence), daemon };
    expect(formatDiagnosis({ evidence: unasked, findings: [] }, 200)).toContain(
      "wg0: cannot look at the daemon: the kernel's own WireGuard serves the interface, and wg is not installed\n",
    );
  });
});

describe('what fixes it is in the words of wg(8) and ip(8)', () => {
  it.each([
    ['tswg wg0 up', 'ip link set dev wg0 up'],
    ['tswg wg0 mtu 1380', 'ip link set dev wg0 mtu 1380'],
    ['tswg wg0 inet 10.0.0.1/30', 'ip address add 10.0.0.1/30 dev wg0'],
    ['tswg wg0 wgport 51821', 'wg set wg0 listen-port 51821'],
    ['tswg wg0 wgpeer K wgendpoint 192.0.2.1 7', 'wg set wg0 peer K endpoint 192.0.2.1:7'],
    ['tswg wg0 wgpeer K wgendpoint fd00::1 7', 'wg set wg0 peer K endpoint [fd00::1]:7'],
    [
      'tswg wg0 -wgpeer K && tswg wg0 wgpeer K wgaip a/1 wgaip b/2 wgpka 25 # why',
      'wg set wg0 peer K remove && wg set wg0 peer K persistent-keepalive 25 allowed-ips a/1,b/2 # why',
    ],
    ['tswg wg0 wgpeer K wgpskfile /etc/wg/k', 'wg set wg0 peer K preshared-key /etc/wg/k'],
    ['ip route add 10.0.0.0/8 dev wg0', 'ip route add 10.0.0.0/8 dev wg0'],
    // Nothing stands for these.
    ['tswg wg0 wgpeer K wgdescr x', 'tswg wg0 wgpeer K wgdescr x'],
    ['tswg wg0 -wgbind', 'tswg wg0 -wgbind'],
    ['tswg wg0 doctor # at the other end', 'tswg wg0 doctor # at the other end'],
    ['tswg wg1 up', 'tswg wg1 up'],
  ])('%s: %s', (command, expected) => {
    expect(kernelCommand(command, 'wg0')).toBe(expected);
  });
});
