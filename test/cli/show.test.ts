import { describe, expect, it } from 'vitest';
import { gather } from '../../src/cli/gather.ts';
import { describeInterface } from '../../src/cli/json.ts';
import { parseKey } from '../../src/cli/keys.ts';
import { formatInterface } from '../../src/cli/show.ts';
import { formatStats } from '../../src/cli/stats.ts';
import type { InterfaceView } from '../../src/cli/view.ts';
import type { PeerState } from '../../src/device/configuration.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import type { WayState } from '../../src/device/ways.ts';
import { parseAddress, parsePrefix } from '../../src/packet/address.ts';
import type { ReportedState } from '../../src/uapi/get.ts';
import type { ReportedStats } from '../../src/uapi/stats.ts';
import { FakeSystem, FRESH_STATE } from './fakesystem.ts';

const NOW_MS = 1_700_000_000_000;
const PEER_TEXT = 'fE/wdxzl0klVp/IR8UcaoGUMjqaWi3jAd7KzHKFS6Ds=';
const OWN_TEXT = 'V9tLNZ8jrl4Ubk4lEgVnBHIlBjSMFQwUdT0Mkz0E1CE=';
/** `wg pubkey` makes OWN_TEXT of it. */
const PRIVATE = new Uint8Array(32).fill(9);

function peer(fields: Partial<PeerState> = {}): PeerState {
  return {
    publicKey: parseKey(PEER_TEXT)!,
    presharedKey: null,
    endpoint: null,
    ways: [],
    lastHandshakeMs: 0,
    txBytes: 0,
    rxBytes: 0,
    persistentKeepalive: 0,
    allowedIps: [],
    description: '',
    ...fields,
  };
}

const FULL_PEER = peer({
  presharedKey: new Uint8Array(32).fill(7),
  endpoint: new Endpoint(parseAddress('203.0.113.10')!, 51_820),
  lastHandshakeMs: NOW_MS - 12_999,
  txBytes: 1234,
  rxBytes: 5678,
  persistentKeepalive: 25,
  allowedIps: [parsePrefix('10.0.0.2/32')!, parsePrefix('fd00::/64')!],
  description: 'laptop',
});

function reported(fields: Partial<ReportedState> = {}): ReportedState {
  return {
    ...FRESH_STATE,
    errno: 0,
    handshakesAreAges: false,
    privateKey: PRIVATE,
    listenPort: 51_820,
    ...fields,
  };
}

function stats(fields: Partial<ReportedStats> = {}): ReportedStats {
  return { errno: 0, facts: {}, counters: {}, troubles: [], peers: [], ...fields };
}

function view(fields: Partial<InterfaceView> = {}): InterfaceView {
  return {
    name: 'wg0',
    index: 5,
    flags: 0x1_10d1,
    mtu: 1420,
    description: '',
    addresses: [],
    wireguard: null,
    sendsRedirects: false,
    hasLostDaemon: false,
    ...fields,
  };
}

function wireguard(state: ReportedState, counted: ReportedStats | null = null) {
  return { state, publicKey: parseKey(OWN_TEXT), stats: counted };
}

function show(shown: InterfaceView, peers = true): string {
  return formatInterface(shown, { peers, nowMs: NOW_MS });
}

function address(text: string, length: number, destination?: string, broadcast?: string) {
  return {
    address: parseAddress(text)!,
    length,
    destination: destination === undefined ? null : parseAddress(destination),
    broadcast: broadcast === undefined ? null : parseAddress(broadcast),
  };
}

