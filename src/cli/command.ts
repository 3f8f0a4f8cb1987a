/**
 * What a command line means, once it is understood: plain values between the parser and those who
 * carry them out.
 */

import type { AllowedIpChange } from '../device/configuration.ts';
import type { Near } from '../device/ways.ts';
import type { EventKind } from '../events/record.ts';
import type { Prefix } from '../packet/address.ts';
import type { Shell } from './shells.ts';

/** A secret that was given in the command, or the file that holds it (`-`: standard input). */
export type KeySource =
  | { readonly kind: 'given'; readonly key: Uint8Array }
  | { readonly kind: 'file'; readonly word: string; readonly path: string };

/** Where a peer is, not looked up yet. */
export interface EndpointName {
  /** An address, with `%interface` when link-local, or a host name. */
  readonly host: string;
  readonly port: number;
  /** What stands after `via`. */
  readonly near: Near | null;
}

export interface PeerDraft {
  readonly publicKey: Uint8Array;
  readonly remove: boolean;
  presharedKey?: KeySource;
  /** In order of preference; none: forget where it is. */
  endpoints?: readonly EndpointName[];
  persistentKeepalive?: number;
  /** Empty: remove it. */
  description?: string;
  /** Whether wgaip (the whole set) or -wgaip (less of it) was used. */
  allowedIpsMode?: 'replace' | 'remove';
  readonly allowedIps: AllowedIpChange[];
  /** What some of them were taken for, as nobody may have meant it. */
  doubts?: readonly { readonly prefix: Prefix; readonly text: string }[];
}

export interface AddressDraft {
  /** 0 until a word or an address says it. */
  family: 0 | 4 | 6;
  mode: 'primary' | 'alias' | 'remove';
  /** null only when removing: the first address of the family. */
  address: Uint8Array | null;
  /** Bits of prefix; null when removing without naming it. */
  length: number | null;
  /** The other end of the link. */
  destination: Uint8Array | null;
  /** What it was taken for, as nobody may have meant it. */
  doubt?: string;
  /** `-alias` as it was typed, when removing. */
  word?: string;
}

/** One `tswg NAME word ...`, checked, before names are looked up and key files read. */
export interface Draft {
  /** `create` was said: the interface must not be there yet. */
  create: boolean;
  privateKey?: KeySource;
  listenPort?: number;
  fwmark?: number;
  /** null: any address and interface. */
  bind?: Near | null;
  debug?: boolean;
  removeAllPeers: boolean;
  readonly peers: PeerDraft[];
  readonly addresses: AddressDraft[];
  /** Empty: remove it. */
  description?: string;
  mtu?: number;
  up?: boolean;
}

/** Whether no word asks for anything: the interface is only to be there. */
export function isEmpty(draft: Draft): boolean {
  const { create, removeAllPeers, peers, addresses, ...settings } = draft;
  const isSet = Object.values(settings).some((value) => value !== undefined);
  return !create && !removeAllPeers && peers.length === 0 && addresses.length === 0 && !isSet;
}

/** Whether all words take something away, so that there must be something to take it from. */
export function takesOnlyAway(draft: Draft): boolean {
  if (draft.create || isEmpty(draft)) return false;
  const { privateKey, listenPort, mtu, up, debug, fwmark, bind, description } = draft;
  if (privateKey !== undefined || listenPort !== undefined || mtu !== undefined) return false;
  if (up || debug || fwmark || bind || description) return false;
  const { peers, addresses } = draft;
  return peers.every(losesOnly) && addresses.every(({ mode }) => mode === 'remove');
}

function losesOnly(peer: PeerDraft): boolean {
  if (peer.remove) return true;
  const { presharedKey, endpoints, persistentKeepalive, description, allowedIpsMode } = peer;
  if (endpoints?.length || persistentKeepalive || description || allowedIpsMode === 'replace')
    return false;
  if (presharedKey !== undefined && !isNoKey(presharedKey)) return false;
  return [presharedKey, endpoints, persistentKeepalive, description, allowedIpsMode].some(
    (setting) => setting !== undefined,
  );
}

/** Whether the all-zero key was given, which removes one. */
function isNoKey(source: KeySource): boolean {
  return source.kind === 'given' && source.key.every((octet) => octet === 0);
}

/** What `events` is asked for. */
export interface EventsOptions {
  readonly json: boolean;
  readonly follow: boolean;
  /** The number after which to begin; null for all that is kept, or, followed, for what is new. */
  readonly since: number | null;
  /** A public key or a wgdescr; null for all. */
  readonly peer: string | null;
  /** Only these; null for all. */
  readonly on: readonly EventKind[] | null;
  /** A command for the shell, to be run for each event; null for none. */
  readonly exec: string | null;
  /** How long it may take, in seconds. */
  readonly timeout: number;
}

/** What doctor is asked for. */
export interface DoctorRequest {
  readonly name: string;
  readonly json: boolean;
  /** Nothing is sent, and nothing waited for. */
  readonly isQuick: boolean;
  /** A public key, or a peer's wgdescr; null for all. */
  readonly peer: string | null;
  /** Of files; null where none was given. */
  readonly other: string | null;
  readonly record: string | null;
  readonly evidence: string | null;
}

export type Command =
  | { readonly kind: 'list'; readonly json: boolean }
  | { readonly kind: 'show'; readonly name: string; readonly json: boolean }
  | { readonly kind: 'stats'; readonly name: string }
  | { readonly kind: 'events'; readonly name: string; readonly options: EventsOptions }
  | { readonly kind: 'doctor'; readonly request: DoctorRequest }
  | { readonly kind: 'destroy' | 'upgrade'; readonly name: string }
  | { readonly kind: 'configure'; readonly name: string; readonly draft: Draft }
  | {
      readonly kind: 'netstart';
      readonly names: readonly string[];
      /**
       * Once; `plan`: only print it; `keep`: until every line has been carried out; `install`: units
       * that do that at each boot.
       */
      readonly mode: 'once' | 'plan' | 'keep' | 'install';
    }
  | {
      readonly kind: 'metrics';
      /** None for all. */
      readonly names: readonly string[];
      readonly format: 'prometheus' | 'openmetrics';
    }
  | { readonly kind: 'genkey' | 'pubkey' | 'genpsk' | 'version' }
  | { readonly kind: 'help'; readonly topic: string | null }
  | { readonly kind: 'completion'; readonly shell: Shell | null };

/** One line for the operator: the word, the value, and what was expected. */
export interface Mistake {
  readonly kind: 'mistake';
  readonly text: string;
  /** What tswg exits with; 1 if not given. */
  readonly exitCode?: number;
}

export function mistake(text: string): Mistake {
  return { kind: 'mistake', text };
}
