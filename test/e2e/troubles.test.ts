/**
 * What a daemon knows by itself of an operator's mistakes stands in `tswg wg0` at once, below its first
 * line or below the peer, and in the log while `debug` is on.
 */

import { expect, it } from 'vitest';
import { waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { firstPing } from '../lab/probes.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { buildPair, createKeyPair, INNER, type Pair, TUNNEL_PORT } from '../lab/tunnel.ts';

const RIGHT = INNER[4][1];

/** Waits until `tswg wg0` says so, and returns all that it says. */
async function told(host: Host, line: RegExp): Promise<string> {
  let shown = '';
  await waitFor(async () => {
    shown = await host.run('tswg', ['wg0']);
    return line.test(shown);
  }, `${line} in \`tswg wg0\``).catch((error: Error) => {
    throw new Error(`${error.message}:\n${shown}`);
  });
  return shown;
}

/** Sends one packet, whether or not anybody answers. */
const poke = (host: Host, ...words: string[]) =>
  host.exec('ping', ['-c', '1', '-W', '1', ...words]);

const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

async function replacePeer({ left, right }: Pair, ...words: string[]): Promise<void> {
  await left.host.run('tswg', ['wg0', '-wgpeer', right.keys.publicKey]);
  await left.host.run('tswg', ['wg0', 'wgpeer', ...words]);
}

describeInLab('what the daemon knows', ['wg', 'nft'], () => {
  it('is who calls with a key that is no peer’s, and what makes a peer of it', () =>
    withLab({}, async (lab) => {
      const { left, right } = await buildPair(lab);
      const key = literal(left.keys.publicKey);
      await right.host.run('tswg', ['wg0', '-wgpeer', left.keys.publicKey]);
      await poke(left.host, RIGHT);
      const line = `\\ttrouble: stranger: an unknown key tried to connect: ${key} from 192\\.0\\.2\\.1 port ${TUNNEL_PORT}, \\d+ seconds ago; .*wgpeer ${key} wgaip`;
      const shown = await told(right.host, new RegExp(line));
      // Below the first line, which programs read.
      expect(shown).toMatch(/^wg0: flags=\S+ mtu \d+\n\ttrouble: /);
    }));

  it('is that another has a wrong key of ours, on that side; and on this one both keys to look at', () =>
    withLab({}, async (lab) => {
      const pair = await buildPair(lab);
      const { left, right } = pair;
      const wrong = createKeyPair().publicKey;
      await replacePeer(
        pair,
        wrong,
        'wgaip',
        `${RIGHT}/32`,
        'wgendpoint',
        '192.0.2.2',
        `${TUNNEL_PORT}`,
      );
      await poke(left.host, RIGHT);
      await told(
        right.host,
        /\ttrouble: mac1: 192\.0\.2\.1 port \d+ tried to connect \d+ seconds ago with a public key that is not ours/,
      );
      await told(
        left.host,
        /\t\ttrouble: handshake: no answer to .*that this is the peer's key, and that the peer has our wgpubkey\n/,
      );
    }));

  it('is why nothing can be sent: a firewall here, or no route', () =>
    withLab({}, async (lab) => {
      const pair = await buildPair(lab);
      const { host } = pair.left;
      await host.run('nft', [
        'add table inet t; add chain inet t o { type filter hook output priority 0; }; add rule inet t o udp dport 51820 drop',
      ]);
      await poke(host, RIGHT);
      await told(
        host,
        /\t\ttrouble: handshake: \d+ initiations? could not be sent: a firewall of this machine forbids it \(EPERM\)\n/,
      );
      await host.run('nft', ['delete table inet t']);
      await host.run('ip', ['route', 'flush', 'dev', 'wan']);
      await replacePeer(
        pair,
        pair.right.keys.publicKey,
        'wgaip',
        `${RIGHT}/32`,
        'wgendpoint',
        '198.51.100.9',
        '9',
      );
      await poke(host, RIGHT);
      await told(
        host,
        /\t\ttrouble: handshake: \d+ initiations? could not be sent: no route leads there \(ENETUNREACH\)\n/,
      );
    }));

  it('is which address is no peer’s, on either side', () =>
    withLab({}, async (lab) => {
      const { left, right } = await buildPair(lab);
      const { host } = left;
      await firstPing(host, RIGHT);
      await host.run('tswg', ['wg0', 'debug']);
      await right.host.run('tswg', ['wg0', 'debug']);
      await host.run('ip', ['route', 'add', '10.33.8.0/24', 'dev', 'wg0']);
      await poke(host, '10.33.8.1');
      await told(
        host,
        /\ttrouble: wgaip: a packet to 10\.33\.8\.1 was dropped \d+ seconds ago, since it is in the wgaip of no peer \(1 /,
      );
      await left.daemon.waitForOutput(
        /Dropped: packet from the interface to an address that no peer is allowed: 10\.33\.8\.1\n/,
      );
      await host.run('ip', ['address', 'add', '10.66.0.1/32', 'dev', 'lo']);
      await poke(host, '-I', '10.66.0.1', RIGHT);
      await told(
        right.host,
        /\t\ttrouble: wgaip: a packet from 10\.66\.0\.1, which is not in its wgaip, was dropped \d+ seconds ago \(1 /,
      );
      await right.daemon.waitForOutput(
        /outside the allowed IPs of the peer that sent it: 10\.66\.0\.1\n/,
      );
    }));

  it('is what is missing: allowed IPs, an endpoint, an interface that is up', () =>
    withLab({}, async (lab) => {
      const pair = await buildPair(lab);
      const { host } = pair.left;
      const { publicKey } = pair.right.keys;
      await replacePeer(pair, publicKey);
      await told(
        host,
        /\t\ttrouble: wgaip: there is none: no packet is sent to the peer or accepted from it\n/,
      );
      await replacePeer(pair, publicKey, 'wgaip', `${RIGHT}/32`);
      expect(await host.run('tswg', ['wg0'])).not.toContain('no endpoint');
      await poke(host, RIGHT);
      await told(
        host,
        /\t\ttrouble: handshake: no endpoint is known \(\d+ packets? could not be sent\)/,
      );
      await host.run('tswg', ['wg0', 'down']);
      await told(
        host,
        /^wg0: flags=.*\n\ttrouble: down: no packet passes: `tswg wg0 inet ADDRESS\/LENGTH` or `tswg wg0 up`/,
      );
      await host.run('tswg', ['wg0', 'up']);
      expect(await host.run('tswg', ['wg0'])).not.toMatch(/^\ttrouble:/m);
    }));
});
