/**
 * What the kernels' `inspect` answers and writes about a received packet: the values and the layout
 * that the WebAssembly kernels (assembly/inspect.ts), the portable ones and the coalescer share.
 */

/** `inspect`: cannot be told from others between the same two addresses, or is no IP at all. */
export const OPAQUE = 0;
/** `inspect`: of a known flow, but not to be merged (or its checksum is wrong). */
export const LONE = 1;
/** `inspect`: a TCP segment that may be merged; its checksums are right. */
export const TCP = 2;
/** `inspect`: a UDP datagram that may be merged; its checksums are right. */
export const UDP = 3;

/** What `inspect` writes: 32-bit little-endian fields at these offsets, then the headers. */
export const RECORD_BYTES = 144;
/** IP and transport headers together, bytes. The fields but the two hashes are for TCP and UDP. */
export const RECORD_HEADER_LENGTH = 0;
/** Of source and destination. Written unless the packet is no IP at all: then 0. */
export const RECORD_ADDRESS_HASH = 4;
/** Of addresses, ports and protocol. 0 when OPAQUE. */
export const RECORD_FLOW_HASH = 8;
export const RECORD_PAYLOAD_LENGTH = 12;
/** TCP's sequence number; 0 for UDP. */
export const RECORD_SEQUENCE = 16;
/** IPv4's identification; 0 for IPv6. */
export const RECORD_IDENTIFICATION = 20;
/** Not zero when TCP's PSH is set. */
export const RECORD_PUSH = 24;
/** Where the transport header begins, from the start of the packet. */
export const RECORD_TRANSPORT = 28;
/**
 * 112 bytes: the headers, zero where segments of one super-packet may differ: lengths, IPv4
 * identification and header checksum, TCP sequence number, PSH, transport checksum.
 */
export const RECORD_BLANKED_HEADER = 32;
