/**
 * The System of this machine: netlink, control sockets, name service, tswgd. What a command that
 * only shows does not need is loaded when it is used.
 */

import { converse } from '../control/eventsclient.ts';
import { removeStaleObservingSocket } from '../control/observingsocket.ts';
import { observe, request } from '../control/uapiclient.ts';
import { isUapiServed, removeStaleSocket, uapiSocketNames } from '../control/uapisocket.ts';
import { readParameter } from '../host/parameter.ts';
import { Netlink } from '../netlink/netlink.ts';
import { Downtime, keepAddresses } from '../state/downtime.ts';
import { hasState, removeState, stateDirectory } from '../state/statefile.ts';
import type { System } from './system.ts';
import type { AddressView } from './view.ts';

export function openMachine(env: Readonly<Record<string, string | undefined>>): System {
  const netlink = new Netlink();
  const downtime = new Downtime(netlink);
  return {
    isRoot: process.geteuid?.() === 0,
    now: () => Date.now(),
    links: () => netlink.links().map((link) => ({ ...link, description: link.alias })),
    addresses: () =>
      netlink.addresses().map(({ linkIndex, address, prefixLength, peer, broadcast }) => ({
        index: linkIndex,
        address,
        length: prefixLength,
        destination: peer,
        broadcast,
      })),
    parameter: readParameter,
    setUp: (index, isUp) => {
      const link = netlink.linkByIndex(index);
      // Deleted meanwhile: the kernel says so.
      if (link === null) netlink.setLink(index, { isUp });
      else if (isUp) downtime.end(link);
      else downtime.begin(link);
    },
    setMtu: (index, mtu) => netlink.setLink(index, { mtu }),
    setDescription: (index, alias) => netlink.setLink(index, { alias }),
    addAddress: (index, address) => {
      const name = address.address.length === 4 ? undefined : netlink.linkByIndex(index)?.name;
      if (name !== undefined) keepAddresses(name);
      netlink.addAddress(addressChange(index, address));
    },
    deleteAddress: (index, address) => netlink.deleteAddress(addressChange(index, address)),
    deleteLink: (index) => netlink.deleteLink(index),
    sockets: uapiSocketNames,
    isServed: isUapiServed,
    request: (name, text) => request(name, text),
    observe: (name, text, answerMs) => observe(name, text, undefined, undefined, answerMs),
    converse,
    hasState: (name) => hasState(name, stateDirectory(env)),
    forget: async (name) => {
      removeStaleSocket(name);
      removeStaleObservingSocket(name);
      removeState(name, stateDirectory(env));
      downtime.forget(name);
    },
    startDaemon: async (name, persists) => {
      const { startDaemon } = await import('../host/launch.ts');
      await startDaemon(name, persists ? { ...env, TSWG_PERSIST: '1' } : env);
    },
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    lookup: async (host) => (await import('../host/resolver.ts')).lookup(host),
    readStandardInput: async () => (await import('./keyfiles.ts')).readStandardInput(),
    interfaceIndex: (name) => netlink.linkByName(name)?.index ?? 0,
  };
}

function addressChange(index: number, { address, length, destination, broadcast }: AddressView) {
  return {
    linkIndex: index,
    address,
    prefixLength: length,
    ...(destination === null ? {} : { peer: destination }),
    ...(broadcast === null ? {} : { broadcast }),
  };
}
