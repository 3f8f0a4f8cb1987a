/**
 * A machine in memory: links, addresses and daemons that behave as Linux and tswgd do where the
 * command line can tell. Every change is written down, and any step can be told to fail.
 */

import { publicKeyOf } from '../../src/cli/keys.ts';
import type { Link, LinkAddress, System } from '../../src/cli/system.ts';
import type { AddressView } from '../../src/cli/view.ts';
import type { DeviceChange, DeviceState, PeerState } from '../../src/device/configuration.ts';
import type { Prefix } from '../../src/packet/address.ts';
import { formatAddress, formatPrefix } from '../../src/packet/address.ts';
import { formatObservedState, formatState } from '../../src/uapi/get.ts';
import { acceptSet, answer, refuseSet } from '../../src/uapi/response.ts';
import { parseSet } from '../../src/uapi/set.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export const FRESH_STATE: DeviceState = {
  privateKey: null,
  listenPort: 0,
  fwmark: 0,
  bind: null,
  debug: false,
  peers: [],
};

const FRESH_PEER: PeerState = {
  publicKey: new Uint8Array(32),
  presharedKey: null,
  endpoint: null,
  ways: [],
  lastHandshakeMs: 0,
  txBytes: 0,
  rxBytes: 0,
  persistentKeepalive: 0,
  allowedIps: [],
  description: '',
};

export class FakeSystem implements System {
  isRoot = true;
  nowMs = 1_700_000_000_000;
  /** What was changed, in order. */
  readonly log: string[] = [];
  readonly changes: DeviceChange[] = [];
  readonly linkList: Mutable<Link>[] = [];
  addressList: LinkAddress[] = [];
  /** Below /proc/sys/net. */
  readonly parameters = new Map<string, string>();
  /**
   * Answers by the name of the interface; `refuse` is the errno with which `set` is refused,
   * `upgrade` the answer to that.
   */
  readonly daemons = new Map<
    string,
    { state: DeviceState; version: string | null; refuse?: number; upgrade?: string }
  >();
  /** Names of those whose observing socket the operator may open who is not root. */
  readonly observed = new Set<string>();
  /** Sockets without a daemon behind them. */
  readonly staleSockets = new Set<string>();
  /** Names of states that persistent daemons keep, or have left behind. */
  readonly states = new Set<string>();
  readonly hosts = new Map<string, string[] | string>();
  standardInput = '';
  /** Beginnings of log lines whose step fails. */
  failing: string[] = [];
  /** How many looks at the sockets it takes until a deleted interface's socket is gone. */
  lingering = 0;
  /** Daemons go on when their interfaces are deleted. */
  isStubborn = false;

  addLink(name: string, fields: Partial<Link> = {}): Mutable<Link> {
    const index = this.linkList.length + 1;
    const fresh = { flags: 0x1090, mtu: 1420, description: '', kind: 'tun', isPersistent: false };
    const link = { name, index, ...fresh, ...fields };
    this.linkList.push(link);
    return link;
  }

  /** Whether daemons are of a version that takes names and ways. */
  knowsWays = true;

  addDaemon(name: string, version: string | null = '0.1.0', state = FRESH_STATE): void {
    this.addLink(name);
    this.daemons.set(name, { state, version });
  }

  now(): number {
    return this.nowMs;
  }

  links(): Link[] {
    return this.linkList.map((link) => ({ ...link }));
  }

  parameter(path: string): string | null {
    return this.parameters.get(path) ?? null;
  }

  addresses(): LinkAddress[] {
    return [...this.addressList];
  }

