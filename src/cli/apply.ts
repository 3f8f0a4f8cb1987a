/**
 * Carries out a checked command: creates what is missing, then WireGuard's settings in one request,
 * then the link's, each step after all that could be known to fail before it. An interface that
 * this command created goes away again when a later step is refused.
 */

import { sameBytes } from '../bytes.ts';
import type { DeviceChange } from '../device/configuration.ts';
import { formatNear } from '../device/near.ts';
import type { Near } from '../device/ways.ts';
import { formatAddress } from '../packet/address.ts';
import { parseState, type ReportedState } from '../uapi/get.ts';
import { EADDRINUSE, parseErrno } from '../uapi/response.ts';
import { writeSet } from '../uapi/set.ts';
import {
  addressDoubts,
  checkMtu,
  planAddresses,
  sameAddress,
  unnamedRemovals,
} from './addressplan.ts';
import { type Draft, isEmpty, takesOnlyAway } from './command.ts';
import { keyWord, type Warning, weighPeers } from './consequences.ts';
import { explainSocket, noSuchInterface, systemReason } from './explain.ts';
import { formatKey, ownKey } from './keys.ts';
import { hasLostDaemon, hasRemains, lostDaemon } from './lostdaemon.ts';
import { Refusal } from './refusal.ts';
import { resolveChange } from './resolve.ts';
import type { Link, System } from './system.ts';
import { isCreatableName } from './values.ts';
import type { AddressView } from './view.ts';
import { VIA } from './words.ts';

/** From then on, a control socket that nobody answers is nobody's. */
const LEFT_BEHIND_MS = 1_000;
const DESTROY_TIMEOUT_MS = 5_000;
const DESTROY_POLL_MS = 10;

/**
 * Resolves to what the operator should hear of although it was carried out.
 *
 * @throws Refusal with the line for the operator; nothing was changed unless it says so.
 */
export async function configure(name: string, draft: Draft, system: System): Promise<Warning[]> {
  const existing = findLink(name, system);
  if (existing !== undefined && hasLostDaemon(existing, system)) {
    throw new Refusal(`${name}: ${lostDaemon(name)}`);
  }
  if (draft.create && existing !== undefined) {
    throw new Refusal(`${name}: create: the interface exists already`);
  }
  if (existing === undefined) checkCreation(name, draft, system);
  else checkOurs(existing, draft, system);
  if (!system.isRoot) throw needsRoot(name);
  const state = existing === undefined ? null : await checkWireguard(existing, draft, system);
  const knowsWays = existing === undefined || state?.knowsWays === true;
  const change = asWeighed(await resolveChange(draft, knowsWays, system), state);
  const warnings = [
    ...weighWireguard(name, state, draft, change, system),
    ...weighBind(draft, system),
    ...weighAddresses(name, existing, draft, system),
  ];
  if (existing !== undefined) {
    await applySettings(existing, draft, change, "; WireGuard's words were carried out", system);
    return warnings;
  }
  const others = draft.create || isEmpty(draft) ? [] : system.sockets();
  await startDaemon(name, false, system);
  try {
    const created = findLink(name, system);
    if (created === undefined) throw new Refusal(`${name}: gone right after it was created`);
    await applySettings(created, draft, change, '', system);
  } catch (error) {
    await removeCreated(name, system);
    throw error;
  }
  // A slip in the number makes an interface that nobody wanted.
  const created = `${name}: did not exist and was created; there ${areNamed(others)} already`;
  return others.length === 0 ? warnings : [{ text: created, isMoot: true }, ...warnings];
}

/** @throws Refusal when there is nothing to be made of this name, or nothing to be taken away */
function checkCreation(name: string, draft: Draft, system: System): void {
  if (takesOnlyAway(draft)) {
    const others = system.sockets();
    throw new Refusal(
      `${noSuchInterface(name)}${others.length === 0 ? '' : `; there ${areNamed(others)}`}`,
    );
  }
  if (!isCreatableName(name)) {
    throw new Refusal(
      `${noSuchInterface(name)}; the name of a new one must end in a digit, as in wg0`,
    );
  }
}

