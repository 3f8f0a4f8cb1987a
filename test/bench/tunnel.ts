/**
 * Two hosts on one cable with a tunnel between them, made fresh for every scenario. Owns the
 * addresses, the keys and the configuration, which are the same for every implementation.
 *
 *     left  192.0.2.1, 2001:db8::1  ---- veth ----  right  192.0.2.2, 2001:db8::2
 *     wg0   10.99.0.1, fd99::1                      wg0    10.99.0.2, fd99::2
 */

import type { Child } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { closeLab, openLab } from '../lab/openlabs.ts';
import { createKeyPair } from '../lab/tunnel.ts';
import { IFNAME, type Implementation } from './implementation.ts';
import type { Observers } from './observers.ts';
import { onlyChild } from './processes.ts';

/** Inside and outside addresses. */
export const LEFT = { inner4: '10.99.0.1', inner6: 'fd99::1', outer4: '192.0.2.1' } as const;
export const RIGHT = { inner4: '10.99.0.2', inner6: 'fd99::2', outer4: '192.0.2.2' } as const;
const LEFT_OUTER6 = '2001:db8::1';
const RIGHT_OUTER6 = '2001:db8::2';
export const TUNNEL_PORT = 51820;
export const DEFAULT_MTU = 1420;

export const CABLE = 'cable';
const CABLE_MTU = 1500;
const JUMBO_MTU = 9000;
/** Outside IPv6 header, UDP header, data header and authenticator. */
const OVERHEAD_BYTES = 80;
const CONFIGURATION = '/run/bench.conf';
const START_TIMEOUT_MS = 15_000;
/** Thousands of peers take a while. */
const CONFIGURE_TIMEOUT_MS = 60_000;
const STOP_GRACE_MS = 5_000;

/** Waits for the control socket, configures, brings up, and waits for the first answer. */
const BRING_UP = `
until [ -S /run/wireguard/${IFNAME}.sock ]; do sleep 0.002; done
wg setconf ${IFNAME} ${CONFIGURATION}
ip address add "$1/24" dev ${IFNAME}
ip address add "$2/64" dev ${IFNAME} nodad
ip link set ${IFNAME} mtu ${DEFAULT_MTU} up
[ -z "$3" ] || ping -n -q -c 1 -i 0.02 -w 5 "$3"
`;

/** In base64. */
export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

type End = typeof LEFT | typeof RIGHT;

/** One end: its host, its daemon, and the daemon's PID as the benchmark sees it. */
export interface Daemon {
  readonly host: Host;
  readonly child: Child;
  readonly pid: number;
}

export class Tunnel {
  readonly left: Daemon;
  readonly right: Daemon;
  /** From starting the left daemon, the right one being up, to the first answer to a ping. */
  readonly launchMs: number;
  readonly #lab: Lab;
  readonly #keys: readonly [left: KeyPair, right: KeyPair];
  readonly #observers: Observers | undefined;

  private constructor(
    lab: Lab,
    keys: readonly [KeyPair, KeyPair],
    ends: readonly [Daemon, Daemon],
    launchMs: number,
    observers: Observers | undefined,
  ) {
    this.#lab = lab;
    this.#keys = keys;
    [this.left, this.right] = ends;
    this.#observers = observers;
    this.launchMs = launchMs;
  }

  /** @param prepare is done to both hosts before a daemon starts there */
  static async open(
    implementation: Implementation,
    prepare: (host: Host) => Promise<void> = async () => {},
  ): Promise<Tunnel> {
    const lab = await openLab();
    try {
      const [leftHost, rightHost] = await cable(lab);
      await Promise.all([leftHost, rightHost].map(prepare));
      const keys = [createKeyPair(), createKeyPair()] as const;
      await leftHost.writeFile(CONFIGURATION, configuration(keys[0], keys[1], RIGHT));
      await rightHost.writeFile(CONFIGURATION, configuration(keys[1], keys[0], LEFT));
      const right = await start(rightHost, implementation, RIGHT, null);
      const begun = performance.now();
      const left = await start(leftHost, implementation, LEFT, RIGHT.inner4);
      const launchMs = performance.now() - begun;
      const { observers } = implementation;
      observers?.begin(left.host);
      return new Tunnel(lab, keys, [left, right], launchMs, observers);
    } catch (error) {
      await closeLab(lab);
      throw error;
    }
  }

  get daemons(): readonly Daemon[] {
    return [this.left, this.right];
  }

