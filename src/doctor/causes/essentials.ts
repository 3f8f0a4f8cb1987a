/** Without these there is no tunnel at all: a daemon, an interface that is up, a key, a port. Pure. */

import { counted } from '../../counted.ts';
import { printable } from '../../quotation.ts';
import type { Cause } from '../cause.ts';
import type { Evidence, ServingProcess, UdpSocket } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { daemonOf, peersOf } from '../peer.ts';
import { isStopped, isTraced, nameProcess, servingHere } from '../serving.ts';

const KEY_FOLDER = '/etc/wg';
const KEY_FILE = `${KEY_FOLDER}/private.key`;
const PORT_MAX = 65_535;

export const ESSENTIALS: readonly Cause[] = [
  { code: 'noInterface', weight: 'everything', find: findMissing, explains: 'lighter' },
  { code: 'daemonGone', weight: 'everything', find: findGone, explains: 'lighter' },
  { code: 'daemonSilent', weight: 'everything', find: findSilent, explains: 'lighter' },
  { code: 'noPrivateKey', weight: 'everything', find: findNoKey, explains: 'lighter' },
  { code: 'portTaken', weight: 'everything', find: findPortTaken, explains: 'lighter' },
  { code: 'noSocket', weight: 'everything', find: findNoSocket, explains: 'lighter' },
  { code: 'interfaceDown', weight: 'everything', find: findDown, explains: 'lighter' },
  { code: 'noPeer', weight: 'everything', find: findNoPeer, explains: 'lighter' },
];

function findMissing(evidence: Evidence): Finding[] {
  const daemon = known(evidence.daemon);
  if (!evidence.link.ok || evidence.link.value !== null || daemon?.kind !== 'none') return [];
  const { name, namespace } = evidence.run;
  const elsewhere = servingElsewhere(evidence);
  const where = namespace === '' ? 'here' : `in this network namespace, ${namespace}`;
  return [
    {
      code: 'noInterface',
      peer: null,
      sentence:
        elsewhere === null
          ? `no daemon runs for ${name}, and there is no such interface`
          : `${name} is in another network namespace: ${elsewhere.program} (process ${elsewhere.pid}) serves it there`,
      proof: [
        `the kernel has no link ${name} ${where}`,
        daemon.hasSocket
          ? `nobody answers on the control socket that a daemon of ${name} has left`
          : `there is no control socket of ${name}`,
        ...(elsewhere === null ? [] : [`process ${elsewhere.pid} is in ${elsewhere.namespace}`]),
      ],
      commands:
        elsewhere === null
          ? startCommands(evidence, daemon.hasState)
          : [`nsenter --net=/proc/${elsewhere.pid}/ns/net tswg ${name} doctor`],
    },
  ];
}

/** A daemon that serves an interface of this name where we cannot see it. */
function servingElsewhere(evidence: Evidence): ServingProcess | null {
  const { name, namespace } = evidence.run;
  const found = (known(evidence.processes) ?? []).find(
    (one) => one.arguments.includes(name) && one.namespace !== null && one.namespace !== namespace,
  );
  return found ?? null;
}

function startCommands(evidence: Evidence, hasState: boolean): string[] {
  const { name } = evidence.run;
  const unit = tswgUnit(evidence);
  if (unit !== null) return [`systemctl restart ${unit}`];
  if (known(evidence.files)?.hostname) return [`tswg netstart ${name}`];
  if (hasState) return [`tswgd --persist ${name}`];
  return [`tswg ${name} create`];
}

/** The unit that has the interface started, if there is one. */
function tswgUnit(evidence: Evidence): string | null {
  const managers = known(evidence.files)?.managers ?? [];
  const own = managers.find(({ kind, isActive }) => kind === 'tswg' && isActive);
  const unit = own?.path.split('/').at(-1);
  return unit?.endsWith('.service') ? printable(unit) : null;
}