describe('an interface is shown as ifconfig shows it', () => {
  it('with everything that can be set', () => {
    const shown = view({
      description: 'to Berlin',
      addresses: [
        address('10.99.0.1', 30),
        address('10.0.0.1', 24, undefined, '10.0.0.255'),
        address('10.1.0.1', 32, '10.1.0.2'),
        address('fd00::1', 64),
        address('fe80::1', 64),
      ],
      wireguard: wireguard(reported({ fwmark: 0xca6c, debug: true, peers: [FULL_PEER, peer()] })),
    });
    expect(show(shown)).toBe(
      'wg0: flags=10d5<UP,DEBUG,POINTOPOINT,RUNNING,NOARP,MULTICAST> mtu 1420\n' +
        '\tdescription: to Berlin\n' +
        '\tindex 5\n' +
        '\twgport 51820\n' +
        '\twgfwmark 0xca6c\n' +
        `\twgpubkey ${OWN_TEXT}\n` +
        `\twgpeer ${PEER_TEXT}\n` +
        '\t\twgdescr: laptop\n' +
        '\t\twgpsk (present)\n' +
        '\t\twgpka 25 (sec)\n' +
        '\t\twgendpoint 203.0.113.10 51820\n' +
        '\t\ttx: 1234, rx: 5678\n' +
        '\t\tlast handshake: 12 seconds ago\n' +
        '\t\twgaip 10.0.0.2/32\n' +
        '\t\twgaip fd00::/64\n' +
        `\twgpeer ${PEER_TEXT}\n` +
        '\t\ttx: 0, rx: 0\n' +
        '\tinet 10.99.0.1 netmask 0xfffffffc\n' +
        '\tinet 10.0.0.1 netmask 0xffffff00 broadcast 10.0.0.255\n' +
        '\tinet 10.1.0.1 --> 10.1.0.2 netmask 0xffffffff\n' +
        '\tinet6 fd00::1 prefixlen 64\n' +
        '\tinet6 fe80::1%wg0 prefixlen 64 scopeid 0x5\n',
    );
  });

  it('without WireGuard', () => {
    const lo = view({ name: 'lo', index: 1, flags: 0x1_0049, mtu: 65_536 });
    expect(show({ ...lo, addresses: [address('127.0.0.1', 8), address('0.0.0.0', 0)] })).toBe(
      'lo: flags=49<UP,LOOPBACK,RUNNING> mtu 65536\n' +
        '\tindex 1\n' +
        '\tinet 127.0.0.1 netmask 0xff000000\n' +
        '\tinet 0.0.0.0 netmask 0x00000000\n',
    );
  });

  it('without its peers in a list', () => {
    const shown = view({ flags: 0x1090, wireguard: wireguard(reported({ peers: [FULL_PEER] })) });
    expect(show(shown, false)).toBe(
      'wg0: flags=1090<POINTOPOINT,NOARP,MULTICAST> mtu 1420\n' +
        '\tindex 5\n' +
        '\twgport 51820\n' +
        `\twgpubkey ${OWN_TEXT}\n`,
    );
  });

  it('with what is wrong', () => {
    const shown = view({
      wireguard: wireguard(
        reported({ listenPort: 0, peers: [peer()] }),
        stats({
          facts: { crypto: 'openssl' },
          troubles: [
            {
              code: 'noSocket',
              values: { why: 'open UDP port 53: in use', call: 'bind', error: 'EADDRINUSE' },
            },
            { code: 'underLoad', values: {} },
          ],
          peers: [
            {
              publicKey: peer().publicKey,
              facts: {},
              counters: {},
              troubles: [
                { code: 'routingLoop', values: {} },
                { code: 'noAnswer', values: { initiations: 7, silentMs: 35_499 } },
              ],
            },
          ],
        }),
      ),
      sendsRedirects: true,
    });
    expect(show(shown)).toBe(
      'wg0: flags=10d1<UP,POINTOPOINT,RUNNING,NOARP,MULTICAST> mtu 1420\n' +
        '\ttrouble: socket: open UDP port 53: in use\n' +
        '\tindex 5\n' +
        `\twgpubkey ${OWN_TEXT}\n` +
        `\twgpeer ${PEER_TEXT}\n` +
        '\t\ttrouble: route: wgendpoint is routed into this interface, so that nothing can be sent: ' +
        'check `ip route get` for it\n' +
        '\t\ttrouble: handshake: no answer to 7 initiations in 35 seconds: check wgendpoint, ' +
        "the firewalls on the way, that this is the peer's key, and that the peer has our wgpubkey\n" +
        '\t\ttx: 0, rx: 0\n' +
        '\tredirects: peers are told by ICMP to send to each other directly, which they cannot: ' +
        'set net.ipv4.conf.all.send_redirects to 0\n',
    );
  });

  it.each([
    ['IPv6', new Endpoint(parseAddress('2001:db8::1')!, 7), 'wgendpoint 2001:db8::1 7'],
    ['link-local', new Endpoint(parseAddress('fe80::1')!, 7, 3), 'wgendpoint fe80::1%3 7'],
  ])('%s endpoints in two words', (_, endpoint, line) => {
    const shown = view({ wireguard: wireguard(reported({ peers: [peer({ endpoint })] })) });
    expect(show(shown)).toContain(`\t\t${line}\n`);
  });

  it.each([
    ['since a clock was set back', NOW_MS + 60_000, false, 0],
    ['of a daemon that tells ages', 90_500, true, 90],
  ])('the last handshake %s', (_, lastHandshakeMs, handshakesAreAges, seconds) => {
    const state = reported({ handshakesAreAges, peers: [peer({ lastHandshakeMs })] });
    expect(show(view({ wireguard: wireguard(state) }))).toContain(
      `\t\tlast handshake: ${seconds} seconds ago\n`,
    );
  });

  const ways = (...said: Partial<WayState>[]): WayState[] =>
    said.map((one) => ({
      ...{ host: 'gw.example', port: 51820, near: null, isInUse: false, addresses: [] },
      ...{ error: null, unanswered: 0 },
      ...one,
    }));
  const at = (text: string) => parseAddress(text)!;
  it.each([
    [
      'a name in use, with its address',
      ways({ isInUse: true, addresses: [at('192.0.2.7'), at('203.0.113.10')] }),
      ['wgendpoint gw.example 51820 (203.0.113.10)'],
    ],
    ['a name that is looked up', ways({}), ['wgendpoint gw.example 51820 (not resolved yet)']],
    [
      'a name that is not found',
      ways({ error: 'EAI_NONAME' }),
      ['wgendpoint gw.example 51820 (not resolved: EAI_NONAME)'],
    ],
    [
      'two ways, of which one is in use',
      ways(
        { addresses: [at('192.0.2.7'), at('2001:db8::7')], unanswered: 2 },
        { host: '203.0.113.10', addresses: [at('203.0.113.10')], isInUse: true },
      ),
      [
        'wgendpoint gw.example 51820 (192.0.2.7, 2001:db8::7, 2 unanswered)',
        'wgendpoint 203.0.113.10 51820 (in use)',
      ],
    ],
    [
      'near ends, and an interface that is not there',
      ways(
        { near: { kind: 'interface', name: 'lte0' }, error: 'ENODEV' },
        { near: { kind: 'address', address: at('198.51.100.1') }, isInUse: true },
      ),
      [
        'wgendpoint gw.example 51820 via lte0 (no such interface)',
        'wgendpoint gw.example 51820 via 198.51.100.1 (203.0.113.10, in use)',
      ],
    ],
    [
      'a name, and where the peer has moved to',
      ways({ addresses: [at('192.0.2.7')] }),
      [
        'wgendpoint gw.example 51820 (192.0.2.7)',
        'endpoint: 203.0.113.10:51820, where the peer was heard from',
      ],
    ],
  ])('with ways: %s', (_, said, lines) => {
    const isKnown = said.some((one) => one.addresses.length > 0 || one.isInUse);
    const endpoint = isKnown ? new Endpoint(at('203.0.113.10'), 51_820) : null;
    const peers = [peer({ endpoint, ways: said })];
    const text = show(view({ wireguard: wireguard(reported({ peers })) }));
    const found = text.split('\n').filter((line) => /endpoint/.test(line));
    expect(found.map((line) => line.trim())).toEqual(lines);
  });

  it('without characters that would steer the terminal', () => {
    const evil = 'a\u001b[2J\u202eb';
    const state = reported({ peers: [peer({ description: evil })] });
    const text = show(view({ description: evil, wireguard: wireguard(state) }));
    expect(text).toContain('\tdescription: a?[2J?b\n');
    expect(text).toContain('\t\twgdescr: a?[2J?b\n');
  });
});

