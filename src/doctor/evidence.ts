/**
 * All that doctor knows when it looks for a cause: what was asked of the daemon, the kernel, the
 * files and the network, within one run. Plain values as JSON has them, so that a run can be recorded
 * on one machine and judged on another; no secret key is among them. Owns the shapes alone: gather/
 * fills them, causes/ reads them.
 *
 * Addresses are texts of packet/address.ts, prefixes `ADDRESS/LENGTH`, keys base64, `peer` is always a
 * peer's public key. Times that end in `Ms` are milliseconds, at a moment since 1970. Errors of the
 * system are names of errno(3). Texts of other programs and of the network are as they came: whoever
 * shows them makes them printable.
 */

import type { Firewall } from './evidence/firewall.ts';
import type {
  Clock,
  Connection,
  KernelCounters,
  Link,
  LinkCounters,
  Load,
  Route,
  RouteAnswer,
  Rule,
  UdpSocket,
} from './evidence/machine.ts';
import type {
  IcmpError,
  InnerFlow,
  NameAnswer,
  Ping,
  Probe,
  WireFlow,
} from './evidence/network.ts';
import type { Daemon, Files, OtherEnd, RingEvent, ServingProcess } from './evidence/tunnel.ts';

export type * from './evidence/firewall.ts';
export type * from './evidence/machine.ts';
export type * from './evidence/network.ts';
export type * from './evidence/tunnel.ts';

/** `because`: half a sentence after "cannot look at ...: ", such as `nft is not installed`. */
export type Looked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly because: string };

export interface Evidence {
  readonly run: Run;
  /** The interface; null when there is none of that name in this network namespace. */
  readonly link: Looked<Link | null>;
  readonly daemon: Looked<Daemon>;
  /** What the daemon's ring still knows, oldest first. */
  readonly events: Looked<readonly RingEvent[]>;
  /** Programs that serve an interface of this name, or seem to. */
  readonly processes: Looked<readonly ServingProcess[]>;
  readonly files: Looked<Files>;

  /** All links of this network namespace, ours too. */
  readonly links: Looked<readonly Link[]>;
  /** Ways that were asked for, one by one: a question of its own for each purpose. */
  readonly routes: Looked<readonly RouteAnswer[]>;
  /**
   * Of all routing tables: the routes over this interface, and others that lie within or around an
   * allowed IP or an endpoint of a peer; default routes are among them. At most 1,000.
   */
  readonly table: Looked<readonly Route[]>;
  /** Policy rules of both families, in the order of their priority. */
  readonly rules: Looked<readonly Rule[]>;
  /** UDP sockets bound to the port that the interface has, or wants, whoever's they are. */
  readonly sockets: Looked<readonly UdpSocket[]>;
  /**
   * Parameters below /proc/sys/net by their paths, such as `ipv4/ip_forward` or
   * `ipv4/conf/eth0/rp_filter`: of `all`, this interface, and each one with a route or a LAN. What the
   * kernel does not have is missing. The gatherer of them lists them.
   */
  readonly sysctls: Looked<Readonly<Record<string, string>>>;
  readonly firewall: Looked<Firewall>;
  /**
   * Entries of conntrack that are about our UDP port or an endpoint's address, and those of others
   * whose answers come to an address of the interface. At most 200.
   */
  readonly conntrack: Looked<readonly Connection[]>;
  readonly kernel: Looked<KernelCounters>;
  /** Of each link that has any. */
  readonly linkCounters: Looked<readonly LinkCounters[]>;
  readonly load: Looked<Load>;
  readonly clock: Looked<Clock>;

  /** Every name of an endpoint, of the daemon's configuration and of the hostname file. */
  readonly names: Looked<readonly NameAnswer[]>;
  /** ICMP errors that came while doctor ran and that quote a datagram of our port or of a probe. */
  readonly icmp: Looked<readonly IcmpError[]>;
  /** One of each endpoint that is in use or configured. */
  readonly probes: Looked<readonly Probe[]>;
  /** Handshake messages on the links, as a tap before (in) and after (out) the firewall sees them. */
  readonly wire: Looked<readonly WireFlow[]>;
  /** What goes into the tunnel and comes out of it, the most packets first. At most 200. */
  readonly inner: Looked<readonly InnerFlow[]>;
  /** Echoes through the tunnel, of each peer of which an inner address is known or can be guessed. */
  readonly pings: Looked<readonly Ping[]>;
  /** `--other`; null when it was not given. */
  readonly other: Looked<OtherEnd> | null;
}

export interface Run {
  /** The interface's name. */
  readonly name: string;
  /** Only this one is looked at; null for all. */
  readonly peer: string | null;
  /** tswg's. */
  readonly version: string;
  readonly isRoot: boolean;
  readonly startedMs: number;
  /** How long evidence was gathered, ms: what "over the run" means. */
  readonly tookMs: number;
  /** Network namespace of doctor, as `net:[4026531840]`; '' when unknown. */
  readonly namespace: string;
}

/** The value, or null where nobody could look. */
export function known<T>(looked: Looked<T> | null): T | null {
  return looked?.ok ? looked.value : null;
}

export function looked<T>(value: T): Looked<T> {
  return { ok: true, value };
}

export function cannotLook(because: string): { readonly ok: false; readonly because: string } {
  return { ok: false, because };
}
