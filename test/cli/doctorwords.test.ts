import { describe, expect, it } from 'vitest';
import { complete } from '../../src/cli/completion.ts';
import { describeDiagnosis, formatDiagnosis, isBlind } from '../../src/cli/findings.ts';
import { parseHostnameFile } from '../../src/cli/hostnamefile.ts';
import { parse } from '../../src/cli/parse.ts';
import { describeWishes } from '../../src/cli/wishes.ts';
import { cannotLook, type Evidence, looked } from '../../src/doctor/evidence.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import { healthy, healthyWith, OUR_KEY, PEER, PEER_KEY } from '../doctor/healthy.ts';

const NOTHING = {
  ...{ name: 'wg0', json: false, isQuick: false, peer: null, other: null, record: null },
  evidence: null,
};

describe('the words after doctor', () => {
  it.each([
    ['', {}],
    ['--json --quick', { json: true, isQuick: true }],
    [
      '--peer berlin --other b.json --record r.json',
      { peer: 'berlin', other: 'b.json', record: 'r.json' },
    ],
    ['--evidence r.json', { evidence: 'r.json' }],
    [`--peer ${PEER_KEY}`, { peer: PEER_KEY }],
  ])('doctor %s', (words, asked) => {
    const argv = ['wg0', 'doctor', ...words.split(' ').filter((word) => word !== '')];
    expect(parse(argv)).toEqual({ kind: 'doctor', request: { ...NOTHING, ...asked } });
  });

  it.each([
    [
      '--verbose',
      'doctor: --verbose: expected --json, --peer, --other, --quick, --record or --evidence',
    ],
    ['up', 'doctor: up: expected --json, --peer, --other, --quick, --record or --evidence'],
    ['--peer', 'doctor: --peer: expected PEER after it'],
    ['--json --json', 'doctor: --json: expected it once'],
    ['--evidence a --other b', 'doctor: --other: expected it where the evidence is gathered'],
    [`--other ${PEER_KEY}`, 'doctor: --other: this is a key: expected a path'],
  ])('doctor %s is a mistake, with the exit code of one that cannot look', (words, text) => {
    expect(parse(['wg0', 'doctor', ...words.split(' ')])).toEqual({
      kind: 'mistake',
      text,
      exitCode: 2,
    });
  });

  it('stand after the interface alone', () => {
    expect(parse(['wg0', 'up', 'doctor'])).toMatchObject({ kind: 'mistake' });
    expect(parse(['doctor'])).toMatchObject({ kind: 'mistake' });
  });

  it('are offered by completion', () => {
    const facts = {
      ...{ interfaces: () => ['wg0'], files: () => [], links: () => [] },
      peers: () => [{ key: PEER_KEY, description: 'berlin', allowedIps: [] }],
    };
    const texts = (...words: string[]) => complete(words, facts).words.map(({ text }) => text);
    expect(texts('wg0', 'doc')).toEqual(['doctor']);
    expect(texts('wg0', 'doctor', '--json', '--')).toEqual([
      ...['--peer', '--other', '--quick', '--record', '--evidence'],
    ]);
    expect(texts('wg0', 'doctor', '--peer', '')).toEqual(['berlin']);
    expect(texts('wg0', 'doctor', '--other', '')).toEqual([]);
  });
});

const FINDING: Finding = {
  code: 'wrongPort',
  peer: PEER_KEY,
  sentence: `nothing listens on port 9 of 198.51.100.20, where the endpoint of berlin is\u001b[2J`,
  proof: ['198.51.100.20 answered 2 of 2 datagrams with port unreachable (ICMP type 3, code 3)'],
  commands: [`tswg wg0 wgpeer ${PEER_KEY} wgendpoint 198.51.100.20 51820`],
  undecided: ['it may be another machine: ask for its address'],
};

