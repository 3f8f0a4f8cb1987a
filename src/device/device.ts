/**
 * The Device: many peers behind one interface, without sockets, clocks or randomness of its own.
 *
 * Every input takes `now`, monotonic milliseconds that count suspension of the machine, too, since
 * sessions age then; every output goes to the outlet given at the start. The same Device runs
 * in the daemon, in a program with its own transport, and in a simulator on a virtual clock.
 *
 *   sendPacket        one IP packet from the interface  -> transmit
 *   sendRun           those of one super-packet         -> transmit
 *   receiveDatagram   one UDP datagram                  -> deliver, transmit
 *   receiveRun        those that came as one            -> deliver, transmit
 *   handleTimeout     deadlines and queued handshakes   -> transmit, deliver
 *   configure         a change by the operator          -> transmit
 *   nextTimeout       when to call handleTimeout next
 */

import type {
  DeviceChange,
  DeviceState,
  DeviceStats,
  InterfaceChange,
  InterfaceState,
  InterfaceStats,
  PeerMemory,
  PeerState,
  PeerStats,
} from './configuration.ts';
import { bringUp, clearAway, configure, swapIn, takeAllDown } from './configure.ts';
import { Core, type DeviceOptions, type Outcomes, peerKey } from './core.ts';
import type { Doorkeeper } from './doorkeeper.ts';
import { Draft } from './draft.ts';
import type { DropReason } from './drops.ts';
import type { Endpoint } from './endpoint.ts';
import { expire } from './expiries.ts';
import { type DeviceHandover, handOver, takeBack, takeOver } from './handover.ts';
import { consumeHandshakes } from './handshakes.ts';
import { memories, recall, resume } from './memory.ts';
import type { NameMemory } from './names.ts';
import { nameAnswered } from './naming.ts';
import type { Observer } from './observers.ts';
import type { OwnAddresses } from './ownaddresses.ts';
import { assignOwnAddresses } from './ownsources.ts';
import type { PeerName } from './peername.ts';
import { peersOfRows } from './peerrows.ts';
import { receiveDatagram } from './receive.ts';
import { receiveRun } from './receiverun.ts';
import { ownState, ownStats, peerStates, peerStats, state, stats } from './report.ts';
import { pathsChanged } from './reroute.ts';
import { sendPacket } from './send.ts';
import { sendRun } from './sendrun.ts';
import type { NameAnswer, Near, Way } from './ways.ts';
import { employ } from './whereabouts.ts';

/** Handshake messages handled in one turn, so that a flood of them delays data only this much. */
const HANDSHAKES_PER_TURN = 4;

export class Device {
  /** @internal The insides, for tests and the simulator to look at. */
  readonly core: Core;

  constructor(options: DeviceOptions) {
    this.core = new Core(options);
  }

  /**
   * An IP packet from the interface lies in the arena at `offset`. HEADROOM_BYTES before and
   * TAILROOM_BYTES after it are free to write; packet and rooms are the Device's until the
   * outlet's flush, and what it transmits lies in them.
   */
  sendPacket(now: number, offset: number, length: number): void {
    sendPacket(this.core, now, offset, length);
  }

  /**
   * As `sendPacket`, for the packets that one super-packet stands for: `count` of them, each `stride`
   * after the one before and `length` bytes long, but the last of `lastLength`, which is no longer.
   * They have the same IP header but for lengths, identifications and checksums.
   */
  sendRun(
    now: number,
    offset: number,
    length: number,
    count: number,
    stride: number,
    lastLength: number,
  ): void {
    sendRun(this.core, now, offset, length, count, stride, lastLength);
  }

  /**
   * A UDP datagram lies in the arena at `offset`; it is the Device's until the outlet's flush, and
   * what it delivers lies in it. `trafficClass`: the outer DSCP and ECN octet, 0 if unknown.
   * The endpoint object is kept; equal ones should be the same object, for speed only.
   */
  receiveDatagram(
    now: number,
    offset: number,
    length: number,
    endpoint: Endpoint,
    trafficClass: number,
  ): void {
    receiveDatagram(this.core, now, offset, length, endpoint, trafficClass);
  }

  /**
   * As `receiveDatagram`, for `count` datagrams without a gap between them, each `length` bytes long
   * but the last of `lastLength`, which is no longer. Nothing else about them is taken for granted.
   */
  receiveRun(
    now: number,
    offset: number,
    length: number,
    endpoint: Endpoint,
    trafficClass: number,
    count: number,
    lastLength: number,
  ): void {
    receiveRun(this.core, now, offset, length, endpoint, trafficClass, count, lastLength);
  }

  /**
   * Does what is due: call at nextTimeout() or later, or at any time.
   *
   * @throws what an observer has thrown since the last call, after all that was due is done
   */
  handleTimeout(now: number): void {
    consumeHandshakes(this.core, now, HANDSHAKES_PER_TURN);
    expire(this.core, now);
    this.core.names.expire(now);
    clearAway(this.core);
    this.core.observers.surface();
  }

