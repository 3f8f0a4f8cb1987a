/**
 * The place of the attack: a victim with a cable to each of a client, an attacker and a newcomer,
 * whose key the victim has known from the start. Owns addresses, routes and the recording.
 *
 *     client    192.0.2.1    ---- 192.0.2.2                       victim
 *     newcomer  203.0.113.1  ---- 203.0.113.2
 *     attacker  198.18.0.0/15, 2001:db8:f000::/36 ---- 198.51.100.2, 2001:db8:2::2
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DATA, INITIATION } from '../../src/noise/messages.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { parseStats, type ReportedStats } from '../../src/uapi/stats.ts';
import { onlyChild } from '../bench/processes.ts';
import { Capture } from '../lab/capture.ts';
import { type Child, sleep } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, ping } from '../lab/probes.ts';
import { compiledProgram } from '../lab/repository.ts';
import { formatEndpoint, TUNNEL_PORT, TunnelEnd } from '../lab/tunnel.ts';
import { createFrames, createPayloads, type Kind, type Recording } from './ammunition.ts';
import type { Volley } from './attacker.ts';
import { joinFrames } from './frames.ts';

/** Inside the tunnel. */
export const VICTIM = '10.99.0.1';
const CLIENT = '10.99.0.2';
const NEWCOMER = '10.99.0.3';
const OUTER = {
  client: ['192.0.2.1', '192.0.2.2'],
  newcomer: ['203.0.113.1', '203.0.113.2'],
  attacker: ['198.51.100.1', '198.51.100.2'],
} as const;
const ATTACKED_6 = ['2001:db8:2::1', '2001:db8:2::2'] as const;
/** Nobody listens there. */
const CLOSED_PORT = 9;
/** Messages of the client's that are listened to, as large as the tunnel takes them. */
const RECORDED = 500;
const PING_BYTES = 1392;
/** IPv4 and ICMP headers, and those of the message around them with its authenticator. */
const MESSAGE_BYTES = PING_BYTES + 28 + 32;
const WHOLE_FRAME = 65_535;
const SOCKET = '/var/run/wireguard/wg0.sock';
const SETTLE_MS = 200;

/** Where a flood goes: to the victim's WireGuard, or past it. */
export type Aim = 'tunnel' | 'closed port';

