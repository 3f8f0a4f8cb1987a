/**
 * `tswg IF ...` in the words of wg(8) and ip(8): what fixes a tunnel that the kernel's own WireGuard
 * serves, which tswg does not change. Pure.
 */

/** Words of an interface with one value, as programs of their own. */
const OF_LINK: Readonly<Record<string, (value: string, name: string) => string>> = {
  inet: (value, name) => `ip address add ${value} dev ${name}`,
  inet6: (value, name) => `ip address add ${value} dev ${name}`,
  mtu: (value, name) => `ip link set dev ${name} mtu ${value}`,
};
const OF_WG: Readonly<Record<string, string>> = {
  wgport: 'listen-port',
  wgfwmark: 'fwmark',
  wgkeyfile: 'private-key',
  wgpka: 'persistent-keepalive',
  wgpskfile: 'preshared-key',
};

/** The command itself where it is none of tswg's, or has words that nothing stands for. */
export function kernelCommand(command: string, name: string): string {
  const [said, comment] = splitOnce(command, ' # ');
  const parts = said.split(' && ').map((part) => translate(part, name));
  if (parts.some((part) => part === null)) return command;
  return `${parts.join(' && ')}${comment === null ? '' : ` # ${comment}`}`;
}

function translate(part: string, name: string): string | null {
  const prefix = `tswg ${name} `;
  if (!part.startsWith(prefix)) return part.startsWith('tswg ') ? null : part;
  const words = part.slice(prefix.length).split(' ');
  const [first, second] = words;
  if (words.length === 1 && (first === 'up' || first === 'down')) {
    return `ip link set dev ${name} ${first}`;
  }
  if (words.length === 2 && Object.hasOwn(OF_LINK, first)) return OF_LINK[first](second, name);
  const set = wordsOfWg(words);
  return set === null ? null : `wg set ${name} ${set.join(' ')}`;
}

/** null for a word that wg(8) has nothing for. */
function wordsOfWg(words: readonly string[]): string[] | null {
  const set: string[] = [];
  // wg(8) takes a peer's allowed IPs as one list.
  let allowed: string[] = [];
  const flush = (): void => {
    if (allowed.length > 0) set.push('allowed-ips', allowed.join(','));
    allowed = [];
  };
  for (let at = 0; at < words.length; at += 2) {
    const [word, value] = [words[at], words[at + 1]];
    if (value === undefined) return null;
    if (word === 'wgaip') allowed.push(value);
    else if (word === 'wgpeer' || word === '-wgpeer') {
      flush();
      set.push('peer', value, ...(word === 'wgpeer' ? [] : ['remove']));
    } else if (word === 'wgendpoint') {
      const port = words[++at + 1];
      if (port === undefined) return null;
      set.push('endpoint', value.includes(':') ? `[${value}]:${port}` : `${value}:${port}`);
    } else if (Object.hasOwn(OF_WG, word)) set.push(OF_WG[word], value);
    else return null;
  }
  flush();
  return set;
}

function splitOnce(text: string, separator: string): [string, string | null] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + separator.length)];
}
