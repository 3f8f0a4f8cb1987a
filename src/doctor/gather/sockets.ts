/** Evidence: who holds a UDP port. The kernel tells the sockets, /proc whose they are. */

import { type UdpSocketEntry, udpSocketsAt } from '../../netlink/socketdiag.ts';
import { formatAddress } from '../../packet/address.ts';
import type { UdpSocket } from '../evidence.ts';
import { namesIn, targetOf, textOf } from './procfile.ts';

type Owner = { readonly pid: number; readonly name: string };
type Socket = Omit<UdpSocket, 'gainedDrops'>;
type Counted = Pick<UdpSocketEntry, 'inode' | 'drops'>;

/**
 * Of all network namespaces only this one's.
 *
 * @param likely the daemon's number, which is looked at first: else all processes are, one by one
 * @throws {SystemError}
 */
export function gatherSockets(port: number, likely: number | null = null): Socket[] {
  const entries = udpSocketsAt(port);
  const inodes = entries.map(({ inode }) => inode);
  const owners = inodes.length === 0 ? new Map() : ownersOf(inodes, likely);
  return entries.map((entry) => ({
    ...entry,
    address: formatAddress(entry.address),
    process: owners.get(entry.inode) ?? null,
  }));
}

/** With what was dropped since `before`. */
export function gainDrops(before: readonly Counted[], after: readonly Socket[]): UdpSocket[] {
  return after.map((socket) => {
    const earlier = before.find(({ inode }) => inode === socket.inode)?.drops ?? socket.drops;
    return { ...socket, gainedDrops: socket.drops - earlier };
  });
}

/** Inode -> the first process that has it open, `likely` before all, among those that we may look at. */
function ownersOf(inodes: readonly number[], likely: number | null): Map<number, Owner> {
  const wanted = new Map(inodes.map((inode) => [`socket:[${inode}]`, inode]));
  const owners = new Map<number, Owner>();
  for (const pid of numbersFrom(likely)) {
    if (owners.size === wanted.size) break;
    for (const fd of namesIn(`/proc/${pid}/fd`)) {
      const inode = wanted.get(targetOf(`/proc/${pid}/fd/${fd}`) ?? '');
      if (inode === undefined || owners.has(inode)) continue;
      owners.set(inode, { pid, name: (textOf(`/proc/${pid}/comm`) ?? '').trim() });
    }
  }
  return owners;
}

function* numbersFrom(likely: number | null): Iterable<number> {
  if (likely !== null) yield likely;
  yield* processNumbers();
}

/** Of all processes, in order. */
export function processNumbers(): number[] {
  return namesIn('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}