function findGone(evidence: Evidence): Finding[] {
  const daemon = known(evidence.daemon);
  const link = known(evidence.link);
  if (daemon?.kind !== 'none' || link === null) return [];
  // An interface of another kind is nobody's but its program's.
  if (link.kind !== 'tun' || (!daemon.hasSocket && !daemon.hasState)) return [];
  const { name } = evidence.run;
  const left = [
    ...(daemon.hasSocket ? ['its control socket, on which nobody answers'] : []),
    ...(daemon.hasState ? ['its state of --persist'] : []),
  ];
  return [
    {
      code: 'daemonGone',
      peer: null,
      sentence: `no daemon serves ${name} any longer: the interface is still there, and what goes into it is lost`,
      proof: [
        `the daemon has left the interface (${link.flags.join(',')}) and ${left.join(' and ')}`,
        ...runningProcesses(evidence),
      ],
      commands: startCommands(evidence, daemon.hasState),
    },
  ];
}

function runningProcesses(evidence: Evidence): string[] {
  if (!evidence.processes.ok) return [];
  const { name } = evidence.run;
  const own = evidence.processes.value.filter((one) => one.arguments.includes(name));
  return own.length === 0 ? [`no process has ${name} as an argument of a WireGuard daemon`] : [];
}

function findSilent(evidence: Evidence): Finding[] {
  const daemon = known(evidence.daemon);
  if (daemon?.kind !== 'silent') return [];
  const { name } = evidence.run;
  const serving = servingHere(evidence);
  const asked = `its control socket was asked: ${printable(daemon.why)}`;
  if (serving === null) {
    return [
      {
        code: 'daemonSilent',
        peer: null,
        sentence: `the daemon of ${name} does not answer`,
        proof: [asked, 'no process that serves the interface is seen here'],
        commands: [`ss -xlp # the process that has ${name}.sock is the daemon`],
      },
    ];
  }
  return [
    {
      code: 'daemonSilent',
      peer: null,
      sentence: `the daemon of ${name} does not answer: ${nameProcess(serving)} ${saysWhatItDoes(serving)}`,
      proof: [asked, ...saysState(serving), ...(isFull(serving) ? saysDescriptors(serving) : [])],
      commands: wakingCommands(evidence, serving),
    },
  ];
}

function saysWhatItDoes(serving: ServingProcess): string {
  if (isStopped(serving)) return 'is stopped, and does nothing until it is continued';
  return isTraced(serving) ? 'is held by a debugger' : 'runs and says nothing';
}

function saysState(serving: ServingProcess): string[] {
  const { pid, state } = serving;
  if (state === '') return [];
  const loss =
    isStopped(serving) || isTraced(serving)
      ? ': what goes into the interface waits or is lost'
      : '';
  return [`process ${pid} is in state ${printable(state)} of proc(5)${loss}`];
}

function saysDescriptors({ pid, descriptors }: ServingProcess): string[] {
  if (descriptors === null || descriptors.max === null) return [];
  const { open, max } = descriptors;
  return [`process ${pid} has ${open} of at most ${counted(max, 'file')} open now`];
}

/** It can open no more, not even a connection to it. */
function isFull({ descriptors }: ServingProcess): boolean {
  if (descriptors === null || descriptors.max === null) return false;
  return descriptors.open >= descriptors.max;
}

/** One that hangs takes no signal but KILL; what it was told, it takes along. */
function wakingCommands(evidence: Evidence, serving: ServingProcess): string[] {
  const { pid } = serving;
  if (isStopped(serving)) return [`kill -CONT ${pid}`];
  if (isTraced(serving)) return [`grep TracerPid /proc/${pid}/status # who has to let it go`];
  const isPersistent = known(evidence.link)?.isPersistent === true;
  return [`kill -KILL ${pid}`, ...startCommands(evidence, isPersistent)];
}

