/**
 * A way to a peer as our own key of the UAPI spells it: `HOST:PORT`, an IPv6 address in brackets,
 * and if it has a near end, ` via ` and an address or an interface after it.
 */

import { formatNear, parseNear } from '../device/near.ts';
import type { Way } from '../device/ways.ts';
import { parseAddress, parsePort } from '../packet/address.ts';
import { isHostName } from '../packet/hostname.ts';

export const WAY_EXPECTED = 'HOST:PORT [via ADDRESS|INTERFACE]';

const VIA = ' via ';
/** What Linux takes for the name of an interface. */
const INTERFACE = /^[^\s/:%\p{Cc}]{1,15}$/u;

/** null when the text is no way. */
export function parseWay(text: string): Way | null {
  const [far, via, ...rest] = text.split(VIA);
  const near = via === undefined ? null : parseNear(via);
  if (rest.length > 0 || (via !== undefined && near === null)) return null;
  const colon = far.lastIndexOf(':');
  const port = parsePort(far.slice(colon + 1));
  const host = parseHost(far.slice(0, Math.max(0, colon)));
  return port === null || port === 0 || host === null ? null : { host, port, near };
}

function parseHost(text: string): string | null {
  if (!text.startsWith('[')) {
    const isAddress = !text.includes(':') && parseAddress(text) !== null;
    return isAddress || isHostName(text) ? text : null;
  }
  if (!text.endsWith(']')) return null;
  const host = text.slice(1, -1);
  const [address, zone, ...rest] = host.split('%');
  if (rest.length > 0 || parseAddress(address)?.length !== 16) return null;
  return zone === undefined || INTERFACE.test(zone) ? host : null;
}

export function formatWay({ host, port, near }: Way): string {
  const far = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return near === null ? far : `${far}${VIA}${formatNear(near)}`;
}