/**
 * On a link of another kind an address, its MTU or its state are not ours to change: a slip in the
 * name would cut the machine off. For words of WireGuard its socket says so.
 *
 * @throws Refusal
 */
function checkOurs(link: Link, draft: Draft, system: System): void {
  const { name, kind } = link;
  if (wireguardWord(draft) !== null) return;
  if (kind === 'wireguard' || system.sockets().includes(name)) return;
  throw new Refusal(`${name}: not a WireGuard interface: expected one; \`ip\` changes others`);
}

function areNamed(names: readonly string[]): string {
  return `${names.length === 1 ? 'is' : 'are'} ${names.join(', ')}`;
}

/**
 * A peer that is there, and that another operator removes before the change arrives, is not to come
 * back with nothing but what this call says of it: the call is then as if it had come first. Only
 * where tswgd serves, since other daemons need not know the word.
 */
function asWeighed(change: DeviceChange, state: ReportedState | null): DeviceChange {
  if (state?.version === undefined || change.replacePeers) return change;
  const known = new Set(state.peers.map(({ publicKey }) => formatKey(publicKey)));
  const peers = change.peers.map((peer) =>
    !peer.remove && known.has(formatKey(peer.publicKey)) ? { ...peer, updateOnly: true } : peer,
  );
  return { ...change, peers };
}

/** What is asked of the WireGuard part, against what it is now. @throws Refusal */
function weighWireguard(
  name: string,
  state: ReportedState | null,
  draft: Draft,
  change: DeviceChange,
  system: System,
): Warning[] {
  const hasEndpoint = change.peers.some(({ endpoint, ways }) => endpoint || ways?.length);
  const asksMachine = hasEndpoint || change.bind?.kind === 'address';
  return weighPeers(draft, change, {
    name,
    index: asksMachine ? (findLink(name, system)?.index ?? 0) : 0,
    bind: state?.bind ?? null,
    peers: state?.peers ?? [],
    publicKey: state === null ? null : ownKey(state),
    listenPort: state?.listenPort ?? 0,
    addresses: asksMachine ? system.addresses() : [],
    interfaces: hasEndpoint ? system.links().map((link) => link.name) : [],
  });
}

/** What is not there now may come: with a line that goes up, or an address that is still asked for. */
function weighBind({ bind }: Draft, system: System): Warning[] {
  if (!bind) return [];
  const isThere =
    bind.kind === 'interface'
      ? findLink(bind.name, system) !== undefined
      : system.addresses().some(({ address }) => sameBytes(address, bind.address));
  if (isThere) return [];
  const what = bind.kind === 'interface' ? 'there is no such interface' : 'no interface has it';
  return [
    { text: `wgbind: ${formatNear(bind)}: ${what} now: nothing is sent until then`, isMoot: false },
  ];
}

/** The same for its addresses. @throws Refusal */
function weighAddresses(
  name: string,
  existing: Link | undefined,
  draft: Draft,
  system: System,
): Warning[] {
  const { addresses, mtu } = draft;
  if (addresses.length === 0 && mtu === undefined) return [];
  const current = existing === undefined ? [] : addressesOf(existing, system);
  const planned = planAddresses(name, current, addresses);
  const mtuAfter = mtu ?? existing?.mtu;
  if (mtuAfter !== undefined) checkMtu(name, mtuAfter, mtu, planned);
  return [
    ...addressDoubts(current, addresses),
    ...unnamedRemovals(name, current, planned, addresses),
  ].map((text) => ({ text, isMoot: false }));
}

async function startDaemon(name: string, persists: boolean, system: System): Promise<void> {
  try {
    await system.startDaemon(name, persists);
  } catch (error) {
    const reason = systemReason(error);
    throw new Refusal(reason.startsWith(`${name}: `) ? reason : `${name}: ${reason}`);
  }
}

/** What is wrong already is not made worse by telling of it twice. */
async function removeCreated(name: string, system: System): Promise<void> {
  try {
    const link = findLink(name, system);
    if (link !== undefined) await removeLink(link, system);
  } catch {
    // The first failure is the one to be told.
  }
}

function findLink(name: string, system: System): Link | undefined {
  return system.links().find((link) => link.name === name);
}

