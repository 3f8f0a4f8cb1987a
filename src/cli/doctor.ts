/**
 * `tswg IF doctor`: gathers evidence, or reads it, looks for causes, and prints what it found. Owns the
 * files that it reads and writes, and the exit code.
 */

import { writeFileSync } from 'node:fs';
import {
  cannotLook,
  type Evidence,
  type Looked,
  looked,
  type OtherEnd,
  type Wishes,
} from '../doctor/evidence.ts';
import { examine } from '../doctor/examine.ts';
import { gatherEvidence } from '../doctor/gather/gather.ts';
import { parseOtherEnd } from '../doctor/otherjson.ts';
import { formatRecording, parseRecording } from '../doctor/recording.ts';
import { Mismatch } from '../doctor/shape/shape.ts';
import { hostnamePath } from '../host/hostnamefiles.ts';
import { readSmallFile } from '../host/secretfile.ts';
import { visible } from '../quotation.ts';
import { stateDirectory } from '../state/statefile.ts';
import type { Environment } from '../sys/environment.ts';
import { parseState } from '../uapi/get.ts';
import type { DoctorRequest } from './command.ts';
import { CANNOT_LOOK } from './doctorwords.ts';
import { noSuchInterface, systemReason } from './explain.ts';
import { describeDiagnosis, formatDiagnosis, isBlind } from './findings.ts';
import { parseHostnameFile } from './hostnamefile.ts';
import { explainFile } from './keyfiles.ts';
import { formatKey, parseKey } from './keys.ts';
import { hasRemains } from './lostdaemon.ts';
import { Refusal } from './refusal.ts';
import type { System } from './system.ts';
import { describeWishes } from './wishes.ts';

const FILE_BYTES_MAX = 16 * 1024 * 1024;
const COLUMNS = 80;
const RECORD_MODE = 0o600;
const WRONG = 1;
/** As long as doctor waits for a daemon. */
const ANSWER_MS = 3_000;

/** Resolves to the exit code: 0 healthy, 1 something is wrong, 2 it cannot look. @throws Refusal */
export async function doctor(
  request: DoctorRequest,
  system: System,
  env: Environment,
): Promise<number> {
  const evidence = await evidenceFor(request, system, env);
  if (request.record !== null) writeRecord(request.record, evidence);
  const diagnosis = { evidence, findings: examine(evidence) };
  const { columns = COLUMNS } = process.stdout;
  process.stdout.write(
    request.json
      ? `${JSON.stringify(describeDiagnosis(diagnosis), null, 2)}\n`
      : formatDiagnosis(diagnosis, Math.max(40, Math.min(columns, COLUMNS))),
  );
  if (diagnosis.findings.length > 0) return WRONG;
  return isBlind(diagnosis) ? CANNOT_LOOK : 0;
}

async function evidenceFor(
  request: DoctorRequest,
  system: System,
  env: Environment,
): Promise<Evidence> {
  const { name, isQuick, other, record, evidence } = request;
  if (evidence !== null) {
    const recorded = await readFile('--evidence', evidence, parseRecording);
    const peer = request.peer === null ? recorded.run.peer : recordedPeer(request.peer, recorded);
    return { ...recorded, run: { ...recorded.run, peer } };
  }
  const wishes = await readWishes(name);
  const link = system.links().find((one) => one.name === name);
  const isOurs = system.sockets().includes(name) || hasRemains(name, system);
  const isWished = !wishes.ok || wishes.value !== null;
  if (!isOurs && !isWished && link?.kind !== 'wireguard') {
    if (link === undefined) throw new Refusal(noSuchInterface(name));
    // What tells a daemon's remains is root's alone.
    const isUnclear = link.kind === 'tun' && !system.isRoot;
    if (!isUnclear) throw new Refusal(`${name}: not a WireGuard interface: expected one`);
  }
  // Before anything takes time.
  if (record !== null) writeRecord(record, null);
  return gatherEvidence({
    name,
    peer: await peerOf(request, system),
    isQuiet: isQuick,
    other: other === null ? null : await readOther(other),
    wishes,
    stateDirectory: stateDirectory(env),
    note: (text) => {
      if (!request.json) process.stderr.write(`tswg: ${name}: ${text}\n`);
    },
  });
}

/** A public key as it is, or the key of the peer with that description. @throws Refusal */
async function peerOf({ name, peer }: DoctorRequest, system: System): Promise<string | null> {
  if (peer === null) return null;
  let text: string;
  try {
    text = await system.observe(name, 'get=1\n\n', ANSWER_MS);
  } catch {
    // Doctor itself tells why; whose description it is, nobody knows then.
    return parseKey(peer) === null ? null : peer;
  }
  const peers = parseState(text).peers.map(({ publicKey, description }) => ({
    publicKey: formatKey(publicKey),
    description,
  }));
  return choosePeer(peer, peers);
}

function recordedPeer(peer: string, { daemon }: Evidence): string {
  return choosePeer(peer, daemon.ok && daemon.value.kind === 'answers' ? daemon.value.peers : []);
}

function choosePeer(
  peer: string,
  peers: readonly { publicKey: string; description: string }[],
): string {
  const found =
    peers.find(({ publicKey }) => publicKey === peer) ??
    peers.find(({ description }) => description === peer);
  if (found !== undefined) return found.publicKey;
  const shown = parseKey(peer) === null ? visible(peer) : peer;
  throw new Refusal(`doctor: --peer: ${shown}: expected the public key or the wgdescr of a peer`);
}

async function readOther(path: string): Promise<Looked<OtherEnd>> {
  return looked(await readFile('--other', path, parseOtherEnd));
}

/** @throws Refusal */
async function readFile<T>(word: string, path: string, parse: (text: string) => T): Promise<T> {
  const refuse = (why: string): Refusal => new Refusal(`doctor: ${word}: ${visible(path)}: ${why}`);
  try {
    const file = await readSmallFile(path, FILE_BYTES_MAX);
    if (!file.isRegular) throw refuse('expected a regular file');
    if (file.text.length >= FILE_BYTES_MAX) throw refuse('expected less than 16 MB');
    return parse(Buffer.from(file.text, 'latin1').toString('utf8'));
  } catch (error) {
    if (error instanceof Mismatch) throw refuse(error.message);
    if (error instanceof Refusal) throw error;
    throw refuse(explainFile((error as NodeJS.ErrnoException).code));
  }
}

/** What the hostname file asks for; a value of null when there is none. */
async function readWishes(name: string): Promise<Looked<Wishes | null>> {
  const path = hostnamePath(name);
  try {
    const file = await readSmallFile(path, FILE_BYTES_MAX);
    if (!file.isRegular) return cannotLook(`${path} is no regular file`);
    return looked(describeWishes(path, parseHostnameFile(name, file.text)));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return code === 'ENOENT' ? looked(null) : cannotLook(`${path}: ${explainFile(code)}`);
  }
}

/** @param evidence null: only whether it can be written @throws Refusal */
function writeRecord(path: string, evidence: Evidence | null): void {
  try {
    writeFileSync(path, evidence === null ? '' : formatRecording(evidence), { mode: RECORD_MODE });
  } catch (error) {
    throw new Refusal(`doctor: --record: ${visible(path)}: ${systemReason(error)}`);
  }
}
