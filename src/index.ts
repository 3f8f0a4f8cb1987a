/**
 * `tswg`: a Device to embed with any transport, and the values that it takes and tells. Importing it
 * loads nothing of the system's and runs wherever JavaScript does; the daemon is `tswg/daemon`.
 */

export { Arena, HEADROOM_BYTES, TAILROOM_BYTES } from './arena.ts';
export { SECRET_BYTES, type SecretPlace, type SecretSource } from './crypto/bytes.ts';
export { createPortableSuite } from './crypto/portable.ts';
export { type CryptoSuite, KEY_BYTES, type Opener, type Sealer } from './crypto/suite.ts';
export type { LossCause, PeerCondition } from './device/condition.ts';
export {
  type AllowedIpChange,
  type DeviceChange,
  type DeviceState,
  type DeviceStats,
  type PeerChange,
  type PeerMemory,
  type PeerState,
  type PeerStats,
  wipeKeys,
} from './device/configuration.ts';
export type { DeviceOptions, Outcomes } from './device/core.ts';
export type { DeadlineName } from './device/deadlines.ts';
export { Device } from './device/device.ts';
export type { Doorkeeper } from './device/doorkeeper.ts';
export { DROP_REASONS, type DropReason } from './device/drops.ts';
export { Endpoint, type Exit, formatEndpoint, type SendFailure } from './device/endpoint.ts';
export type { DeviceEvent } from './device/events.ts';
export {
  type DeviceHandover,
  type NameHandover,
  type PeerHandover,
  type SessionHandover,
  wipeHandover,
} from './device/handover.ts';
export type { Lead, NearFault } from './device/lead.ts';
export type { Counters, Measured } from './device/metric.ts';
export type { NameMemory } from './device/names.ts';
export { formatNear, parseNear } from './device/near.ts';
export type { Observer } from './device/observers.ts';
export type { DatagramOutlet, Outlet } from './device/outlet.ts';
export { AddressSet, type OwnAddresses } from './device/ownaddresses.ts';
export type { PeerName } from './device/peername.ts';
export type { OwnSide, PeerRows, Rows } from './device/peerrows.ts';
export type { QuietPeers } from './device/quietpeers.ts';
export type { ConditionHandover } from './device/succession.ts';
export type { DeviceTrouble, PeerTrouble } from './device/troubles.ts';
export {
  type NameAnswer,
  type NameService,
  type Near,
  WAYS_MAX,
  type Way,
  type WayState,
} from './device/ways.ts';
export { formatKey, parseKey } from './keytext.ts';
export {
  formatAddress,
  formatPrefix,
  type Prefix,
  parseAddress,
  parsePrefix,
} from './packet/address.ts';
export { type InterfaceIndex, parseEndpoint } from './uapi/endpoint.ts';
