/**
 * Where a peer was last heard from, and on which of our own addresses: the whitepaper's endpoint
 * (2.1) with the sticky source address. A plain value: sockets and their structures are udp/'s.
 */

import { sameBytes } from '../bytes.ts';
import { formatAddress } from '../packet/address.ts';

/** That the system refused to send to an endpoint. */
export interface SendFailure {
  /** The name of the error (errno(3)). */
  readonly error: string;
  /** Monotonic ms. */
  readonly at: number;
}

/**
 * What datagrams name in their packet info where the kernel's own choice would not do: the interface
 * by its index, and the address to send from; null lets the kernel choose one.
 */
export interface Exit {
  readonly link: number;
  readonly source: Uint8Array | null;
}

export class Endpoint {
  readonly family: 4 | 6;
  /** 4 or 16 bytes, network order. Never written after construction. */
  readonly address: Uint8Array;
  readonly port: number;
  /** Interface index of a link-local IPv6 address, 0 otherwise. */
  readonly scope: number;
  /** The local address the peer's datagrams arrive at; null when the kernel shall choose. */
  source: Uint8Array | null;
  /** The interface they arrive at; 0 when unknown. */
  sourceInterface: number;
  /**
   * Source and interface are not learnt but the operator's word (the near end of a way): datagrams
   * leave from there or not at all. Either may be missing.
   */
  readonly isPinned: boolean;
  /** null: the source alone is named. Written by the transport whenever it is asked for the way. */
  exit: Exit | null = null;

  constructor(
    address: Uint8Array,
    port: number,
    scope = 0,
    source: Uint8Array | null = null,
    sourceInterface = 0,
    isPinned = false,
  ) {
    this.family = address.length === 4 ? 4 : 6;
    this.address = address;
    this.port = port;
    this.scope = scope;
    this.source = source;
    this.sourceInterface = sourceInterface;
    this.isPinned = isPinned;
  }

  /** Whether both name the same remote address and port. */
  sameRemote(other: Endpoint): boolean {
    return (
      this.port === other.port &&
      this.scope === other.scope &&
      sameBytes(this.address, other.address)
    );
  }

  /** Whether both name the same remote and the same local side. */
  equals(other: Endpoint): boolean {
    return (
      this.sourceInterface === other.sourceInterface &&
      this.isPinned === other.isPinned &&
      this.sameRemote(other) &&
      (this.source === null || other.source === null
        ? this.source === other.source
        : sameBytes(this.source, other.source))
    );
  }

  /** Call when a send says that the local address is gone, or it was removed: the kernel chooses again. */
  forgetSource(): void {
    if (this.isPinned) return;
    this.source = null;
    this.sourceInterface = 0;
  }
}

/**
 * As the UAPI spells it: `IPv4:port`, `[IPv6]:port`, `[IPv6%scope]:port`. The scope is written as a
 * number, which every resolver takes.
 */
export function formatEndpoint(endpoint: Endpoint): string {
  const address = formatAddress(endpoint.address);
  if (endpoint.family === 4) return `${address}:${endpoint.port}`;
  const scope = endpoint.scope === 0 ? '' : `%${endpoint.scope}`;
  return `[${address}${scope}]:${endpoint.port}`;
}
