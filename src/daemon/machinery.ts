/**
 * What moves a daemon's packets: one arena, the cryptography and the kernels on it, the path with
 * its Device, the gate before it and the only loop.
 */

import { Arena } from '../arena.ts';
import { chooseSuite, cryptoPreference } from '../crypto/openssl/suite.ts';
import { Datapath } from '../datapath/datapath.ts';
import type { DropReason } from '../device/drops.ts';
import type { NameService } from '../device/ways.ts';
import { openFloodgate } from '../gate/floodgate.ts';
import type { Log } from '../log.ts';
import { interfaceIndex } from '../netlink/netlink.ts';
import { createKernels } from '../packet/kernels/fastest.ts';
import { openLoop } from '../sys/loop.ts';
import { drainSoon } from '../sys/poller.ts';
import type { DaemonOptions } from './options.ts';
import { WarmUp } from './warmup.ts';

/** Room for the largest batch of either side and for what the Device adds to it. */
const ARENA_BYTES = 6 * 1024 * 1024;

export interface MachineryOptions {
  readonly environment: DaemonOptions['environment'];
  readonly log: Log;
  /** The transport takes no more, or takes some again. */
  readonly onHold: (isHeld: boolean) => void;
  readonly nameService: NameService;
  readonly onBug: (error: unknown) => void;
}

/** @throws Error with one line for the operator */
export function createMachinery(options: MachineryOptions) {
  const { environment = {}, log, onHold, nameService, onBug } = options;
  const offload = environment.TSWG_NO_OFFLOAD !== '1';
  const warm = environment.TSWG_WARM !== '0';
  const arena = new Arena(ARENA_BYTES);
  const onNote = (note: string): void => log.error(note);
  const onDrop = (reason: DropReason, packets: number): void =>
    path.device.countDrop(reason, packets);
  const suite = chooseSuite(arena, cryptoPreference(environment.TSWG_CRYPTO), onNote);
  const kernels = createKernels(arena);
  const eachWindow = (tell: (index: number, greatest: number) => void): void =>
    path.device.eachWindow(tell);
  const gate = openFloodgate({ onDrop, onNote, eachWindow });
  const path = new Datapath({ arena, suite, nameService, interfaceIndex, warm, onHold });
  path.device.observe(log.event);
  // What an observer has settled, somebody may wait for.
  path.device.observe(drainSoon);
  const loop = openLoop(
    {
      deadline: () => path.device.nextTimeout(),
      onDeadline: path.handleTimeout,
      onPause: path.stayWarm,
      onBug,
    },
    (line) => log.debug(line),
  );
  const moved = (): number => path.moved;
  const warmUp = new WarmUp({ arena, suite, kernels, loop, offload, warm, moved }, log);
  /** How interface and sockets are opened. */
  const ways = { arena, offload, onDrop, onNote };
  return { kernels, gate, path, loop, warmUp, ways };
}