describe('JSON', () => {
  const counted = stats({
    facts: { crypto: 'openssl' },
    counters: { drop_noPeer: 1 },
    troubles: [{ code: 'underLoad', values: {} }],
    peers: [
      {
        publicKey: FULL_PEER.publicKey,
        facts: {},
        counters: { roams: 2 },
        troubles: [{ code: 'noAnswer', values: { initiations: 5, silentMs: 25_000 } }],
      },
    ],
  });
  const shown = view({
    addresses: [address('10.99.0.1', 30), address('10.1.0.1', 32, '10.1.0.2', '10.1.0.3')],
    wireguard: wireguard(reported({ version: '0.1.0', peers: [FULL_PEER] }), counted),
  });

  it('tells the state', () => {
    expect(describeInterface(shown, NOW_MS)).toEqual({
      name: 'wg0',
      index: 5,
      flags: ['UP', 'POINTOPOINT', 'RUNNING', 'NOARP', 'MULTICAST'],
      mtu: 1420,
      description: '',
      addresses: [
        { family: 'inet', address: '10.99.0.1', prefixLength: 30 },
        {
          family: 'inet',
          address: '10.1.0.1',
          prefixLength: 32,
          destination: '10.1.0.2',
          broadcast: '10.1.0.3',
        },
      ],
      wireguard: {
        version: '0.1.0',
        publicKey: OWN_TEXT,
        listenPort: 51_820,
        fwmark: 0,
        bind: null,
        debug: false,
        facts: { crypto: 'openssl' },
        counters: { drop_noPeer: 1 },
        troubles: [{ code: 'underLoad', values: {}, text: 'under load: handshakes need a cookie' }],
        peers: [
          {
            publicKey: PEER_TEXT,
            description: 'laptop',
            hasPresharedKey: true,
            endpoint: { address: '203.0.113.10', port: 51_820, scope: 0 },
            ways: [],
            latestHandshake: 1_699_999_987,
            transferRx: 5678,
            transferTx: 1234,
            persistentKeepalive: 25,
            allowedIps: ['10.0.0.2/32', 'fd00::/64'],
            facts: {},
            counters: { roams: 2 },
            troubles: [
              {
                code: 'noAnswer',
                values: { initiations: 5, silentMs: 25_000 },
                text: expect.stringMatching(/^no answer to 5 initiations in 25 seconds: /),
              },
            ],
          },
        ],
      },
    });
  });

  it('and the text hold no secret', () => {
    const secrets = [PRIVATE, FULL_PEER.presharedKey!].flatMap((key) => [
      Buffer.from(key).toString('base64'),
      Buffer.from(key).toString('hex'),
    ]);
    for (const text of [JSON.stringify(describeInterface(shown, NOW_MS)), show(shown)]) {
      for (const secret of secrets) expect(text).not.toContain(secret);
    }
  });
});

