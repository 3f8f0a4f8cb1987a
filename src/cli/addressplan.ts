/**
 * Which addresses an interface has after a command, in ifconfig's way: `inet` takes the place of
 * the first IPv4 address, `alias` and inet6 add, the same address with another length is changed.
 * Pure.
 */

import { sameBytes } from '../bytes.ts';
import { formatAddress } from '../packet/address.ts';
import type { AddressDraft } from './command.ts';
import { Refusal } from './refusal.ts';
import type { AddressView } from './view.ts';

/**
 * @param current in the system's order
 * @throws Refusal when an address to be removed is not there
 */
export function planAddresses(
  name: string,
  current: readonly AddressView[],
  drafts: readonly AddressDraft[],
): AddressView[] {
  let planned = [...current];
  for (const draft of drafts) {
    const address = draft.address;
    if (draft.mode === 'remove') {
      planned = remove(name, planned, draft);
    } else if (address !== null) {
      const added: AddressView = {
        address,
        length: draft.length!,
        destination: draft.destination,
        broadcast: null,
      };
      const primary = draft.mode === 'primary' && draft.family === 4;
      const replaced = planned.findIndex((one) => sameBytes(one.address, address));
      const first = primary ? planned.findIndex((one) => one.address.length === 4) : -1;
      if (first >= 0 && first !== replaced) {
        planned = planned.filter((_, at) => at !== first && at !== replaced);
        planned.splice(first, 0, added);
      } else if (replaced >= 0) {
        if (!sameAddress(planned[replaced], added)) planned[replaced] = added;
      } else {
        planned.push(added);
      }
    }
  }
  return planned;
}

/** Of IPv6 (RFC 8200 5). Under a smaller MTU Linux takes all its addresses away, unasked. */
const IPV6_MTU_MIN = 1280;

/**
 * @param mtu of the interface after the command, @param typed as the command says it
 * @throws Refusal when the addresses need a larger one
 */
export function checkMtu(
  name: string,
  mtu: number,
  typed: number | undefined,
  planned: readonly AddressView[],
): void {
  if (mtu >= IPV6_MTU_MIN) return;
  // Those are the system's own, and nobody misses them.
  const held = planned.find(({ address }) => address.length === 16 && !isLinkLocal(address));
  if (held === undefined) return;
  const text = `${formatAddress(held.address)}/${held.length}`;
  throw new Refusal(
    typed === undefined
      ? `inet6: ${text}: IPv6 needs an mtu of ${IPV6_MTU_MIN}, but that of ${name} is ${mtu}`
      : `mtu: ${typed}: expected ${IPV6_MTU_MIN} or more, which IPv6 needs, for ${text} on ${name}`,
  );
}

function isLinkLocal(address: Uint8Array): boolean {
  return address[0] === 0xfe && (address[1] & 0xc0) === 0x80;
}

/** Says what -alias without an address took away. */
export function unnamedRemovals(
  name: string,
  current: readonly AddressView[],
  planned: readonly AddressView[],
  drafts: readonly AddressDraft[],
): string[] {
  const draft = drafts.find(({ mode, address }) => mode === 'remove' && address === null);
  if (draft === undefined) return [];
  return current
    .filter((one) => one.address.length === 4 && !planned.some((kept) => sameAddress(kept, one)))
    .map((one) => `${draft.word}: ${formatView(one)}: removed, the only IPv4 address of ${name}`);
}

function formatView({ address, length }: AddressView): string {
  return `${formatAddress(address)}/${length}`;
}

/** What addresses that are new were taken for. */
export function addressDoubts(
  current: readonly AddressView[],
  drafts: readonly AddressDraft[],
): string[] {
  return drafts.flatMap(({ address, length, doubt }) => {
    const isKnown = current.some(
      (one) => address !== null && sameBytes(one.address, address) && one.length === length,
    );
    return doubt === undefined || isKnown ? [] : [doubt];
  });
}

function remove(name: string, planned: AddressView[], draft: AddressDraft): AddressView[] {
  const { address, length, word } = draft;
  const ofFamily = planned.filter((one) => one.address.length === 4);
  if (address === null && ofFamily.length > 1) {
    const texts = ofFamily.map(formatView).join(', ');
    throw new Refusal(
      `${word}: ${name} has ${texts}: expected one of them, as in \`inet ADDRESS -alias\``,
    );
  }
  const found = planned.findIndex((one) =>
    address === null
      ? one.address.length === 4
      : sameBytes(one.address, address) && (length === null || length === one.length),
  );
  if (found >= 0) return planned.filter((_, at) => at !== found);
  if (address === null) throw new Refusal(`${word}: ${name} has no IPv4 address`);
  const text = `${formatAddress(address)}${length === null ? '' : `/${length}`}`;
  throw new Refusal(`${word}: ${text}: ${name} has no such address`);
}

/** Whether the system would hold both for one; the broadcast address is not ours to set. */
export function sameAddress(a: AddressView, b: AddressView): boolean {
  return (
    a.length === b.length &&
    sameBytes(a.address, b.address) &&
    (a.destination === null || b.destination === null
      ? a.destination === b.destination
      : sameBytes(a.destination, b.destination))
  );
}
