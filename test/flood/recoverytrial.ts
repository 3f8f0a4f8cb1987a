/**
 * How long two ends are apart when one of them has lost the session and the other has not noticed:
 * no attacker, only the peer's own data, which then is a stranger's.
 *
 *     left   192.0.2.1, streams        ---- 192.0.2.2, and 192.0.2.3 where it roams    right
 *     attacker, of 599 dead sessions   ---- 198.51.100.2
 */

import type { Implementation } from '../bench/implementation.ts';
import { type Child, sleep } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { closeLab, openLab } from '../lab/openlabs.ts';
import { firstPing } from '../lab/probes.ts';
import { compiledProgram } from '../lab/repository.ts';
import { formatEndpoint, TUNNEL_PORT, TunnelEnd } from '../lab/tunnel.ts';
import { createDeadData, createFrames, MESSAGES } from './ammunition.ts';
import { daemonOf, gatedEnd } from './daemon.ts';
import { GateWatch } from './gatewatch.ts';
import type { Accident, RecoveryRow } from './rows.ts';
import { createRandom, randomSource } from './sources.ts';
import { datagramsPerSecond, framesPerSecond, received, type Traffic } from './traffic.ts';
import type { Conditions, Settings } from './trial.ts';
import { Flood, wayBetween } from './volley.ts';

export interface RecoveryResult extends Conditions {
  readonly section: 'recovery';
  /** Of each time that the ends were apart; Infinity when they did not come together in time. */
  readonly seconds: readonly number[];
  /** Datagrams a second of the stream from the accident on, which the other end may have slowed. */
  readonly outagePerSecond: number;
}

const INNER = { left: '10.9.0.1', right: '10.9.0.2' } as const;
const OUTER = { left: '192.0.2.1', right: '192.0.2.2', roamed: '192.0.2.3' } as const;
const ATTACKER = { far: '198.51.100.1', near: '198.51.100.2' } as const;
const PREFIX = 24;
/** Bytes of a datagram of the stream: inside, and as a message with headers, none of it padding. */
const PAYLOAD_BYTES = 100;
const MESSAGE_BYTES = PAYLOAD_BYTES + 28 + 32;
/** How long one of the ends is away, and how long the stream is measured before. */
const AWAY_MS = 1_000;
const STEADY_MS = 1_000;
/** Until the stream is what it is going to be. */
const SETTLE_MS = 300;
const POLL_MS = 5;
const MS_PER_S = 1_000;
/** A trial's setting up and all its waiting, beside the limit. */
const STREAM_EXTRA_S = 60;
const DEAD_SESSIONS = 599;
/** Of the client's own stream beside them: as much as each of them sends. */
const OWN_PER_S = 20;
/** Datagrams of the stream vanish without an answer, so that their receiver is silent. */
const SILENCE = `table inet silence {
  chain input { type filter hook input priority 0; iifname "wg0" meta l4proto udp drop; }
}`;

export async function tryRecovery(
  row: RecoveryRow,
  implementation: Implementation,
  { limit }: Settings,
): Promise<RecoveryResult> {
  const lab = await openLab();
  try {
    const scene = await Scene.open(lab, daemonOf(implementation), row, limit);
    return await scene.play(row, gatedEnd(implementation, scene.right));
  } finally {
    await closeLab(lab);
  }
}

class Scene {
  readonly left: TunnelEnd;
  readonly right: TunnelEnd;
  readonly #attacker: Host;
  readonly #limit: number;
  readonly #isSpeaking: boolean;

  private constructor(
    ends: { readonly left: TunnelEnd; readonly right: TunnelEnd },
    attacker: Host,
    row: RecoveryRow,
    limit: number,
  ) {
    this.left = ends.left;
    this.right = ends.right;
    this.#attacker = attacker;
    this.#isSpeaking = row.isSpeaking;
    this.#limit = limit;
  }

  /** Both ends know each other, have a session, and the left one streams. */
  static async open(lab: Lab, daemon: string, row: RecoveryRow, limit: number): Promise<Scene> {
    const [leftHost, rightHost, attacker] = await lab.hosts('left', 'right', 'attacker');
    await leftHost.connect('wan', rightHost, 'wan');
    await attacker.connect('cable', rightHost, 'attacker');
    await Promise.all([
      leftHost.configure('wan', `${OUTER.left}/${PREFIX}`),
      rightHost.configure('wan', `${OUTER.right}/${PREFIX}`),
      attacker.configure('cable', `${ATTACKER.far}/${PREFIX}`),
      rightHost.configure('attacker', `${ATTACKER.near}/${PREFIX}`),
    ]);
    await rightHost.ip(`route add default via ${ATTACKER.far}`);
    // Without it the address that it roams to would go with the first one.
    await rightHost.sysctl('net.ipv4.conf.all.promote_secondaries', 1);
    await rightHost.nft(SILENCE);
    const options = { daemon, env: { LOG_LEVEL: 'error' } };
    const [left, right] = await Promise.all([
      TunnelEnd.start(leftHost, [`${INNER.left}/${PREFIX}`], options),
      TunnelEnd.start(rightHost, [`${INNER.right}/${PREFIX}`], options),
    ]);
    await Promise.all([introduce(left, right, 'right'), introduce(right, left, 'left')]);
    await firstPing(leftHost, INNER.right);
    const perSecond = row.accident === 'dead sessions' ? OWN_PER_S : row.rate;
    await talk(leftHost, limit + STREAM_EXTRA_S, perSecond);
    return new Scene({ left, right }, attacker, row, limit);
  }

