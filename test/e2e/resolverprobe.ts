/**
 * What an intruder would try, as code inside a resolver: a wrapper (sandboxsubject.ts) loads it. On
 * SIGHUP it tries everything, on the main thread and on one of the pool, where lookups run, and
 * writes a line `probe {...}` to the FIFO TSWG_PROBE_OUTPUT: what became of each, `done` or the
 * error's name. It opens the FIFO before anything is confined, and finds it again by TSWG_PROBE_FD.
 *
 * Where nothing is confined, each attempt succeeds: so each is one.
 */

import { spawnSync } from 'node:child_process';
import { openSync, writeSync } from 'node:fs';
import { MessageWriter, NLM_F_ACK, NLM_F_CREATE } from '../../src/netlink/netlinkrequest.ts';
import { koffi } from '../../src/sys/koffi.ts';
import { close, ERRNO, errno, getIntOption, Scratch } from '../../src/sys/libc.ts';
import {
  AF_INET,
  AF_NETLINK,
  AF_UNIX,
  F_SETFD,
  F_SETFL,
  MSG_FASTOPEN,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  SO_DOMAIN,
  SO_MARK,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../../src/sys/linux.ts';
import { callNumber } from '../../src/sys/syscalls.ts';
import { putUnixAddress } from '../../src/sys/unixaddress.ts';

export interface ResolverReport {
  readonly pid: number;
  readonly main: Readonly<Record<string, string>>;
  readonly pool: Readonly<Record<string, string>>;
}

/** Of the tests' files and services. */
export const RESOLVER_VICTIMS = {
  state: '/var/lib/tswg/victim/state',
  /** A UNIX socket that lets everybody in, and one that lets only root in. */
  service: '/run/service.sock',
  control: '/run/wireguard/victim.sock',
  /** Whose process is there, by this variable. */
  process: 'TSWG_PROBE_VICTIM',
  tcpPort: 8080,
} as const;
const OUTPUT_FD = 'TSWG_PROBE_FD';

/** What a resolver may do, by SECURITY.md. */
export const RESOLVER_PERMITTED = [
  'settings',
  'library',
  'udp socket',
  'datagram',
  'tcp to 53',
  'lifeline shut',
];

const library = koffi.load(null);
const bind = (name: string, ...parameters: string[]) => library.func(name, 'int', parameters);
const open = bind('open', 'str', 'int', 'int');
const socket = bind('socket', 'int', 'int', 'int');
const bindSocket = bind('bind', 'int', 'uintptr_t', 'uint32_t');
const listenOn = bind('listen', 'int', 'int');
const connect = bind('connect', 'int', 'uintptr_t', 'uint32_t');
const sendto = bind('sendto', 'int', 'uintptr_t', 'size_t', 'int', 'uintptr_t', 'uint32_t');
const sendmsg = bind('sendmsg', 'int', 'uintptr_t', 'int');
const sendmmsg = bind('sendmmsg', 'int', 'uintptr_t', 'uint32_t', 'int');
const send = bind('send', 'int', 'uintptr_t', 'size_t', 'int');
const receive = bind('recv', 'int', 'uintptr_t', 'size_t', 'int');
const setsockopt = bind('setsockopt', 'int', 'int', 'int', 'uintptr_t', 'uint32_t');
const fcntl = bind('fcntl', 'int', 'int', 'intptr_t');
const dup = bind('dup', 'int');
const setuid = bind('setuid', 'uint32_t');
const unshare = bind('unshare', 'int');
const kill = bind('kill', 'int', 'int');
const ptrace = bind('ptrace', 'intptr_t', 'intptr_t', 'uintptr_t', 'uintptr_t');
const shutdown = bind('shutdown', 'int', 'int');
const closeFd = bind('close', 'int');
const prctl = bind('prctl', 'int', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'uintptr_t');
const syscall = bind('syscall', 'intptr_t', 'intptr_t', 'uintptr_t', 'intptr_t', 'uintptr_t');

type Attempt = readonly [ReturnType<typeof bind>, ...(number | string)[]];

const [AF_PACKET, ETH_P_ALL_BE, IPPROTO_ICMP] = [17, 0x0300, 1];
const SO_BINDTODEVICE = 25;
const SHUT_RDWR = 2;
const PTRACE_SEIZE = 0x4206;
const CLONE_NEWUTS = 0x04000000;
const F_SETOWN = 8;
const [BPF_MAP_CREATE, PR_SET_DUMPABLE, RLIMIT_NOFILE] = [0, 4, 7];
const [NEWADDR, LOOPBACK_INDEX] = [20, 1];
const IS_ARM = process.arch === 'arm64';
const [PROCESS_VM_READV, IO_URING_SETUP] = [IS_ARM ? 270 : 310, 425];

const scratch = new Scratch(8192);
const at = (offset: number): number => scratch.address + offset;
// Places in it: addresses to connect to, a message, an option, an attribute of bpf, netlink's.
const [DNS, OTHER, ANY, SERVICE, CONTROL, MESSAGE, OPTION, ATTRIBUTE, NETLINK] = [
  ...[0, 16, 32, 128, 256, 384, 512, 640, 1024],
];

function putInet(offset: number, port: number, address: readonly number[]): void {
  scratch.view.setUint16(offset, AF_INET, true);
  scratch.view.setUint16(offset + 2, port);
  scratch.bytes.set(address, offset + 4);
}

function putUnix(offset: number, path: string): number {
  const name = new Scratch(128);
  const length = putUnixAddress(name, path)!;
  scratch.bytes.set(name.bytes.subarray(0, 110), offset);
  return length;
}

function attempts(): Record<string, Attempt> {
  if (lifeline < 0) lifeline = findLifeline();
  const victim = Number(process.env[RESOLVER_VICTIMS.process]);
  const stream = () => socket(AF_INET, SOCK_STREAM, 0);
  const udp = socket(AF_INET, SOCK_DGRAM, 0);
  putInet(DNS, 53, [127, 0, 0, 1]);
  putInet(OTHER, RESOLVER_VICTIMS.tcpPort, [127, 0, 0, 1]);
  putInet(ANY, 0, [0, 0, 0, 0]);
  const serviceLength = putUnix(SERVICE, RESOLVER_VICTIMS.service);
  const controlLength = putUnix(CONTROL, RESOLVER_VICTIMS.control);
  // struct msghdr with a name, and struct mmsghdr of the same.
  scratch.view.setBigUint64(MESSAGE, BigInt(at(OTHER)), true);
  scratch.view.setUint32(MESSAGE + 8, 16, true);
  scratch.words[OPTION / 4] = 1;
  scratch.words.set([2, 4, 8, 1], ATTRIBUTE / 4);
  // struct rlimit64 of as many descriptors as it has now.
  scratch.words.set([128, 0, 128, 0], (OPTION + 16) / 4);
  scratch.bytes.set(new TextEncoder().encode('lo\0'), OPTION + 64);
  return {
    settings: [open, '/etc/passwd', O_RDONLY, 0],
    library: [open, '/usr/share', O_RDONLY, 0],
    'udp socket': [socket, AF_INET, SOCK_DGRAM, 0],
    datagram: [connect, udp, at(OTHER), 16],
    'tcp to 53': [connect, stream(), at(DNS), 16],
    'own memory': [open, '/proc/self/mem', O_RDONLY, 0],
    'another’s memory': [open, `/proc/${victim}/mem`, O_RDONLY, 0],
    'another’s memory by call': [syscall, PROCESS_VM_READV, victim, 0, 0, 0],
    'another’s environment': [open, `/proc/${victim}/environ`, O_RDONLY, 0],
    trace: [ptrace, PTRACE_SEIZE, victim, 0, 0],
    signal: [kill, victim, 0],
    'signal by owner': [fcntl, udp, F_SETOWN, victim],
    state: [open, RESOLVER_VICTIMS.state, O_RDONLY, 0],
    'own program changed': [open, process.argv[1], O_RDWR, 0],
    file: [open, '/run/intruder', O_WRONLY | O_CREAT, 0o600],
    'file in a folder of all': [open, '/dev/shm/tswg-intruder', O_WRONLY | O_CREAT, 0o600],
    tun: [open, '/dev/net/tun', O_RDWR, 0],
    'raw socket': [socket, AF_INET, SOCK_RAW, IPPROTO_ICMP],
    'packet socket': [socket, AF_PACKET, SOCK_RAW, ETH_P_ALL_BE],
    'unix socket': [socket, AF_UNIX, SOCK_STREAM, 0],
    'unix datagrams': [socket, AF_UNIX, SOCK_DGRAM, 0],
    service: [connect, socket(AF_UNIX, SOCK_STREAM, 0), at(SERVICE), serviceLength],
    'control socket': [connect, socket(AF_UNIX, SOCK_STREAM, 0), at(CONTROL), controlLength],
    port: [bindSocket, socket(AF_INET, SOCK_DGRAM, 0), at(ANY), 16],
    listen: [listenOn, stream(), 1],
    mark: [setsockopt, udp, SOL_SOCKET, SO_MARK, at(OPTION), 4],
    device: [setsockopt, udp, SOL_SOCKET, SO_BINDTODEVICE, at(OPTION + 64), 3],
    'tcp elsewhere': [connect, stream(), at(OTHER), 16],
    'tcp by a datagram’s call': [sendto, stream(), at(OPTION), 1, MSG_FASTOPEN, at(OTHER), 16],
    'tcp by message': [sendmsg, stream(), at(MESSAGE), MSG_FASTOPEN],
    'tcp by messages': [sendmmsg, stream(), at(MESSAGE), 1, MSG_FASTOPEN],
    namespace: [unshare, CLONE_NEWUTS],
    double: [dup, udp],
    'map of bpf': [syscall, callNumber('bpf')!, BPF_MAP_CREATE, at(ATTRIBUTE), 128, 0],
    ring: [syscall, IO_URING_SETUP, 1, at(NETLINK + 4096), 0, 0],
    'limits again': [
      ...([syscall, callNumber('prlimit64')!, 0, RLIMIT_NOFILE, at(OPTION + 16), 0] as const),
    ],
    'dumps again': [prctl, PR_SET_DUMPABLE, 1, 0, 0, 0],
    root: [setuid, 0],
    'lifeline shut': [shutdown, lifeline, SHUT_RDWR],
    'lifeline loosened': [fcntl, lifeline, F_SETFL, 0],
    'own lifeline': [closeFd, lifeline],
  };
}

function isFiltered(): boolean {
  return process.env.TSWG_SANDBOX !== 'off' && process.env.TSWG_PROBE_WITHOUT !== 'seccomp';
}

/**
 * The descriptor by which the kernel ends it with its daemon: of its two UNIX sockets the one that was
 * opened last. Call before any other is opened.
 */
function findLifeline(): number {
  for (let fd = 127; fd > 2; fd--)
    if (getIntOption(fd, SOL_SOCKET, SO_DOMAIN) === AF_UNIX) return fd;
  throw new Error('probe: no lifeline');
}

let lifeline = -1;

/** Another address for an interface, asked of the kernel over the socket that it may have. */
function changeAddresses(): string {
  const info = Uint8Array.of(2, 32, 0, 0, LOOPBACK_INDEX, 0, 0, 0);
  const address = Uint8Array.of(127, 0, 0, 77);
  const writer = new MessageWriter(NEWADDR, NLM_F_ACK | NLM_F_CREATE).fixed(info);
  const message = writer.attribute(2, address).attribute(1, address).finish(1);
  scratch.bytes.set(message, NETLINK);
  const fd = socket(AF_NETLINK, SOCK_RAW, 0);
  if (fd < 0 || send(fd, at(NETLINK), message.length, 0) < 0) return 'not asked';
  receive(fd, at(NETLINK), 4096, 0);
  close(fd);
  const error = -scratch.view.getInt32(NETLINK + 16, true);
  return error === 0 ? 'done' : nameOf(error);
}

const nameOf = (number: number): string =>
  Object.entries(ERRNO).find(([, value]) => value === number)?.[0] ?? `${number}`;

function onMainThread(): Record<string, string> {
  const outcomes = Object.entries(attempts()).map(([what, [call, ...args]]) => {
    // Where it can be closed, that is tried on the pool, last of all.
    if (what === 'own lifeline' && !isFiltered()) return [what, 'done'];
    return [what, call(...args) < 0 ? nameOf(errno()) : 'done'];
  });
  const { error } = spawnSync('/bin/true');
  return {
    ...Object.fromEntries(outcomes),
    addresses: changeAddresses(),
    program: error === undefined ? 'done' : ((error as NodeJS.ErrnoException).code ?? ''),
  };
}

const onPool = ([call, ...args]: Attempt): Promise<number> =>
  new Promise((resolve, reject) => {
    call.async(...args, (error: unknown, result: number) =>
      error ? reject(error) : resolve(result),
    );
  });

/** The error's number stays with its thread. */
async function onPoolThread(): Promise<Record<string, string>> {
  const outcomes: Record<string, string> = {};
  for (const [what, attempt] of Object.entries(attempts())) {
    // It is the tracer already, on its main thread.
    const isTracer = what === 'trace' && process.env.TSWG_SANDBOX === 'off';
    outcomes[what] = isTracer || (await onPool(attempt)) >= 0 ? 'done' : 'refused';
  }
  return outcomes;
}

/** Call before the program begins, in both of its halves. */
export function listenInResolver(): void {
  if (process.env[OUTPUT_FD] === undefined) {
    const fd = openSync(process.env.TSWG_PROBE_OUTPUT!, 'a');
    fcntl(fd, F_SETFD, 0);
    process.env[OUTPUT_FD] = `${fd}`;
  }
  const output = Number(process.env[OUTPUT_FD]);
  process.on('SIGHUP', async () => {
    const main = onMainThread();
    const report: ResolverReport = { pid: process.pid, main, pool: await onPoolThread() };
    writeSync(output, `probe ${JSON.stringify(report)}\n`);
  });
}