describe('how it stands with a peer', () => {
  const since = Math.floor(new Date(2026, 10, 28, 9, 5, 7).getTime() / 1_000);
  const shownAs = (facts: Record<string, string>, counters: Record<string, number>) => {
    const counted = { publicKey: parseKey(PEER_TEXT)!, facts, counters, troubles: [] };
    return view({
      wireguard: wireguard(reported({ peers: [peer()] }), stats({ peers: [counted] })),
    });
  };

  it.each(['connected', 'idle', 'lost'])('%s, and since when', (condition) => {
    const shown = shownAs({ condition }, { condition_since_seconds: since });
    expect(show(shown)).toContain(`\t\tstate: ${condition} since 2026-11-28 09:05:07\n`);
    const [told] = describeInterface(shown, NOW_MS).wireguard!.peers;
    expect(told.condition).toEqual({ state: condition, since });
  });

  it.each([
    ['of a daemon that does not tell', {}, {}],
    ['that is none we know', { condition: 'asleep' }, { condition_since_seconds: since }],
    ['of no beginning', { condition: 'idle' }, {}],
  ])('%s: nothing', (_what, facts, counters) => {
    const shown = shownAs(facts as Record<string, string>, counters as Record<string, number>);
    expect(show(shown)).not.toContain('state:');
    expect(describeInterface(shown, NOW_MS).wireguard!.peers[0].condition).toBeUndefined();
  });
});

