/** Evidence about WireGuard itself: the daemon, the files that ask for it, and the other end. */

/** A code with its values, as device/troubles.ts and daemon/troubles.ts have them, or later ones. */
export interface Trouble {
  readonly code: string;
  readonly values: Readonly<Record<string, number | string | boolean>>;
}

/** What is told of a device or of a peer: docs/metrics.md lists the names. */
export interface Measured {
  /** Infos, such as `gate` or `version`. Empty where the daemon is not tswgd. */
  readonly facts: Readonly<Record<string, string>>;
  /** Counters and gauges at the end of the run, such as `drop_badMac1` or `handshakes_completed`. */
  readonly counters: Readonly<Record<string, number>>;
  /** At the end of the run. */
  readonly troubles: readonly Trouble[];
}

/** How much each counter rose over the run; one that did not is missing. */
export type Gained = Readonly<Record<string, number>>;

/** As device/ways.ts has it. */
export interface EndpointWay {
  readonly host: string;
  readonly port: number;
  /** The address or the interface that datagrams leave from; null for the kernel's choice. */
  readonly near: string | null;
  readonly isInUse: boolean;
  /** What the host is known to be to the daemon, best first. */
  readonly addresses: readonly string[];
  /** Why the daemon's last lookup brought nothing, such as EAI_AGAIN; null if it did not fail. */
  readonly error: string | null;
  /** Initiations over it since anything came back over it. */
  readonly unanswered: number;
}

export interface TunnelPeer extends Measured {
  readonly publicKey: string;
  /** The operator's name for it; empty when there is none. */
  readonly description: string;
  /** null where it is not told. */
  readonly hasPresharedKey: boolean | null;
  /** Where packets go now; `scope`: index of the link of a link-local address, else 0. */
  readonly endpoint: {
    readonly address: string;
    readonly port: number;
    readonly scope: number;
  } | null;
  /** Where it was configured to be, best first: names or addresses; empty where that is not told. */
  readonly ways: readonly EndpointWay[];
  /** ms since 1970, 0 for never. Whole seconds in what the other end tells. */
  readonly lastHandshakeMs: number;
  /** Bytes of UDP payload. */
  readonly rxBytes: number;
  readonly txBytes: number;
  /** Seconds; 0 is off. */
  readonly persistentKeepalive: number;
  readonly allowedIps: readonly string[];
}

/** What `get` and `stats` tell, of this end or of the other. */
export interface Tunnel extends Measured {
  /** tswgd's version; null where another program answers. */
  readonly version: string | null;
  /** null without a private key, or where neither is told. */
  readonly publicKey: string | null;
  /** 0 while no socket is bound and none is asked for. */
  readonly listenPort: number;
  /** 0 is off. */
  readonly fwmark: number;
  readonly peers: readonly TunnelPeer[];
}

export type Daemon =
  | AnsweringDaemon
  /** The kernel's own WireGuard, which could not be asked. `why`: half a sentence. */
  | { readonly kind: 'kernel'; readonly why: string }
  /** Somebody holds the control socket and does not answer. `why`: half a sentence. */
  | { readonly kind: 'silent'; readonly why: string }
  /** Nobody does. What is left of one: its socket, its state of `--persist`, its interface. */
  | {
      readonly kind: 'none';
      readonly hasSocket: boolean;
      readonly hasState: boolean;
      readonly hasLink: boolean;
    };

export interface AnsweringDaemon extends Tunnel {
  readonly kind: 'answers';
  /**
   * Of the private key: `clamped` as every one that genkey makes, as far as is known; `unclamped`: 31
   * of 32 public keys, given for a private one, are; `hidden`: we may not know whether there is one.
   */
  readonly key: 'none' | 'clamped' | 'unclamped' | 'hidden';
  readonly gained: Gained;
  readonly peers: readonly OwnPeer[];
}

export interface OwnPeer extends TunnelPeer {
  /** At the beginning of the run, whose pings may end what was wrong. */
  readonly troublesBefore: readonly Trouble[];
  readonly gained: Gained;
  readonly gainedRxBytes: number;
  readonly gainedTxBytes: number;
}

/** As `tswg IF events --json` has it. */
export interface RingEvent {
  readonly seq: number;
  readonly timeMs: number;
  readonly kind: string;
  readonly peer: string | null;
  /** All else that it says; what is no plain value is left out. Endpoints are `ADDRESS:PORT`. */
  readonly values: Readonly<Record<string, number | string | boolean>>;
}

export interface ServingProcess {
  readonly pid: number;
  /** `tswgd`, `wireguard-go`, `boringtun`, `wg-quick`... */
  readonly program: string;
  readonly arguments: readonly string[];
  /** As `net:[4026531840]`; null when it may not be read. */
  readonly namespace: string | null;
  /** The letter of proc_pid_stat(5), such as `T` for one that a signal stopped; '' if unknown. */
  readonly state: string;
  /** null when they may not be looked at. */
  readonly descriptors: Descriptors | null;
}

/** What a process has open. */
export interface Descriptors {
  readonly open: number;
  /** The soft limit; null if unknown. */
  readonly max: number | null;
  /** TUN devices, by their present names, in whatever network namespace they are. */
  readonly interfaces: readonly string[];
}

/** The other end's `tswg IF --json`. */
export interface OtherEnd extends Tunnel {
  readonly name: string;
  /** Names of netdevice(7)'s flags, without IFF_. */
  readonly flags: readonly string[];
  readonly mtu: number;
  /** With the length of their prefix. */
  readonly addresses: readonly string[];
}

export interface Files {
  /** What /etc/hostname.IF asks for; null when there is no such file. */
  readonly hostname: Wishes | null;
  readonly managers: readonly Manager[];
}

export interface Wishes {
  readonly path: string;
  /** Lines that make no sense, as netstart words them. */
  readonly mistakes: readonly string[];
  readonly listenPort: number | null;
  readonly fwmark: number | null;
  readonly mtu: number | null;
  readonly isUp: boolean;
  readonly addresses: readonly string[];
  readonly peers: readonly WishedPeer[];
  /** `!` lines; routes are added there. */
  readonly commands: readonly string[];
}

export interface WishedPeer {
  readonly publicKey: string;
  readonly ways: readonly { readonly host: string; readonly port: number }[];
  readonly persistentKeepalive: number | null;
  readonly hasPresharedKey: boolean;
  readonly allowedIps: readonly string[];
}

/** Somebody who configures an interface of this name, or would. */
export interface Manager {
  readonly kind: 'tswg' | 'wg-quick' | 'NetworkManager' | 'systemd-networkd';
  /** What says so: a file of configuration, a unit, or a state that it keeps of the link. */
  readonly path: string;
  /** It does so now, or at the next boot; otherwise there is only a file. */
  readonly isActive: boolean;
  /** A line of the file that says it, as it stands there; empty when its name says it all. */
  readonly line: string;
}
