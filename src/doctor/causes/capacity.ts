/** More packets than this machine can carry: full buffers and queues, a busy processor. Pure. */

import { counted } from '../../counted.ts';
import type { Cause } from '../cause.ts';
import type { Evidence, Load } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { daemonOf, peersOf } from '../peer.ts';

/** A burst may lose a few; a part of all is a queue that is too short, or a reader too slow. */
const LOST_MIN = 10;
const LOST_SHARE_MIN = 0.001;
/** Of one processor: the daemon carries packets on one. */
const SATURATED = 0.85;
/**
 * Of the time: for so much of it the daemon was ready to run and others ran. Less is as bad where
 * packets are lost meanwhile.
 */
const STARVED = 0.5;
const STARVED_LOSING = 0.25;
/** Less is held up by nothing that matters: a daemon that has just begun waits on a busy machine, too. */
const TRAFFIC_PER_S = 500;
/** Nine times the processor of whoever has the nice value of all (sched(7)). */
const PREFERRED = -10;
/** Three times the kernel's own for a TUN device. */
const QUEUE_PACKETS = 1_500;
const MS_PER_S = 1_000;
const PERCENT = 100;

export const CAPACITY: readonly Cause[] = [
  {
    code: 'processorSaturated',
    weight: 'quality',
    find: findProcessor,
    explains: ['receiveOverflow', 'queueOverflow'],
  },
  { code: 'receiveOverflow', weight: 'some', find: findReceive },
  { code: 'queueOverflow', weight: 'some', find: findQueue },
];

function findProcessor(evidence: Evidence): Finding[] {
  const load = known(evidence.load);
  if (load === null) return [];
  const { ran, waited, daemon, processors, busy, stolen } = load;
  const { lost, sentence } = losses(evidence);
  const isBusy = Math.max(daemon ?? 0, ran ?? 0) >= SATURATED;
  const isStarved =
    !isBusy &&
    (waited ?? 0) >= (lost.length === 0 ? STARVED : STARVED_LOSING) &&
    packetsPerSecond(evidence) >= TRAFFIC_PER_S;
  if (!isBusy && !isStarved) return [];
  return [
    {
      code: 'processorSaturated',
      peer: null,
      sentence: isBusy
        ? `the daemon uses a whole processor: ${sentence}`
        : `other programs keep the daemon from the processors: ${sentence}`,
      proof: [
        isBusy
          ? `over the run it used ${percent(Math.max(daemon ?? 0, ran ?? 0))} of one processor`
          : `over the run it worked for ${percent(ran ?? 0)} of the time, and for ${percent(waited ?? 0)} it was ready to and had no processor`,
        `this machine has ${counted(processors, 'processor')}, busy to ${percent(busy)}`,
        ...lost,
        ...(stolen < 0.05 ? [] : [`the hypervisor gave ${percent(stolen)} to others`]),
      ],
      commands: isBusy ? [] : preferCommands(load),
    },
  ];
}

function packetsPerSecond(evidence: Evidence): number {
  const packets = peersOf(evidence).reduce(
    (sum, { gained }) => sum + (gained.packets_sent ?? 0) + (gained.packets_received ?? 0),
    0,
  );
  return (packets * MS_PER_S) / Math.max(1, evidence.run.tookMs);
}

/** The daemon before all others; what it takes from them is what it carries. */
function preferCommands({ pid, hasAutogroups }: Load): readonly string[] {
  const others = 'top -b -n 1 -o %CPU | head -n 15 # who uses the processors';
  if (pid === null) return [others];
  return [
    others,
    `renice -n ${PREFERRED} -p ${pid} # the daemon first, until it is started again: Nice=${PREFERRED} in its unit lasts`,
    ...(hasAutogroups ? [`echo ${PREFERRED} >/proc/${pid}/autogroup`] : []),
  ];
}

