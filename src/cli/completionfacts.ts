/**
 * What this machine tells the completion, without koffi: folders and one question to a daemon. What
 * cannot be read or asked is left out.
 */

import { readdirSync } from 'node:fs';
import { controlPlace, observingPlace, socketNames } from '../control/place.ts';
import { hostnameFileNames } from '../host/hostnamefiles.ts';
import { formatKey } from '../keytext.ts';
import { answerShell, type CompletionFacts, type CompletionPeer } from './completion.ts';
import { isStartedName } from './values.ts';

const LINKS_DIRECTORY = '/sys/class/net';

const here: CompletionFacts = {
  interfaces: () => [...new Set([controlPlace(), observingPlace()].flatMap(socketNames))].sort(),
  files: () => hostnameFileNames().filter(isStartedName),
  links: () => {
    try {
      return readdirSync(LINKS_DIRECTORY);
    } catch {
      return [];
    }
  },
  peers: () => [],
};

/** Resolves to the answer to a shell's script. @param words those so far, as the shell splits them */
export async function answerHere(words: readonly string[]): Promise<string> {
  // A daemon is asked where the answer takes it, which is found by trying.
  let named: string | null = null;
  const answer = answerShell(words, {
    ...here,
    peers: (name) => {
      named = name;
      return [];
    },
  });
  if (named === null) return answer;
  const found = await peers(named);
  return answerShell(words, { ...here, peers: () => found });
}

/** What it takes is loaded only where a peer may stand. */
async function peers(name: string): Promise<CompletionPeer[]> {
  const [{ glimpse }, { parseState }, { formatPrefix }] = await Promise.all([
    import('../control/glimpse.ts'),
    import('../uapi/get.ts'),
    import('../packet/address.ts'),
  ]);
  const text = await glimpse(name);
  if (text === null) return [];
  try {
    return parseState(text, () => 0).peers.map((peer) => ({
      key: formatKey(peer.publicKey),
      description: peer.description,
      allowedIps: peer.allowedIps.map(formatPrefix),
    }));
  } catch {
    return [];
  }
}
