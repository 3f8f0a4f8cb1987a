/**
 * Reads endpoints as the UAPI spells them: `IPv4:port`, `[IPv6]:port`, `[IPv6%scope]:port` (they are
 * written by device/endpoint.ts). Numeric only; resolving names is for the clients of the UAPI.
 */

import { Endpoint } from '../device/endpoint.ts';
import { isMapped, parseAddress, parseDecimal, parsePort } from '../packet/address.ts';

/** The index of a network interface, 0 when there is none of that name. */
export type InterfaceIndex = (name: string) => number;

const SCOPE_MAX = 0xffff_ffff;

/**
 * null when the text is no endpoint. The port may be 0 here. A scope is an interface's number or,
 * where `interfaceIndex` knows it, its name: wg(8) sends names. An IPv4-mapped address is the IPv4
 * address it stands for, as no socket of ours would send to it otherwise.
 */
export function parseEndpoint(text: string, interfaceIndex?: InterfaceIndex): Endpoint | null {
  const colon = text.lastIndexOf(':');
  const port = parsePort(text.slice(colon + 1));
  if (colon < 0 || port === null) return null;
  if (!text.startsWith('[')) {
    const host = text.slice(0, colon);
    const address = host.includes(':') ? null : parseAddress(host);
    return address === null ? null : new Endpoint(address, port);
  }
  if (text[colon - 1] !== ']') return null;
  const host = text.slice(1, colon - 1);
  const percent = host.indexOf('%');
  const address = parseAddress(percent < 0 ? host : host.slice(0, percent));
  if (address === null || address.length !== 16) return null;
  if (percent < 0) return new Endpoint(isMapped(address) ? address.slice(12) : address, port);
  const scope = parseScope(host.slice(percent + 1), interfaceIndex);
  return scope === 0 ? null : new Endpoint(address, port, scope);
}

function parseScope(text: string, interfaceIndex: InterfaceIndex | undefined): number {
  return parseDecimal(text, SCOPE_MAX) ?? interfaceIndex?.(text) ?? 0;
}