export class Site {
  readonly client: Host;
  readonly attacker: Host;
  readonly victim: TunnelEnd;
  /** Its daemon's PID, as the test sees it. */
  readonly victimPid: number;
  readonly #newcomer: TunnelEnd;
  readonly #recording: Recording;
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'tswg-flood-'));

  private constructor(
    hosts: { readonly client: Host; readonly attacker: Host },
    victim: TunnelEnd,
    newcomer: TunnelEnd,
    recording: Recording,
  ) {
    this.client = hosts.client;
    this.attacker = hosts.attacker;
    this.victim = victim;
    this.victimPid = onlyChild(victim.daemon.pid);
    this.#newcomer = newcomer;
    this.#recording = recording;
    process.once('exit', () => rmSync(this.#folder, { recursive: true, force: true }));
  }

  /** @param daemon the program of all three ends */
  static async open(lab: Lab, daemon: string): Promise<Site> {
    const hosts = await lab.hosts('victim', 'client', 'newcomer', 'attacker');
    const [victimHost, clientHost, newcomerHost, attacker] = hosts;
    await plug(clientHost, victimHost, 'client');
    await plug(newcomerHost, victimHost, 'newcomer');
    await plug(attacker, victimHost, 'attacker');
    await attacker.configure('cable', `${ATTACKED_6[0]}/64`);
    await victimHost.configure('attacker', `${ATTACKED_6[1]}/64`);
    await victimHost.ip(`route add 198.18.0.0/15 via ${OUTER.attacker[0]}`);
    await victimHost.ip(`route add 2001:db8:f000::/36 via ${ATTACKED_6[0]}`);

    const options = { daemon, env: { LOG_LEVEL: 'error' } };
    const [victim, client, newcomer] = await Promise.all([
      TunnelEnd.start(victimHost, [`${VICTIM}/24`], options),
      TunnelEnd.start(clientHost, [`${CLIENT}/24`], options),
      TunnelEnd.start(newcomerHost, [`${NEWCOMER}/24`], options),
    ]);
    await victim.addPeer({ publicKey: client.keys.publicKey, allowedIps: [`${CLIENT}/32`] });
    await victim.addPeer({ publicKey: newcomer.keys.publicKey, allowedIps: [`${NEWCOMER}/32`] });
    const recording = await record(client, victim);
    return new Site({ client: clientHost, attacker }, victim, newcomer, recording);
  }

  /** Floods for `seconds`; resolves once the first frame is on its way. */
  async flood(kind: Kind, aim: Aim, seconds: number): Promise<Flood> {
    const file = await this.#load(kind, aim);
    const program = compiledProgram('test/flood/attacker.ts');
    const child = this.attacker.spawn(process.execPath, [program, file, 'cable', `${seconds}`]);
    await child.waitForOutput(/flooding/);
    return new Flood(child);
  }

  /**
   * Lets the newcomer make itself known to the victim; resolves to the milliseconds until its first
   * ping is answered. It is new only once.
   */
  async welcome(timeoutMs: number): Promise<number> {
    await this.#newcomer.addPeer(peerOf(this.victim, OUTER.newcomer[1]));
    return firstPing(this.#newcomer.host, VICTIM, timeoutMs);
  }

  /** Datagrams that have come in over the attacker's cable. */
  async arrived(): Promise<number> {
    const text = await this.victim.host.run('cat', [
      '/sys/class/net/attacker/statistics/rx_packets',
    ]);
    return Number(text);
  }

  /** What a tswgd has dropped, all reasons together. */
  async dropped(): Promise<number> {
    // The kernel's own drops are asked for when a datagram is read.
    await sleep(SETTLE_MS);
    await ping(this.client, VICTIM);
    const { counters } = await stats(this.victim.host);
    const drops = Object.entries(counters).filter(([name]) => name.startsWith('drop_'));
    return drops.reduce((sum, [, count]) => sum + count, 0);
  }

  /** How many cookies a tswgd of a newcomer was given. */
  async cookies(): Promise<number> {
    const [victim] = (await stats(this.#newcomer.host)).peers;
    return victim?.counters.cookies_received ?? 0;
  }

  /** Writes the frames of a flood to where the attacker reads them. */
  async #load(kind: Kind, aim: Aim): Promise<string> {
    const target = {
      way: {
        sourceMac: await macOf(this.attacker, 'cable'),
        destinationMac: await macOf(this.victim.host, 'attacker'),
      },
      address4: parseAddress(OUTER.attacker[1])!,
      address6: parseAddress(ATTACKED_6[1])!,
      port: aim === 'tunnel' ? TUNNEL_PORT : CLOSED_PORT,
    };
    const frames = createFrames(createPayloads(kind, this.#recording), target);
    const file = path.join(this.#folder, 'frames');
    writeFileSync(file, joinFrames(frames));
    return file;
  }
}

export class Flood {
  readonly #child: Child;

  constructor(child: Child) {
    this.#child = child;
  }

  async finished(): Promise<Volley> {
    const status = await this.#child.exited;
    if (status !== 0) throw new Error(`attacker: ended with ${status}\n${this.#child.stderr}`);
    return JSON.parse(this.#child.stdout.trim().split('\n').at(-1)!) as Volley;
  }
}

function split(run: Uint8Array, size: number): Uint8Array[] {
  const count = Math.ceil(run.length / size);
  return Array.from({ length: count }, (_, i) => run.subarray(i * size, (i + 1) * size));
}

async function stats(host: Host): Promise<ReportedStats> {
  const program = compiledProgram('test/lab/uapirequest.ts');
  const input = 'stats=1\n\n';
  return parseStats(await host.run(process.execPath, [program, SOCKET], { input }));
}

/** A cable from a host to the victim, which calls its own end by the host's name. */
async function plug(host: Host, victim: Host, name: keyof typeof OUTER): Promise<void> {
  await host.connect('cable', victim, name);
  await host.configure('cable', `${OUTER[name][0]}/24`);
  await victim.configure(name, `${OUTER[name][1]}/24`);
}

function peerOf(end: TunnelEnd, outer: string) {
  return {
    publicKey: end.keys.publicKey,
    allowedIps: [`${VICTIM}/32`],
    endpoint: formatEndpoint(outer, TUNNEL_PORT),
  };
}

/** Listens while the client makes itself known to the victim and sends some large packets. */
async function record(client: TunnelEnd, victim: TunnelEnd): Promise<Recording> {
  const filter = `udp dst port ${TUNNEL_PORT} and dst host ${OUTER.client[1]}`;
  const capture = await Capture.start(client.host, 'cable', filter, WHOLE_FRAME);
  await client.addPeer(peerOf(victim, OUTER.client[1]));
  await firstPing(client.host, VICTIM);
  await ping(client.host, VICTIM, { count: RECORDED, intervalMs: 2, size: PING_BYTES });
  const payloads = (await capture.stop()).map(({ payload }) => payload);
  const initiation = payloads.find((payload) => payload[0] === INITIATION);
  // On a cable of the kernel's own, messages that were sent as one run arrive as one datagram.
  const data = payloads
    .flatMap((payload) => split(payload, MESSAGE_BYTES))
    .filter(({ length, 0: type }) => type === DATA && length === MESSAGE_BYTES);
  if (initiation === undefined || data.length < RECORDED / 2) {
    throw new Error(`flood: of ${payloads.length} datagrams too few can be replayed`);
  }
  return { publicKey: Buffer.from(victim.keys.publicKey, 'base64'), initiation, data };
}

async function macOf(host: Host, ifname: string): Promise<Uint8Array> {
  const text = await host.run('cat', [`/sys/class/net/${ifname}/address`]);
  return Uint8Array.from(text.trim().split(':'), (octet) => Number.parseInt(octet, 16));
}
