/**
 * The booted machine and a peer of it: on one cable, with the healthy tunnel that no bad line may
 * disturb. The machine's file is that tunnel's lines and whatever a scenario adds.
 */

import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { createKeyPair, formatEndpoint, TUNNEL_PORT, TunnelEnd } from '../lab/tunnel.ts';
import { BootedMachine } from './bootedmachine.ts';
import type { Checks } from './checks.ts';
import type { DebianRoot } from './debianroot.ts';
import type { Packages } from './packages.ts';

export const FILE = '/etc/hostname.wg0';
export const KEY_FILE = '/etc/wg/private.key';
export const BOX = '10.99.0.1';
const PEER = '10.99.0.2';
const [BOX_WAN, PEER_WAN] = ['192.0.2.1', '192.0.2.2'];
/** Of a peer that is configured beside the healthy one. */
export const OTHER_KEY = createKeyPair().publicKey;

/** A name service that is silent is what a machine often finds at boot. */
const SILENCE = `
table inet names {
  chain input {
    type filter hook input priority 0;
    udp dport 53 drop
  }
}`;

export interface Site {
  readonly machine: BootedMachine;
  /** The network of the machine, from outside of it. */
  readonly box: Host;
  readonly peer: Host;
  /** The lines of the healthy tunnel, and the private key in KEY_FILE. */
  readonly lines: string;
  readonly privateKey: string;
  readonly packages: Packages;
}

export async function buildSite(lab: Lab, root: DebianRoot, packages: Packages): Promise<Site> {
  const [box, peer] = await lab.hosts('box', 'peer');
  await box.connect('wan', peer, 'wan');
  await box.configure('wan', `${BOX_WAN}/24`);
  await peer.configure('wan', `${PEER_WAN}/24`);
  await peer.nft(SILENCE);
  const end = await TunnelEnd.start(peer, [`${PEER}/24`], { port: TUNNEL_PORT });
  const keys = createKeyPair();
  await end.addPeer({
    publicKey: keys.publicKey,
    endpoint: formatEndpoint(BOX_WAN, TUNNEL_PORT),
    allowedIps: [`${BOX}/32`],
  });
  const machine = await BootedMachine.prepare(box, 'box', root);
  await machine.writeFile(KEY_FILE, `${keys.privateKey}\n`);
  await machine.writeFile('/etc/resolv.conf', `nameserver ${PEER_WAN}\n`, '644');
  const lines = `inet ${BOX}/24
wgkeyfile /etc/wg/private.key wgport ${TUNNEL_PORT}
wgpeer ${end.keys.publicKey} wgendpoint ${PEER_WAN} ${TUNNEL_PORT} wgaip ${PEER}/32
`;
  return { machine, box, peer, lines, privateKey: keys.privateKey, packages };
}

/** Boots the machine, does something with it, and turns it off; of what fails, it shows how it stands. */
export async function whileBooted(
  { machine }: Site,
  checks: Checks,
  body: () => Promise<void>,
): Promise<void> {
  await machine.boot();
  try {
    await body();
  } catch (error) {
    checks.show('systemctl status', await machine.status());
    checks.show('journal', await machine.journal());
    throw error;
  } finally {
    await machine.powerOff();
  }
}