function addressesOf(link: Link, system: System): AddressView[] {
  return system.addresses().filter((address) => address.index === link.index);
}

function needsRoot(name: string): Refusal {
  return new Refusal(`${name}: only root may change an interface; try it with sudo`);
}

/** The first word that only a WireGuard can take, for messages; null when there is none. */
function wireguardWord(draft: Draft): string | null {
  if (draft.privateKey !== undefined) return keyWord(draft);
  if (draft.listenPort !== undefined) return 'wgport';
  if (draft.fwmark !== undefined) return 'wgfwmark';
  if (draft.bind !== undefined) return bindWord(draft.bind);
  if (draft.removeAllPeers) return '-wgpeerall';
  if (draft.peers.length > 0) return draft.peers[0].remove ? '-wgpeer' : 'wgpeer';
  return draft.debug === undefined ? null : draft.debug ? 'debug' : '-debug';
}

function bindWord(bind: Near | null): string {
  return bind === null ? '-wgbind' : 'wgbind';
}

/** The first word that only tswgd knows; others would refuse it, some after half the work. */
function ownWord(draft: Draft): string | null {
  if (draft.bind !== undefined) return bindWord(draft.bind);
  if (draft.debug !== undefined) return draft.debug ? 'debug' : '-debug';
  for (const peer of draft.peers) {
    if (peer.description !== undefined) return peer.description === '' ? '-wgdescr' : 'wgdescr';
    const { endpoints = null } = peer;
    if (endpoints?.length === 0) return '-wgendpoint';
    if (endpoints?.some(({ near }) => near !== null)) return VIA;
    if (endpoints !== null && endpoints.length > 1) return 'wgendpoint, more than once';
  }
  return null;
}

/**
 * Before anything is touched: does a WireGuard answer, and does it know all the words? Resolves to
 * its state, or to null when nothing is asked of it.
 */
async function checkWireguard(
  link: Link,
  draft: Draft,
  system: System,
): Promise<ReportedState | null> {
  const word = wireguardWord(draft);
  if (word === null) return null;
  const state = parseState(await ask(link, word, 'get=1\n\n', system));
  const own = ownWord(draft);
  if (own !== null && state.version === undefined) {
    throw new Refusal(
      `${own}: ${link.name}: the WireGuard that serves it is not tswgd and does not know this word`,
    );
  }
  return state;
}

async function ask(link: Link, word: string, text: string, system: System): Promise<string> {
  try {
    return await system.request(link.name, text);
  } catch (error) {
    throw new Refusal(`${word}: ${link.name}: ${explainSocket(link, error)}`);
  }
}

/** `afterwards` is added to a refusal that comes when WireGuard's part is done. */
async function applySettings(
  link: Link,
  draft: Draft,
  change: DeviceChange,
  afterwards: string,
  system: System,
): Promise<void> {
  const word = wireguardWord(draft);
  if (word !== null) await setWireguard(link, word, change, system);
  const done = word === null ? '' : afterwards;
  const { description, mtu, addresses } = draft;
  if (description !== undefined && description !== link.description) {
    step('description', done, () => system.setDescription(link.index, description));
  }
  if (mtu !== undefined) step('mtu', done, () => system.setMtu(link.index, mtu));
  if (addresses.length > 0) {
    const current = addressesOf(link, system);
    const planned = planAddresses(link.name, current, addresses);
    changeAddresses(link, current, planned, done, system);
  }
  const addsAddress = addresses.some((address) => address.mode !== 'remove');
  const up = draft.up ?? (addsAddress ? true : undefined);
  if (up !== undefined) step(up ? 'up' : 'down', done, () => system.setUp(link.index, up));
}

async function setWireguard(
  link: Link,
  word: string,
  change: DeviceChange,
  system: System,
): Promise<void> {
  const errno = parseErrno(await ask(link, word, writeSet(change), system));
  if (errno === 0) return;
  if (errno === EADDRINUSE && change.listenPort !== undefined) {
    throw new Refusal(
      `wgport: ${change.listenPort}: another program uses this UDP port; expected a free one, or 0 to pick one`,
    );
  }
  if (errno === EADDRINUSE && change.bind !== undefined) {
    const where = change.bind === null ? 'every address' : formatNear(change.bind);
    throw new Refusal(
      `${bindWord(change.bind)}: ${where}: another program uses the UDP port there; expected another wgport, or another address`,
    );
  }
  throw new Refusal(`${word}: ${link.name}: refused by its daemon: ${systemReason({ errno })}`);
}

