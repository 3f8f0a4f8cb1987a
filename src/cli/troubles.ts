/**
 * The words for troubles: each code that a Device or a daemon may tell of, as a sentence for a tired
 * operator. A code that is not known here, of a newer daemon, is shown with its values as it came.
 * Pure.
 */

import { counted } from '../counted.ts';
import type { AnyDeviceTrouble } from '../daemon/troubles.ts';
import type { NearFault } from '../device/lead.ts';
import type { PeerTrouble } from '../device/troubles.ts';
import { printable } from '../quotation.ts';
import { sendErrorMeaning } from '../sys/senderrors.ts';
import type { ReportedTrouble, TroubleValue } from '../uapi/stats.ts';

/** A trouble as people are told of it. Without characters that would steer a terminal. */
export interface Wording {
  /** What it is about, in one word or two; '' where that is not known. */
  readonly label: string;
  readonly text: string;
  /** It is shown with the interface, and not only among what `stats` tells. */
  readonly isShownFirst: boolean;
  /** The name of a fact that says the same; '' when there is none. */
  readonly fact: string;
}

type Trouble = { readonly code: string };
type ValuesOf<Any extends Trouble, Code> = Omit<Extract<Any, { code: Code }>, 'code'>;
type KindOf<Value> = Value extends number ? 'number' : Value extends boolean ? 'boolean' : 'string';

interface Words<Values> {
  readonly label: string;
  readonly isShownFirst?: true;
  /** The name of a fact that says the same in `stats`. */
  fact?(values: Values): string;
  /** The values that the text is made of: without them, or with others, it is not told in words. */
  readonly values: { readonly [Name in keyof Values]: KindOf<Values[Name]> };
  /** `name`: the interface's. */
  text(values: Values, name: string): string;
}

/** The compiler finds the code that has no words, and the value that has another name or kind. */
type Vocabulary<Any extends Trouble> = {
  readonly [Code in Any['code']]: Words<ValuesOf<Any, Code>>;
};

export const DEVICE_WORDS: Vocabulary<AnyDeviceTrouble> = {
  noPrivateKey: {
    label: 'key',
    values: {},
    text: () => 'no private key is set: no handshake can begin',
  },
  underLoad: {
    label: 'load',
    values: {},
    text: () => 'under load: handshakes need a cookie',
  },
  interfaceDown: {
    label: 'down',
    isShownFirst: true,
    values: {},
    text: (_values, name) =>
      `no packet passes: \`tswg ${name} inet ADDRESS/LENGTH\` or \`tswg ${name} up\` brings the interface up`,
  },
  badMac1: {
    label: 'mac1',
    isShownFirst: true,
    values: { messages: 'number', address: 'string', port: 'number', agoMs: 'number' },
    text: ({ address, port, agoMs }) =>
      `${address} port ${port} tried to connect ${seconds(agoMs)} ago with a public key that is not ours: has it the wgpubkey of this interface?`,
  },
  stranger: {
    label: 'stranger',
    isShownFirst: true,
    values: { publicKey: 'string', address: 'string', port: 'number', agoMs: 'number' },
    text: ({ publicKey, address, port, agoMs }, name) =>
      `an unknown key tried to connect: ${publicKey} from ${address} port ${port}, ${seconds(agoMs)} ago; if it is to be a peer: \`tswg ${name} wgpeer ${publicKey} wgaip PREFIX\``,
  },
  unroutable: {
    label: 'wgaip',
    isShownFirst: true,
    values: { address: 'string', packets: 'number', agoMs: 'number' },
    text: ({ address, packets, agoMs }) =>
      `a packet to ${address} was dropped ${seconds(agoMs)} ago, since it is in the wgaip of no peer (${counted(packets, 'such packet')} so far)`,
  },
  noSocket: {
    label: 'socket',
    isShownFirst: true,
    values: { why: 'string', call: 'string', error: 'string' },
    text: ({ why }) => why,
  },
  bindGone: {
    label: 'wgbind',
    isShownFirst: true,
    values: { near: 'string', why: 'string' },
    text: ({ near, why }) => nearText(near, why),
  },
  strictFilter: {
    label: 'rp_filter',
    isShownFirst: true,
    values: { interface: 'string' },
    text: ({ interface: name }) =>
      `answers over ${name} are dropped by the kernel: set net.ipv4.conf.${name}.rp_filter to 2`,
  },
  starterLost: {
    label: 'starter',
    isShownFirst: true,
    values: {},
    text: () => STARTER_LOST,
  },
  resolverLost: {
    label: 'names',
    isShownFirst: true,
    values: { why: 'string' },
    text: ({ why }) => `names of endpoints are not looked up: ${why}`,
  },
  keysSwappable: {
    label: 'sandbox',
    fact: () => 'sandbox_key_memory',
    values: { error: 'string', keys: 'number' },
    text: ({ error, keys }) =>
      error === ''
        ? `${counted(keys, 'key is', 'keys are')} in ordinary memory, which may be swapped out`
        : `keys are in ordinary memory, which may be swapped out (mlock: ${error})`,
  },
  stateUnsaved: {
    label: 'state',
    values: { why: 'string', call: 'string', error: 'string', isRetried: 'boolean' },
    text: ({ why, isRetried }, name) => (isRetried ? why : `${why}${stateRemedy(name)}`),
  },
  sandboxOff: {
    label: 'sandbox',
    fact: () => 'sandbox',
    values: {},
    text: () => 'off: the daemon keeps root and every right; for debugging only',
  },
  sandboxRefused: {
    label: 'sandbox',
    fact: ({ step }) => `sandbox_${step}`,
    values: { step: 'string', call: 'string', error: 'string' },
    text: ({ step, call, error }) =>
      `${step.replaceAll('_', ' ')} does not hold (${call}: ${error})`,
  },
  sandboxRoot: {
    label: 'sandbox',
    fact: () => 'sandbox_user',
    values: {},
    text: () => 'the daemon is still root, as TSWG_USER asks',
  },
  sandboxThreads: {
    label: 'sandbox',
    fact: () => 'sandbox_capabilities',
    values: {},
    text: () => 'the other threads keep the capabilities that they were started with',
  },
  sandboxProcessor: {
    label: 'sandbox',
    fact: () => 'sandbox_seccomp',
    values: { processor: 'string' },
    text: ({ processor }) => `system calls are not filtered: there is no filter for ${processor}`,
  },
  sandboxRing: {
    label: 'sandbox',
    fact: () => 'sandbox_seccomp',
    values: {},
    text: () => 'what is asked of an io_uring is not filtered',
  },
};