describe('stats', () => {
  it('explain each reason for which packets were dropped', () => {
    const counted = stats({
      facts: {
        ...{ crypto: 'openssl', uptime_seconds: '90', gate: 'shut', gate_text: 'shut (1 %)' },
        ...{
          sandbox: 'off',
          sandbox_text: 'off (TSWG_SANDBOX=off)',
          state: 'kept',
          lone_text: 'x',
        },
      },
      troubles: [
        { code: 'noPrivateKey', values: {} },
        { code: 'sandboxOff', values: {} },
      ],
      counters: {
        handshakesSent: 7,
        rx_packets: 12_345,
        cookies_sent: 0,
        drop_noPeer: 3,
        drop_badPacket: 12,
      },
      peers: [
        {
          publicKey: FULL_PEER.publicKey,
          facts: { endpoint: '203.0.113.10:51820' },
          counters: { bytes_sent: 9, rekeys: 0, roams: 2, drop_brandNew: 1 },
          troubles: [{ code: 'noPrivateKey', values: {} }],
        },
      ],
    });
    expect(formatStats('wg0', counted)).toBe(
      'wg0:\n' +
        '\tcrypto: openssl\n' +
        '\tuptime seconds: 90\n' +
        // A state by what people are told, once; and by its word where there is no more to tell.
        '\tgate: shut (1 %)\n' +
        '\tsandbox: off (TSWG_SANDBOX=off)\n' +
        '\tstate: kept\n' +
        '\tlone text: x\n' +
        '\ttrouble: key: no private key is set: no handshake can begin\n' +
        '\t    7  handshakes sent\n' +
        '\t12345  rx packets\n' +
        '\t    0  cookies sent\n' +
        '\tdropped packets:\n' +
        '\t\t 3  noPeer     packet from the interface to an address that no peer is allowed\n' +
        '\t\t12  badPacket  data packet that does not decrypt\n' +
        `\twgpeer ${PEER_TEXT}\n` +
        '\t\ttrouble: handshake: no private key is set on this side\n' +
        // Of a peer what has occurred: that of hundreds of quiet ones would hide it.
        '\t\t2  roams\n' +
        '\t\tdropped packets:\n' +
        '\t\t\t1  brandNew  a reason that this tswg does not know\n',
    );
  });

  it('of a peer leaves out its condition, which is shown without them', () => {
    const publicKey = parseKey(PEER_TEXT)!;
    const facts = { condition: 'lost' };
    const counters = { up: 0, condition_since_seconds: 1_700_000_000, roams: 2 };
    const told = stats({ peers: [{ publicKey, facts, counters, troubles: [] }] });
    expect(formatStats('wg0', told)).toBe(`wg0:\n\twgpeer ${PEER_TEXT}\n\t\t2  roams\n`);
  });

  it('of a peer that nothing has occurred to are a line', () => {
    const publicKey = parseKey(PEER_TEXT)!;
    const counters = { roams: 0, rekeys: 0, packets_waiting: 0 };
    const told = stats({ peers: [{ publicKey, facts: {}, counters, troubles: [] }] });
    expect(formatStats('wg0', told)).toBe(`wg0:\n\twgpeer ${PEER_TEXT}\n`);
  });

  it('of a daemon that counted nothing', () => {
    expect(formatStats('wg0', stats())).toBe('wg0:\n');
  });
});

