/**
 * The scenario of the crowd that calls: how many of the peers that call one responder within a minute
 * have a session with it then. All call from one address, as from behind one router.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { compiledProgram } from '../lab/repository.ts';
import { createKeyPair } from '../lab/tunnel.ts';
import type { Calls, Plan } from './caller.ts';
import { IFNAME, type Implementation, TSWG, WIREGUARD_GO } from './implementation.ts';
import type { Scenario } from './scenario.ts';
import { openResponder, RIGHT, TUNNEL_PORT } from './tunnel.ts';

/** As many as the largest run has; a run with fewer gives them as much less time. */
const CALLERS = 10_000;
const WINDOW_S = 60;
const GRACE_MS = 60_000;
const MS_PER_S = 1_000;
const SHOW_TIMEOUT_MS = 20_000;

export const callers: Scenario = {
  name: 'peers that call within a minute',
  rows: ['callers'],
  implementations: [WIREGUARD_GO, TSWG],
  rounds: 1,
  measure: async (context) => {
    const count = Math.min(CALLERS, Math.max(...context.settings.peerCounts));
    await context.attempt(['callers'], async () => {
      const { up } = await callWithin(context.implementation, count, (WINDOW_S * count) / CALLERS);
      context.record('callers', (100 * up) / count);
    });
  },
};

/** What the callers counted, and how many of them the responder says it has heard under a session. */
export async function callWithin(
  implementation: Implementation,
  count: number,
  seconds: number,
): Promise<Calls & { readonly up: number }> {
  const own = createKeyPair();
  const keys = Array.from({ length: count }, createKeyPair);
  const plan: Plan = {
    responder: own.publicKey,
    callers: keys.map(({ privateKey }) => privateKey),
  };
  const sections = keys.map(({ publicKey }, i) => {
    const allowedIp = `10.100.${i >> 8}.${i & 255}/32`;
    return `[Peer]\nPublicKey = ${publicKey}\nAllowedIPs = ${allowedIp}\n`;
  });
  const folder = mkdtempSync(path.join(tmpdir(), 'tswg-callers-'));
  try {
    const file = path.join(folder, 'plan');
    writeFileSync(file, JSON.stringify(plan));
    const responder = await openResponder(implementation, own.privateKey, sections.join(''));
    try {
      const program = compiledProgram('test/bench/caller.ts');
      const words = [program, file, RIGHT.outer4, `${TUNNEL_PORT}`, `${seconds}`];
      const printed = await responder.left.run(process.execPath, words, {
        timeoutMs: seconds * MS_PER_S + GRACE_MS,
      });
      const shown = await responder.daemon.host.run('wg', ['show', IFNAME, 'latest-handshakes'], {
        timeoutMs: SHOW_TIMEOUT_MS,
      });
      const up = shown.split('\n').filter((line) => /\t[1-9]/.test(line)).length;
      return { ...(JSON.parse(printed) as Calls), up };
    } finally {
      await responder.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
