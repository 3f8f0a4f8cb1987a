/**
 * The TUN device as a descriptor: opened by name or inherited, its framing and offloads settled
 * with the kernel. Owns what an operator is told when that fails; tun.ts moves the packets.
 */

import { Netlink } from '../netlink/netlink.ts';
import { VIRTIO_HEADER_BYTES } from '../packet/virtio.ts';
import { interfaceNameError } from '../sys/interfacename.ts';
import {
  close,
  ERRNO,
  errno,
  fcntl,
  ioctl,
  open,
  Scratch,
  SystemError,
  socket,
} from '../sys/libc.ts';
import {
  AF_INET,
  F_GETFL,
  F_SETFL,
  IFF_NO_PI,
  IFF_TUN,
  IFF_TUN_EXCL,
  IFF_VNET_HDR,
  IFNAMSIZ,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  SIOCSIFMTU,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
  TUNGETIFF,
  TUNSETIFF,
  TUNSETOFFLOAD,
  TUNSETPERSIST,
  TUNSETVNETHDRSZ,
} from '../sys/linux.ts';

export interface TunDeviceOptions {
  /** The interface's name; with `fd` it is not used. */
  readonly name: string;
  /** Bytes; set when the device is opened by name, not when it is inherited. */
  readonly mtu: number;
  /** An inherited descriptor (WG_TUN_FD), which the device owns from here on. */
  readonly fd?: number;
  /** An interface of this name that nobody serves is taken over as it is, with its own MTU. */
  readonly takeOver?: boolean;
  /** Whether to take segmentation offloads where the kernel has them. */
  readonly offload: boolean;
  /** Gets one line for the log when something works less well than asked. */
  readonly onNote: (note: string) => void;
}

export interface TunDevice {
  readonly fd: number;
  readonly name: string;
  /** The interface was there before. Known only if it was to be taken over or was inherited. */
  readonly isTakenOver: boolean;
  /** Every frame begins with a virtio_net_hdr. */
  readonly hasHeader: boolean;
  /** The kernel hands over TCP super-packets and takes them. */
  readonly takesTcp: boolean;
  /** UDP super-packets too (Linux 6.2). */
  readonly takesUdp: boolean;
}

/** RFC 8200 5: the kernel keeps no IPv6 on a link of less. */
const IPV6_MTU_MIN = 1280;
/**
 * What may wait for us, super-packets as well as packets: as many as before a network card, where the
 * kernel gives a TUN device half of it. With offloads little speaks for more than that half: over a
 * round trip of 100 ms four streams lost some packets by it, and were no slower. Without, one stream
 * over 20 ms was faster by 1,000 than by 500, and no faster by 2,000.
 */
const QUEUE_PACKETS = 1_000;
const TCP_OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
const UDP_OFFLOADS = TUN_F_USO4 | TUN_F_USO6;

const { EBUSY, EINVAL, ENOENT, ENODEV, ENXIO, EACCES, ENOTTY, EBADF, EBADFD } = ERRNO;

// struct ifreq: the name, then a union of which only the first word is used here.
const request = new Scratch(128);

/** @throws {SystemError} in one line for an operator; nothing is left open then */
export function openTunDevice(options: TunDeviceOptions): TunDevice {
  return options.fd === undefined ? openByName(options) : adopt(options.fd, options);
}

