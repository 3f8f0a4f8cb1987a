/**
 * What tswg asks of the machine, as one interface: links and addresses, control sockets, daemons.
 * machine.ts answers for Linux; tests answer from memory.
 */

import type { Surroundings } from './resolve.ts';
import type { AddressView } from './view.ts';

export interface Link {
  readonly name: string;
  readonly index: number;
  /** IFF_ bits of netdevice(7). */
  readonly flags: number;
  readonly mtu: number;
  /** IFLA_IFALIAS; empty when none. */
  readonly description: string;
  /** IFLA_INFO_KIND, as `tun` or `wireguard`; empty for devices. */
  readonly kind: string;
  /** A TUN device that outlives the process that serves it. */
  readonly isPersistent: boolean;
}

export interface LinkAddress extends AddressView {
  readonly index: number;
}

/** Every call throws an Error with the system's reason when it is refused. */
export interface System extends Surroundings {
  readonly isRoot: boolean;
  /** Wall clock, ms since 1970. */
  now(): number;
  /** In the order of their indices. */
  links(): Link[];
  /** In the system's order, which has the primary ones first. */
  addresses(): LinkAddress[];
  /** A kernel parameter below /proc/sys/net, as `ipv4/ip_forward`; null when there is none. */
  parameter(path: string): string | null;
  /** Up again, it has the addresses and routes that it lost when this took it down. */
  setUp(index: number, up: boolean): void;
  setMtu(index: number, mtu: number): void;
  setDescription(index: number, text: string): void;
  addAddress(index: number, address: AddressView): void;
  deleteAddress(index: number, address: AddressView): void;
  deleteLink(index: number): void;

  /** Names of the control sockets, whether anybody answers on them or not. */
  sockets(): string[];
  /** Whether a daemon listens on the control socket of `name`; true also for who may not ask. */
  isServed(name: string): boolean;
  /** One request on the control socket of `name`; rejects with a `code` such as ECONNREFUSED. */
  request(name: string, text: string): Promise<string>;
  /**
   * The same for a request that changes nothing, over the observing socket where only root may open
   * the other one: the answer has no keys then. Rejects with ETIMEDOUT after `answerMs` of silence,
   * which is longer than any answer takes by default.
   */
  observe(name: string, text: string, answerMs?: number): Promise<string>;
  /**
   * The same for an answer that comes by and by, until the daemon closes the connection; rejects at its
   * first piece.
   */
  converse(name: string, text: string): AsyncIterable<string>;
  /** Whether a persistent daemon of `name` keeps a state, or has left one; false unless root. */
  hasState(name: string): boolean;
  /** Removes what a daemon of `name` that is gone has left: its sockets and its state. */
  forget(name: string): Promise<void>;
  /** Starts tswgd, with `--persist` if `persists`; resolves once `wg` works. */
  startDaemon(name: string, persists: boolean): Promise<void>;
  sleep(ms: number): Promise<void>;
}
