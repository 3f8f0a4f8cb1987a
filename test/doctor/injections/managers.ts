/** Others that configure the interface, beside tswg or in its place. */

import { OUR_DAEMON } from '../../lab/tunnel.ts';
import { withoutKernelWireguard } from '../../lab/wgquick.ts';
import type { Case } from '../case.ts';
import { IFNAME, PORT, type Site, type Sites, tswg, writeHostnameFile } from '../sites.ts';

const TALK_MS = 4_000;
const WANTS = '/etc/systemd/system/multi-user.target.wants';

export const MANAGERS: readonly Case[] = [
  {
    id: 'twoManagers',
    code: 'twoManagers',
    inject: manageTwice,
    talkMs: TALK_MS,
    says: /wg-quick@wg0\.service[\s\S]*tswg@wg0\.service[\s\S]*^systemctl disable wg-quick@wg0$/m,
  },
  {
    id: 'managerTook/NetworkManager',
    code: 'managerTook',
    inject: ({ a }) => leaveState(a, '/run/NetworkManager/devices', 'managed=true'),
    talkMs: TALK_MS,
    says: /nmcli device set wg0 managed no/,
  },
  {
    id: 'managerTook/systemd-networkd',
    code: 'managerTook',
    inject: ({ a }) => leaveState(a, '/run/systemd/netif/links', 'ADMIN_STATE=configured'),
    talkMs: TALK_MS,
    says: /Unmanaged=yes/,
  },
];

/** wg-quick makes the interface, netstart applies its file to it, and both are to do so at each boot. */
async function manageTwice(sites: Sites): Promise<undefined> {
  const { a } = sites;
  const { host } = a;
  await tswg(a, 'destroy');
  await withoutKernelWireguard(host);
  await host.writeFile(`/etc/wireguard/${IFNAME}.conf`, quickFile(sites));
  const env = { WG_QUICK_USERSPACE_IMPLEMENTATION: OUR_DAEMON };
  await host.run('wg-quick', ['up', IFNAME], { env });
  await writeHostnameFile(a, sites.words(a));
  await host.run('tswg', ['netstart', IFNAME]);
  await enable(a, 'wg-quick', '/usr/lib/systemd/system/wg-quick@.service');
  await enable(a, 'tswg', '/etc/systemd/system/tswg@.service');
}

function quickFile({ a, b }: Sites): string {
  return `[Interface]
PrivateKey = ${a.keys.privateKey}
ListenPort = ${PORT}
Address = ${a.inner[4]}/24, ${a.inner[6]}/64

[Peer]
PublicKey = ${b.keys.publicKey}
Endpoint = ${b.wan[4]}:${PORT}
AllowedIPs = ${b.inner[4]}/32, ${b.inner[6]}/128
`;
}

/** As `systemctl enable` leaves it. */
async function enable({ host }: Site, program: string, unit: string): Promise<void> {
  // A host's /etc is full of links to the files of the machine that the tests run on.
  await host.run('sh', ['-euc', '[ ! -L /etc/systemd ] || rm /etc/systemd']);
  await host.run('mkdir', ['-p', WANTS]);
  await host.run('ln', ['-s', unit, `${WANTS}/${program}@${IFNAME}.service`]);
}

/** What a manager that has taken the interface says of it, by its number. */
async function leaveState({ host }: Site, folder: string, line: string): Promise<undefined> {
  const index = (await host.run('cat', [`/sys/class/net/${IFNAME}/ifindex`])).trim();
  await host.run('mkdir', ['-p', folder]);
  await host.writeFile(`${folder}/${index}`, `${line}\n`, '644');
  return undefined;
}
