/** `tswg wg0 upgrade`: has a running daemon hand over to the one on disk, and says how that went. */

import { parseErrno } from '../uapi/response.ts';
import { explainSocket, noSuchInterface, systemReason } from './explain.ts';
import { hasLostDaemon, lostDaemon } from './lostdaemon.ts';
import { Refusal } from './refusal.ts';
import type { System } from './system.ts';

/**
 * Resolves to the line for the operator.
 *
 * @throws Refusal with the line for the operator; the old daemon continues then
 */
export async function upgrade(name: string, system: System): Promise<string> {
  const link = system.links().find((other) => other.name === name);
  if (link === undefined) throw new Refusal(noSuchInterface(name));
  if (!system.isRoot) {
    throw new Refusal(`${name}: upgrade: only root may do that; try it with sudo`);
  }
  if (hasLostDaemon(link, system)) {
    throw new Refusal(`${name}: upgrade: ${lostDaemon(name)}`);
  }
  let answer: string;
  try {
    answer = await system.request(name, 'upgrade=1\n\n');
  } catch (error) {
    const isForeign = (error as { code?: string }).code === 'EPROTO';
    const why = isForeign
      ? 'the WireGuard that serves it is not tswgd, or is one that cannot be upgraded in place'
      : explainSocket(link, error);
    throw new Refusal(`${name}: upgrade: ${why}`);
  }
  const { version, pid, pause_ms: pauseMs, reason } = fieldsOf(answer);
  const errno = parseErrno(answer);
  if (errno === 0) {
    return `${name}: now served by tswgd ${version} (pid ${pid}); packets were held for ${pauseMs} ms`;
  }
  throw new Refusal(
    `${name}: upgrade: ${reason ?? systemReason({ errno })}; the old daemon continues as before`,
  );
}

function fieldsOf(answer: string): Readonly<Record<string, string | undefined>> {
  const lines = answer.split('\n').map((line) => /^([a-z_]+)=(.*)$/.exec(line));
  return Object.fromEntries(lines.flatMap((found) => (found === null ? [] : [found.slice(1)])));
}