function openByName(options: TunDeviceOptions): TunDevice {
  const { name, mtu, offload, onNote, takeOver = false } = options;
  const nameError = interfaceNameError(name);
  if (nameError !== null) {
    throw new SystemError(`create interface ${JSON.stringify(name)}`, 'open', EINVAL!, nameError);
  }
  const fd = open('/dev/net/tun', O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) throw openError(name, errno());
  try {
    let hasHeader = offload;
    // IFF_TUN_EXCL is set in the creating call itself, so nobody can create the interface in
    // between.
    let wasThere = false;
    let error = attach(fd, name, hasHeader, IFF_TUN_EXCL);
    if (error === EBUSY) {
      wasThere = true;
      error = attach(fd, name, hasHeader);
    }
    if (error === EINVAL && hasHeader) {
      hasHeader = false;
      error = attach(fd, name, hasHeader);
      if (error === 0) onNote(`tun: no IFF_VNET_HDR in this kernel; one packet at a time`);
    }
    if (error !== 0) throw attachError(name, error);
    const isTakenOver = wasThere && takeOver;
    // One that was there keeps the manners that its maker gave it.
    if (!wasThere) setManners(name, onNote);
    if (!isTakenOver) setMtu(name, mtu);
    return { ...settle(fd, hasHeader, name, options), name: nameOf(fd).name, isTakenOver };
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** An inherited descriptor is somebody's choice of flags: it is used as it is. */
function adopt(fd: number, options: TunDeviceOptions): TunDevice {
  const { name, flags } = nameOf(fd);
  if ((flags & IFF_TUN) === 0 || (flags & IFF_NO_PI) === 0) {
    throw new SystemError(
      `use descriptor ${fd} (${name})`,
      'TUNGETIFF',
      EINVAL!,
      'expected a TUN device opened with IFF_TUN and IFF_NO_PI',
    );
  }
  const status = fcntl(fd, F_GETFL, 0);
  if (status < 0 || fcntl(fd, F_SETFL, status | O_NONBLOCK) < 0) {
    throw new SystemError(`use descriptor ${fd} (${name})`, 'fcntl', errno());
  }
  const framing = settle(fd, (flags & IFF_VNET_HDR) !== 0, name, options);
  return { ...framing, name, isTakenOver: true };
}

function attach(fd: number, name: string, hasHeader: boolean, moreFlags = 0): number {
  putName(name);
  const flags = IFF_TUN | IFF_NO_PI | (hasHeader ? IFF_VNET_HDR : 0) | moreFlags;
  request.view.setUint16(IFNAMSIZ, flags, true);
  return ioctl(fd, TUNSETIFF, request.address) < 0 ? errno() : 0;
}

type Framing = Omit<TunDevice, 'name' | 'isTakenOver'>;

/** Agrees with the kernel on the header's size and on the offloads. */
function settle(
  fd: number,
  hasHeader: boolean,
  name: string,
  { offload, onNote }: TunDeviceOptions,
): Framing {
  const setOffloads = (flags: number): boolean => ioctl(fd, TUNSETOFFLOAD, flags) === 0;
  if (!hasHeader) {
    // The daemon that served the interface before us may have taken super-packets.
    setOffloads(0);
    return { fd, hasHeader, takesTcp: false, takesUdp: false };
  }
  request.view.setInt32(0, VIRTIO_HEADER_BYTES, true);
  if (ioctl(fd, TUNSETVNETHDRSZ, request.address) < 0) {
    throw new SystemError(`set the frame header of ${name}`, 'TUNSETVNETHDRSZ', errno());
  }
  if (offload) {
    if (setOffloads(TCP_OFFLOADS | UDP_OFFLOADS)) {
      return { fd, hasHeader, takesTcp: true, takesUdp: true };
    }
    if (setOffloads(TCP_OFFLOADS)) return { fd, hasHeader, takesTcp: true, takesUdp: false };
    onNote(`tun: the kernel refuses segmentation offloads on ${name}; one packet at a time`);
  }
  setOffloads(0);
  return { fd, hasHeader, takesTcp: false, takesUdp: false };
}

/**
 * Whether the interface, with its addresses and routes, stays when the last descriptor is closed.
 *
 * @throws {SystemError}
 */
export function setTunPersistent(fd: number, isPersistent: boolean): void {
  if (ioctl(fd, TUNSETPERSIST, isPersistent ? 1 : 0) === 0) return;
  const error = errno();
  // It was deleted: there is nothing left to end.
  if (error === EBADFD && !isPersistent) return;
  throw new SystemError('keep the interface', 'TUNSETPERSIST', error);
}

/** The name and flags of an attached descriptor. */
function nameOf(fd: number): { name: string; flags: number } {
  request.bytes.fill(0, 0, 40);
  if (ioctl(fd, TUNGETIFF, request.address) < 0) {
    const error = errno();
    const isNoTun = error === ENOTTY || error === EBADF || error === EBADFD || error === EINVAL;
    throw new SystemError(
      `use descriptor ${fd}`,
      'TUNGETIFF',
      error,
      isNoTun ? 'expected an open descriptor of a TUN device' : undefined,
    );
  }
  const end = request.bytes.indexOf(0);
  const name = new TextDecoder().decode(request.bytes.slice(0, Math.min(end, IFNAMSIZ)));
  return { name, flags: request.view.getUint16(IFNAMSIZ, true) };
}

/** The interface's name of this moment; null when it exists no more. */
export function tunName(fd: number): string | null {
  if (ioctl(fd, TUNGETIFF, request.address) < 0 && errno() === EBADFD) return null;
  return nameOf(fd).name;
}

function setMtu(name: string, mtu: number): void {
  const fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new SystemError(`set the MTU of ${name}`, 'socket', errno());
  putName(name);
  request.view.setInt32(IFNAMSIZ, mtu, true);
  const error = ioctl(fd, SIOCSIFMTU, request.address) < 0 ? errno() : 0;
  close(fd);
  if (error !== 0) {
    const hint = error === EINVAL ? 'expected 68 to 65535' : undefined;
    throw new SystemError(`set the MTU of ${name} to ${mtu}`, 'SIOCSIFMTU', error, hint);
  }
}

/**
 * Before the interface is up for the first time, when the kernel would begin to speak. No multicast
 * one, as the kernel's WireGuard: else a router reports the groups that all routers join. Where it
 * forwards by default it has joined them already, and leaves them with its IPv6, for which the MTU
 * is too small for a moment.
 */
function setManners(name: string, onNote: (note: string) => void): void {
  const netlink = new Netlink();
  try {
    const link = netlink.linkByName(name);
    if (link === null) return;
    const manners = { isMulticast: false, queueLength: QUEUE_PACKETS };
    netlink.setLink(link.index, { ...manners, mtu: IPV6_MTU_MIN - 1 });
    netlink.setLink(link.index, { mtu: IPV6_MTU_MIN });
    netlink.takeOwnAnswers(link.index);
    netlink.makeNoAddress(link.index);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    onNote(`tun: ${error.message}`);
  } finally {
    netlink.close();
  }
}

function putName(name: string): void {
  request.bytes.fill(0, 0, 40);
  new TextEncoder().encodeInto(name, request.bytes.subarray(0, IFNAMSIZ - 1));
}

function openError(name: string, error: number): SystemError {
  const isMissing = error === ENOENT || error === ENODEV || error === ENXIO;
  let hint: string | undefined;
  if (isMissing) hint = 'there is no /dev/net/tun; try "modprobe tun"';
  else if (error === EACCES) hint = 'no access to /dev/net/tun; root is needed';
  return new SystemError(`create interface ${name}`, 'open /dev/net/tun', error, hint);
}

function attachError(name: string, error: number): SystemError {
  let hint: string | undefined;
  if (error === EBUSY) hint = 'another program serves this interface';
  else if (error === EINVAL) hint = `${kindOf(name)} has this name; expected a TUN device or none`;
  return new SystemError(`create interface ${name}`, 'TUNSETIFF', error, hint);
}

/** What the interface in the way is. */
function kindOf(name: string): string {
  let kind: string | undefined;
  try {
    const netlink = new Netlink();
    kind = netlink.linkByName(name)?.kind;
    netlink.close();
  } catch {
    // What is in the way is to be told, whatever it is.
  }
  switch (kind) {
    case undefined:
      return 'another interface';
    case 'wireguard':
      return "the kernel's own WireGuard";
    case 'tun':
      return 'a TAP device, or a TUN device with several queues,';
    case '':
      return 'a network device of this machine';
    default:
      return `an interface of the kind "${kind}"`;
  }
}
