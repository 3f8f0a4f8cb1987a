/** What happens when a deadline of timers.ts passes (whitepaper 6; Linux timers.c wg_expired_*). */

import {
  KEEPALIVE_TIMEOUT_MS,
  MAX_TIMER_HANDSHAKES,
  REJECT_AFTER_TIME_MS,
} from '../noise/constants.ts';
import type { Core } from './core.ts';
import { DEADLINE } from './deadlines.ts';
import { handshakeTrouble } from './diagnosis.ts';
import * as liveness from './liveness.ts';
import { follow } from './naming.ts';
import { endpointChanged } from './paths.ts';
import type { Peer } from './peer.ts';
import { repeatInitiation, sendInitiation, sendKeepalive } from './send.ts';
import * as session from './session.ts';
import { isReturnDue } from './steering.ts';

/** Acts on every deadline that is due. */
export function expire(core: Core, now: number): void {
  core.deadlines.expire(now, (row, column) => {
    const peer = core.rows[row];
    // Its peer has departed, and has yet to be cleared away.
    if (peer === undefined && core.departed.length > 0) return;
    if (peer === undefined) throw new Error(`deadline of row ${row}, which no peer has`);
    EXPIRIES[column](core, now, peer);
  });
}

const EXPIRIES: ((core: Core, now: number, peer: Peer) => void)[] = [];

/** No response within REKEY_TIMEOUT: try again, and give up after REKEY_ATTEMPT_TIME. */
EXPIRIES[DEADLINE.retransmitHandshake] = (core, now, peer) => {
  if (peer.attempts > MAX_TIMER_HANDSHAKES) {
    peer.counts.handshakesGivenUp++;
    const cause = handshakeTrouble(core, now, peer)?.code ?? 'noAnswer';
    liveness.givenUp(core, now, peer);
    core.tell({ kind: 'handshakeGivenUp', peer: peer.name, attempts: peer.attempts + 1, cause });
    core.deadlines.disarm(peer.row, DEADLINE.sendKeepalive);
    core.drop('handshakeTimeout', peer, null, peer.staged.take().length);
    if (!core.deadlines.isArmed(peer.row, DEADLINE.zeroKeyMaterial))
      core.deadlines.arm(peer.row, DEADLINE.zeroKeyMaterial, now + 3 * REJECT_AFTER_TIME_MS);
    return;
  }
  peer.attempts++;
  // The way out may be what is broken: let the kernel choose the source address again.
  forgetSource(peer);
  repeatInitiation(core, now, peer);
};

/** We received data KEEPALIVE_TIMEOUT ago and have sent nothing since. */
EXPIRIES[DEADLINE.sendKeepalive] = (core, now, peer) => {
  sendKeepalive(core, now, peer);
  if (!peer.needsAnotherKeepalive) return;
  peer.needsAnotherKeepalive = false;
  core.deadlines.arm(peer.row, DEADLINE.sendKeepalive, now + KEEPALIVE_TIMEOUT_MS);
};

/** We sent data KEEPALIVE_TIMEOUT + REKEY_TIMEOUT ago and have heard nothing since. */
EXPIRIES[DEADLINE.newHandshake] = (core, now, peer) => {
  liveness.dataUnanswered(core, now, peer);
  forgetSource(peer);
  sendInitiation(core, now, peer);
};

/** From another source the way may be another one, even one into the tunnel. */
function forgetSource(peer: Peer): void {
  peer.endpoint?.forgetSource();
  endpointChanged(peer);
}

/** Nothing new was negotiated for three times REJECT_AFTER_TIME. */
EXPIRIES[DEADLINE.zeroKeyMaterial] = (core, _now, peer) => {
  session.eraseAll(core, peer);
  core.tell({ kind: 'keysErased', peer: peer.name });
};

EXPIRIES[DEADLINE.persistentKeepalive] = (core, now, peer) => {
  if (peer.persistentKeepalive > 0) sendKeepalive(core, now, peer);
};

EXPIRIES[DEADLINE.condition] = liveness.judge;

/**
 * The peer's packets take another way than the one that is preferred, and have for a while; or it is
 * nowhere yet, and its names have had their time.
 */
EXPIRIES[DEADLINE.preferredWay] = (core, now, peer) => {
  if (peer.endpoint === null) follow(core, now, peer);
  else if (isReturnDue(core, now, peer)) sendInitiation(core, now, peer);
};
