/** Clocks that were set back: the timestamps of handshakes must rise. Pure. */

import { counted } from '../../counted.ts';
import type { Cause } from '../cause.ts';
import type { Evidence, OwnPeer, Trouble } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { daemonOf, nameOf, peersOf } from '../peer.ts';

const MS_PER_S = 1_000;
/** A handshake's time is told in whole seconds, and a clock may be adjusted a little at any time. */
const CLOCK_SLACK_MS = 2_000;

/** Of a handshake that is refused without a word. */
const CONSEQUENCES = ['answersLost', 'answersUnconfirmed', 'filteredBeyond', 'silence'];

export const CLOCK: readonly Cause[] = [
  { code: 'timestampsRefused', weight: 'handshake', find: findRefused, explains: CONSEQUENCES },
  { code: 'clockSetBack', weight: 'handshake', find: findSetBack, explains: CONSEQUENCES },
];

/** The peer's initiations are no newer than what we have seen of it. */
function findRefused(evidence: Evidence): Finding[] {
  return peersOf(evidence).flatMap((peer): Finding[] => {
    const isStale = ({ code }: Trouble): boolean => code === 'staleTimestamps';
    const told = peer.troubles.find(isStale);
    const stale = told ?? peer.troublesBefore.find(isStale);
    if (stale === undefined) return [];
    const count = Number(stale.values.initiations ?? 0);
    return [
      {
        code: 'timestampsRefused',
        peer: peer.publicKey,
        sentence: `the clock of ${nameOf(peer)} was set back: its handshakes are refused here until it is later again than it was`,
        proof: [
          `since the last handshake, ${counted(count, 'initiation')} of it had a timestamp that is not newer than one before (replayedInitiation)`,
          ...(told === undefined
            ? [
                'our own handshake, which a ping of this run began, was answered: only those that it begins are refused',
              ]
            : []),
          ...saysOwnClock(evidence),
        ],
        commands: [
          'timedatectl set-ntp true # at the other end',
          ...forgetCommands(evidence, peer),
        ],
        undecided: [
          'two machines have the private key of this peer, and the clock of one is late: its endpoint changes to and fro then (roams)',
        ],
      },
    ];
  });
}

/** Without the peer its last timestamp is forgotten, too. */
function forgetCommands(evidence: Evidence, peer: OwnPeer): string[] {
  const { name } = evidence.run;
  if (peer.hasPresharedKey !== false) return [];
  const { endpoint, description, persistentKeepalive, allowedIps } = peer;
  const words = [
    `wgpeer ${peer.publicKey}`,
    ...(/^[\w .-]+$/.test(description) ? [`wgdescr '${description}'`] : []),
    ...(endpoint === null ? [] : [`wgendpoint ${endpoint.address} ${endpoint.port}`]),
    ...(persistentKeepalive === 0 ? [] : [`wgpka ${persistentKeepalive}`]),
    ...allowedIps.map((one) => `wgaip ${one}`),
  ];
  return [`tswg ${name} -wgpeer ${peer.publicKey} && tswg ${name} ${words.join(' ')}`];
}

function saysOwnClock(evidence: Evidence): string[] {
  const clock = known(evidence.clock);
  if (clock === null || clock.isSynchronized === null) return [];
  const kept = clock.isSynchronized ? 'kept right by somebody' : 'not kept right by anybody';
  return [`the clock here is ${kept}`];
}

/** Ours was: who knows a later timestamp of ours refuses our initiations. */
function findSetBack(evidence: Evidence): Finding[] {
  const clock = known(evidence.clock);
  const daemon = daemonOf(evidence);
  if (daemon === null) return [];
  const own = daemon.publicKey;
  const other = known(evidence.other);
  return daemon.peers.flatMap((peer): Finding[] => {
    const silent = peer.troubles.find(({ code }) => code === 'noAnswer');
    const us =
      other?.publicKey === peer.publicKey
        ? other.peers.find(({ publicKey }) => publicKey === own)
        : undefined;
    const refused = us?.troubles.find(({ code }) => code === 'staleTimestamps');
    const ahead = clock === null ? 0 : peer.lastHandshakeMs - clock.nowMs;
    const events = (known(evidence.events) ?? []).filter(({ kind }) => kind === 'clockSetBack');
    const told = events.map(({ values }) => Number(values.ms ?? 0)).filter((ms) => ms > 0);
    const isKnown = ahead > CLOCK_SLACK_MS || told.length > 0;
    if (refused === undefined && !(silent !== undefined && isKnown)) return [];
    const proof = [
      ...(refused === undefined
        ? []
        : [
            `the other end refused ${counted(Number(refused.values.initiations), 'initiation')} of ours for the timestamp`,
          ]),
      ...(ahead > CLOCK_SLACK_MS
        ? [`the last handshake was ${seconds(ahead)} in the future by the present clock`]
        : []),
      ...told
        .slice(-1)
        .map((ms) => `the daemon noticed that the clock was set back by ${seconds(ms)}`),
      ...(silent === undefined
        ? []
        : [
            `there is no answer to ${counted(Number(silent.values.initiations), 'initiation')} of ours`,
          ]),
      ...saysOwnClock(evidence),
    ];
    const finding = {
      code: 'clockSetBack',
      peer: peer.publicKey,
      sentence: `the clock of this machine was set back: ${nameOf(peer)} refuses our handshakes until it is later again than it was`,
      proof,
      commands: ['timedatectl set-ntp true'],
    };
    if (refused !== undefined) return [finding];
    return [
      {
        ...finding,
        undecided: [
          `nothing answers at the endpoint for another reason: \`tswg ${evidence.run.name} --json\` of the other end as \`--other FILE\` decides, by its replayedInitiation`,
        ],
      },
    ];
  });
}

function seconds(ms: number): string {
  return counted(Math.round(ms / MS_PER_S), 'second');
}