describe('what was found', () => {
  const show = (evidence: Evidence, ...findings: Finding[]) =>
    formatDiagnosis({ evidence, findings }, 80);

  it('is the cause, how it is known, and the command that fixes it, which is never broken', () => {
    expect(show(healthy(), FINDING)).toBe(
      [
        'wg0: nothing listens on port 9 of 198.51.100.20, where the endpoint of berlin is',
        '  ?[2J',
        '  - 198.51.100.20 answered 2 of 2 datagrams with port unreachable (ICMP type',
        '    3, code 3)',
        '  undecided:',
        '  - it may be another machine: ask for its address',
        '  to fix it:',
        `    tswg wg0 wgpeer ${PEER_KEY} wgendpoint 198.51.100.20 51820`,
        '',
      ]
        .join('\n')
        .replace(' is\n  ?[2J', '\n  is?[2J'),
    );
  });

  it('keeps what is to be copied in one piece, and what is said of a command before it', () => {
    const finding = {
      ...FINDING,
      proof: [
        'a firewall there drops UDP port 51820: whether it does is what `tcpdump -ni any udp`, says',
      ],
      commands: [
        'tswg wg0 doctor # at the other end: what arrives there and why it is refused is seen there only',
      ],
      undecided: [`\`${'a b '.repeat(30)}\` is longer than a line`],
    };
    const lines = show(healthy(), finding).split('\n');
    expect(lines).toContain('    `tcpdump -ni any udp`, says');
    expect(lines.slice(-5)).toEqual([
      '  to fix it:',
      '    # at the other end: what arrives there and why it is refused is seen there',
      '    # only',
      '    tswg wg0 doctor',
      '',
    ]);
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  it('is told in full of three peers, and of two hundred in a line more', () => {
    const peers = Array.from({ length: 200 }, (_, at) => ({
      ...PEER,
      ...{ publicKey: `key${at}`, description: at === 3 ? 'berlin\u001b[2J' : '' },
    }));
    const evidence = healthyWith({ peers });
    const findings = peers.map(({ publicKey }) => ({ ...FINDING, peer: publicKey }));
    const other = { ...FINDING, code: 'noKey', peer: null };
    const lines = show(evidence, ...findings, other).split('\n');
    expect(lines.filter((line) => line.startsWith('wg0: '))).toHaveLength(5);
    expect(lines).toContain(
      'wg0: 197 more like these (wrongPort), of berlin?[2J, key4, key5, 194 others',
    );
    expect(show(evidence, ...findings.slice(0, 4))).not.toContain('more like these');
    expect(describeDiagnosis({ evidence, findings }).findings).toHaveLength(200);
  });

  it('is one line when nothing is wrong', () => {
    const text = show(healthy());
    expect(text).toBe(
      'wg0: healthy: 1 peer, routes, firewall, paths, pings, load, clock (1.2 s)\n',
    );
    expect(text.length).toBeLessThanOrEqual(81);
  });

  it('says of how many peers it knows by pings, if not of all', () => {
    const peers = [PEER, { ...PEER, publicKey: OUR_KEY }];
    expect(show(healthyWith({ peers }))).toMatch(/^wg0: healthy: 2 peers \(1 pinged\), routes, /);
  });

  it('says what could not be looked at, each reason once', () => {
    const because = 'only root may; try it with sudo';
    const evidence = healthy({
      firewall: cannotLook('nft is not installed'),
      icmp: cannotLook(because),
      wire: cannotLook(because),
    });
    expect(show(evidence).split('\n').slice(1)).toEqual([
      'wg0: cannot look at the firewall: nft is not installed',
      'wg0: cannot look at ICMP errors, handshakes on the links: only root may; try',
      '  it with sudo',
      '',
    ]);
  });

  it('is nothing that could be called healthy without a daemon', () => {
    for (const daemon of [
      cannotLook('it is not ours'),
      looked({ kind: 'kernel', why: 'wg is not installed' } as const),
      looked({ kind: 'none', hasSocket: false, hasState: false, hasLink: true } as const),
    ]) {
      const diagnosis = { evidence: healthy({ daemon }), findings: [] };
      expect(isBlind(diagnosis)).toBe(true);
      expect(describeDiagnosis(diagnosis)).toMatchObject({ isHealthy: false, findings: [] });
      expect(formatDiagnosis(diagnosis, 80)).toMatch(/^wg0: cannot look at the daemon: /);
    }
  });

  it('is the same for programs', () => {
    const evidence = healthy({ clock: cannotLook('a reason') });
    expect(describeDiagnosis({ evidence, findings: [FINDING] })).toEqual({
      ...{ name: 'wg0', isHealthy: false, tookMs: 1_200, findings: [FINDING] },
      unseen: [{ section: 'clock', because: 'a reason' }],
    });
  });
});

describe('what the hostname file asks for', () => {
  const read = (text: string) =>
    describeWishes('/etc/hostname.wg0', parseHostnameFile('wg0', text));

  it('is told without its keys', () => {
    const secret = 'aE/wdxzl0klVp/IR8UcaoGUMjqaWi3jAd7KzHKFS6Ds=';
    const wishes = read(
      [
        `inet 10.99.0.1/30`,
        `wgkey ${secret} wgport 51820 wgfwmark 7 mtu 1380`,
        `wgpeer ${PEER_KEY} wgpsk ${secret} wgendpoint vpn.example.net 51820 wgpka 25 \\`,
        `  wgaip 10.99.0.2/32 wgaip 10.20.0.0/24`,
        `wgpeer ${OUR_KEY}`,
        `-wgpeer ${OUR_KEY}`,
        `!ip route add 10.20.0.0/24 dev $if # ${secret}`,
        'nonsense',
      ].join('\n'),
    );
    expect(JSON.stringify(wishes)).not.toContain(secret.slice(0, 20));
    expect(wishes).toMatchObject({
      ...{ listenPort: 51_820, fwmark: 7, mtu: 1_380, isUp: true, addresses: ['10.99.0.1/30'] },
      mistakes: [expect.stringContaining('hostname.wg0:8')],
      commands: [expect.stringContaining('ip route add 10.20.0.0/24 dev wg0')],
      peers: [
        {
          ...{ publicKey: PEER_KEY, persistentKeepalive: 25, hasPresharedKey: true },
          allowedIps: ['10.99.0.2/32', '10.20.0.0/24'],
        },
      ],
    });
    expect(wishes.peers[0].ways).toMatchObject([{ host: 'vpn.example.net', port: 51_820 }]);
  });

  it('keeps what a later line does not change', () => {
    const { peers, isUp } = read(
      `wgpeer ${PEER_KEY} wgaip 10.99.0.2/32\nwgpeer ${PEER_KEY} wgpka 5\ninet 10.99.0.1/30\ndown\n`,
    );
    expect(peers).toMatchObject([{ allowedIps: ['10.99.0.2/32'], persistentKeepalive: 5 }]);
    expect(isUp).toBe(false);
  });
});
