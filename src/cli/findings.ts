/**
 * What doctor found, for people and for programs: each finding with how it is known and what fixes it,
 * and what could not be looked at. Pure.
 */

import { counted } from '../counted.ts';
import type { Daemon, Evidence, Looked } from '../doctor/evidence.ts';
import type { Finding } from '../doctor/finding.ts';
import { grouped } from '../doctor/having.ts';
import { printable } from '../quotation.ts';
import { wrap } from './fold.ts';

export interface Diagnosis {
  readonly evidence: Evidence;
  readonly findings: readonly Finding[];
}

type Section = Exclude<keyof Evidence, 'run'>;

/** What each part of the evidence is called, after "looked at"; '' where nobody misses it. */
const SECTIONS: Readonly<Record<Section, string>> = {
  link: 'the interface',
  daemon: 'the daemon',
  events: 'events',
  processes: 'processes',
  files: 'files',
  links: 'links',
  routes: 'routes',
  table: '',
  rules: 'rules',
  sockets: 'sockets',
  sysctls: 'parameters',
  firewall: 'the firewall',
  conntrack: 'connection tracking',
  kernel: 'counters',
  linkCounters: '',
  load: 'load',
  clock: 'the clock',
  names: 'names',
  icmp: 'ICMP errors',
  probes: 'the way to the endpoints',
  wire: 'handshakes on the links',
  inner: 'packets in the tunnel',
  pings: 'pings',
  other: "the other end's state",
};

/** In a line that fits a terminal. */
const TOLD_WHEN_HEALTHY: readonly (readonly [Section, string])[] = [
  ['routes', 'routes'],
  ['firewall', 'firewall'],
  ['probes', 'paths'],
  ['pings', 'pings'],
  ['names', 'names'],
  ['load', 'load'],
  ['clock', 'clock'],
];

const MS_PER_S = 1_000;
/** So many findings of one code are told in full, and so many peers named of which there are more. */
const ALIKE_MAX = 3;
const INDENT = '  ';
/** In the place of a blank at which no line ends; nothing printable is it. */
const JOINT = '\u0000';

/** Whether it could not look at what everything else depends on. */
export function isBlind({ evidence }: Diagnosis): boolean {
  const { daemon } = evidence;
  return !daemon.ok || daemon.value.kind !== 'answers';
}

