/**
 * What daemons told of themselves -> families of series, named and explained by the tables that the
 * daemons read (device/metrics.ts, daemon/metrics.ts). What a table does not have, of a daemon of a
 * newer version, is left out. Pure.
 *
 *   a row of the daemon's table       wireguard_daemon_NAME   of each interface
 *   of the device's                   wireguard_NAME
 *   of a peer's                       wireguard_peer_NAME     of each peer
 *
 * Rows with a `series` have that in place of what follows `wireguard_`. Those of a peer that have
 * no `peer_` in it are called and labelled as MindFlavor's exporter has them, for the dashboards and
 * alerts that exist.
 */

import { DAEMON_METRICS } from '../daemon/metrics.ts';
import type { PeerState } from '../device/configuration.ts';
import { formatEndpoint } from '../device/endpoint.ts';
import { type Measured, type Metric, TEXT_SUFFIX } from '../device/metric.ts';
import { DEVICE_METRICS, PEER_METRICS } from '../device/metrics.ts';
import { formatPrefix } from '../packet/address.ts';
import type { Family, Labels, Sample } from './exposition.ts';
import { formatKey } from './keys.ts';
import { lastHandshakeMs, statsByPeer, type WireguardView } from './view.ts';

/** An interface that was asked for, and what its daemon said; null when it did not answer. */
export interface Answer {
  readonly name: string;
  readonly wireguard: WireguardView | null;
}

/** A row of any of the tables, without what reads it. */
export interface MetricRow extends Pick<Metric<never>, 'kind' | 'name' | 'help' | 'series'> {
  readonly unit?: string;
  readonly label?: string;
  readonly states?: readonly string[];
}

/** What `tswg metrics` adds by itself. */
const UP: MetricRow = {
  kind: 'gauge',
  name: 'up',
  unit: '',
  help: 'whether the daemon of the interface answered: 1 or 0',
};
const DELAY: MetricRow = {
  kind: 'gauge',
  name: 'latest_handshake_delay_seconds',
  series: 'latest_handshake_delay_seconds',
  unit: 'seconds',
  help: 'time since the last completed handshake; absent before the first one',
};

/** Each table with what its series have before their names, in the order in which all are told. */
export const SERIES_TABLES = [
  { title: 'Of the interface', scope: '', rows: [UP] },
  { title: 'Of the daemon', scope: 'daemon_', rows: DAEMON_METRICS },
  { title: 'Of the device', scope: '', rows: DEVICE_METRICS },
  { title: 'Of each peer', scope: 'peer_', rows: [...PEER_METRICS, DELAY] },
] as const satisfies readonly { title: string; scope: string; rows: readonly MetricRow[] }[];

const PREFIX = 'wireguard_';
/** As `wg show` puts it, and so the exporter whose labels these are. */
const NO_ALLOWED_IPS = '(none)';
const MS_PER_S = 1_000;

/** Of the family that a row becomes; null for none. */
export function familyName({ name, series }: MetricRow, scope: string): string | null {
  if (series === null) return null;
  return PREFIX + (series ?? scope + name);
}

/** Each word of a state has a series, as each text of an info has. */
export function familyKind({ kind }: MetricRow): Family['kind'] {
  return kind === 'state' ? 'info' : kind;
}

/** `nowMs`: wall clock, ms since 1970. */
export function familiesOf(answers: readonly Answer[], nowMs: number): Family[] {
  const [interfaces, daemons, devices, peers] = SERIES_TABLES.map(
    ({ scope, rows }) => new Drafts(scope, rows),
  );
  for (const { name, wireguard } of answers) {
    const labels = { interface: name };
    interfaces.add({ facts: {}, counters: { up: wireguard === null ? 0 : 1 } }, () => labels);
    if (wireguard === null) continue;
    const { state, stats } = wireguard;
    if (stats !== null) {
      daemons.add(stats, () => labels);
      devices.add(stats, () => labels);
    }
    const told = statsByPeer(stats);
    // Once each, or there would be two series of the same labels.
    const listed = new Map(state.peers.map((peer) => [formatKey(peer.publicKey), peer]));
    for (const [publicKey, peer] of listed) {
      const handshakeMs = lastHandshakeMs(state, peer.lastHandshakeMs, nowMs);
      const measured = measuredOf(peer, handshakeMs, nowMs, told.get(publicKey));
      peers.add(measured, labelsOf(name, publicKey, peer));
    }
  }
  return [interfaces, daemons, devices, peers].flatMap((drafts) => drafts.families);
}

