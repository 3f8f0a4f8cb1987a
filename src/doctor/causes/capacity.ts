/** More packets than this machine can carry: full buffers and queues, a busy processor. Pure. */

import { counted } from '../../counted.ts';
import type { Cause } from '../cause.ts';
import type { Evidence } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { daemonOf } from '../peer.ts';

/** A burst may lose a few; a part of all is a queue that is too short, or a reader too slow. */
const LOST_MIN = 10;
const LOST_SHARE_MIN = 0.001;
/** Of one processor: the daemon carries packets on one. */
const SATURATED = 0.85;
/** Three times the kernel's own for a TUN device. */
const QUEUE_PACKETS = 1_500;
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
  if (load === null || load.daemon === null || load.daemon < SATURATED) return [];
  const { lost, sentence } = losses(evidence);
  return [
    {
      code: 'processorSaturated',
      peer: null,
      sentence: `the daemon uses a whole processor: ${sentence}`,
      proof: [
        `over the run it used ${percent(load.daemon)} of ${load.processors === 1 ? 'the only processor, which was' : `one of ${load.processors} processors, which were`} busy to ${percent(load.busy)}`,
        ...lost,
        ...(load.stolen < 0.05 ? [] : [`the hypervisor gave ${percent(load.stolen)} to others`]),
      ],
      commands: [],
    },
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
  const sockets = known(evidence.sockets) ?? [];
  const errors = known(evidence.kernel)?.gained['Udp.RcvbufErrors'] ?? 0;
  return [
    {
      code: 'receiveOverflow',
      peer: null,
      sentence: 'datagrams come faster than the daemon takes them: its socket overflows',
      proof: [
        saysLoss(loss),
        ...(errors === 0
          ? []
          : [`the kernel counted ${errors} full buffers over the run (Udp.RcvbufErrors)`]),
        ...sockets
          .filter(({ gainedDrops }) => gainedDrops > 0)
          .map(
            ({ family, receiveQueue, receiveBuffer, gainedDrops }) =>
              `the socket of IPv${family} holds ${receiveQueue} of ${receiveBuffer} bytes, and dropped ${gainedDrops}`,
          ),
      ],
      commands: [],
      undecided: [
        'a burst from one sender, or this machine gives the daemon too little of its processors: the load over a longer time decides, as `top -d 5` shows it',
      ],
    },
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