export const PEER_WORDS: Vocabulary<PeerTrouble> = {
  routingLoop: {
    label: 'route',
    values: {},
    text: () =>
      'wgendpoint is routed into this interface, so that nothing can be sent: check `ip route get` for it',
  },
  nearGone: {
    label: 'via',
    values: { near: 'string', why: 'string' },
    text: ({ near, why }) => nearText(near, why),
  },
  noPrivateKey: {
    label: 'handshake',
    values: {},
    text: () => 'no private key is set on this side',
  },
  callsUs: {
    label: 'wgendpoint',
    values: { initiations: 'number' },
    text: () =>
      'leads to this interface itself: expected the address of the peer, or a name that is resolved to that',
  },
  undecipherable: {
    label: 'handshake',
    values: { responses: 'number' },
    text: () =>
      'the peer answers but its answer does not decrypt: is the preshared key the same on both sides?',
  },
  staleTimestamps: {
    label: 'handshake',
    values: { initiations: 'number' },
    text: () =>
      'the peer tries to connect with timestamps older than before: was its clock set back?',
  },
  unconfirmed: {
    label: 'handshake',
    values: { responses: 'number' },
    text: ({ responses }) =>
      `answered ${counted(responses, 'initiation')} of the peer, but it sends no data: do our answers reach it, and is the preshared key the same?`,
  },
  unresolved: {
    label: 'name',
    values: { host: 'string', error: 'string', isOnly: 'boolean' },
    text: ({ host, error, isOnly }) =>
      isOnly
        ? `${host} has no address (${error}), so that nothing can be sent: it is looked up again`
        : `${host} has no address (${error}): it is looked up again; packets go to another address meanwhile`,
  },
  noEndpoint: {
    label: 'handshake',
    values: { packets: 'number' },
    text: ({ packets }) =>
      `no endpoint is known (${counted(packets, 'packet')} could not be sent): set wgendpoint, or wait until the peer calls`,
  },
  cannotSend: {
    label: 'handshake',
    values: { error: 'string', initiations: 'number' },
    text: ({ error, initiations }) =>
      `${counted(initiations, 'initiation')} could not be sent: ${sendErrorMeaning(error)} (${error})`,
  },
  peerUnderLoad: {
    label: 'handshake',
    values: { cookies: 'number' },
    text: () => 'the peer is reachable but under load: it asked for a cookie, which we sent',
  },
  noAnswer: {
    label: 'handshake',
    values: { initiations: 'number', silentMs: 'number' },
    text: ({ initiations, silentMs }) =>
      `no answer to ${counted(initiations, 'initiation')} in ${seconds(silentMs)}: check wgendpoint, the firewalls on the way, that this is the peer's key, and that the peer has our wgpubkey`,
  },
  noAllowedIps: {
    label: 'wgaip',
    values: {},
    text: () => 'there is none: no packet is sent to the peer or accepted from it',
  },
  foreignSource: {
    label: 'wgaip',
    values: {
      address: 'string',
      packets: 'number',
      agoMs: 'number',
      prefix: 'string',
      owner: 'string',
      ownerPrefix: 'string',
    },
    text: ({ address, packets, agoMs, prefix, owner, ownerPrefix }) => {
      const owned = `in the wgaip ${ownerPrefix} of ${owner}`;
      const isOverlap = prefix !== '' && owner !== '';
      const whose = isOverlap
        ? `which is in its wgaip ${prefix}, but also ${owned}, which is the longer one`
        : `which is ${owner === '' ? 'not in its wgaip' : owned}`;
      return `a packet from ${address}, ${whose}, was dropped ${seconds(agoMs)} ago (${counted(packets, 'such packet')} so far)`;
    },
  },
  ownSource: {
    label: 'address',
    values: { address: 'string', packets: 'number', agoMs: 'number' },
    text: ({ address, packets, agoMs }) =>
      `a packet from ${address}, an address of this machine, was dropped ${seconds(agoMs)} ago (${counted(packets, 'such packet')} so far): have both ends the same address?`,
  },
  onlyKeepalives: {
    label: 'data',
    values: { packets: 'number', lastedMs: 'number', agoMs: 'number' },
    text: ({ packets, lastedMs, agoMs }) =>
      `${counted(packets, 'packet was', 'packets were')} sent in ${seconds(lastedMs)}, and nothing came back but keepalives, the last ${seconds(agoMs)} ago: if answers are expected, is our address in the wgaip that the peer has for us, and has it a route back?`,
  },
};

