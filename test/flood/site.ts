/**
 * The place of the attack: a victim with a cable to each of a client, an attacker and a crowd of
 * newcomers. Owns addresses, routes and the recording. The tunnels' own packets and the flood are
 * of one family, the site's.
 *
 *     client    192.0.2.1, 2001:db8:0::1    ---- .2, ::2       victim
 *     crowd     203.0.113.11 to .., 2001:db8:3::b to ..  ---- .2, ::2
 *     attacker  198.51.100.1, 2001:db8:2::1 ---- .2, ::2, and the victim's way to everybody else
 */

import { DATA, INITIATION } from '../../src/noise/messages.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { onlyChild } from '../bench/processes.ts';
import { Capture } from '../lab/capture.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { firstPing, ping } from '../lab/probes.ts';
import { formatEndpoint, TUNNEL_PORT, TunnelEnd } from '../lab/tunnel.ts';
import { createFrames, createPayloads, type Kind, type Recording } from './ammunition.ts';
import {
  createRandom,
  type Family,
  POOL_SIZE,
  randomSource,
  type Source,
  type Sources,
} from './sources.ts';
import { Flood, type Rate, wayBetween } from './volley.ts';

/** Inside the tunnel; the newcomers are 10.99.1.11 and so on. */
export const VICTIM = '10.99.0.1';
const CLIENT = '10.99.0.2';
const INNER_PREFIX = 16;
/** Of each cable, by the other host: IPv4 and IPv6 without the last part, prefix lengths. */
const CABLES = {
  client: { 4: '192.0.2.', 6: '2001:db8:0::' },
  attacker: { 4: '198.51.100.', 6: '2001:db8:2::' },
  crowd: { 4: '203.0.113.', 6: '2001:db8:3::' },
} as const;
const PREFIX = { 4: 24, 6: 64 } as const;
const FAR_END = 1;
const VICTIM_END = 2;
const FIRST_NEWCOMER = 11;
export const NEWCOMERS_MAX = 99;
/** Nobody listens there. */
const CLOSED_PORT = 9;
/** Messages of the client's that are listened to, as large as the tunnel takes them. */
const RECORDED = 500;
const PING_BYTES = 1_360;
/** IPv4 and ICMP headers, padding, and the message around them with its authenticator. */
const MESSAGE_BYTES = Math.ceil((PING_BYTES + 28) / 16) * 16 + 32;
const WHOLE_FRAME = 65_535;

/** Where a flood goes: to the victim's WireGuard, or past it. */
export type Aim = 'tunnel' | 'closed port';

/** What a flood is made of; how long it lasts is said when it begins. */
export interface Assault {
  readonly kind: Kind;
  readonly sources: Sources;
  readonly rate: Rate;
  /** So many datagrams at once; evenly, where it is left out. */
  readonly clump?: number;
}

/** Where a newcomer is: outside, and inside the tunnel. */
export interface Place {
  readonly outer: string;
  readonly inner: string;
}

export class Site {
  readonly family: Family;
  readonly client: Host;
  readonly crowd: Host;
  readonly attacker: Host;
  readonly victim: TunnelEnd;
  /** Its daemon's PID, as the test sees it. */
  readonly victimPid: number;
  readonly #recording: Recording;

  private constructor(
    family: Family,
    hosts: { readonly client: Host; readonly crowd: Host; readonly attacker: Host },
    victim: TunnelEnd,
    recording: Recording,
  ) {
    this.family = family;
    this.client = hosts.client;
    this.crowd = hosts.crowd;
    this.attacker = hosts.attacker;
    this.victim = victim;
    this.victimPid = onlyChild(victim.daemon.pid);
    this.#recording = recording;
  }