function findNoKey(evidence: Evidence): Finding[] {
  const daemon = daemonOf(evidence);
  if (daemon?.key !== 'none') return [];
  const { name } = evidence.run;
  const calls = daemon.counters.drop_noPrivateKey ?? 0;
  const isWished = known(evidence.files)?.hostname != null;
  return [
    {
      code: 'noPrivateKey',
      peer: null,
      sentence: `${name} has no private key: no handshake can begin`,
      proof: [
        'the daemon says that none is set',
        ...(calls === 0
          ? []
          : [`${counted(calls, 'message')} came that nothing could be done with`]),
      ],
      commands: isWished ? [`tswg netstart ${name}`] : keyCommands(name),
    },
  ];
}

/** The file may be there, with the key that the other end knows. */
function keyCommands(name: string): string[] {
  const make = `umask 077; mkdir -p ${KEY_FOLDER}; tswg genkey >${KEY_FILE}`;
  return [
    `test -e ${KEY_FILE} || (${make})`,
    `tswg ${name} wgkeyfile ${KEY_FILE}`,
    `tswg pubkey <${KEY_FILE} # the other end has to have it as our wgpeer`,
  ];
}

interface SocketTrouble {
  readonly why: string;
  readonly call: string;
  readonly error: string;
}

function socketTrouble(evidence: Evidence): SocketTrouble | null {
  const told = daemonOf(evidence)?.troubles.find(({ code }) => code === 'noSocket');
  if (told === undefined) return null;
  const { why = '', call = '', error = '' } = told.values;
  return { why: printable(`${why}`), call: printable(`${call}`), error: printable(`${error}`) };
}

const TAKEN = 'EADDRINUSE';

function findPortTaken(evidence: Evidence): Finding[] {
  const trouble = socketTrouble(evidence);
  const daemon = daemonOf(evidence);
  if (trouble?.error !== TAKEN || daemon === null) return [];
  const { name } = evidence.run;
  const port = wantedPort(evidence);
  const holders = (known(evidence.sockets) ?? []).filter((one) => port === 0 || one.port === port);
  const [holder] = holders;
  const who = holder === undefined ? 'another program' : nameHolder(holder);
  return [
    {
      code: 'portTaken',
      peer: null,
      sentence: `${who} has UDP port ${port}, so that ${name} has none`,
      proof: [
        `${trouble.call} said ${trouble.error}: ${trouble.why}`,
        ...holders.map(
          (one) =>
            `UDP ${one.address} port ${one.port} is open (uid ${one.uid}): ${nameHolder(one)}`,
        ),
      ],
      commands: [`tswg ${name} wgport ${freePort(evidence, port)}`],
      ...(holders.length > 0 || !evidence.sockets.ok
        ? {}
        : { undecided: ['whose it is cannot be seen: nobody has it any more'] }),
    },
  ];
}

function wantedPort(evidence: Evidence): number {
  const wished = known(evidence.files)?.hostname?.listenPort;
  const port = daemonOf(evidence)?.listenPort ?? 0;
  return port === 0 ? (wished ?? 0) : port;
}

function nameHolder({ process: holder }: UdpSocket): string {
  return holder === null ? 'another program' : `${printable(holder.name)} (process ${holder.pid})`;
}

function freePort(evidence: Evidence, port: number): number {
  const taken = (known(evidence.sockets) ?? []).map((one) => one.port);
  let free = port + 1;
  while (taken.includes(free)) free++;
  return free > PORT_MAX ? 0 : free;
}

function findNoSocket(evidence: Evidence): Finding[] {
  const trouble = socketTrouble(evidence);
  if (trouble === null || trouble.error === TAKEN) return [];
  const { name } = evidence.run;
  const reason = refusalOf(evidence, trouble);
  return [
    {
      code: 'noSocket',
      peer: null,
      sentence: `${name} has no UDP socket, and nothing goes in or out: ${reason.sentence}`,
      proof: [`${trouble.call} said ${trouble.error}: ${trouble.why}`, ...reason.proof],
      commands: [...reason.commands, ...openAgain(evidence)],
    },
  ];
}

