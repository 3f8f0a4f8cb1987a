/** Who we are: the static key pair of whitepaper 5, which is an interface's private key. */

/** 32 bytes each. Shared by all handshakes, and the Device's to wipe. */
export interface Identity {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}
