/**
 * The scenario of the responder: how many handshakes a second one daemon answers, asked by many
 * peers in turn over real UDP.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { compiledProgram } from '../lab/repository.ts';
import { TSWG, WIREGUARD_GO } from './implementation.ts';
import { createInitiations, type InitiationSet } from './initiations.ts';
import type { Tally } from './initiator.ts';
import type { Context, Scenario } from './scenario.ts';
import { openResponder, RIGHT, TUNNEL_PORT } from './tunnel.ts';

/** More than any responder of two cores answers. */
const INITIATIONS_PER_S = 12_000;
const WARM_UP_S = 0.5;
const MS_PER_S = 1_000;
const GRACE_MS = 10_000;
/** A run in which so many of 100 initiations stay unanswered measures something else. */
const UNANSWERED_PERCENT_MAX = 5;

/** A set and the file that holds its messages for the initiator. */
interface Prepared {
  readonly set: InitiationSet;
  readonly file: string;
}

let prepared: Prepared | null = null;

export const handshakes: Scenario = {
  name: 'handshakes as responder',
  rows: ['handshakes'],
  implementations: [WIREGUARD_GO, TSWG],
  measure: async (context) => {
    const { seconds } = context.settings;
    prepared ??= prepare(Math.ceil((seconds + WARM_UP_S) * INITIATIONS_PER_S));
    const { set, file } = prepared;
    // A daemon remembers timestamps, so that each attempt begins with a fresh one.
    await context.attempt(['handshakes'], () => measureResponder(context, set, file));
  },
};

/** Once for all rounds. The file is gone when the benchmark ends, however it ends. */
function prepare(count: number): Prepared {
  const set = createInitiations(count);
  const folder = mkdtempSync(path.join(tmpdir(), 'tswg-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'initiations');
  writeFileSync(file, set.messages);
  return { set, file };
}

async function measureResponder(context: Context, set: InitiationSet, file: string): Promise<void> {
  const { seconds } = context.settings;
  const responder = await openResponder(context.implementation, set.privateKey, set.peers);
  try {
    const program = compiledProgram('test/bench/initiator.ts');
    const words = [program, file, RIGHT.outer4, `${TUNNEL_PORT}`, `${seconds}`];
    const printed = await responder.left.run(process.execPath, words, {
      timeoutMs: (seconds + WARM_UP_S) * MS_PER_S + GRACE_MS,
    });
    const tally = JSON.parse(printed) as Tally;
    const { responses, unanswered, others } = tally;
    if ((100 * (unanswered + others)) / responses > UNANSWERED_PERCENT_MAX || responses === 0) {
      throw new Error(`handshakes: ${printed.trim()}`);
    }
    context.record('handshakes', responses / tally.seconds);
  } finally {
    await responder.close();
  }
}