  /** Sets the inner MTU of both ends, and room for it on the cable. */
  async setMtu(mtu: number): Promise<void> {
    const outer = mtu + OVERHEAD_BYTES <= CABLE_MTU ? CABLE_MTU : JUMBO_MTU;
    for (const { host } of this.daemons) {
      await host.ip(`link set ${CABLE} mtu ${outer}`);
      await host.ip(`link set ${IFNAME} mtu ${mtu}`);
    }
  }

  /** Sends the tunnel's own packets over IPv6 from now on, or over IPv4 again. */
  async setOuterFamily(family: 4 | 6): Promise<void> {
    const [leftAddress, rightAddress] =
      family === 4 ? [LEFT.outer4, RIGHT.outer4] : [`[${LEFT_OUTER6}]`, `[${RIGHT_OUTER6}]`];
    const [leftKeys, rightKeys] = this.#keys;
    await setEndpoint(this.left.host, rightKeys.publicKey, rightAddress);
    await setEndpoint(this.right.host, leftKeys.publicKey, leftAddress);
    // An answer proves that both ends have learnt the new way.
    await this.left.host.run('ping', [
      '-n',
      '-q',
      '-c',
      '3',
      '-i',
      '0.02',
      '-w',
      '5',
      RIGHT.inner4,
    ]);
  }

  /** Adds to the configuration of both ends what stands in `text`, in wg(8)'s words. */
  async addConfiguration(text: string): Promise<void> {
    for (const { host } of this.daemons) {
      await host.writeFile(CONFIGURATION, text);
      await host.run('wg', ['addconf', IFNAME, CONFIGURATION], { timeoutMs: CONFIGURE_TIMEOUT_MS });
    }
  }

  /** Ends both daemons in peace, so that what they write at their end is written, and the hosts. */
  async close(): Promise<void> {
    try {
      await this.#observers?.end();
      await Promise.all(this.daemons.map(({ child }) => child.stop('SIGTERM', STOP_GRACE_MS)));
    } finally {
      await closeLab(this.#lab);
    }
  }
}

/** The right host alone with a daemon that has the given peers, and the left one without any. */
export interface Responder {
  readonly left: Host;
  readonly daemon: Daemon;
  close(): Promise<void>;
}

/** @param peers wg(8) sections of the peers */
export async function openResponder(
  implementation: Implementation,
  privateKey: string,
  peers: string,
): Promise<Responder> {
  const lab = await openLab();
  try {
    const [left, right] = await cable(lab);
    const text = `[Interface]\nPrivateKey = ${privateKey}\nListenPort = ${TUNNEL_PORT}\n${peers}`;
    await right.writeFile(CONFIGURATION, text);
    const daemon = await start(right, implementation, RIGHT, null);
    const close = async (): Promise<void> => {
      await daemon.child.stop('SIGTERM', STOP_GRACE_MS);
      await closeLab(lab);
    };
    return { left, daemon, close };
  } catch (error) {
    await closeLab(lab);
    throw error;
  }
}

async function cable(lab: Lab): Promise<[left: Host, right: Host]> {
  const [left, right] = await lab.hosts('left', 'right');
  await left.connect(CABLE, right, CABLE);
  await left.configure(CABLE, `${LEFT.outer4}/24`, `${LEFT_OUTER6}/64`);
  await right.configure(CABLE, `${RIGHT.outer4}/24`, `${RIGHT_OUTER6}/64`);
  return [left, right];
}

function configuration(own: KeyPair, other: KeyPair, otherEnd: End): string {
  return `[Interface]
PrivateKey = ${own.privateKey}
ListenPort = ${TUNNEL_PORT}
[Peer]
PublicKey = ${other.publicKey}
Endpoint = ${otherEnd.outer4}:${TUNNEL_PORT}
AllowedIPs = ${otherEnd.inner4}/32, ${otherEnd.inner6}/128
`;
}

/** @param target what must answer a ping before this is done; null for nothing */
async function start(
  host: Host,
  implementation: Implementation,
  end: End,
  target: string | null,
): Promise<Daemon> {
  const [program, ...args] = implementation.command;
  const child = host.spawn(program, args, { env: implementation.env });
  const words = [end.inner4, end.inner6, target ?? ''];
  const bringUp = host.run('bash', ['-euc', BRING_UP, 'bash', ...words], {
    timeoutMs: START_TIMEOUT_MS,
  });
  await bringUp.catch((error: Error) => {
    throw new Error(`${implementation.name} did not start: ${error.message}\n${child.stderr}`);
  });
  return { host, child, pid: onlyChild(child.pid) };
}

async function setEndpoint(host: Host, publicKey: string, address: string): Promise<void> {
  const endpoint = `${address}:${TUNNEL_PORT}`;
  await host.run('wg', ['set', IFNAME, 'peer', publicKey, 'endpoint', endpoint]);
}