interface Reason {
  readonly sentence: string;
  readonly proof: readonly string[];
  /** What has to be done before the sockets can be opened. */
  readonly commands: readonly string[];
}

const FILES_OF_PROCESS = 'EMFILE';
const FILES_OF_SYSTEM = 'ENFILE';
const REFUSED = ['EACCES', 'EPERM'];
const FILES_WANTED = 65_536;
/** Below /proc/sys/net. */
const FIRST_FREE_PORT = 'ipv4/ip_unprivileged_port_start';

/** Why the kernel gives none, and what changes that. */
function refusalOf(evidence: Evidence, { why, call, error }: SocketTrouble): Reason {
  const serving = servingHere(evidence);
  if (error === FILES_OF_PROCESS) {
    return {
      sentence: 'the daemon had as many files open as it may have',
      proof: serving === null ? [] : saysDescriptors(serving),
      commands:
        serving === null
          ? []
          : [`prlimit --pid ${serving.pid} --nofile=${FILES_WANTED}:${FILES_WANTED}`],
    };
  }
  if (error === FILES_OF_SYSTEM) {
    const sentence = 'this machine had as many files open as it may have';
    return { sentence, proof: [], commands: ['sysctl -w fs.file-max=1000000'] };
  }
  const port = wantedPort(evidence);
  const first = Number(known(evidence.sysctls)?.[FIRST_FREE_PORT] ?? 0);
  if (call === 'bind' && REFUSED.includes(error) && port > 0 && port < first) {
    return {
      sentence: `the daemon has no right to port ${port}`,
      proof: [
        `ports below ${first} take CAP_NET_BIND_SERVICE (net.ipv4.ip_unprivileged_port_start is ${first})`,
      ],
      commands: [`sysctl -w net.ipv4.ip_unprivileged_port_start=${port}`],
    };
  }
  return { sentence: why, proof: [], commands: [] };
}

/** The port once more, by which the daemon tries again; to take the interface down costs its routes. */
function openAgain(evidence: Evidence): string[] {
  const { name } = evidence.run;
  const port = wantedPort(evidence);
  return port === 0 ? [`tswg ${name} down`, `tswg ${name} up`] : [`tswg ${name} wgport ${port}`];
}

function findDown(evidence: Evidence): Finding[] {
  const link = known(evidence.link);
  if (link === null || link.isUp || daemonOf(evidence) === null) return [];
  const { name } = evidence.run;
  const wished = known(evidence.files)?.hostname?.addresses ?? [];
  const isBare = link.addresses.length === 0;
  const words = wished.map((one) => `${one.includes(':') ? 'inet6' : 'inet'} ${one}`);
  return [
    {
      code: 'interfaceDown',
      peer: null,
      sentence: `${name} is down: nothing goes in or out`,
      proof: [
        `its flags are ${link.flags.join(',') || 'none'}, without UP`,
        isBare
          ? 'it has no address'
          : `it has ${counted(link.addresses.length, 'address', 'addresses')}`,
      ],
      commands:
        isBare && words.length > 0 ? [`tswg ${name} ${words.join(' ')}`] : [`tswg ${name} up`],
    },
  ];
}

function findNoPeer(evidence: Evidence): Finding[] {
  const daemon = daemonOf(evidence);
  if (daemon === null || peersOf(evidence).length > 0) return [];
  const { name } = evidence.run;
  const file = known(evidence.files)?.hostname;
  const wished = file?.peers.length ?? 0;
  return [
    {
      code: 'noPeer',
      peer: null,
      sentence: `${name} has no peer: there is nobody to talk to`,
      proof: [
        'the daemon lists no peer',
        ...(wished === 0 ? [] : [`${printable(file!.path)} names ${wished}`]),
      ],
      commands: wished > 0 ? [`tswg netstart ${name}`] : ['tswg help wgpeer'],
    },
  ];
}