/** One setting of the link; `done` says what has happened before it. */
function step(what: string, done: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    throw new Refusal(`${what}: ${systemReason(error)}${done}`);
  }
}

/** Removes first, since an address goes in only once; puts back what was removed when that fails. */
function changeAddresses(
  link: Link,
  current: readonly AddressView[],
  planned: readonly AddressView[],
  done: string,
  system: System,
): void {
  const isIn = (list: readonly AddressView[], one: AddressView): boolean =>
    list.some((other) => sameAddress(one, other));
  for (const address of current) {
    // With a primary address Linux may have removed its secondaries.
    if (isIn(planned, address) || !isIn(addressesOf(link, system), address)) continue;
    step(describe('-alias', address), done, () => system.deleteAddress(link.index, address));
  }
  try {
    const left = addressesOf(link, system);
    for (const address of planned) {
      if (isIn(left, address)) continue;
      step(describe(address.address.length === 4 ? 'inet' : 'inet6', address), done, () =>
        system.addAddress(link.index, address),
      );
    }
  } catch (error) {
    restore(link, current, system);
    throw error;
  }
}

function restore(link: Link, wanted: readonly AddressView[], system: System): void {
  const left = addressesOf(link, system);
  for (const address of wanted) {
    if (left.some((other) => sameAddress(address, other))) continue;
    try {
      system.addAddress(link.index, address);
    } catch {
      // The first failure is the one to be told.
    }
  }
}

function describe(word: string, address: AddressView): string {
  return `${word}: ${formatAddress(address.address)}/${address.length}`;
}

/** Ends the interface and its daemon, and waits until both are gone. */
export async function destroy(name: string, system: System): Promise<void> {
  const link = findLink(name, system);
  const hasLeft = link === undefined && hasRemains(name, system);
  if (link === undefined && !hasLeft) throw new Refusal(noSuchInterface(name));
  if (!system.isRoot) throw needsRoot(name);
  if (link === undefined) {
    await system.forget(name);
    return;
  }
  if (!hasLostDaemon(link, system) && !system.sockets().includes(name)) {
    const isKernels = link.kind === 'wireguard';
    const what = isKernels ? "the kernel's own WireGuard serves it" : 'not a WireGuard interface';
    const whose = isKernels ? 'it' : 'others';
    throw new Refusal(`${name}: destroy: ${what}; \`ip link delete ${name}\` removes ${whose}`);
  }
  await removeLink(link, system);
}

async function removeLink(link: Link, system: System): Promise<void> {
  if (hasLostDaemon(link, system)) {
    step('destroy', '', () => system.deleteLink(link.index));
    await system.forget(link.name);
    return;
  }
  if (link.kind !== 'wireguard' && !system.sockets().includes(link.name)) {
    throw new Refusal(
      `${link.name}: destroy: not a WireGuard interface; \`ip link delete ${link.name}\` removes others`,
    );
  }
  step('destroy', '', () => system.deleteLink(link.index));
  for (let waited = 0; system.sockets().includes(link.name); waited += DESTROY_POLL_MS) {
    // A daemon whose starter was killed has nobody who clears up after it.
    const isLate = waited >= LEFT_BEHIND_MS;
    if (isLate && !system.isServed(link.name)) return system.forget(link.name);
    if (waited >= DESTROY_TIMEOUT_MS) {
      throw new Refusal(
        `${link.name}: destroy: the interface is gone, but its daemon still runs: its control socket is still there`,
      );
    }
    await system.sleep(DESTROY_POLL_MS);
  }
}

/** A persistent interface that has lost its daemon gets another one. @throws Refusal */
export async function takeOver(name: string, system: System): Promise<void> {
  if (!system.isRoot) throw needsRoot(name);
  await startDaemon(name, true, system);
}
