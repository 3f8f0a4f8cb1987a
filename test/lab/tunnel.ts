/**
 * One end of a tunnel: a daemon on a host of the lab, its interface and its keys, configured
 * through wg(8) and ip(8). Knows nothing of tswg's own code, so that any user-space WireGuard can
 * stand on either side; TSWG_TEST_DAEMON=wireguard-go runs the tests against another one.
 */

import { randomBytes } from 'node:crypto';
import { createPrivateKeyBytes, formatKey, publicKeyOf } from '../../src/cli/keys.ts';
import { type Child, waitFor } from './command.ts';
import type { Host } from './host.ts';
import type { Lab } from './lab.ts';

/** The daemon under test. */
export const OUR_DAEMON = process.env.TSWG_TEST_DAEMON ?? 'tswgd';
export const TUNNEL_PORT = 51820;

export interface KeyPair {
  /** base64, as wg(8) writes it. */
  readonly privateKey: string;
  readonly publicKey: string;
}

export interface PeerPlan {
  readonly publicKey: string;
  /** `address:port`, IPv6 in brackets. */
  readonly endpoint?: string | undefined;
  readonly allowedIps: readonly string[];
  readonly presharedKey?: string | undefined;
  /** Seconds. */
  readonly keepalive?: number | undefined;
}

export interface PeerDump {
  readonly publicKey: string;
  readonly presharedKey: string;
  readonly endpoint: string;
  readonly allowedIps: readonly string[];
  /** Seconds since 1970; 0 for none. */
  readonly latestHandshake: number;
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly keepalive: string;
}

export interface InterfaceDump {
  readonly privateKey: string;
  readonly publicKey: string;
  readonly listenPort: number;
  readonly fwmark: string;
  readonly peers: readonly PeerDump[];
}

export interface EndOptions {
  readonly daemon?: string;
  readonly ifname?: string;
  readonly keys?: KeyPair;
  readonly port?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export function createKeyPair(): KeyPair {
  // Not generateKeyPairSync: Node 20 deadlocks when it collects its job during an export.
  const privateKey = createPrivateKeyBytes();
  return { privateKey: formatKey(privateKey), publicKey: formatKey(publicKeyOf(privateKey)) };
}

export function createPresharedKey(): string {
  return randomBytes(32).toString('base64');
}

export class TunnelEnd {
  readonly host: Host;
  readonly ifname: string;
  readonly keys: KeyPair;
  readonly #program: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #peers: PeerPlan[] = [];
  readonly #port: number;
  #daemon: Child | null = null;

  private constructor(host: Host, options: EndOptions) {
    this.host = host;
    this.ifname = options.ifname ?? 'wg0';
    this.keys = options.keys ?? createKeyPair();
    this.#program = options.daemon ?? OUR_DAEMON;
    this.#env = { LOG_LEVEL: 'debug', ...options.env };
    this.#port = options.port ?? TUNNEL_PORT;
  }

  /** Starts the daemon in the foreground, gives it key and port, and brings the interface up. */
  static async start(
    host: Host,
    addresses: readonly string[],
    options: EndOptions = {},
  ): Promise<TunnelEnd> {
    const end = new TunnelEnd(host, options);
    await end.startDaemon();
    await host.configure(end.ifname, ...addresses);
    return end;
  }

  get daemon(): Child {
    if (this.#daemon === null) throw new Error('tunnel: no daemon was started');
    return this.#daemon;
  }

  /** Starts the daemon, again with the keys and peers it had before. */
  async startDaemon(): Promise<void> {
    this.#daemon = this.host.spawn(this.#program, ['-f', this.ifname], { env: this.#env });
    await waitForControl(this.host, this.ifname, this.#daemon);
    await this.#wgSet(['listen-port', `${this.#port}`, 'private-key', '/dev/stdin'], {
      input: this.keys.privateKey,
    });
    for (const peer of this.#peers) await this.#setPeer(peer);
  }

  async addPeer(peer: PeerPlan): Promise<void> {
    this.#peers.push(peer);
    await this.#setPeer(peer);
  }

  /** `wg set` on the interface, its words in one string. */
  set(words: string): Promise<string> {
    return this.#wgSet(words.split(' '));
  }

  async dump(): Promise<InterfaceDump> {
    return parseDump(await this.host.run('wg', ['show', this.ifname, 'dump']));
  }

  /** The only peer's state. */
  async peerDump(): Promise<PeerDump> {
    const { peers } = await this.dump();
    if (peers.length !== 1) throw new Error(`tunnel: ${peers.length} peers, expected one`);
    return peers[0];
  }

  async #setPeer(peer: PeerPlan): Promise<void> {
    const words = ['peer', peer.publicKey, 'allowed-ips', peer.allowedIps.join(',')];
    if (peer.endpoint !== undefined) words.push('endpoint', peer.endpoint);
    if (peer.keepalive !== undefined) words.push('persistent-keepalive', `${peer.keepalive}`);
    if (peer.presharedKey === undefined) {
      await this.#wgSet(words);
    } else {
      await this.#wgSet([...words, 'preshared-key', '/dev/stdin'], { input: peer.presharedKey });
    }
  }

