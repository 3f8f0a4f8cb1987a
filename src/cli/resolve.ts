/**
 * What a checked command still needs of the machine before anything is touched: host names become
 * addresses, key files become keys. Owns no setting; a failure here leaves everything as it was.
 */

import type { DeviceChange, PeerChange } from '../device/configuration.ts';
import { Endpoint } from '../device/endpoint.ts';
import { isMapped, parseAddress, parseDecimal } from '../packet/address.ts';
import { visible } from '../quotation.ts';
import type { Draft, EndpointName, KeySource, PeerDraft } from './command.ts';
import { keyIn, readKeyFile } from './keyfiles.ts';
import { Refusal } from './refusal.ts';
import { endpointMistake } from './values.ts';
import { VIA } from './words.ts';

/** What the machine answers; tests answer for it. */
export interface Surroundings {
  /** Addresses of a host in the order in which the machine would try them; rejects when none. */
  lookup(host: string): Promise<string[]>;
  readStandardInput(): Promise<string>;
  /** 0 when there is no interface of that name. */
  interfaceIndex(name: string): number;
}

/**
 * @param knowsWays whether the daemon takes names and several ways, and looks the names up by itself
 * @throws Refusal when a host has to be resolved and cannot be, or a key file cannot be taken.
 */
export async function resolveChange(
  draft: Draft,
  knowsWays: boolean,
  surroundings: Surroundings,
): Promise<DeviceChange> {
  const peers: PeerChange[] = [];
  for (const peer of draft.peers) peers.push(await resolvePeer(peer, knowsWays, surroundings));
  return {
    ...(draft.privateKey && { privateKey: await readKey(draft.privateKey, surroundings) }),
    ...(draft.listenPort !== undefined && { listenPort: draft.listenPort }),
    ...(draft.fwmark !== undefined && { fwmark: draft.fwmark }),
    ...(draft.bind !== undefined && { bind: draft.bind }),
    ...(draft.debug !== undefined && { debug: draft.debug }),
    ...(draft.removeAllPeers && { replacePeers: true }),
    peers,
  };
}

async function resolvePeer(
  peer: PeerDraft,
  knowsWays: boolean,
  surroundings: Surroundings,
): Promise<PeerChange> {
  const { publicKey, presharedKey, endpoints, persistentKeepalive, description, allowedIps } = peer;
  if (peer.remove) return { publicKey, remove: true, allowedIps: [] };
  return {
    publicKey,
    ...(presharedKey && { presharedKey: await readKey(presharedKey, surroundings) }),
    ...(endpoints !== undefined && (await resolveEndpoints(endpoints, knowsWays, surroundings))),
    ...(persistentKeepalive !== undefined && { persistentKeepalive }),
    ...(peer.allowedIpsMode === 'replace' && { replaceAllowedIps: true }),
    ...(description !== undefined && { description }),
    allowedIps,
  };
}

/** One address is an endpoint, as for every WireGuard; whatever is more is for a daemon of ours. */
async function resolveEndpoints(
  names: readonly EndpointName[],
  knowsWays: boolean,
  surroundings: Surroundings,
): Promise<Pick<PeerChange, 'endpoint' | 'ways'>> {
  if (names.length === 0) return { endpoint: null };
  const literals = names.map(({ host, port }) => parseEndpointAddress(host, port, surroundings));
  const [{ host, port, near }] = names;
  if (names.length === 1 && near === null && (literals[0] !== null || !knowsWays)) {
    return { endpoint: literals[0] ?? (await lookUpEndpoint(host, port, surroundings)) };
  }
  if (knowsWays) return { ways: names };
  throw new Refusal(
    `wgendpoint: ${visible(host)}: the tswgd that serves the interface is an earlier one: expected one HOST and PORT, without ${VIA}; \`upgrade\` brings the one that is on disk`,
  );
}

async function lookUpEndpoint(
  host: string,
  port: number,
  surroundings: Surroundings,
): Promise<Endpoint> {
  let found: string[];
  try {
    found = await surroundings.lookup(host);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new Refusal(`wgendpoint: ${visible(host)}: ${explainLookup(code)}`);
  }
  // Filters against advertising answer 0.0.0.0 for what they do not like.
  let why = explainLookup('ENOTFOUND');
  for (const text of found) {
    const endpoint = parseEndpointAddress(text, port, surroundings);
    if (endpoint === null) continue;
    const wrong = endpointMistake(endpoint.address, endpoint.scope !== 0);
    if (wrong === null) return endpoint;
    why = `${text}: ${wrong}`;
  }
  throw new Refusal(`wgendpoint: ${visible(host)}: ${why}`);
}

/** null when `text` is no address. */
function parseEndpointAddress(
  text: string,
  port: number,
  surroundings: Surroundings,
): Endpoint | null {
  const percent = text.indexOf('%');
  const address = parseAddress(percent < 0 ? text : text.slice(0, percent));
  if (address === null) return null;
  // No socket sends to the mapped form; it means the IPv4 address.
  if (isMapped(address)) return new Endpoint(address.slice(12), port);
  if (percent < 0) return new Endpoint(address, port);
  const zone = text.slice(percent + 1);
  const scope = surroundings.interfaceIndex(zone) || parseDecimal(zone, 0x7fff_ffff) || 0;
  if (scope === 0)
    throw new Refusal(`wgendpoint: ${visible(text)}: there is no interface ${visible(zone)}`);
  return new Endpoint(address, port, scope);
}

function explainLookup(code: string | undefined): string {
  switch (code) {
    case 'ENOTFOUND':
      return 'no address found for that host; check the name, and that DNS works here';
    case 'EAI_AGAIN':
      return 'DNS does not answer; check the network and /etc/resolv.conf, or use an address';
    default:
      return `cannot be looked up (${code ?? 'unknown reason'})`;
  }
}

async function readKey(source: KeySource, surroundings: Surroundings): Promise<Uint8Array> {
  if (source.kind === 'given') return source.key;
  const { word, path } = source;
  if (path !== '-') return readKeyFile(word, path);
  return keyIn(await surroundings.readStandardInput(), word, 'standard input');
}
