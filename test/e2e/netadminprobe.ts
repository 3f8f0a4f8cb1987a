/**
 * What CAP_NET_ADMIN lets code inside a confined daemon do over route netlink: each is asked of the
 * kernel once, in this order, and its answer is `done` or the error's name. The interfaces that are
 * another's come from TSWG_PROBE_OTHER, two numbers, and a process in another network namespace
 * from TSWG_PROBE_STRANGER.
 */

import { MessageWriter, NLM_F_ACK, NLM_F_CREATE } from '../../src/netlink/netlinkrequest.ts';
import { koffi } from '../../src/sys/koffi.ts';
import { close, ERRNO, errno, Scratch, send, socket } from '../../src/sys/libc.ts';
import { AF_NETLINK } from '../../src/sys/linux.ts';

const receive = koffi.load(null).func('recv', 'intptr_t', ['int', 'uintptr_t', 'size_t', 'int']);

const SOCK_RAW = 3;
const CREATE = NLM_F_ACK | NLM_F_CREATE;
const IP_ADDRESS = [10, 9, 0, 1];
const HEADER_BYTES = 16;
/** Of the namespace that has none. */
const NAMESPACE_NUMBER = 77;

const bytes = (...values: number[]) => new Uint8Array(values);
const u32 = (...values: number[]) => new Uint8Array(new Uint32Array(values).buffer);
const ask = (type: number, flags = NLM_F_ACK) => new MessageWriter(type, flags);
/** struct ifinfomsg, tcmsg, ifaddrmsg, rtmsg or fib_rule_hdr, and ndmsg. */
const link = (index: number, flags = 0, change = 0) => u32(0, index, flags, change);
const control = (index: number, handle: number, parent: number, info = 0) =>
  u32(0, index, handle, parent, info);
const address = (index: number) => bytes(2, 24, 0, 0, ...u32(index));
const route = (length: number, scope: number) =>
  bytes(2, length, 0, 0, 254, 4, scope, 1, 0, 0, 0, 0);
const neighbour = (index: number) => bytes(2, 0, 0, 0, ...u32(index), 0x80, 0, 0, 0);

// linux/if_link.h, rtnetlink.h, pkt_sched.h, pkt_cls.h
const [NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE, DELROUTE] = [16, 17, 20, 21, 24, 25];
const [NEWNEIGH, NEWRULE, NEWQDISC, NEWTFILTER, SETNEIGHTBL, NEWNSID] = [28, 32, 36, 44, 67, 88];
const [IFLA_IFNAME, IFLA_LINKINFO, IFLA_NET_NS_PID, IFLA_AF_SPEC] = [3, 18, 19, 26];
const IFLA_TARGET_NETNSID = 46;
const AF_INET = 2;
const IPV4_DEVCONF = { forwarding: 1, route_localnet: 26 };
const INGRESS = 0xffff_fff1;
const ETH_P_ALL_BE = 0x0300;
const TC_ACT_STOLEN = 4;
const MIRRED_TO_EGRESS = 1;

/** All packets that come in at `from` leave at `to`: a u32 filter that matches all, and act_mirred. */
function redirect(from: number, to: number): MessageWriter {
  const info = control(from, 0, INGRESS & ~0xffff, (1 << 16) | ETH_P_ALL_BE);
  const mirred = u32(0, 0, TC_ACT_STOLEN, 0, 0, MIRRED_TO_EGRESS, to);
  return ask(NEWTFILTER, CREATE)
    .fixed(info)
    .text(1, 'u32')
    .nested(2, (options) =>
      options
        .attribute(5, bytes(1, 0, 1, ...new Uint8Array(13 + 16)))
        .nested(7, (actions) =>
          actions.nested(1, (action) =>
            action.text(1, 'mirred').nested(2, (inner) => inner.attribute(2, mirred)),
          ),
        ),
    );
}

function bridge(name: string): MessageWriter {
  const writer = ask(NEWLINK, CREATE).fixed(link(0)).text(IFLA_IFNAME, name);
  return writer.nested(IFLA_LINKINFO, (info) => info.text(1, 'bridge'));
}

