/**
 * The words for troubles: each code that a Device or a daemon may tell of, as a sentence for a tired
 * operator. A code that is not known here, of a newer daemon, is shown with its values as it came.
 * Pure.
 */

import type { AnyDeviceTrouble } from '../daemon/troubles.ts';
import type { PeerTrouble } from '../device/troubles.ts';
import { printable } from '../quotation.ts';
import type { ReportedTrouble, TroubleValue } from '../uapi/stats.ts';

/** A trouble as people are told of it. Without characters that would steer a terminal. */
export interface Wording {
  /** What it is about, in one word or two: it stands before the text and a colon. */
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
  badMac1: {
    label: 'mac1',
    values: { messages: 'number' },
    text: () =>
      'handshakes arrive that are not for our public key: does the other side have the right one?',
  },
  stranger: {
    label: 'stranger',
    values: { publicKey: 'string', address: 'string', port: 'number', agoMs: 'number' },
    text: ({ publicKey, address, port, agoMs }) =>
      `an unknown key tried to connect: ${publicKey} from ${address} port ${port}, ${seconds(agoMs)} ago`,
  },
  noSocket: {
    label: 'socket',
    isShownFirst: true,
    values: { why: 'string', call: 'string', error: 'string' },
    text: ({ why }) => why,
  },
  starterLost: {
    label: 'starter',
    isShownFirst: true,
    values: {},
    text: () => STARTER_LOST,
  },
  keysSwappable: {
    label: 'sandbox',
    fact: () => 'sandbox_key_memory',
    values: { error: 'string', keys: 'number' },
    text: ({ error, keys }) =>
      error === ''
        ? `${keys} keys are in ordinary memory, which may be swapped out`
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
  noPrivateKey: {
    label: 'handshake',
    values: {},
    text: () => 'no private key is set on this side',
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
      `answered ${responses} initiations of the peer, but it sends no data: do our answers reach it, and is the preshared key the same?`,
  },
  unresolved: {
    label: 'name',
    values: { host: 'string', error: 'string', isOnly: 'boolean' },
    text: ({ host, error, isOnly }) =>
      isOnly
        ? `${host} has no address (${error}), so that nothing can be sent: it is looked up again`
        : `${host} has no address (${error}): it is looked up again, and other ways are used`,
  },
  noEndpoint: {
    label: 'handshake',
    values: { packets: 'number' },
    text: () =>
      'packets wait, but no endpoint is known: set wgendpoint, or wait until the peer calls',
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
      `no answer to ${initiations} initiations in ${seconds(silentMs)}: check wgendpoint, the firewalls on the way, and that the peer has our wgpubkey`,
  },
};

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
  return { label: 'trouble', text, isShownFirst: true, fact: '' };
}

function spell(value: TroubleValue): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} seconds`;
}

const STARTER_LOST =
  'has ended: no upgrade in place; the control socket does not follow a renaming, and is not ' +
  'removed at the end. Start the daemon again to have another starter';

/** What follows from a state's folder that could not be opened at the start, and what helps. */
function stateRemedy(name: string): string {
  return `; once that is fixed, \`tswg ${name} upgrade\` or a restart begins to save it`;
}
