/** wg-quick on a host of the lab, with a daemon of ours in the place of the kernel's WireGuard. */

import type { Host } from './host.ts';

/**
 * Where the kernel has WireGuard of its own, wg-quick would take that: there the host loses it, by
 * an `ip` that does not know the type, as on a kernel without the module.
 */
export async function withoutKernelWireguard(host: Host): Promise<void> {
  const probe = await host.exec('ip', ['link', 'add', 'wgprobe', 'type', 'wireguard']);
  if (probe.status !== 0) return;
  await host.ip('link delete wgprobe');
  const wrapper = `#!/bin/sh
case "$*" in *"type wireguard"*) echo "Error: Unknown device type." >&2; exit 2 ;; esac
exec /run/lab/ip "$@"
`;
  await host.writeFile('/run/lab/ip-wrapper', wrapper, '755');
  await host.run('sh', [
    '-euc',
    `real=$(readlink -f "$(command -v ip)")
    cp "$real" /run/lab/ip
    mount --bind /run/lab/ip-wrapper "$real"
    mount -t tmpfs tmpfs /sys/module`,
  ]);
}