function attempts(others: readonly number[], stranger: number): Record<string, MessageWriter> {
  const [first = 0, second = 0] = others;
  const target = (writer: MessageWriter) => writer.number(IFLA_TARGET_NETNSID, NAMESPACE_NUMBER);
  return {
    'route removed': ask(DELROUTE)
      .fixed(route(24, 253))
      .attribute(1, bytes(198, 51, 100, 0)),
    'address removed': ask(DELADDR)
      .fixed(address(first))
      .attribute(2, bytes(...IP_ADDRESS)),
    address: ask(NEWADDR, CREATE)
      .fixed(address(first))
      .attribute(2, bytes(10, 9, 0, 2)),
    route: ask(NEWROUTE, CREATE)
      .fixed(route(24, 253))
      .attribute(1, bytes(192, 0, 2, 0))
      .number(4, first),
    rule: ask(NEWRULE, CREATE).fixed(route(0, 0)).number(6, 4321),
    neighbour: ask(NEWNEIGH, CREATE)
      .fixed(neighbour(first))
      .attribute(1, bytes(10, 9, 0, 77))
      .attribute(2, bytes(2, 0, 0, 0, 0, 7)),
    'neighbours’ sysctl': ask(SETNEIGHTBL)
      .fixed(bytes(AF_INET, 0, 0, 0))
      .text(1, 'arp_cache')
      .nested(6, (parameters) => parameters.number(1, first).number(10, 9)),
    'interface’s sysctl': ask(NEWLINK)
      .fixed(link(first))
      .nested(IFLA_AF_SPEC, (spec) =>
        spec.nested(AF_INET, (inet) =>
          inet.nested(1, (conf) =>
            conf.number(IPV4_DEVCONF.forwarding, 1).number(IPV4_DEVCONF.route_localnet, 1),
          ),
        ),
      ),
    queueing: ask(NEWQDISC, CREATE)
      .fixed(control(first, 0x10000, 0xffff_ffff))
      .text(1, 'pfifo'),
    'queueing of arrivals': ask(NEWQDISC, CREATE)
      .fixed(control(first, INGRESS & ~0xffff, INGRESS))
      .text(1, 'ingress'),
    'packets redirected': redirect(first, second),
    'interface made': bridge('made'),
    'interface down and renamed': ask(NEWLINK)
      .fixed(link(first, 0, 1))
      .text(IFLA_IFNAME, 'taken'),
    'interface deleted': ask(DELLINK).fixed(link(second)),
    'namespace numbered': ask(NEWNSID)
      .fixed(u32(0))
      .number(1, NAMESPACE_NUMBER)
      .number(2, stranger),
    'interface made elsewhere': target(bridge('elsewhere')),
    'interface deleted elsewhere': target(ask(DELLINK).fixed(link(0)).text(IFLA_IFNAME, 'theirs')),
    'interface moved elsewhere': ask(NEWLINK).fixed(link(first)).number(IFLA_NET_NS_PID, stranger),
  };
}

const nameOf = (number: number): string =>
  Object.entries(ERRNO).find(([, value]) => value === number)?.[0] ?? `${number}`;

/** Asks for all of it, and returns what became of each. */
export function changeNetwork(env: NodeJS.ProcessEnv): Record<string, string> {
  const others = (env.TSWG_PROBE_OTHER ?? '').split(' ').map(Number);
  const scratch = new Scratch(8192);
  return Object.fromEntries(
    Object.entries(attempts(others, Number(env.TSWG_PROBE_STRANGER))).map(([what, writer]) => {
      const fd = socket(AF_NETLINK, SOCK_RAW, 0);
      const message = writer.finish(1);
      scratch.bytes.set(message);
      if (send(fd, scratch.address, message.length, 0) < 0) return [what, nameOf(errno())];
      receive(fd, scratch.address, 4096, 0);
      close(fd);
      const error = -scratch.view.getInt32(HEADER_BYTES, true);
      return [what, error === 0 ? 'done' : nameOf(error)];
    }),
  );
}
