/**
 * The library's public face: a Device to embed with any transport, the daemon, and the values
 * both take. `runDaemon` needs Linux; the Device runs anywhere.
 */

export { Arena, HEADROOM_BYTES, TAILROOM_BYTES } from './arena.ts';
export { SECRET_BYTES, type SecretPlace, type SecretSource } from './crypto/bytes.ts';
export { createPortableSuite } from './crypto/portable.ts';
export type { CryptoSuite } from './crypto/suite.ts';
export { runDaemon } from './daemon/life.ts';
export type { DaemonOptions } from './daemon/options.ts';
export type {
  AllowedIpChange,
  DeviceChange,
  DeviceState,
  DeviceStats,
  PeerChange,
  PeerState,
} from './device/configuration.ts';
export type { DeviceOptions, Outlet } from './device/core.ts';
export { Device } from './device/device.ts';
export { DROP_REASONS, type DropReason } from './device/drops.ts';
export { Endpoint } from './device/endpoint.ts';
export type { DeviceEvent } from './device/events.ts';
export type { Prefix } from './packet/address.ts';
export { parseAddress, parsePrefix } from './packet/address.ts';
