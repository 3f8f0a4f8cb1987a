/** Random keys, endpoints, prefixes and texts for the UAPI's tests. */

import fc from 'fast-check';
import type { DeviceState } from '../../src/device/configuration.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { type Near, parseNear } from '../../src/device/near.ts';
import type { Prefix } from '../../src/packet/address.ts';
import { formatAddress, isMapped, maskAddress } from '../../src/packet/address.ts';

export const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
/** The zero key reads back as none. */
export const keyOrNone = fc.option(
  key.filter((bytes) => bytes.some((byte) => byte !== 0)),
  { nil: null },
);

const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 });

export const prefix: fc.Arbitrary<Prefix> = fc
  .tuple(fc.oneof(ipv4, ipv6), fc.nat(128))
  .map(([address, bits]) => {
    const length = Math.min(bits, address.length * 8);
    return { address: maskAddress(address, length), length };
  });

export const near: fc.Arbitrary<Near> = fc
  .oneof(
    fc.oneof(ipv4, ipv6).map(formatAddress),
    fc.constantFrom('eth0', 'wan1', 'ppp0', 'a.b', 'vlan@7', 'é'),
  )
  .map(parseNear)
  .filter((one) => one !== null);

const port = fc.integer({ min: 1, max: 65_535 });
export const endpoint = fc.oneof(
  fc.tuple(ipv4, port).map(([address, number]) => new Endpoint(address, number)),
  fc
    .tuple(
      ipv6.filter((address) => !isMapped(address)),
      port,
      fc.nat(0xffff_ffff),
    )
    .map(([address, number, scope]) => new Endpoint(address, number, scope)),
);

/** One line of what may be a description. */
export const description = fc
  .string({ unit: 'grapheme', maxLength: 40 })
  .filter((text) => !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text))
  .filter((text) => new TextEncoder().encode(text).length <= 255);

const count = fc.nat(Number.MAX_SAFE_INTEGER);

export const deviceState: fc.Arbitrary<DeviceState> = fc.record({
  privateKey: keyOrNone,
  listenPort: fc.nat(65_535),
  fwmark: fc.nat(0xffff_ffff),
  bind: fc.option(near, { nil: null }),
  debug: fc.boolean(),
  peers: fc.array(
    fc.record({
      publicKey: key,
      presharedKey: keyOrNone,
      endpoint: fc.option(endpoint, { nil: null }),
      lastHandshakeMs: fc.nat(4_000_000_000_000),
      txBytes: count,
      rxBytes: count,
      persistentKeepalive: fc.nat(65_535),
      allowedIps: fc.array(prefix, { maxLength: 5 }),
      description,
    }),
    { maxLength: 4 },
  ),
});

/** Lines of what the protocol is made of, in no order, with values right and wrong. */
export const lines = fc.array(
  fc.oneof(
    fc.string(),
    fc
      .tuple(
        fc.constantFrom(
          ...[
            'private_key',
            'listen_port',
            'fwmark',
            'replace_peers',
            'tswg_bind',
            'debug',
            'public_key',
          ],
          ...['remove', 'update_only', 'preshared_key', 'endpoint', 'allowed_ip', 'description'],
          ...['persistent_keepalive_interval', 'replace_allowed_ips', 'protocol_version', 'errno'],
          ...['last_handshake_time_sec', 'last_handshake_time_nsec', 'tx_bytes', 'own_public_key'],
          ...['__proto__', 'constructor', 'fact_x', 'fact___proto__', ''],
        ),
        fc.oneof(
          fc.string(),
          fc.constantFrom('', 'true', '1', '-1', '0', '10.0.0.0/8', '[::1]:1', '1.2.3.4:5', '='),
          fc.constantFrom('ab'.repeat(32), '0'.repeat(64), '0x1', '[fe80::1%eth0]:1', '-::/0'),
        ),
      )
      .map(([name, value]) => `${name}=${value}`),
  ),
);
