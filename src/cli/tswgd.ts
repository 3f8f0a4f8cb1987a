/**
 * The daemon's command line, a drop-in for wireguard-go's: the name of an interface, and the rest
 * from the environment, since wg-quick calls it as one word. In the background (the usual case) it
 * starts itself again and waits; only the foreground loads the daemon.
 */

import type { Takeover } from '../handover/handover.ts';
import { openJournal } from '../host/journal.ts';
import {
  keepsOutput,
  parseDescriptor,
  RESOLVER_FD_VARIABLE,
  type StarterDescriptors,
  startDaemon,
  successorCommand,
  successorEnvironment,
  takeReporter,
  takeStarter,
} from '../host/launch.ts';
import type { LogLevel, LogPriority } from '../log.ts';
import { visible } from '../quotation.ts';
import type { Environment } from '../sys/environment.ts';
import { nameProcess } from '../sys/processname.ts';
import { VERSION } from '../version.ts';
import { loadingMistake } from './refusal.ts';
import { INTERFACE_NAME_RULE, isInterfaceName } from './values.ts';

export type DaemonCommand =
  | {
      readonly kind: 'run';
      readonly name: string;
      readonly foreground: boolean;
      readonly persist: boolean;
    }
  | { readonly kind: 'help' | 'version' }
  | { readonly kind: 'mistake'; readonly text: string };

export function parseDaemonCommand(argv: readonly string[]): DaemonCommand {
  let foreground = false;
  let persist = false;
  let name: string | null = null;
  // As of tswg, which therefore could not configure interfaces of these names.
  if (argv.length === 1 && (argv[0] === 'help' || argv[0] === 'version')) return { kind: argv[0] };
  for (const word of argv) {
    if (word === '-f' || word === '--foreground') foreground = true;
    else if (word === '--persist') persist = true;
    else if (word === '-h' || word === '--help') return { kind: 'help' };
    else if (['-v', '-V', '--version'].includes(word)) return { kind: 'version' };
    else if (word.startsWith('-')) {
      return { kind: 'mistake', text: `${visible(word)}: unknown option; see tswgd --help` };
    } else if (name !== null) {
      return { kind: 'mistake', text: `${visible(word)}: expected one interface only` };
    } else name = word;
  }
  if (name === null) {
    return { kind: 'mistake', text: 'expected the name of an interface, as in `tswgd wg0`' };
  }
  if (!isInterfaceName(name)) {
    return { kind: 'mistake', text: `${visible(name)}: ${INTERFACE_NAME_RULE}` };
  }
  return { kind: 'run', name, foreground, persist };
}

/** wireguard-go's names; as there, what is not known means `error`. */
export function parseLogLevel(text: string | undefined): LogLevel {
  switch (text) {
    case 'verbose':
    case 'debug':
      return 'debug';
    case 'silent':
      return 'silent';
    default:
      return 'error';
  }
}

/**
 * Resolves to the exit code, in the foreground after the daemon's life.
 *
 * @param keepCode has what the engine has compiled kept for the next start (code.ts)
 */
export async function main(
  argv: readonly string[],
  given: Environment,
  keepCode: () => void = () => {},
): Promise<number> {
  const command = parseDaemonCommand(argv);
  switch (command.kind) {
    case 'help':
      process.stdout.write((await import('./daemonhelp.ts')).formatDaemonHelp());
      return 0;
    case 'version':
      process.stdout.write(`tswgd ${VERSION}\n`);
      return 0;
    case 'mistake':
      return fail(command.text);
    case 'run': {
      const { name, foreground, persist } = command;
      // The child in the background is asked the same by its environment, as wg-quick asks us.
      const env = persist ? { ...given, TSWG_PERSIST: '1' } : given;
      if (foreground || env.WG_PROCESS_FOREGROUND === '1')
        return runForeground(name, env, keepCode);
      try {
        await startDaemon(name, env);
        return 0;
      } catch (error) {
        return fail(lineOf(error));
      }
    }
  }
}