/** What any WireGuard tells of a peer, and what tswgd tells beyond that. */
function measuredOf(
  peer: PeerState,
  handshakeMs: number,
  nowMs: number,
  stats: Measured | undefined,
): Measured {
  const { txBytes, rxBytes, endpoint } = peer;
  // The wall clock may have been set back since.
  const delayMs = Math.max(0, nowMs - handshakeMs);
  return {
    facts: {
      ...(endpoint === null ? {} : { endpoint: formatEndpoint(endpoint) }),
      ...stats?.facts,
    },
    counters: {
      ...{ bytes_sent: txBytes, bytes_received: rxBytes },
      last_handshake_seconds: Math.floor(handshakeMs / MS_PER_S),
      ...stats?.counters,
      ...(handshakeMs === 0 ? {} : { [DELAY.name]: Math.floor(delayMs / MS_PER_S) }),
    },
  };
}

/** The labels of a peer's series, by the name of the family. */
function labelsOf(name: string, publicKey: string, peer: PeerState): (family: string) => Labels {
  const { description, allowedIps } = peer;
  const friendly = description === '' ? {} : { friendly_name: description };
  const own: Labels = { interface: name, public_key: publicKey, ...friendly };
  const prefixes = allowedIps.map(formatPrefix).join(',') || NO_ALLOWED_IPS;
  const others: Labels = {
    interface: name,
    public_key: publicKey,
    allowed_ips: prefixes,
    ...friendly,
  };
  return (family) => (family.startsWith(`${PREFIX}peer_`) ? own : others);
}

type FamilyDraft = Omit<Family, 'samples'> & { readonly samples: Sample[] };

interface Draft {
  readonly row: MetricRow;
  readonly family: FamilyDraft;
}

/** The families of one table. */
class Drafts {
  readonly #drafts: readonly Draft[];
  readonly #byName: ReadonlyMap<string, Draft>;

  constructor(scope: string, rows: readonly MetricRow[]) {
    this.#drafts = rows.flatMap((row) => {
      const name = familyName(row, scope);
      if (name === null) return [];
      const { unit = '', help } = row;
      return [{ row, family: { name, kind: familyKind(row), unit, help, samples: [] } }];
    });
    this.#byName = new Map(this.#drafts.map((draft) => [draft.row.name, draft]));
  }

  get families(): readonly Family[] {
    return this.#drafts.map(({ family }) => family);
  }

  /** Adds a sample for each value that has a row here. */
  add({ facts, counters }: Measured, labelsFor: (family: string) => Labels): void {
    for (const [name, value] of Object.entries(counters)) {
      this.#put(name, labelsFor, ({ row }) =>
        row.kind === 'counter' || row.kind === 'gauge' ? { value } : null,
      );
    }
    for (const [name, text] of Object.entries(facts)) {
      // What people are told in place of a state.
      if (name.endsWith(TEXT_SUFFIX) && Object.hasOwn(facts, name.slice(0, -TEXT_SUFFIX.length))) {
        continue;
      }
      this.#put(name, labelsFor, ({ row }) => {
        if (row.kind === 'state') return { more: { state: text }, value: 1 };
        return row.kind === 'info' ? { more: { [row.name]: text }, value: 1 } : null;
      });
    }
  }

  #put(
    name: string,
    labelsFor: (family: string) => Labels,
    sampleOf: (draft: Draft) => Omit<Sample, 'labels'> | null,
  ): void {
    const exact = this.#byName.get(name);
    const draft = exact ?? this.#drafts.find(({ row }) => isLabelled(row, name));
    if (draft === undefined) return;
    const sample = sampleOf(draft);
    if (sample === null) return;
    const { row, family } = draft;
    const labels = labelsFor(family.name);
    if (exact !== undefined) {
      family.samples.push({ labels, ...sample });
      return;
    }
    const more = { [row.label!]: name.slice(row.name.length + 1), ...sample.more };
    family.samples.push({ labels, more, value: sample.value });
  }
}

function isLabelled({ name, label }: MetricRow, flat: string): boolean {
  return label !== undefined && flat.startsWith(`${name}_`);
}