/** Lines with their newlines. @param columns of the terminal: commands alone may be longer */
export function formatDiagnosis(diagnosis: Diagnosis, columns: number): string {
  const { evidence, findings } = diagnosis;
  const alike = grouped(findings, ({ code }) => code);
  const blocks = [...alike.values()].flatMap((all) => formatAlike(evidence, all, columns));
  const lines = [
    ...blocks.flatMap((block, at) => (at === 0 ? block : ['', ...block])),
    ...(findings.length === 0 && !isBlind(diagnosis) ? wrap(healthyLine(evidence), columns) : []),
    ...formatUnseen(diagnosis, columns),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** Those of one code: of thousands of peers without a way out, a few tell what there is to know. */
function formatAlike(
  evidence: Evidence,
  findings: readonly Finding[],
  columns: number,
): readonly string[][] {
  const { name } = evidence.run;
  // One more is told in less than the line about it.
  const told = findings.length <= ALIKE_MAX + 1 ? findings.length : ALIKE_MAX;
  const more = findings.slice(told);
  return [
    ...findings.slice(0, told).map((finding) => formatFinding(name, finding, columns)),
    ...(more.length === 0 ? [] : [formatMore(evidence, more, columns)]),
  ];
}

function formatMore(evidence: Evidence, more: readonly Finding[], columns: number): string[] {
  const { name } = evidence.run;
  const peers = [...new Set(more.flatMap(({ peer }) => peer ?? []))];
  const names = peers.slice(0, ALIKE_MAX).map((peer) => nameOf(evidence, peer));
  const others = peers.length - names.length;
  const whose = [...names, ...(others === 0 ? [] : [`${counted(others, 'other')}`])];
  const of = whose.length === 0 ? '' : `, of ${whose.join(', ')}`;
  return [
    ...hang(`${name}: `, `${more.length} more like these (${more[0].code})${of}`, columns, INDENT),
    ...hang(
      `${INDENT}- `,
      `\`tswg ${name} doctor --json\` tells all of them, and --peer PEER what is wrong with one`,
      columns,
    ),
  ];
}

/** The operator's name for the peer, or its key. */
function nameOf({ daemon }: Evidence, publicKey: string): string {
  const peers = daemon.ok && daemon.value.kind === 'answers' ? daemon.value.peers : [];
  const description = peers.find((peer) => peer.publicKey === publicKey)?.description ?? '';
  return description === '' ? publicKey : printable(description);
}

function formatFinding(name: string, finding: Finding, columns: number): string[] {
  const { sentence, proof, commands, undecided = [] } = finding;
  const items = (texts: readonly string[]): string[] =>
    texts.flatMap((text) => hang(`${INDENT}- `, printable(text), columns));
  return [
    ...hang(`${name}: `, printable(sentence), columns, INDENT),
    ...items(proof),
    ...(undecided.length === 0 ? [] : [`${INDENT}undecided:`, ...items(undecided)]),
    ...(commands.length === 0 ? [] : [`${INDENT}to fix it:`]),
    ...commands.flatMap((command) => formatCommand(printable(command), columns)),
  ];
}

/** To be copied, and so never broken: what is said of it stands before it, as the shell's comment. */
function formatCommand(command: string, columns: number): string[] {
  const indent = `${INDENT}${INDENT}`;
  const at = command.indexOf(' # ');
  if (at < 0) return [`${indent}${command}`];
  const comment = hang(`${indent}# `, command.slice(at + 3), columns, `${indent}# `);
  return [...comment, `${indent}${command.slice(0, at)}`];
}

/** The text after its mark, continued under its own beginning or at `indent`. */
function hang(
  mark: string,
  text: string,
  columns: number,
  indent = ' '.repeat(mark.length),
): string[] {
  const lines = wrapAroundCode(`${mark.trim()} ${text}`, columns - indent.length);
  const lead = mark.slice(0, mark.length - mark.trimStart().length);
  return lines.map((line, at) => (at === 0 ? `${lead}${line}` : `${indent}${line}`));
}

/** What stands in backquotes is to be copied, too: broken only where it is longer than a line. */
function wrapAroundCode(text: string, columns: number): string[] {
  const joined = text.replaceAll(/`[^`]+`\S*/g, (code) =>
    code.length > columns ? code : code.replaceAll(' ', JOINT),
  );
  return wrap(joined, columns).map((line) => line.replaceAll(JOINT, ' '));
}

function healthyLine(evidence: Evidence): string {
  const { run, daemon } = evidence;
  const peers = daemon.ok && daemon.value.kind === 'answers' ? daemon.value.peers.length : 0;
  const about = run.peer === null ? counted(peers, 'peer') + pingedOf(evidence, peers) : 'one peer';
  const seen = TOLD_WHEN_HEALTHY.filter(([section]) => isSeen(evidence[section]));
  const names = [about, ...seen.map(([, name]) => name)].join(', ');
  return `${run.name}: healthy: ${names} (${(run.tookMs / MS_PER_S).toFixed(1)} s)`;
}

/** Of very many peers only some are pinged, and of some no inner address is known. */
function pingedOf({ pings }: Evidence, peers: number): string {
  const pinged = new Set((pings.ok ? pings.value : []).map(({ peer }) => peer)).size;
  return pinged === 0 || pinged >= peers ? '' : ` (${pinged} pinged)`;
}

function sections(): Section[] {
  return (Object.keys(SECTIONS) as Section[]).filter((section) => SECTIONS[section] !== '');
}

/** Something was there to be looked at. */
function isSeen(looked: Looked<unknown> | null): boolean {
  if (looked === null || !looked.ok) return false;
  return !Array.isArray(looked.value) || looked.value.length > 0;
}

function formatUnseen(diagnosis: Diagnosis, columns: number): string[] {
  const { name } = diagnosis.evidence.run;
  const unseen = unseenOf(diagnosis.evidence);
  // Several are often missing for one reason.
  const reasons = new Map<string, string[]>();
  for (const { what, because } of unseen) {
    reasons.set(because, [...(reasons.get(because) ?? []), what]);
  }
  return [...reasons].flatMap(([because, whats]) =>
    hang(`${name}: `, `cannot look at ${whats.join(', ')}: ${because}`, columns, INDENT),
  );
}

function unseenOf(evidence: Evidence): { section: Section; what: string; because: string }[] {
  const { daemon, firewall } = evidence;
  const missing = sections().flatMap((section) => {
    const looked = evidence[section];
    if (looked === null || looked.ok) return [];
    return [{ section, what: SECTIONS[section], because: printable(looked.because) }];
  });
  const because = daemon.ok ? whySilent(daemon.value) : null;
  const silent =
    because === null ? [] : [{ section: 'daemon' as const, what: SECTIONS.daemon, because }];
  const others = (firewall.ok ? firewall.value.unseen : []).map((because) => ({
    section: 'firewall' as const,
    what: 'all of the firewall',
    because: printable(because),
  }));
  return [...silent, ...missing, ...others];
}

/** Why there is nothing to be known of a daemon, although it could be looked for. */
function whySilent(daemon: Daemon): string | null {
  if (daemon.kind === 'kernel') {
    return `the kernel's own WireGuard serves the interface, and ${printable(daemon.why)}`;
  }
  if (daemon.kind === 'silent') return 'it does not answer';
  return daemon.kind === 'none' ? 'none is running' : null;
}

/** What `--json` prints. `code` of a finding is stable. */
export interface DiagnosisJson {
  readonly name: string;
  /** Nothing is wrong, and the daemon could be asked. */
  readonly isHealthy: boolean;
  readonly tookMs: number;
  /** What hurts most first. */
  readonly findings: readonly Finding[];
  /** Parts of the evidence, and why nobody could look there. */
  readonly unseen: readonly { readonly section: string; readonly because: string }[];
}

export function describeDiagnosis(diagnosis: Diagnosis): DiagnosisJson {
  const { evidence, findings } = diagnosis;
  const { name, tookMs } = evidence.run;
  return {
    name,
    isHealthy: findings.length === 0 && !isBlind(diagnosis),
    tookMs,
    findings,
    unseen: unseenOf(evidence).map(({ section, because }) => ({ section, because })),
  };
}