  #step(line: string): void {
    this.log.push(line);
    if (this.failing.some((start) => line.startsWith(start))) {
      throw Object.assign(new Error('refused'), { errno: 22 });
    }
  }

  #link(index: number): Mutable<Link> {
    const link = this.linkList.find((one) => one.index === index);
    if (link === undefined) throw new Error(`no link ${index}`);
    return link;
  }

  setUp(index: number, up: boolean): void {
    this.#step(up ? 'up' : 'down');
    this.#link(index).flags = up ? 0x10d1 : 0x1090;
  }

  setMtu(index: number, mtu: number): void {
    this.#step(`mtu ${mtu}`);
    this.#link(index).mtu = mtu;
  }

  setDescription(index: number, text: string): void {
    this.#step(`description ${text}`);
    this.#link(index).description = text;
  }

  addAddress(index: number, address: AddressView): void {
    this.#step(`add ${spell(address)}`);
    this.addressList.push({ ...address, index });
  }

  /** With the first address of a subnet Linux removes the others of it. */
  deleteAddress(index: number, address: AddressView): void {
    this.#step(`delete ${spell(address)}`);
    const isSame = (one: LinkAddress) => one.index === index && spell(one) === spell(address);
    if (!this.addressList.some(isSame)) throw new Error(`not there: ${spell(address)}`);
    const wasPrimary = this.addressList.find((one) => inSubnet(one, address))!;
    const removesAll = spell(wasPrimary) === spell(address) && address.address.length === 4;
    this.addressList = this.addressList.filter(
      (one) => !isSame(one) && !(removesAll && one.index === index && inSubnet(one, address)),
    );
  }

  deleteLink(index: number): void {
    const { name } = this.#link(index);
    this.#step(`delete link ${name}`);
    this.linkList.splice(this.linkList.indexOf(this.#link(index)), 1);
    if (!this.isStubborn) this.daemons.delete(name);
    if (this.lingering > 0) this.staleSockets.add(name);
  }

  sockets(): string[] {
    const names = [...this.daemons.keys(), ...this.staleSockets];
    if (this.lingering > 0 && --this.lingering === 0) this.staleSockets.clear();
    return names;
  }

  async request(name: string, text: string): Promise<string> {
    const daemon = this.daemons.get(name);
    if (daemon === undefined) {
      const code = this.staleSockets.has(name) ? 'ECONNREFUSED' : 'ENOENT';
      throw Object.assign(new Error(code), { code });
    }
    if (!this.isRoot) throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
    if (text === 'get=1\n\n') {
      let body = formatState(daemon.state, daemon.version ?? 'none');
      if (daemon.version === null) body = body.replace(/^tswg_version.*\n/m, '');
      if (!this.knowsWays) body = body.replace(/^tswg_ways=.*\n/m, '');
      return answer(body);
    }
    if (text === 'upgrade=1\n\n') {
      // Others end the connection at what they do not know.
      if (daemon.version === null) throw Object.assign(new Error('no answer'), { code: 'EPROTO' });
      this.#step(`upgrade ${name}`);
      return daemon.upgrade ?? answer('version=0.2.0\npid=4711\npause_ms=12\n');
    }
    if (!text.startsWith('set=1\n')) return answer('');
    this.#step(`set ${name}`);
    if (daemon.refuse !== undefined) return refuseSet(daemon.refuse);
    const parsed = parseSet(text.trimEnd().split('\n').slice(1));
    if (parsed.ok === undefined) throw new Error(parsed.error.line);
    this.changes.push(parsed.ok);
    daemon.state = changed(daemon.state, parsed.ok);
    return acceptSet();
  }

  /** The interface's public key is told in place of the private one, as far as a test needs it. */
  async observe(name: string, text: string): Promise<string> {
    const daemon = this.daemons.get(name);
    if (this.isRoot || daemon === undefined || !this.observed.has(name)) {
      return this.request(name, text);
    }
    if (text === 'stats=1\n\n') return answer('');
    const { state, version } = daemon;
    const publicKey = state.privateKey === null ? null : publicKeyOf(state.privateKey);
    return answer(formatObservedState(state, publicKey, version ?? 'none'));
  }

  async *converse(name: string, text: string): AsyncGenerator<string> {
    yield await this.observe(name, text);
  }

  isServed(name: string): boolean {
    return this.daemons.has(name);
  }

  hasState(name: string): boolean {
    return this.isRoot && this.states.has(name);
  }

  async forget(name: string): Promise<void> {
    this.log.push(`forget ${name}`);
    this.staleSockets.delete(name);
    this.states.delete(name);
  }

  async startDaemon(name: string, persists: boolean): Promise<void> {
    this.#step(`start ${persists ? '--persist ' : ''}${name}`);
    this.staleSockets.delete(name);
    if (this.linkList.some((link) => link.name === name)) {
      this.daemons.set(name, { state: FRESH_STATE, version: '0.1.0' });
    } else this.addDaemon(name);
  }

  async sleep(_ms: number): Promise<void> {}

  async lookup(host: string): Promise<string[]> {
    const found = this.hosts.get(host) ?? 'ENOTFOUND';
    if (typeof found === 'string') throw Object.assign(new Error(found), { code: found });
    return found;
  }

  async readStandardInput(): Promise<string> {
    return this.standardInput;
  }

  interfaceIndex(name: string): number {
    return this.linkList.find((link) => link.name === name)?.index ?? 0;
  }
}

/** The state after a change, as far as words can tell. */
function changed(state: DeviceState, change: DeviceChange): DeviceState {
  let peers: Mutable<PeerState>[] = change.replacePeers
    ? []
    : state.peers.map((one) => ({ ...one }));
  for (const one of change.peers) {
    const { publicKey, remove, updateOnly, allowedIps, replaceAllowedIps, ...rest } = one;
    const known = peers.find((peer) => Buffer.compare(peer.publicKey, publicKey) === 0);
    if (known === undefined && updateOnly) continue;
    if (remove) {
      peers = peers.filter((peer) => peer !== known);
      continue;
    }
    const peer = known ?? { ...FRESH_PEER, publicKey };
    if (known === undefined) peers.push(peer);
    if (replaceAllowedIps) peer.allowedIps = [];
    for (const { prefix, remove: isTaken } of allowedIps) {
      const isOther = (one: Prefix) => formatPrefix(one) !== formatPrefix(prefix);
      for (const one of isTaken ? [peer] : peers) one.allowedIps = one.allowedIps.filter(isOther);
      if (!isTaken) peer.allowedIps = [...peer.allowedIps, prefix];
    }
    Object.assign(peer, rest);
  }
  const { privateKey = state.privateKey, listenPort = state.listenPort } = change;
  return { ...state, privateKey, listenPort, peers };
}

function spell(address: AddressView): string {
  const to = address.destination === null ? '' : ` to ${formatAddress(address.destination)}`;
  return `${formatAddress(address.address)}/${address.length}${to}`;
}

/** Whether both are of one IPv4 subnet; for the tests' prefixes, whole octets will do. */
function inSubnet(one: AddressView, other: AddressView): boolean {
  const octets = Math.floor(other.length / 8);
  return (
    one.length === other.length &&
    one.address.length === other.address.length &&
    one.address.subarray(0, octets).every((octet, at) => octet === other.address[at])
  );
}
