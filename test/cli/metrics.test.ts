import { describe, expect, it } from 'vitest';
import { formatKey } from '../../src/cli/keys.ts';
import { expose } from '../../src/cli/metrics.ts';
import { parse } from '../../src/cli/parse.ts';
import type { System } from '../../src/cli/system.ts';
import type { PeerState } from '../../src/device/configuration.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { parseAddress, parsePrefix } from '../../src/packet/address.ts';
import { answer, refuseGet } from '../../src/uapi/response.ts';
import type { Stats } from '../../src/uapi/stats.ts';
import { formatStats } from '../../src/uapi/stats.ts';
import { FakeSystem, FRESH_STATE } from './fakesystem.ts';

const KEY = new Uint8Array(32).fill(7);
const KEY_TEXT = formatKey(KEY);
const GET = 'get=1\n\n';

function peer(fields: Partial<PeerState> = {}): PeerState {
  return {
    ...{ publicKey: KEY, presharedKey: null, endpoint: null, lastHandshakeMs: 0, txBytes: 0 },
    ...{ rxBytes: 0, persistentKeepalive: 0, allowedIps: [], description: '', ways: [], ...fields },
  };
}

const LAPTOP = peer({
  endpoint: new Endpoint(parseAddress('2001:db8::1')!, 51_820),
  lastHandshakeMs: 1_700_000_000_000 - 12_999,
  ...{ txBytes: 1_234, rxBytes: 5_678, description: 'Annas "Büro" \\o/' },
  allowedIps: [parsePrefix('10.0.0.2/32')!, parsePrefix('fd00::/64')!],
});

const TOLD: Stats = {
  facts: {
    ...{ version: '0.2.0', pid: '4711', gate: 'shut', gate_text: 'shut (35 % ...)' },
    ...{ offload_interface: 'yes', offload_udp: 'no', sandbox_seccomp: 'yes' },
    ...{ sandbox_seccomp_text: 'all threads', sandbox_key_memory: 'yes', brand_new: 'x' },
  },
  counters: { cpu_seconds: 1.5, udp_EPERM: 3, drop_badMac1: 7, peers: 1, brand_new: 1 },
  troubles: [],
  peers: [
    {
      publicKey: KEY,
      ...{ facts: { endpoint: '[2001:db8::1]:51820', description: 'Annas "Büro" \\o/' } },
      counters: {
        ...{ bytes_sent: 1_240, bytes_received: 5_678, last_handshake_seconds: 1_699_999_987 },
        ...{ handshakes_completed: 2, handshakes_given_up: 1, drop_noEndpoint: 4, roams: 0 },
        handshake_round_trip_seconds: 0.0125,
      },
      troubles: [],
    },
  ],
};

/** A machine with a tswgd of one peer, which tells `TOLD`. */
function machine(state = { ...FRESH_STATE, peers: [LAPTOP] }): FakeSystem {
  const system = new FakeSystem();
  system.addDaemon('wg0', '0.2.0', state);
  const { observe } = system;
  system.observe = async (name, text) => {
    if (name === 'wg0' && text !== GET) return answer(formatStats(TOLD));
    return observe.call(system, name, text);
  };
  return system;
}