function losses(evidence: Evidence): {
  readonly lost: readonly string[];
  readonly sentence: string;
} {
  const lost = [receiveLoss(evidence), queueLoss(evidence)]
    .filter((loss) => loss !== null)
    .map(saysLoss);
  const sentence =
    lost.length === 0 ? 'it carries no more than it does now' : 'packets wait for it and are lost';
  return { lost, sentence };
}

interface Loss {
  readonly what: string;
  readonly lost: number;
  readonly passed: number;
}

function isLarge({ lost, passed }: Loss): boolean {
  return lost >= LOST_MIN && lost >= LOST_SHARE_MIN * (lost + passed);
}

function saysLoss({ what, lost, passed }: Loss): string {
  return `${what} dropped ${counted(lost, 'packet')} over the run, beside ${passed} that passed`;
}

function receiveLoss(evidence: Evidence): Loss | null {
  const daemon = daemonOf(evidence);
  if (daemon === null) return null;
  const passed = daemon.peers.reduce((sum, { gained }) => sum + (gained.packets_received ?? 0), 0);
  const lost = daemon.gained.drop_receiveOverflow ?? 0;
  const loss = { what: `the socket of UDP port ${daemon.listenPort}`, lost, passed };
  return isLarge(loss) ? loss : null;
}

function queueLoss(evidence: Evidence): Loss | null {
  const { name } = evidence.run;
  const found = (known(evidence.linkCounters) ?? []).find(({ link }) => link === name);
  if (found === undefined || daemonOf(evidence) === null) return null;
  const { tx_dropped: lost = 0, tx_packets: passed = 0 } = found.gained;
  const loss = { what: `the queue of ${name}`, lost, passed };
  return isLarge(loss) ? loss : null;
}

function findReceive(evidence: Evidence): Finding[] {
  const loss = receiveLoss(evidence);
  if (loss === null) return [];
  const load = known(evidence.load);
  return [
    {
      code: 'receiveOverflow',
      peer: null,
      sentence: 'datagrams come faster than the daemon takes them: its socket overflows',
      proof: [saysLoss(loss), ...saysBuffers(evidence), ...(load === null ? [] : saysIdle(load))],
      commands: [],
      undecided: [
        'a burst from one sender, or this machine gives the daemon too little of its processors: the load over a longer time decides, as `top -d 5` shows it',
        'the whole machine stands still at times, as a virtual one whose host is busy',
      ],
    },
  ];
}

/** The sockets' own word; else that of the whole kernel, whose other sockets overflow as well. */
function saysBuffers(evidence: Evidence): readonly string[] {
  const sockets = known(evidence.sockets);
  const errors = known(evidence.kernel)?.gained['Udp.RcvbufErrors'] ?? 0;
  if (sockets === null && errors > 0) {
    return [`the kernel counted ${errors} full buffers over the run (Udp.RcvbufErrors)`];
  }
  return (sockets ?? [])
    .filter(({ gainedDrops }) => gainedDrops > 0)
    .map(
      ({ family, receiveBuffer, gainedDrops, drops }) =>
        `the socket of IPv${family}, which holds ${receiveBuffer} bytes, dropped ${gainedDrops}, and ${drops} in all`,
    );
}

function saysIdle({ ran, waited }: Load): readonly string[] {
  if (ran === null || waited === null) return [];
  return [
    `over the run the daemon worked for ${percent(ran)} of the time, and for ${percent(waited)} it waited for a processor`,
  ];
}

function findQueue(evidence: Evidence): Finding[] {
  const loss = queueLoss(evidence);
  if (loss === null) return [];
  const { name } = evidence.run;
  return [
    {
      code: 'queueOverflow',
      peer: null,
      sentence: `packets come into ${name} faster than the daemon takes them: its queue overflows`,
      proof: [`${saysLoss(loss)} (tx_dropped)`],
      commands: [`ip link set ${name} txqueuelen ${QUEUE_PACKETS}`],
    },
  ];
}

function percent(share: number): string {
  return `${Math.round(PERCENT * share)} %`;
}