describe('gathering', () => {
  function machine(): FakeSystem {
    const system = new FakeSystem();
    system.addLink('lo', { kind: '' });
    system.addDaemon('wg0', '0.1.0', { ...FRESH_STATE, privateKey: PRIVATE, peers: [FULL_PEER] });
    system.addDaemon('wg1', null);
    system.addLink('wg2', { kind: 'wireguard' });
    system.addLink('wgx');
    return system;
  }

  async function names(name: string | null): Promise<string[]> {
    return (await gather(name, machine())).views.map((one) => one.name);
  }

  it('one, a kind of them, or all', async () => {
    expect(await names(null)).toEqual(['lo', 'wg0', 'wg1', 'wg2', 'wgx']);
    expect(await names('wg')).toEqual(['wg0', 'wg1', 'wg2']);
    expect(await names('wg1')).toEqual(['wg1']);
    await expect(names('wg9')).rejects.toThrow('wg9: no such interface');
    await expect(names('hepl')).rejects.toThrow(
      'hepl: no such interface; did you mean `tswg help`?',
    );
  });

  it('the public key of a private one, and statistics of tswgd only', async () => {
    const system = machine();
    const [own] = (await gather('wg0', system)).views;
    expect(own.wireguard?.publicKey).toEqual(parseKey(OWN_TEXT));
    expect(own.wireguard?.stats).not.toBeNull();
    const [other] = (await gather('wg1', system)).views;
    expect(other.wireguard?.publicKey).toBeNull();
    expect(other.wireguard?.stats).toBeNull();
  });

  it.each([
    ['all, which overrides the interface', 2, ['wg0/forwarding', 'all/send_redirects'], true],
    ['the interface', 2, ['wg0/forwarding', 'wg0/send_redirects'], true],
    ['none', 2, ['wg0/forwarding'], false],
    ['all, but it is no router', 2, ['all/send_redirects'], false],
    ['all, but it has one peer', 1, ['wg0/forwarding', 'all/send_redirects'], false],
  ])('whether redirects are sent: %s', async (_, peers, on, expected) => {
    const system = machine();
    const state = { ...FRESH_STATE, peers: [FULL_PEER, peer()].slice(0, peers) };
    system.daemons.get('wg0')!.state = state;
    for (const path of on) system.parameters.set(`ipv4/conf/${path}`, '1');
    const [own] = (await gather('wg0', system)).views;
    expect(own.sendsRedirects).toBe(expected);
  });

  it('says what could not be learnt of a named interface', async () => {
    const system = machine();
    expect((await gather('wg2', system)).notes).toEqual([
      "wg2: the kernel's own WireGuard serves it: use `wg show wg2` and `wg set wg2`",
    ]);
    system.isRoot = false;
    const { views, notes } = await gather('wg0', system);
    expect(notes).toEqual([
      'wg0: only root may query its daemon, or a member of the group _tswg that was there when the daemon started; try it with sudo',
    ]);
    expect(show(views[0])).toBe(
      'wg0: flags=1090<POINTOPOINT,NOARP,MULTICAST> mtu 1420\n\tindex 2\n',
    );
    expect((await gather(null, system)).notes).toEqual([]);
  });

  it('tells whether a named interface was asked in vain', async () => {
    const system = machine();
    const isUnanswered = async (name: string) => (await gather(name, system)).isUnanswered;
    for (const name of ['wg0', 'wg2', 'lo', 'wg']) expect(await isUnanswered(name)).toBe(false);
    system.isRoot = false;
    expect(await isUnanswered('wg0')).toBe(true);
    for (const name of ['wg2', 'lo', 'wg']) expect(await isUnanswered(name)).toBe(false);
  });

  it('says where the daemon is of an interface that was renamed without its socket', async () => {
    const system = machine();
    system.linkList.find((link) => link.name === 'wg0')!.name = 'office';
    expect((await gather('office', system)).notes).toEqual([
      'office: it has no control socket, and there is no interface for that of wg0: if it was renamed, `ip link set office name wg0` takes that back',
    ]);
    for (const name of ['lo', 'wg1', null]) {
      expect((await gather(name, system)).notes).toEqual([]);
    }
  });

  it('shows an observer all but the keys, and says that they are hidden', async () => {
    const system = machine();
    const state = { ...FRESH_STATE, privateKey: PRIVATE, peers: [FULL_PEER] };
    system.daemons.get('wg0')!.state = state;
    const [whole] = (await gather('wg0', system)).views;
    system.isRoot = false;
    system.observed.add('wg0');
    const { views, notes } = await gather('wg0', system);
    expect(notes).toEqual([]);
    const hidden = '(not shown: secret keys are for root only)';
    expect(show(views[0])).toBe(
      show(whole)
        .replace('\twgpubkey', `\twgkey ${hidden}\n\twgpubkey`)
        .replace('\t\twgpsk (present)\n', ''),
    );
    const described = JSON.parse(JSON.stringify(describeInterface(views[0], NOW_MS)));
    const expected = JSON.parse(JSON.stringify(describeInterface(whole, NOW_MS)));
    delete expected.wireguard.peers[0].hasPresharedKey;
    expected.wireguard.keysAreHidden = true;
    expect(described).toEqual(expected);
  });
});
