/**
 * The 10-byte virtio_net_hdr before every frame of a TUN device opened with IFF_VNET_HDR
 * (linux/virtio_net.h; virtio 1.2, 5.1.6): layout and values only.
 *
 * Fields are in the host's byte order, which here is little-endian, as WebAssembly's is.
 */

export const VIRTIO_HEADER_BYTES = 10;

export const VIRTIO_FLAGS = 0;
export const VIRTIO_GSO_TYPE = 1;
/** 16 bits: the length of all headers; a hint that says nothing trustworthy. */
export const VIRTIO_HEADER_LENGTH = 2;
/** 16 bits: the payload bytes of each segment but the last. */
export const VIRTIO_GSO_SIZE = 4;
/** 16 bits: where the checksummed part begins, from the start of the packet. */
export const VIRTIO_CHECKSUM_START = 6;
/** 16 bits: where the checksum stands, from there. */
export const VIRTIO_CHECKSUM_OFFSET = 8;

/** Flag: the checksum is to be completed; its field holds the pseudo-header's sum. */
export const NEEDS_CHECKSUM = 1;

export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
/** USO: one UDP datagram per segment. (3 is UFO, IP fragments, which nobody asks for any more.) */
export const GSO_UDP_L4 = 5;
/** Set beside a TCP type when the super-packet carries CWR. */
export const GSO_ECN = 0x80;

/** Most segments the kernel cuts a UDP super-packet into (UDP_MAX_SEGMENTS before Linux 6.9). */
export const GSO_SEGMENTS_MAX = 64;

export const TCP_CHECKSUM_OFFSET = 16;
export const UDP_CHECKSUM_OFFSET = 6;