  /**
   * From now on the observer is told of rare events (handshakes, roaming; see DeviceEvent) and, while
   * `debug` is on, of every drop; until the function that this returns is called. Observers are told
   * in the order in which they came, each event once, in the order in which things happen.
   *
   * An observer is called in the midst of an input, and must call none (see Observer). One that throws
   * has a bug: the Device is none the worse, the other observers are told all the same, and the error
   * comes out of the next `handleTimeout`, which is due at once.
   */
  observe(observer: Observer): () => void {
    return this.core.observers.add(observer);
  }

  /** What came of the messages received so far; borrowed, and written by the Device alone. */
  get outcomes(): Readonly<Outcomes> {
    return this.core.outcomes;
  }

  /** Handshake messages that wait for `handleTimeout`. */
  get queuedHandshakes(): number {
    return this.core.handshakeQueue.length;
  }

  /**
   * From now on this one is told whom we expect to hear from, beginning with all there are; the one
   * before forgets them. NO_DOORKEEPER to begin with.
   */
  setDoorkeeper(doorkeeper: Doorkeeper): void {
    this.#clearAwayAll();
    employ(this.core, doorkeeper);
  }

  /** Tells of each session that may be received on: its index, and the greatest counter taken. */
  eachWindow(tell: (index: number, greatest: number) => void): void {
    for (const peer of this.core.peers.values()) {
      for (const keypair of [peer.previous, peer.current, peer.next]) {
        if (keypair !== null) tell(keypair.localIndex, keypair.replay.greatest);
      }
    }
  }

  /** Call while datagrams are held back before they get here: cookies are asked for. */
  press(now: number): void {
    this.core.handshakeQueue.press(now);
  }

  /**
   * When to call handleTimeout: ms on the same clock, -Infinity for at once, Infinity for never.
   * Ask again after every input.
   */
  nextTimeout(): number {
    const { handshakeQueue, observers, deadlines, names, departed } = this.core;
    if (handshakeQueue.length > 0 || observers.hasFailed || departed.length > 0)
      return Number.NEGATIVE_INFINITY;
    return Math.min(deadlines.next, names.next);
  }

  /** Applies a change whole; it cannot fail. Keys are copied. */
  configure(now: number, change: DeviceChange): void {
    configure(this.core, now, change);
  }

  /**
   * @internal Begins a change that takes long, to be made aside while packets move: give the draft the peers'
   * parts one after the other, finish it, and then `swapIn`, or discard it. What is configured meanwhile
   * makes it void.
   */
  draft(own: InterfaceChange): Draft {
    return new Draft(this.core, own, true);
  }

  /** @internal What the draft says is so from now on; as `configure`. @throws when it is void: our own bug */
  swapIn(now: number, draft: Draft): void {
    swapIn(this.core, now, draft);
  }

  /** The interface is up and the socket open. */
  up(now: number): void {
    bringUp(this.core, now);
  }

  /** The interface went down: sessions are erased, waiting packets dropped, timers stopped. */
  down(): void {
    takeAllDown(this.core);
  }

  get isUp(): boolean {
    return this.core.isUp;
  }

  /** Whether `debug` is on. */
  get isDebugging(): boolean {
    return this.core.isDebugging;
  }

  get listenPort(): number {
    return this.core.listenPort;
  }

  get fwmark(): number {
    return this.core.fwmark;
  }

  get bind(): Near | null {
    return this.core.bind;
  }

  /** The interface's MTU in bytes; packets are padded up to it but not beyond. */
  setMtu(mtu: number): void {
    this.core.mtu = mtu;
  }

  /** Tells which port was bound, when `listenPort` was 0. */
  setListenPort(port: number): void {
    this.core.listenPort = port;
  }

  /**
   * Call after routes, rules, addresses or links of the machine changed, as often as need be: peers
   * whose endpoint turned out to be routed into the tunnel continue at once if it is no more.
   */
  pathsChanged(now: number): void {
    pathsChanged(this.core, now);
  }

  /**
   * What the name service says of a host that it was asked for, or of one that it was not: a host
   * that no peer names is skipped.
   */
  nameAnswered(now: number, host: string, answer: NameAnswer): void {
    nameAnswered(this.core, now, host, answer);
  }

  /**
   * Tells which addresses are the machine's own where the interface is; call whenever they change.
   * Without it no source is taken for our own.
   */
  setOwnAddresses(addresses: OwnAddresses): void {
    this.core.ownAddresses = addresses;
    assignOwnAddresses(this.core);
  }

  /** Counts a packet that the outside had to drop, so that `stats` knows of every one. */
  countDrop(reason: DropReason, packets = 1): void {
    this.core.drop(reason, null, null, packets);
  }

  /** Where the peers are, as far as that is known; the objects that are used to send to them. */
  *endpoints(): Generator<Endpoint> {
    for (const { endpoint } of this.core.peers.values()) if (endpoint !== null) yield endpoint;
  }

