/** What doctor says: a cause, how it knows, and what fixes it. */

export interface Finding {
  /** Stable: a program decides by this. Lower camel case, such as `portTaken`. */
  readonly code: string;
  /** The public key of the peer it is about, in base64; null when it is about the whole interface. */
  readonly peer: string | null;
  /**
   * The cause, one sentence without a full stop, with real names, addresses and numbers. What in it
   * comes from others has been made printable (quotation.ts).
   */
  readonly sentence: string;
  /** How it is known: each a sentence with its numbers, the strongest first. Never empty. */
  readonly proof: readonly string[];
  /** Commands for a shell, ready to be pasted, in their order; or none when nothing here fixes it. */
  readonly commands: readonly string[];
  /**
   * What else the same evidence fits, and what would decide it, a sentence each. Missing where the
   * evidence decides.
   */
  readonly undecided?: readonly string[];
}
