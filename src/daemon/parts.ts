/**
 * What a daemon is made of: its parts, how they are joined, and in which order they end. When each
 * of them does something is daemon.ts'. A further part is a line where it is made and a place in the
 * list of those that end.
 */

import { Observing } from '../control/observing.ts';
import { openHeldSocketFile } from '../control/socketfile.ts';
import type { Datapath } from '../datapath/datapath.ts';
import type { EventBody } from '../events/record.ts';
import { Log } from '../log.ts';
import { interfaceIndex } from '../netlink/netlink.ts';
import { Persistence } from '../state/persistence.ts';
import { monotonicMs } from '../sys/clock.ts';
import { ProcessStatus } from '../sys/processstatus.ts';
import { Chronicle } from './chronicle.ts';
import { Confinement } from './confinement.ts';
import { ControlSocket } from './controlsocket.ts';
import { Ending } from './ending.ts';
import { createMachinery } from './machinery.ts';
import { Names, type NamesOptions } from './names.ts';
import { Operator } from './operator.ts';
import type { ProgramOptions } from './options.ts';
import { Signals } from './signals.ts';
import { type Subsystem, Subsystems } from './subsystem.ts';
import { TunnelInterface } from './tunnelinterface.ts';
import { Underlay } from './underlay.ts';
import { Upgrade } from './upgrade.ts';

export type Parts = ReturnType<typeof createParts>;

/** Nothing that others can see is opened yet. @throws Error with one line for the operator */
export function createParts(options: ProgramOptions) {
  const { environment, takeover, held, stateDirectory: directory, successor, stop } = options;
  const heldFile = takeover ? openHeldSocketFile(options.name, held?.controlFd) : null;
  // The interface may have been renamed since the first of all was started.
  const name = heldFile?.name ?? options.name;
  const log = new Log(name, options.logLevel, options.writeLog, () => new Date());
  const ending = new Ending(log, takeover === undefined);
  const confinement = new Confinement(options);
  const processStatus = new ProcessStatus();
  processStatus.open();
  const { path, loop, gate, kernels, ways, warmUp } = createMachinery({
    ...{ environment, log, onBug: ending.surface },
    onHold: (isHeld) => tunnel.hold(isHeld),
    nameService: { lookUp: (host) => names.lookUp(host), rest: () => names.rest() },
  });
  const { onNote } = ways;
  const chronicle = new Chronicle(path);
  const tell = (body: EventBody): void => chronicle.tell(body);
  /** Of the first of all who have followed each other; monotonic ms. */
  const age = { startedAt: monotonicMs() };
  const persistence = persistenceOf(name, { path, log, tell, directory, chronicle });
  const control = new ControlSocket(heldFile, {
    ...{ log, ending },
    onRenamed: (found) => subsystems.renamed(found),
  });
  const observing = new Observing({
    ...{ onNote, fileFd: held?.observeFd },
    handle: (request) => operator.observe(request),
  });
  const underlay = new Underlay({ path, loop, gate, ...ways });
  const tunnel = new TunnelInterface({
    ...{ path, underlay, loop, log, ending, tell, tun: { kernels, ...ways } },
    isPersistent: persistence !== undefined,
    onNamed: (found) => {
      if (!control.follow(found)) return;
      observing.follow(found);
      upgrade.rename();
    },
  });
  const upgrade = new Upgrade({
    ...{ successor, path, log, ending, tell },
    belongings: () => {
      const [uapi, udp] = [control.server, underlay.bound];
      const past = { uptimeMs: path.now - age.startedAt, events: chronicle.handOver() };
      return { tunFd: tunnel.fd, uapi, udp, observeFd: observing.fd, ...past };
    },
    isBusy: () => control.isBusy || observing.isBusy,
    onResolver: (fds) => names.connect(fds),
    onHandedOver: (pid) => {
      subsystems.stop(ending.kind);
      options.onSucceeded?.(pid);
    },
  });
  const startResolver = options.sandbox ? () => upgrade.startResolver() : undefined;
  const { reapResolver } = upgrade;
  const names = namesOf(path, { startResolver, reapResolver, onNote, onBug: ending.surface });
  const operator = new Operator({
    ...{ path, underlay, log, ending, upgrade, chronicle },
    subject: {
      ...{ path, loop, confinement, observing, names, persistence },
      ...{ chronicle, processStatus, startedAt: () => age.startedAt },
    },
    troubles: () => subsystems.troubles(),
    onChange: () => subsystems.changed(),
  });
  const onUpgrade = (): void => void upgrade.request();
  const signals = new Signals({ ending, stop, ofProcess: options.signals ?? false, onUpgrade });
  // In the order in which they end. The path erases every key; the control socket's file is the
  // upgrade's starter's to remove, last of all: programs that wait for our end look for it.
  const subsystems = new Subsystems([
    ...[signals, operator, warmUp, loop, listening(log), confinement, chronicle, observing],
    control,
    ...(persistence === undefined ? [] : [persistence]),
    ...[names, underlay, { stop: () => gate.close() }, path, tunnel, upgrade, processStatus],
  ]);
  return {
    ...{ log, ending, age, path, warmUp, confinement, persistence, chronicle, control, observing },
    ...{ underlay, tunnel, upgrade, names, operator, signals, subsystems },
  };
}

/**
 * Names for the Device on a path. `startResolver`: of a daemon that confines itself, which can neither
 * ask nor start anybody who does.
 */
function namesOf(path: Datapath, options: Omit<NamesOptions, 'onAnswer'>): Names {
  return new Names({
    ...options,
    onAnswer: (host, answer) => path.turn(() => path.device.nameAnswered(path.now, host, answer)),
  });
}

interface StateOptions {
  readonly path: Datapath;
  readonly log: Log;
  readonly tell: (body: EventBody) => void;
  readonly chronicle: Chronicle;
  /** Where states are kept; undefined for a daemon that is not persistent. */
  readonly directory: string | undefined;
}

/** `name`: the interface's. */
function persistenceOf(name: string, options: StateOptions): Persistence | undefined {
  const { path, log, tell, chronicle, directory } = options;
  if (directory === undefined) return undefined;
  return new Persistence({
    ...{ name, directory, device: path.device, log, interfaceIndex, tell },
    onRestored: (change) => chronicle.configured('state', change),
  });
}

function listening(log: Log): Subsystem {
  return {
    renamed: (name) => {
      log.name = name;
    },
  };
}