  #wgSet(words: readonly string[], options: { input?: string } = {}): Promise<string> {
    const command = ['wg', 'set', this.ifname, ...words];
    // Node hands over a socket, which wg cannot open again as /dev/stdin; cat makes a pipe of it.
    return this.host.run('sh', ['-c', 'cat | "$@"', 'sh', ...command], options);
  }
}

/** Waits until wg(8) can talk to the interface; rejects when its daemon ends before. */
export async function waitForControl(host: Host, ifname: string, daemon: Child): Promise<void> {
  await waitFor(async () => {
    if (daemon.status !== null) {
      throw new Error(`${daemon.commandLine}: ended with ${daemon.status}\n${daemon.stderr}`);
    }
    return (await host.exec('wg', ['show', ifname])).status === 0;
  }, `the control socket of ${ifname}`);
}

/** Reads `wg show INTERFACE dump`. */
export function parseDump(text: string): InterfaceDump {
  const [head, ...rows] = text.trimEnd().split('\n');
  const [privateKey, publicKey, listenPort, fwmark] = head.split('\t');
  return {
    privateKey,
    publicKey,
    listenPort: Number(listenPort),
    fwmark,
    peers: rows.map((row) => {
      const [key, presharedKey, endpoint, allowedIps, handshake, rx, tx, keepalive] =
        row.split('\t');
      return {
        publicKey: key,
        presharedKey,
        endpoint,
        allowedIps: allowedIps === '(none)' ? [] : allowedIps.split(','),
        latestHandshake: Number(handshake),
        rxBytes: Number(rx),
        txBytes: Number(tx),
        keepalive,
      };
    }),
  };
}

/** Two hosts on one cable with a tunnel between them, both families outside and inside. */
export interface Pair {
  readonly left: TunnelEnd;
  readonly right: TunnelEnd;
}

export interface PairOptions {
  readonly left?: string;
  readonly right?: string;
  /** Of the left daemon. */
  readonly leftEnv?: Readonly<Record<string, string>>;
  /** The family of the tunnel's own packets. */
  readonly outer?: 4 | 6;
  readonly presharedKey?: string;
  /** Whether the right side knows, too, where the left one is. */
  readonly bothKnow?: boolean;
  readonly keepalive?: number;
}

const OUTER = { 4: ['192.0.2.1', '192.0.2.2'], 6: ['2001:db8::1', '2001:db8::2'] } as const;
/** The addresses inside the tunnel: left, right. */
export const INNER = { 4: ['10.9.0.1', '10.9.0.2'], 6: ['fd00:9::1', 'fd00:9::2'] } as const;
export const OUTER_LEFT = OUTER[4][0];
export const OUTER_RIGHT = OUTER[4][1];

/** The left side knows the right one's endpoint, so that the left one begins. */
export async function buildPair(lab: Lab, options: PairOptions = {}): Promise<Pair> {
  const [leftHost, rightHost] = await lab.hosts('left', 'right');
  await leftHost.connect('wan', rightHost, 'wan');
  const start = async (
    host: Host,
    side: 0 | 1,
    daemon = OUR_DAEMON,
    env: EndOptions['env'] = {},
  ) => {
    await host.configure('wan', `${OUTER[4][side]}/24`, `${OUTER[6][side]}/64`);
    return TunnelEnd.start(host, [`${INNER[4][side]}/24`, `${INNER[6][side]}/64`], { daemon, env });
  };
  const [left, right] = await Promise.all([
    start(leftHost, 0, options.left, options.leftEnv),
    start(rightHost, 1, options.right),
  ]);
  const { outer = 4, presharedKey, keepalive } = options;
  const peer = (end: TunnelEnd, side: 0 | 1, isKnown: boolean): PeerPlan => ({
    publicKey: end.keys.publicKey,
    allowedIps: [`${INNER[4][side]}/32`, `${INNER[6][side]}/128`],
    endpoint: isKnown ? formatEndpoint(OUTER[outer][side], TUNNEL_PORT) : undefined,
    presharedKey,
    keepalive,
  });
  await right.addPeer(peer(left, 0, options.bothKnow ?? false));
  await left.addPeer(peer(right, 1, true));
  return { left, right };
}

export function formatEndpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
