/**
 * Gathers what is to be shown: the system's links and addresses, and what the daemons at their
 * control sockets say.
 */

import { parseState, type ReportedState } from '../uapi/get.ts';
import { parseStats, type ReportedStats } from '../uapi/stats.ts';
import { explainSocket, noSuchInterface } from './explain.ts';
import { ownKey } from './keys.ts';
import { hasLostDaemon, hasRemains, lostDaemon, remainsOf, TUN } from './lostdaemon.ts';
import { nearest } from './nearest.ts';
import { Refusal } from './refusal.ts';
import type { Link, LinkAddress, System } from './system.ts';
import type { InterfaceView, WireguardView } from './view.ts';

const GET = 'get=1\n\n';

export interface Gathered {
  readonly views: InterfaceView[];
  /** Whether one interface was named, and not a kind of them or all. */
  readonly named: boolean;
  /** Whether one was named, and the daemon that it has did not answer. */
  readonly isUnanswered: boolean;
  /** Lines about what could not be learnt. */
  readonly notes: string[];
}

/**
 * @param name null for all interfaces; a name without its number, such as `wg`, for all of a kind
 * @throws Refusal when there is none of that name
 */
export async function gather(name: string | null, system: System): Promise<Gathered> {
  const links = system.links();
  const exact = links.find((link) => link.name === name);
  const chosen = exact !== undefined ? [exact] : links.filter((link) => isOfKind(link.name, name));
  if (name !== null && chosen.length === 0) {
    if (hasRemains(name, system)) {
      throw new Refusal(`${noSuchInterface(name)}; ${remainsOf(name)}`);
    }
    throw new Refusal(unknownInterface(name, links));
  }
  const addresses = system.addresses();
  const sockets = new Set(system.sockets());
  const notes: string[] = [];
  const views = await Promise.all(
    chosen.map((link) => view(link, addresses, sockets.has(link.name), notes, system)),
  );
  const lost = views.filter((view) => view.hasLostDaemon);
  const lostNotes = lost.map((view) => `${view.name}: ${lostDaemon(view.name)}`);
  // Nobody asked for the others, so nobody needs to hear about them.
  const named = exact !== undefined;
  if (exact !== undefined && !sockets.has(exact.name)) notes.push(...renamed(exact, links, system));
  const isUnanswered =
    named && sockets.has(exact.name) && views[0].wireguard === null && !views[0].hasLostDaemon;
  return { views, named, isUnanswered, notes: named ? [...lostNotes, ...notes] : lostNotes };
}

/**
 * Of an interface that was renamed while nobody could rename its control socket (handover/starter.ts):
 * its daemon answers under a name that no interface has.
 */
function renamed(link: Link, links: readonly Link[], system: System): string[] {
  if (link.kind !== TUN) return [];
  const strays = system
    .sockets()
    .filter((name) => !links.some((one) => one.name === name) && system.isServed(name));
  return strays.map(
    (name) =>
      `${link.name}: it has no control socket, and there is no interface for that of ${name}: if it was renamed, \`ip link set ${link.name} name ${name}\` takes that back`,
  );
}

/** `wg` means every wgN. */
function isOfKind(link: string, name: string | null): boolean {
  return name === null || (link.startsWith(name) && /^\d+$/.test(link.slice(name.length)));
}

function unknownInterface(name: string, links: readonly Link[]): string {
  const near = nearest(name, [
    ...links.map((link) => link.name),
    'help',
    'genkey',
    'pubkey',
    'genpsk',
  ]);
  const hint = near === null || /\d$/.test(name) ? '' : `; did you mean \`tswg ${near}\`?`;
  return `${noSuchInterface(name)}${hint}`;
}

async function view(
  link: Link,
  addresses: readonly LinkAddress[],
  hasSocket: boolean,
  notes: string[],
  system: System,
): Promise<InterfaceView> {
  let wireguard: WireguardView | null = null;
  const isLost = hasLostDaemon(link, system);
  if (isLost) {
    // The caller that shows it says so.
  } else if (hasSocket) {
    try {
      wireguard = await askDaemon(link.name, system);
    } catch (error) {
      notes.push(`${link.name}: ${explainSocket(link, error)}`);
    }
  } else if (link.kind === 'wireguard') {
    notes.push(`${link.name}: ${explainSocket(link, { code: 'ENOENT' })}`);
  }
  const { name, index, flags, mtu, description } = link;
  const own = addresses.filter((address) => address.index === index);
  const sendsRedirects = wireguard !== null && redirects(name, wireguard, system);
  const seen = { name, index, flags, mtu, description, addresses: own };
  return { ...seen, wireguard, hasLostDaemon: isLost, sendsRedirects };
}

/** The kernel does so if either of the two parameters says yes; only one of them is the interface's. */
function redirects(name: string, { state }: WireguardView, system: System): boolean {
  const isOn = (path: string): boolean => system.parameter(`ipv4/conf/${path}`) === '1';
  return (
    state.peers.length > 1 &&
    isOn(`${name}/forwarding`) &&
    (isOn('all/send_redirects') || isOn(`${name}/send_redirects`))
  );
}

/** `answerMs`: how long it may be silent; as long as any request by default. */
export async function askDaemon(
  name: string,
  system: System,
  answerMs?: number,
): Promise<WireguardView> {
  const text = await system.observe(name, GET, answerMs);
  const state = parseState(text, (zone) => system.interfaceIndex(zone));
  const publicKey = ownKey(state);
  const stats = await askStats(name, state, system, answerMs);
  return { state, publicKey, stats };
}

/** null when the daemon is not tswgd: the others would close the connection on us. */
async function askStats(
  name: string,
  state: ReportedState,
  system: System,
  answerMs: number | undefined,
): Promise<ReportedStats | null> {
  if (state.version === undefined) return null;
  return parseStats(await system.observe(name, 'stats=1\n\n', answerMs));
}