async function runForeground(
  name: string,
  env: Environment,
  keepCode: () => void,
): Promise<number> {
  const { leaveRing } = await import('../daemon/ringless.ts');
  if (env[RESOLVER_FD_VARIABLE] !== undefined) {
    const { runResolver } = await import('../resolver/program.ts');
    return runResolver(name, env);
  }
  leaveRing(env);
  nameProcess('tswgd', name);
  const reporter = takeReporter(env);
  // Node would open its debugger.
  process.on('SIGUSR1', () => {});
  try {
    // First of all, so that the daemon before us hears of what goes wrong from here on.
    const starter = takeStarter(env);
    const takeover = await openTakeover(starter);
    const tunFd = parseDescriptor('WG_TUN_FD', env.WG_TUN_FD);
    const uapiFd = parseDescriptor('WG_UAPI_FD', env.WG_UAPI_FD);
    const { runDaemon } = await import('../daemon/life.ts');
    const { setUpEngine } = await import('../sys/engine.ts');
    const { takeServiceNotifier } = await import('../host/servicenotify.ts');
    const isBehind = reporter.isAwaited || env[BEHIND_VARIABLE] === '1';
    const log = await openLog(isBehind && !keepsOutput(env), env);
    const writeLog = log.write;
    const successor = {
      command: successorCommand(name),
      env: successorEnvironment(isBehind ? { ...env, [BEHIND_VARIABLE]: '1' } : env),
    };
    // In the background we are not the service, even if one of its programs has started us.
    const service = takeServiceNotifier(isBehind ? {} : env, (note) =>
      writeLog(`error: (${name}) ${note}`, 'error'),
    );
    // Its connection has to be there before a successor gives up the right to it.
    if (takeover !== undefined) service.goOn();
    const logLevel = parseLogLevel(env.LOG_LEVEL);
    return await runDaemon({
      name,
      logLevel,
      writeLog,
      environment: env,
      sandbox: true,
      signals: true,
      ...(logLevel === 'silent' || log.fd === undefined
        ? {}
        : { lastLog: { fd: log.fd, tag: log.tag } }),
      connected: () => (service.fd === undefined ? [] : [service.fd]),
      ...(tunFd === undefined ? {} : { tunFd }),
      ...(uapiFd === undefined ? {} : { uapiFd }),
      ...(env.TSWG_PERSIST === '1'
        ? { stateDirectory: (await import('../state/statefile.ts')).stateDirectory(env) }
        : {}),
      onReady: () => {
        reporter.ready();
        if (takeover === undefined) service.ready();
      },
      onRehearsal: setUpEngine,
      // Of a successor, what it rehearses before that would be in it, too.
      onConfining: takeover === undefined ? keepCode : () => {},
      onStopping: () => service.stopping(),
      onSucceeded: (pid) => service.succeeded(pid),
      successor,
      ...(takeover === undefined ? {} : { takeover }),
      ...(starter?.held === undefined ? {} : { held: starter.held }),
    });
  } catch (error) {
    // The process that waits for us prints the line.
    return reporter.failed(lineOf(error)) ? 1 : fail(lineOf(error), openJournal(env)('error'));
  }
}

/** Tells a successor that its predecessors were started in the background. */
const BEHIND_VARIABLE = 'TSWG_IN_BACKGROUND';

async function openTakeover(
  starter: StarterDescriptors | undefined,
): Promise<Takeover | undefined> {
  if (starter === undefined) return undefined;
  const { Takeover } = await import('../handover/handover.ts');
  return new Takeover(starter.socketFd);
}

interface LogOutput {
  /** undefined where nobody would read it. */
  readonly fd: number | undefined;
  /** What comes before an error. */
  readonly tag: string;
  readonly write: (line: string, priority: LogPriority) => void;
}

/** In the background without an output of its own, a daemon still has the kernel's log. */
async function openLog(isUnseen: boolean, env: Environment): Promise<LogOutput> {
  if (!isUnseen) {
    // The reader of the log may go away before the tunnel does.
    process.stderr.on('error', () => {});
    const prefix = openJournal(env);
    return {
      fd: STANDARD_ERROR,
      tag: prefix('error'),
      write: (line, priority) => void process.stderr.write(`${prefix(priority)}${line}\n`),
    };
  }
  const { openKernelLog } = await import('../host/kernellog.ts');
  return openKernelLog('tswgd') ?? { fd: undefined, tag: '', write: () => {} };
}

const STANDARD_ERROR = 2;

function fail(line: string, prefix = ''): number {
  process.stderr.write(`${prefix}tswgd: ${line}\n`);
  return 1;
}

function lineOf(error: unknown): string {
  const mistake = loadingMistake(error);
  if (mistake !== null) return mistake;
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll('\n', ' ');
}