/** The same form everywhere, for people and for scripts: `trouble: LABEL: TEXT`. */
export function troubleLine({ label, text }: Wording): string {
  return `trouble: ${label === '' ? '' : `${label}: `}${text}`;
}

/** Words for what is wrong with the daemon of the interface `name`. */
export function wordDeviceTrouble(trouble: ReportedTrouble, name: string): Wording {
  return word(DEVICE_WORDS, trouble, name) ?? wordUnknown(trouble);
}

/** Words for what is wrong with one of the peers of the interface `name`. */
export function wordPeerTrouble(trouble: ReportedTrouble, name: string): Wording {
  const wording = word(PEER_WORDS, trouble, name) ?? wordUnknown(trouble);
  return { ...wording, isShownFirst: true };
}

/** null when there are none for that code, or not with such values. */
function word(
  vocabulary: Vocabulary<AnyDeviceTrouble> | Vocabulary<PeerTrouble>,
  { code, values }: ReportedTrouble,
  name: string,
): Wording | null {
  // `code` is foreign: it may be the name of something that every object has.
  if (!Object.hasOwn(vocabulary, code)) return null;
  const words = (vocabulary as Readonly<Record<string, Words<ReportedTrouble['values']>>>)[code];
  const isComplete = Object.entries(words.values).every(
    ([value, kind]) => Object.hasOwn(values, value) && typeof values[value] === kind,
  );
  if (!isComplete) return null;
  const text = printable(words.text(values, name));
  const fact = words.fact?.(values) ?? '';
  return { label: words.label, text, isShownFirst: words.isShownFirst === true, fact };
}

function wordUnknown({ code, values }: ReportedTrouble): Wording {
  const told = Object.entries(values).map(([name, value]) => `${name}=${spell(value)}`);
  const text = printable([code, ...told].join(' '));
  return { label: '', text, isShownFirst: true, fact: '' };
}

function spell(value: TroubleValue): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/** Of a newer daemon there may be other reasons. */
const NEAR_TEXTS: Readonly<Record<NearFault, string>> = {
  noAddress: 'no interface has this address',
  noInterface: 'there is no such interface',
  down: 'the interface is down',
  noCarrier: 'nothing is plugged into the interface (no carrier)',
  otherFamily: 'an address of the other family than the endpoint',
};

function nearText(near: string, why: string): string {
  const text = Object.hasOwn(NEAR_TEXTS, why) ? NEAR_TEXTS[why as NearFault] : why;
  return `${near}: ${text}: nothing can be sent from there`;
}

function seconds(ms: number): string {
  return counted(Math.round(ms / 1_000), 'second');
}

const STARTER_LOST =
  'has ended: no upgrade in place; the control socket does not follow a renaming, and is not ' +
  'removed at the end. Start the daemon again to have another starter';

/** What follows from a state's folder that could not be opened at the start, and what helps. */
function stateRemedy(name: string): string {
  return `; once that is fixed, \`tswg ${name} upgrade\` or a restart begins to save it`;
}
