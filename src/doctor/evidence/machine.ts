/** Evidence about this machine: what its kernel has, does and counts. */

import type { Gained } from './tunnel.ts';

export interface Link {
  readonly index: number;
  readonly name: string;
  /** Names of netdevice(7)'s flags, without IFF_. */
  readonly flags: readonly string[];
  readonly isUp: boolean;
  readonly mtu: number;
  /** `tun`, `wireguard`, `veth`...; empty for hardware. */
  readonly kind: string;
  /** A TUN device that outlives its program. */
  readonly isPersistent: boolean;
  readonly addresses: readonly LinkAddress[];
}

export interface LinkAddress {
  readonly address: string;
  readonly length: number;
  /** The other end of a point-to-point link. */
  readonly destination: string | null;
  /** Link-local: it means something on this link only. */
  readonly isLinkLocal: boolean;
}

/** As the kernel has it. */
export interface Route {
  readonly family: 4 | 6;
  /** What happens to a packet: only `unicast` leads somewhere else, `local` is for us. */
  readonly type: RouteType;
  /** 254 is `main`, 255 `local`, 253 `default`. */
  readonly table: number;
  /** As it stands in the table; `0.0.0.0/0` or `::/0` for a default route. */
  readonly prefix: string;
  /** null when it leads over none, or over several. */
  readonly link: string | null;
  readonly gateway: string | null;
  /** The address that a packet of ours would have. */
  readonly source: string | null;
  readonly metric: number;
}

export type RouteType =
  | 'unicast'
  | 'local'
  | 'broadcast'
  | 'anycast'
  | 'multicast'
  | 'blackhole'
  | 'unreachable'
  | 'prohibit'
  | 'throw'
  | 'other';

export interface RouteAnswer {
  /**
   * endpoint: with the daemon's mark and ports, as its datagrams. name: the same for an address that a
   * name has now, if another one. allowedIp: an address within the prefix `about`, as a packet of this
   * machine. ping: an inner address that is pinged. back: the way that an answer to a packet from the
   * endpoint would take without the mark, which is what rp_filter asks.
   */
  readonly purpose: 'endpoint' | 'name' | 'allowedIp' | 'ping' | 'back';
  readonly peer: string | null;
  /** The prefix or the name that `destination` is of; else the same. */
  readonly about: string;
  readonly destination: string;
  readonly mark: number;
  /** The route, whose `prefix` is the entry that was found; or the kernel's refusal. */
  readonly answer: Way;
}

/** A route, or the name of the error that a packet would get: ENETUNREACH, EHOSTUNREACH, EACCES... */
export type Way =
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'none'; readonly error: string };

export interface Rule {
  readonly family: 4 | 6;
  readonly priority: number;
  /** 0 when it leads to none. */
  readonly table: number;
  readonly action: 'lookup' | 'goto' | 'nop' | 'blackhole' | 'unreachable' | 'prohibit' | 'other';
  readonly isInverted: boolean;
  /** 0 for any; of a packet's mark the bits of `mask` count. */
  readonly mark: number;
  readonly mask: number;
  readonly from: string | null;
  readonly to: string | null;
  readonly inputLink: string | null;
  readonly outputLink: string | null;
  /** Routes with prefixes of at most this length are skipped; null when none are. */
  readonly suppressLength: number | null;
}

export interface UdpSocket {
  readonly family: 4 | 6;
  /** What it is bound to; `0.0.0.0` or `::` for all. */
  readonly address: string;
  readonly port: number;
  readonly uid: number;
  readonly inode: number;
  /** Who has it; null when that cannot be seen, as by others than root. */
  readonly process: { readonly pid: number; readonly name: string } | null;
  readonly mark: number;
  /** Bytes that wait in it, and the most that may. */
  readonly receiveQueue: number;
  readonly receiveBuffer: number;
  /** Datagrams that it had no room for, since it was opened, and over the run. */
  readonly drops: number;
  readonly gainedDrops: number;
}

export interface Connection {
  /** From whom to whom the first packet went. */
  readonly original: Tuple;
  /** What an answer looks like: other addresses or ports than the same backwards mean NAT. */
  readonly reply: Tuple;
  readonly mark: number;
  /** No answer was seen yet. */
  readonly isUnreplied: boolean;
  readonly isAssured: boolean;
  /** null where the kernel does not count them (net.netfilter.nf_conntrack_acct). */
  readonly originalPackets: number | null;
  readonly replyPackets: number | null;
}

export interface Tuple {
  readonly source: string;
  /** 0 of what has no ports. */
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

/**
 * /proc/net/snmp, netstat and snmp6, as `Ip.InAddrErrors`, `Udp.RcvbufErrors`,
 * `TcpExt.IPReversePathFilter`, `Ip6.InNoRoutes`.
 */
export interface KernelCounters {
  /** At the end. Those that are zero are left out. */
  readonly counters: Readonly<Record<string, number>>;
  readonly gained: Gained;
}

/** By sysfs' names, such as `tx_dropped`; those that are zero are left out. */
export interface LinkCounters {
  readonly link: string;
  readonly counters: Readonly<Record<string, number>>;
  readonly gained: Gained;
}

export interface Load {
  readonly processors: number;
  /** Over one minute. */
  readonly average: number;
  /** Of all processors together over the run, 0 to 1; `stolen` is what a hypervisor gave to others. */
  readonly busy: number;
  readonly stolen: number;
  /**
   * Of one processor, what the daemon used over the run, 0 to 1 (a thread each); null if unknown, as
   * after less than 0.4 s.
   */
  readonly daemon: number | null;
  /** The daemon's; null if unknown. */
  readonly pid: number | null;
  /**
   * Of the run, for how much of it the thread that carries packets ran, and for how much it was ready
   * to run and had no processor, 0 to 1; null if unknown, as after less than 0.4 s.
   */
  readonly ran: number | null;
  readonly waited: number | null;
  /** The kernel shares processors among sessions first (sched(7)), so that nice alone is of no help. */
  readonly hasAutogroups: boolean;
  /** CPU pressure of the last 10 s in percent (/proc/pressure/cpu, some); null if unknown. */
  readonly pressure: number | null;
}

export interface Clock {
  readonly nowMs: number;
  /** When the machine was booted, by its present clock. */
  readonly bootedMs: number;
  /** Whether the kernel is told that somebody keeps the clock right (adjtimex(2)). */
  readonly isSynchronized: boolean | null;
  /** The kernel's own estimate of how wrong it is at most, ms; null if unknown. */
  readonly errorMs: number | null;
  /** By how much the wall clock jumped against the monotonic one over the run, ms. */
  readonly jumpedMs: number;
}