  /** @param daemon the program of both ends */
  static async open(lab: Lab, daemon: string, family: Family): Promise<Site> {
    const [victimHost, client, crowd, attacker] = await lab.hosts(
      ...(['victim', 'client', 'crowd', 'attacker'] as const),
    );
    // Or the control would be another rate, and dearer than a flood: for each datagram to a closed
    // port from an address that was told of one lately, the kernel looks for the way back before it
    // decides to say nothing.
    await victimHost.sysctl('net.ipv4.icmp_msgs_per_sec', 0);
    await Promise.all([
      plug(client, victimHost, 'client', family, [FAR_END]),
      plug(crowd, victimHost, 'crowd', family, newcomerNumbers()),
      plug(attacker, victimHost, 'attacker', family, [FAR_END]),
    ]);
    // Whoever is forged is behind the attacker, and answers go there.
    const gateway = outer('attacker', family, FAR_END);
    await victimHost.ip(`-${family} route add default via ${gateway}`);

    const options = { daemon, env: { LOG_LEVEL: 'error' } };
    const [victim, clientEnd] = await Promise.all([
      TunnelEnd.start(victimHost, [`${VICTIM}/${INNER_PREFIX}`], options),
      TunnelEnd.start(client, [`${CLIENT}/${INNER_PREFIX}`], options),
    ]);
    await victim.addPeer({ publicKey: clientEnd.keys.publicKey, allowedIps: [`${CLIENT}/32`] });
    const recording = await record(clientEnd, victim, family);
    return new Site(family, { client, crowd, attacker }, victim, recording);
  }

  /** Where newcomers may be, in their order. */
  newcomerPlaces(count: number): Place[] {
    return newcomerNumbers()
      .slice(0, count)
      .map((number) => ({
        outer: outer('crowd', this.family, number),
        inner: `10.99.1.${number}`,
      }));
  }

  /** The victim, as newcomers reach it. */
  get victimOuter(): string {
    return outer('crowd', this.family, VICTIM_END);
  }

  /**
   * Floods for `seconds`; resolves once the first frame is on its way.
   *
   * @param newcomers how many of them are forged beside the client when the sources are `own`
   */
  async flood(assault: Assault, aim: Aim, seconds: number, newcomers = 0): Promise<Flood> {
    const target = {
      way: await wayBetween(this.attacker, 'cable', this.victim.host, 'attacker'),
      address: parseAddress(outer('attacker', this.family, VICTIM_END))!,
      port: aim === 'tunnel' ? TUNNEL_PORT : CLOSED_PORT,
    };
    const payloads = createPayloads(assault.kind, this.#recording);
    const frames = createFrames(payloads, target, this.#sources(assault.sources, newcomers));
    const isRandom = assault.sources === 'random';
    const { rate, clump } = assault;
    return Flood.start(this.attacker, 'cable', { frames, seconds, rate, isRandom, clump });
  }

  #sources(sources: Sources, newcomers: number): Source[] {
    if (sources !== 'own') {
      const random = createRandom(1 + (Date.now() % 2 ** 31));
      return Array.from({ length: POOL_SIZE }, () => randomSource(this.family, random));
    }
    const client = outer('client', this.family, FAR_END);
    const all = [client, ...this.newcomerPlaces(newcomers).map((place) => place.outer)];
    return all.map((text) => ({ address: parseAddress(text)!, port: TUNNEL_PORT }));
  }
}

function newcomerNumbers(): number[] {
  return Array.from({ length: NEWCOMERS_MAX }, (_, index) => FIRST_NEWCOMER + index);
}

function outer(cable: keyof typeof CABLES, family: Family, number: number): string {
  return CABLES[cable][family] + (family === 4 ? number : number.toString(16));
}

/** A cable from a host to the victim, which calls its own end by the host's name. */
async function plug(
  host: Host,
  victim: Host,
  name: keyof typeof CABLES,
  family: Family,
  numbers: readonly number[],
): Promise<void> {
  await host.connect('cable', victim, name);
  const withPrefix = (number: number) => `${outer(name, family, number)}/${PREFIX[family]}`;
  const nodad = family === 6 ? ' nodad' : '';
  const lines = numbers.map((number) => `address add ${withPrefix(number)} dev cable${nodad}\n`);
  await host.run('ip', ['-batch', '-'], { input: `${lines.join('')}link set cable up\n` });
  await victim.configure(name, withPrefix(VICTIM_END));
}

/** Listens while the client makes itself known to the victim and sends some large packets. */
async function record(client: TunnelEnd, victim: TunnelEnd, family: Family): Promise<Recording> {
  const address = outer('client', family, VICTIM_END);
  const filter = `udp dst port ${TUNNEL_PORT} and dst host ${address}`;
  const capture = await Capture.start(client.host, 'cable', filter, WHOLE_FRAME);
  await client.addPeer({
    publicKey: victim.keys.publicKey,
    allowedIps: [`${VICTIM}/32`],
    endpoint: formatEndpoint(address, TUNNEL_PORT),
  });
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

function split(run: Uint8Array, size: number): Uint8Array[] {
  const count = Math.ceil(run.length / size);
  return Array.from({ length: count }, (_, i) => run.subarray(i * size, (i + 1) * size));
}