  /** The peers that have ways, and these as the operator has said them. `publicKey`: 32 bytes. */
  *ways(): Generator<{ readonly publicKey: Uint8Array; readonly ways: readonly Way[] }> {
    for (const { publicKey, ways } of this.core.wayHolders) {
      if (ways !== null) yield { publicKey, ways: ways.ways };
    }
  }

  /** Where each of the peers is, in the order they were added. */
  *peerPlaces(): Generator<{ readonly publicKey: Uint8Array; readonly endpoint: Endpoint | null }> {
    for (const { publicKey, endpoint } of this.core.peers.values()) yield { publicKey, endpoint };
  }

  /** Who the peers are, in the order they were added. */
  *peerNames(): Generator<PeerName> {
    for (const { name } of this.core.peers.values()) yield name;
  }

  /** Of one of them; null when it is none. `publicKey`: 32 bytes. */
  peerName(publicKey: Uint8Array): PeerName | null {
    return this.core.peers.get(peerKey(publicKey))?.name ?? null;
  }

  /** A copy of the interface's own public key; null when it has no key. */
  publicKey(): Uint8Array | null {
    return this.core.identity?.publicKey.slice() ?? null;
  }

  /** A copy of what `get` shows; the keys in it are the caller's to wipe. */
  state(): DeviceState {
    return state(this.core);
  }

  /** @internal What `state` says of the interface itself. */
  ownState(): InterfaceState {
    return ownState(this.core);
  }

  /**
   * @internal What `state` says of the peers, each as it is when it is asked for, so that many can be told in
   * pieces: one that is added meanwhile is not among them, one that is removed is left out.
   */
  peerStates(): Generator<PeerState> {
    return peerStates(this.core);
  }

  /** What a successor has to `recall`, beside the state that it is configured with. Copies. */
  memories(): PeerMemory[] {
    return [...memories(this.core)];
  }

  /** The same, but for the peers of which the rows of a handover tell all. */
  memoriesBeside({ rows }: DeviceHandover): PeerMemory[] {
    return [...memories(this.core, rows === null ? undefined : peersOfRows(this.core, rows))];
  }

  /** The same one after the other, each as it is when it is asked for. */
  peerMemories(): Generator<PeerMemory> {
    return memories(this.core);
  }

  /** Of the configuration: another number after every change. */
  get revision(): number {
    return this.core.revision;
  }

  /**
   * Takes over what a predecessor knew of its peers: after `configure`, before `up`. Peers that are
   * not configured are skipped. True when the wall clock is behind what was sent then.
   */
  recall(remembered: readonly PeerMemory[]): boolean {
    return recall(this.core, remembered);
  }

  /**
   * What names of hosts were known to be, for a successor to remember: also of one that is
   * configured by somebody else. Call before `configure`.
   */
  rememberNames(memories: readonly NameMemory[]): void {
    this.core.names.remember(memories);
  }

  /** What names of hosts are known to be, for `rememberNames`. Borrowed. */
  nameMemories(): NameMemory[] {
    return this.core.names.memories();
  }

  /** After `up`: begins a session with each peer that may still hold its last one; how many. */
  resume(now: number): number {
    return resume(this.core, now);
  }

  /**
   * All that a successor in another process needs to `takeOver` and continue unnoticed. Copies.
   * `isAhead`: it has been configured with all peers there are, in their order.
   */
  handOver(now: number, isAhead = false): DeviceHandover {
    return handOver(this.core, now, isAhead);
  }

  /**
   * Continues where a predecessor stopped: after `configure` with all but the keys, instead of `recall`
   * and `up`. Erases the handover's keys.
   */
  takeOver(handover: DeviceHandover, remembered: readonly PeerMemory[]): void {
    takeOver(this.core, handover, remembered);
  }

  /** After a `handOver` to a successor that then failed: continues, but with none of the sessions. */
  takeBack(now: number): number {
    return takeBack(this.core, now);
  }

  /** What there is to observe at this moment: metrics and troubles, of the Device and each peer. */
  stats(now: number): DeviceStats {
    return stats(this.core, now);
  }

  /** @internal What `stats` says of the interface itself. */
  ownStats(now: number): InterfaceStats {
    return ownStats(this.core, now);
  }

  /** @internal What `stats` says of the peers, as `peerStates` does. `now`: asked for each of them. */
  peerStats(now: () => number): Generator<PeerStats> {
    return peerStats(this.core, now);
  }

  /** Erases every key and peer. The Device is of no use afterwards. */
  close(): void {
    takeAllDown(this.core);
    configure(this.core, 0, { replacePeers: true, privateKey: new Uint8Array(32), peers: [] });
    this.#clearAwayAll();
    this.core.privateKeyPlace.release();
  }

  #clearAwayAll(): void {
    while (this.core.departed.length > 0) clearAway(this.core);
  }
}