  async play({ accident, rate }: RecoveryRow, gated: TunnelEnd | null): Promise<RecoveryResult> {
    const { host } = this.right;
    await sleep(SETTLE_MS);
    const steady = received(host, 'wan');
    await sleep(STEADY_MS);
    const steadyPerSecond = datagramsPerSecond(steady, received(host, 'wan'), MESSAGE_BYTES);
    const watch = GateWatch.over(gated);
    const before = received(host, 'wan');
    const flood = accident === 'dead sessions' ? await this.#deadSessions(rate) : null;
    const first = received(host, 'attacker');
    const seconds = await this.#suffer(accident);
    const last = received(host, 'attacker');
    await flood?.stop();
    return {
      section: 'recovery',
      arrivedPerSecond: flood === null ? steadyPerSecond : framesPerSecond(first, last),
      gate: watch.stop(),
      seconds,
      outagePerSecond: datagramsPerSecond(before, received(host, 'wan'), MESSAGE_BYTES),
    };
  }

  async #suffer(accident: Accident): Promise<number[]> {
    switch (accident) {
      case 'receiver restarts':
      case 'dead sessions':
        return [await this.#restartRight()];
      case 'sender restarts':
        return [await this.#restartLeft()];
      case 'link down and up':
        return [await this.#bounceRight()];
      case 'roam and return':
        return this.#roam();
    }
  }

  async #restartRight(): Promise<number> {
    await kill(this.right);
    await sleep(AWAY_MS);
    await this.right.startDaemon();
    const before = received(this.right.host, 'wg0');
    await this.right.host.configure('wg0', `${INNER.right}/${PREFIX}`);
    return this.#reunion(before);
  }

  async #restartLeft(): Promise<number> {
    await kill(this.left);
    await sleep(AWAY_MS);
    const before = received(this.right.host, 'wg0');
    await this.left.startDaemon();
    await this.left.host.configure('wg0', `${INNER.left}/${PREFIX}`);
    return this.#arrival(before);
  }

  async #bounceRight(): Promise<number> {
    await this.right.host.ip('link set wg0 down');
    await sleep(AWAY_MS);
    const before = received(this.right.host, 'wg0');
    await this.right.host.ip('link set wg0 up');
    return this.#reunion(before);
  }

  /** There and back again, with a while in between. */
  async #roam(): Promise<number[]> {
    const move = async (from: string, to: string): Promise<number> => {
      await this.right.host.ip(`address add ${to}/${PREFIX} dev wan`);
      await this.right.host.ip(`address del ${from}/${PREFIX} dev wan`);
      return this.#answer();
    };
    const there = await move(OUTER.right, OUTER.roamed);
    await sleep(AWAY_MS);
    return [there, await move(OUTER.roamed, OUTER.right)];
  }

  /** Data from so many addresses, none of which knows that its session is no more. */
  async #deadSessions(rate: number): Promise<Flood> {
    const way = await wayBetween(this.#attacker, 'cable', this.right.host, 'attacker');
    const target = {
      way,
      address: Uint8Array.from(ATTACKER.near.split('.'), Number),
      port: TUNNEL_PORT,
    };
    const random = createRandom(1 + (Date.now() % 2 ** 31));
    const sources = Array.from({ length: DEAD_SESSIONS }, () => randomSource(4, random));
    const payloads = Array.from({ length: MESSAGES }, (_, index) => createDeadData(index));
    const frames = createFrames(payloads, target, sources);
    const seconds = this.#limit + STREAM_EXTRA_S;
    return Flood.start(this.#attacker, 'cable', { frames, seconds, rate, isRandom: false });
  }

  /** Seconds until the right end, which has no session, hears from the left one, or is answered. */
  #reunion(before: Traffic): Promise<number> {
    return this.#isSpeaking ? this.#answer() : this.#arrival(before);
  }

  async #answer(): Promise<number> {
    const timeoutMs = this.#limit * MS_PER_S;
    const elapsedMs = await firstPing(this.right.host, INNER.left, timeoutMs).catch(
      () => Number.POSITIVE_INFINITY,
    );
    return elapsedMs / MS_PER_S;
  }

  /** Until something comes out of the right end's tunnel. */
  async #arrival(before: Traffic): Promise<number> {
    const begun = performance.now();
    for (;;) {
      const now = received(this.right.host, 'wg0');
      const seconds = (now.at - begun) / MS_PER_S;
      if (now.frames > before.frames) return seconds;
      if (seconds > this.#limit) return Number.POSITIVE_INFINITY;
      await sleep(POLL_MS);
    }
  }
}

async function introduce(end: TunnelEnd, other: TunnelEnd, side: 'left' | 'right'): Promise<void> {
  await end.addPeer({
    publicKey: other.keys.publicKey,
    allowedIps: [`${INNER[side]}/32`],
    endpoint: formatEndpoint(OUTER[side], TUNNEL_PORT),
  });
}

/** Streams to the right end until the lab is closed. */
async function talk(left: Host, seconds: number, perSecond: number): Promise<Child> {
  const program = compiledProgram('test/flood/talker.ts');
  const words = [seconds, perSecond, PAYLOAD_BYTES, INNER.right].map(String);
  const child = left.spawn(process.execPath, [program, ...words]);
  await child.waitForOutput(/talking/);
  return child;
}

async function kill(end: TunnelEnd): Promise<void> {
  await end.daemon.stop('SIGKILL');
}
