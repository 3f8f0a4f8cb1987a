/**
 * Where the operator says that a peer may be found: ways, in order of preference, each a far end and
 * maybe a near end, so that two lines here to one address there can be said, too. And what becomes
 * of a far end that is a name. Plain values.
 */

/** Ways that one peer can have. */
export const WAYS_MAX = 16;

/** From where: one of our own addresses (4 or 16 bytes), or the interface of that name. */
export type Near =
  | { readonly kind: 'address'; readonly address: Uint8Array }
  | { readonly kind: 'interface'; readonly name: string };

export interface Way {
  /** The name of a host; or an address in text, a link-local one with its `%zone`. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
  /** null for the kernel's choice. */
  readonly near: Near | null;
}

/** A way and how it stands at this moment. */
export interface WayState extends Way {
  /** The peer's packets take it. At most one of a peer's; none after it has moved elsewhere. */
  readonly isInUse: boolean;
  /** What the host is known to be, best first, each 4 or 16 bytes; none as long as it is not known. */
  readonly addresses: readonly Uint8Array[];
  /**
   * Why the last lookup of the name brought nothing, as getaddrinfo(3) calls it; `ENODEV` when there
   * is no interface of the near end's name; null if neither is so.
   */
  readonly error: string | null;
  /** Initiations over it since anything came back over it. */
  readonly unanswered: number;
}

/** What the name service says of a host: addresses, best first, 4 or 16 bytes each; or why not. */
export type NameAnswer =
  | { readonly addresses: readonly Uint8Array[]; readonly error?: never }
  /** EAI_NONAME, EAI_AGAIN and so on: getaddrinfo(3). */
  | { readonly error: string; readonly addresses?: never };

/**
 * Who looks names up for a Device. It is asked in the midst of an input, and never answers at once:
 * each question is answered by one `nameAnswered` later, a question asked again by one for both.
 */
export interface NameService {
  /** `host` is in small letters. */
  lookUp(host: string): void;
  /** No name is in use any more. What is under way may still be answered. */
  rest?(): void;
}