async function samples(system: FakeSystem, names: string[] = []): Promise<string[]> {
  const { text } = await expose(names, 'prometheus', system);
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

describe('what is told to Prometheus', () => {
  it('is what the daemon tells, under the names and labels of its table', async () => {
    const own = `interface="wg0",public_key="${KEY_TEXT}"`;
    const friendly = 'friendly_name="Annas \\"Büro\\" \\\\o/"';
    const others = `${own},allowed_ips="10.0.0.2/32,fd00::/64",${friendly}`;
    expect(await samples(machine())).toEqual([
      'wireguard_up{interface="wg0"} 1',
      'wireguard_daemon_version_info{interface="wg0",version="0.2.0"} 1',
      'wireguard_daemon_cpu_seconds_total{interface="wg0"} 1.5',
      'wireguard_daemon_offload_info{interface="wg0",side="interface",state="yes"} 1',
      'wireguard_daemon_offload_info{interface="wg0",side="udp",state="no"} 1',
      'wireguard_daemon_gate_info{interface="wg0",state="shut"} 1',
      'wireguard_udp_errors_total{interface="wg0",error="EPERM"} 3',
      'wireguard_daemon_sandbox_info{interface="wg0",step="seccomp",state="yes"} 1',
      'wireguard_daemon_sandbox_key_memory_info{interface="wg0",state="yes"} 1',
      'wireguard_peers{interface="wg0"} 1',
      'wireguard_dropped_packets_total{interface="wg0",reason="badMac1"} 7',
      `wireguard_peer_endpoint_info{${own},${friendly},endpoint="[2001:db8::1]:51820"} 1`,
      `wireguard_sent_bytes_total{${others}} 1240`,
      `wireguard_received_bytes_total{${others}} 5678`,
      `wireguard_latest_handshake_seconds{${others}} 1699999987`,
      `wireguard_peer_handshake_round_trip_seconds{${own},${friendly}} 0.0125`,
      `wireguard_peer_handshakes_total{${own},${friendly},result="completed"} 2`,
      `wireguard_peer_handshakes_total{${own},${friendly},result="given_up"} 1`,
      `wireguard_peer_roams_total{${own},${friendly}} 0`,
      `wireguard_peer_dropped_packets_total{${own},${friendly},reason="noEndpoint"} 4`,
      `wireguard_latest_handshake_delay_seconds{${others}} 12`,
    ]);
  });

  it('of another WireGuard is what dashboards know', async () => {
    const system = new FakeSystem();
    system.addDaemon('wg1', null, { ...FRESH_STATE, peers: [peer()] });
    const labels = `interface="wg1",public_key="${KEY_TEXT}",allowed_ips="(none)"`;
    expect(await samples(system)).toEqual([
      'wireguard_up{interface="wg1"} 1',
      `wireguard_sent_bytes_total{${labels}} 0`,
      `wireguard_received_bytes_total{${labels}} 0`,
      // Never: there is no age of it.
      `wireguard_latest_handshake_seconds{${labels}} 0`,
    ]);
  });

  it('has each series once, whatever is asked and told', async () => {
    const state = { ...FRESH_STATE, peers: [LAPTOP, { ...LAPTOP, txBytes: 9 }] };
    const lines = await samples(machine(state), ['wg0', 'wg0']);
    const series = lines.map((line) => line.replace(/ [^ ]*$/, ''));
    expect(new Set(series).size).toBe(series.length);
  });

  it('does not count a handshake that the wall clock has not come to', async () => {
    const system = machine();
    system.nowMs = LAPTOP.lastHandshakeMs - 5_000;
    expect((await samples(system)).at(-1)).toMatch(/_delay_seconds\{.*\} 0$/);
  });

  it('has the interfaces in one order, and each family in one piece', async () => {
    const told = async (order: string[]) => {
      const system = new FakeSystem();
      for (const name of order) system.addDaemon(name, null, { ...FRESH_STATE, peers: [peer()] });
      return (await expose([], 'openmetrics', system)).text;
    };
    const text = await told(['wg1', 'wg0', 'office']);
    expect(text).toBe(await told(['office', 'wg0', 'wg1']));
    const heads = text.split('\n').filter((line) => line.startsWith('# TYPE'));
    expect(new Set(heads).size).toBe(heads.length);
    expect(text.match(/^wireguard_up.*$/gm)).toEqual(
      ['office', 'wg0', 'wg1'].map((name) => `wireguard_up{interface="${name}"} 1`),
    );
    expect(text).toMatch(/\n# EOF\n$/);
  });
});

describe('a daemon that does not answer', () => {
  it.each([
    ['ETIMEDOUT', /^wg1: its daemon does not answer: /],
    ['ECONNREFUSED', /^wg1: no daemon serves it any longer: /],
    ['EACCES', /^wg1: only root may query its daemon, or a member of the group _tswg /],
  ])('is told by wireguard_up and a line, and keeps no other back: %s', async (code, note) => {
    const system = machine();
    system.addDaemon('wg1');
    const { observe } = system;
    system.observe = async (name, text) => {
      if (name !== 'wg1') return observe.call(system, name, text);
      throw Object.assign(new Error('no answer'), { code });
    };
    const { text, notes } = await expose([], 'prometheus', system);
    expect(text).toContain('wireguard_up{interface="wg0"} 1\nwireguard_up{interface="wg1"} 0\n');
    expect(text).toContain('wireguard_sent_bytes_total{interface="wg0"');
    expect(text.match(/interface="wg1"/g)).toHaveLength(1);
    expect(notes).toEqual([expect.stringMatching(note)]);
  });

  it('is asked for a time that is shorter than a collector’s patience', async () => {
    const system = machine();
    const asked: (number | undefined)[] = [];
    const observe = system.observe.bind(system);
    const recording: System = Object.assign(system, {
      observe: (name: string, text: string, answerMs?: number) => {
        asked.push(answerMs);
        return observe(name, text);
      },
    });
    await expose([], 'prometheus', recording);
    expect(asked).toEqual([5_000, 5_000]);
  });

  it('is told of an interface that is gone, and of what a daemon has left', async () => {
    const system = machine();
    system.staleSockets.add('wg5');
    expect(await samples(system)).toContain('wireguard_up{interface="wg5"} 0');
    const { text, notes } = await expose(['wg7', 'wg0'], 'prometheus', system);
    expect(text).toContain('wireguard_up{interface="wg0"} 1\nwireguard_up{interface="wg7"} 0\n');
    expect(notes).toEqual(['wg7: no such interface']);
    const gone = new FakeSystem();
    gone.addLink('wg3', { isPersistent: true });
    gone.states.add('wg3');
    expect(await samples(gone)).toEqual(['wireguard_up{interface="wg3"} 0']);
  });

  it('is asked again while it hands over to its successor', async () => {
    const system = machine();
    let refusals = 3;
    const { observe } = system;
    system.observe = async (name, text) =>
      refusals-- > 0 ? refuseGet(11) : observe.call(system, name, text);
    expect(await samples(system, ['wg0'])).toContain('wireguard_up{interface="wg0"} 1');
    refusals = Number.POSITIVE_INFINITY;
    const { text, notes } = await expose(['wg0'], 'prometheus', system);
    expect(text).toContain('wireguard_up{interface="wg0"} 0');
    expect(notes).toEqual([expect.stringContaining('(EAGAIN)')]);
  });
});

it('without any daemon nothing is told, and that is no mistake', async () => {
  expect(await expose([], 'prometheus', new FakeSystem())).toEqual({ text: '', notes: [] });
  const { text } = await expose([], 'openmetrics', new FakeSystem());
  expect(text).toBe('# EOF\n');
});

it.each([
  [['metrics'], { kind: 'metrics', names: [], format: 'prometheus' }],
  [['metrics', 'wg0', '--openmetrics'], { kind: 'metrics', names: ['wg0'], format: 'openmetrics' }],
  [['metrics', '-x'], { text: 'metrics: -x: unknown option; expected --openmetrics' }],
  [['metrics', 'a b'], { text: expect.stringMatching(/^metrics: a b: expected the name of/) }],
])('%j is understood, or says what was expected', (words, expected) => {
  expect(parse(words)).toMatchObject(expected);
});
