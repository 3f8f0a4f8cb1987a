/** Random keys, endpoints, prefixes and texts for the UAPI's tests. */

import fc from 'fast-check';
import type { DeviceState } from '../../src/device/configuration.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { parseNear } from '../../src/device/near.ts';
import type { Near, Way, WayState } from '../../src/device/ways.ts';
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

const address = fc.oneof(ipv4, ipv6);
const hostName = fc
  .array(fc.stringMatching(/^[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,10}[a-zA-Z0-9_])?$/), {
    minLength: 1,
    maxLength: 4,
  })
  .map((labels) => `${labels.join('.')}.example`);
const interfaceName = fc.stringMatching(/^[a-zA-Z0-9._-]{1,15}$/);
const near: fc.Arbitrary<Near | null> = fc.option(
  fc
    .oneof(address.map(formatAddress), interfaceName)
    .map(parseNear)
    .filter((one) => one !== null),
  { nil: null },
);

export const way: fc.Arbitrary<Way> = fc.record({
  host: fc.oneof(
    hostName,
    address.map(formatAddress),
    fc.tuple(ipv6, interfaceName).map(([bytes, zone]) => `${formatAddress(bytes)}%${zone}`),
  ),
  port,
  near,
});

const wayState: fc.Arbitrary<WayState> = fc
  .tuple(
    way,
    fc.record({
      isInUse: fc.boolean(),
      addresses: fc.array(address, { maxLength: 3 }),
      error: fc.constantFrom(null, 'EAI_AGAIN', 'EAI_NONAME'),
      unanswered: fc.nat(1_000),
    }),
  )
  .map(([one, state]) => ({ ...one, ...state }));

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
  bind: near,
  debug: fc.boolean(),
  peers: fc.array(
    fc.record({
      publicKey: key,
      presharedKey: keyOrNone,
      endpoint: fc.option(endpoint, { nil: null }),
      ways: fc.array(wayState, { maxLength: 3 }),
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
          ...['tswg_way', 'tswg_way_in_use', 'tswg_way_address', 'tswg_way_error'],
        ),
        fc.oneof(
          fc.string(),
          fc.constantFrom('', 'true', '1', '-1', '0', '10.0.0.0/8', '[::1]:1', '1.2.3.4:5', '='),
          fc.constantFrom('ab'.repeat(32), '0'.repeat(64), '0x1', '[fe80::1%eth0]:1', '-::/0'),
          fc.constantFrom('gw.example:5 via eth1', '[::1]:5 via ::1', 'gw.example:0', 'gw: via '),
        ),
      )
      .map(([name, value]) => `${name}=${value}`),
  ),
);
