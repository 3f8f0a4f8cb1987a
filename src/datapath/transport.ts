/**
 * The outer side of a path: datagrams in and out. UDP implements it (udp/udp.ts), and so can a
 * stream transport, a disguise around another transport, or a pair in this process. Who opens it,
 * watches what it reads from and closes it again is its owner, who alone knows its kind.
 */

import type { Endpoint, SendFailure } from '../device/endpoint.ts';
import type { Lead } from '../device/lead.ts';
import type { DatagramOutlet } from '../device/outlet.ts';
import type { Guard } from './guard.ts';

/**
 * Takes one datagram: `length` bytes of the arena at `offset`, which stay there until the turn's
 * end. `endpoint` is the same object whenever remote and local address are the same, for speed.
 *
 * With a `count` of more than 1 it takes so many that came as one: without a gap between them, and
 * all `length` bytes long but the last of `lastLength`, which is no longer. A transport that merges
 * none leaves these parameters out.
 */
export type DatagramSink = (
  offset: number,
  length: number,
  endpoint: Endpoint,
  trafficClass: number,
  count?: number,
  lastLength?: number,
) => void;

/** One of a transport's ways in: a socket, a connection, a queue. */
export interface Inlet {
  /**
   * Hands waiting datagrams to `sink` until none waits, about `budget` were handed over (a run that
   * has begun is finished), their bytes are enough for a turn or the arena has no room. Returns how
   * many were; `now` is the turn's.
   * What its owner calls when something waits is the path's `receive`. Must not call the path.
   */
  receive(sink: DatagramSink, budget: number, now: number): number;
}

/**
 * A datagram of the arena that it is given to transmit joins the batch; it stays as it is until `flush`,
 * and after that is gone. Its traffic class is for a transport that has one.
 */
export interface Transport extends DatagramOutlet {
  /** A word for `stats`: `udp`. */
  readonly kind: string;
  /** Those of this moment; a connection that comes or ends makes another list, and changes none. */
  readonly inlets: readonly Inlet[];
  /** What holds strangers back before the inlets, always the same; without it nothing does. */
  readonly guard?: Guard;
  /**
   * Sends the batch. What cannot be sent, and does not fit into a queue of bounded length, is
   * dropped and counted as `sendFailed`. Must not call the path.
   */
  flush(): void;
  /**
   * False while there is no room for another turn's datagrams. The path then takes no packets from
   * the interface, where they wait as before a slow link, and tells its owner (`onHold`); handshakes
   * and what the Device holds are still transmitted, for `flush` to send or to count. When there is
   * room again the transport's owner has the path look (`handleTimeout`). A transport that rather
   * drops than waits, as UDP does, always says true.
   */
  readonly isWritable: boolean;
  /**
   * For a transport over the machine's routes: what was learnt of paths is forgotten, and the local
   * addresses of `endpoints` are checked when they are next used.
   */
  forgetPaths?(endpoints: Iterable<Endpoint>): void;
  /**
   * For a transport over the machine's routes: how the way to the endpoint leads at this moment, and
   * from now on, until it is asked again, datagrams take it. `inside`: index of the tunnel's own
   * link, 0 when no route of the transport's can lead there.
   */
  lead?(endpoint: Endpoint, inside: number): Lead;
  /** Whether an address is one of a broadcast on a link of this machine. */
  isBroadcast?(address: Uint8Array): boolean;
  /** What refused the last datagram to the endpoint that was refused, if there was one. */
  failureTo?(endpoint: Endpoint): SendFailure | null;
  /** Whether alike datagrams travel as one. */
  readonly isOffloading: boolean;
  /** Error name -> datagrams that it cost. */
  readonly errors: ReadonlyMap<string, number>;
}
