/**
 * Evidence as a file: what `--record` writes and `--evidence` reads. The reading side believes nothing:
 * the file may be somebody else's, and of another version. Pure.
 */

import type { Evidence, KernelCounters, LinkCounters, Run } from './evidence.ts';
import { counted, key, looked } from './shape/basics.ts';
import {
  clock,
  connection,
  firewall,
  link,
  load,
  route,
  routeAnswer,
  rule,
  socket,
} from './shape/machine.ts';
import { icmpError, innerFlow, nameAnswer, ping, probe, wireFlow } from './shape/network.ts';
import {
  list,
  literal,
  Mismatch,
  number,
  object,
  orElse,
  orNull,
  record,
  text,
  truth,
} from './shape/shape.ts';
import { daemon, files, otherEnd, process, ringEvent } from './shape/tunnel.ts';

const FORMAT = 'tswg-doctor-evidence';
const FORMAT_VERSION = 1;

/** A file's text; ends with a newline. */
export function formatRecording(evidence: Evidence): string {
  return `${JSON.stringify({ format: FORMAT, version: FORMAT_VERSION, evidence }, null, 1)}\n`;
}

/** @throws {Mismatch} one line that says what is wrong with it */
export function parseRecording(file: string): Evidence {
  return RECORDING(parseJson(file), '').evidence;
}

/** @throws {Mismatch} */
export function parseJson(file: string): unknown {
  try {
    return JSON.parse(file);
  } catch {
    throw new Mismatch('', 'JSON');
  }
}

const run = object<Run>({
  name: text,
  peer: orNull(key),
  version: text,
  isRoot: truth,
  startedMs: number,
  tookMs: number,
  namespace: text,
});

const RECORDING = object<{ format: string; version: number; evidence: Evidence }>({
  format: literal(FORMAT),
  version: literal(FORMAT_VERSION),
  evidence: object<Evidence>({
    run,
    link: looked(orNull(link)),
    daemon: looked(daemon),
    events: looked(list(ringEvent)),
    processes: looked(list(process)),
    files: looked(files),
    links: looked(list(link)),
    routes: looked(list(routeAnswer)),
    table: looked(list(route)),
    rules: looked(list(rule)),
    sockets: looked(list(socket)),
    sysctls: looked(record(text)),
    firewall: looked(firewall),
    conntrack: looked(list(connection)),
    kernel: looked(object<KernelCounters>(counted)),
    linkCounters: looked(list(object<LinkCounters>({ link: text, ...counted }))),
    load: looked(load),
    clock: looked(clock),
    names: looked(list(nameAnswer)),
    icmp: looked(list(icmpError)),
    probes: looked(list(probe)),
    wire: looked(list(wireFlow)),
    inner: orElse(looked(list(innerFlow)), { ok: false, because: 'it was not recorded' }),
    pings: looked(list(ping)),
    other: orNull(looked(otherEnd)),
  }),
});
