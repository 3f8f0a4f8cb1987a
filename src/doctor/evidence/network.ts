/** Evidence from the network: what answered to a question of doctor's own, and what it overheard. */

export interface NameAnswer {
  /** Who says so: the running daemon, or the hostname file. */
  readonly of: 'daemon' | 'file';
  readonly peer: string;
  readonly host: string;
  readonly port: number;
  /** Best first. Empty when there are none: `error` says why. */
  readonly addresses: readonly string[];
  /** EAI_AGAIN, ENOTFOUND...; null when it has addresses. */
  readonly error: string | null;
  readonly tookMs: number;
}

/** What is meant by an ICMP error, of either family. */
export type IcmpMeaning =
  | 'portUnreachable'
  | 'hostUnreachable'
  | 'networkUnreachable'
  | 'prohibited'
  | 'tooBig'
  | 'timeExceeded'
  | 'other';

export interface IcmpError {
  /** Who sent it: the router, the firewall or the host itself. Anybody on the way can forge it. */
  readonly from: string;
  readonly meaning: IcmpMeaning;
  readonly type: number;
  readonly code: number;
  /** Of `tooBig`: what the next hop takes, bytes of IP packet; else 0. */
  readonly mtu: number;
  /** The datagram that it is about. */
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  /** Whose it was: the daemon's own (its port), or that of one of doctor's probes. */
  readonly about: 'daemon' | 'probe';
  /** How often the same came. */
  readonly count: number;
}

/**
 * A connected UDP socket of doctor's own towards an endpoint, with the daemon's mark but another
 * port: a firewall that tells by our port treats it differently.
 */
export interface Probe {
  readonly peer: string;
  readonly address: string;
  readonly port: number;
  /** The address that the kernel chose; null when it would not connect. */
  readonly source: string | null;
  readonly mark: number;
  /** What connect(2) said: ENETUNREACH...; null when it succeeded. */
  readonly connectError: string | null;
  /** Datagrams, in the order sent: a small one, then a full one that may not be fragmented. */
  readonly sent: readonly {
    /** Of IP packet. */
    readonly bytes: number;
    /** What send(2) said at once, as EPERM or EMSGSIZE; null when it went out. */
    readonly error: string | null;
  }[];
  /** What came back into the error queue. */
  readonly errors: readonly ProbeError[];
  /** What the kernel takes for the largest IP packet of this way; null if unknown. */
  readonly pathMtu: number | null;
  /** Outer bytes of a full packet of the tunnel: the interface's MTU and what WireGuard adds. */
  readonly neededMtu: number | null;
}

export interface ProbeError {
  /** errno: ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, EACCES... */
  readonly error: string;
  /** `local`: the kernel here says so, as when nobody answers to ARP. */
  readonly origin: 'local' | 'icmp' | 'other';
  readonly meaning: IcmpMeaning;
  /** Who sent the ICMP message; null if not known. */
  readonly from: string | null;
  readonly mtu: number;
}

/** Handshake messages and cookies (types 1 to 3) of one kind between two places; data is not among them. */
export interface WireFlow {
  readonly direction: 'in' | 'out';
  readonly link: string;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly message: 'initiation' | 'response' | 'cookie';
  readonly packets: number;
  /** Of incoming initiations and responses: whether mac1 is one of our public key; null if unknown. */
  readonly hasOurMac1: boolean | null;
}

export interface Ping {
  readonly peer: string;
  readonly destination: string;
  /** How the address is known: a guess that does not answer proves nothing. */
  readonly known: 'allowedIp' | 'destination' | 'other' | 'guess';
  /** The address of ours that it came from. */
  readonly source: string | null;
  /** By size, the smallest first; none may be fragmented. */
  readonly echoes: readonly {
    /** Of inner IP packet. */
    readonly bytes: number;
    readonly sent: number;
    readonly received: number;
    /** Best round trip; null when none was answered. */
    readonly rttMs: number | null;
    /** What send(2) said, as EMSGSIZE; null when it went out. */
    readonly error: string | null;
  }[];
  /** ICMP errors that the pings met, inside the tunnel. */
  readonly errors: readonly {
    readonly from: string;
    readonly meaning: IcmpMeaning;
    readonly mtu: number;
  }[];
}

/** Packets on the interface itself, as a tap on it sees them over the run. */
export interface InnerFlow {
  /** `in`: out of the tunnel; `out`: into it, those that are no peer's among them. */
  readonly direction: 'in' | 'out';
  readonly source: string;
  readonly destination: string;
  readonly packets: number;
  /** Bytes of the largest IP packet. */
  readonly largest: number;
}
