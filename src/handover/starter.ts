/**
 * What stays beside a daemon with the rights that it was started with. A daemon that has confined
 * itself starts no program any more and removes no file of root's (sandbox.ts); so before that it
 * starts a shell that waits for its words:
 *
 *   start    start the daemon's successor
 *   resolve  start the process that looks names up for the daemon (resolver/program.ts)
 *   reap     the daemon has let go of that process, and wants no other now
 *   rename   the interface has another name: its sockets and the state's folder get it, too
 *   left     the daemon ends, and its successor continues: nothing is left to do
 *   end      the daemon ends, and has said why
 *
 * At the socket's end, however it came, the daemon is no more: the shell removes the daemon's
 * sockets (the control socket last, since that is what others look for), and the state's folder if
 * nothing is in it, and where there was no last word it writes the line that the daemon could not
 * write. It lives on that socket alone; signals, such as those of a service manager to all processes
 * of a service, are the daemon's to answer.
 *
 * The daemon may be in other hands. So words have no operands; what they act upon was fixed before
 * anything was read from the network: the program and its environment, the interface's number, and
 * the sockets' files, of which the shell holds descriptors, so that no other file can have their
 * inodes. Programs are started one after the other, with pauses, and a limited number of them.
 *
 * Over the same socket the new program sends its end of a channel to the daemon. A resolver has
 * another one for that: it is exposed to name servers, and is never to be taken for a successor.
 */

import { spawn } from 'node:child_process';
import {
  CONTROL_FD_VARIABLE,
  INTERFACE_INDEX_VARIABLE,
  OBSERVE_FD_VARIABLE,
  RESOLVER_FD_VARIABLE,
  STARTER_FD_VARIABLE,
} from '../host/launch.ts';
import type { Environment } from '../sys/environment.ts';
import {
  close,
  errno,
  errnoName,
  fcntl,
  Scratch,
  SystemError,
  send,
  socketPair,
  streamPair,
} from '../sys/libc.ts';
import { F_SETFL, MSG_DONTWAIT } from '../sys/linux.ts';
import { type Watch, watch } from '../sys/poller.ts';
import { nameSocket } from '../sys/unixnames.ts';
import { Channel, receiveDescriptors, sendDescriptors } from './channel.ts';

const SHELL = '/bin/sh';
/** Successors that one daemon may have started, all but the last without success; and resolvers. */
const STARTS_MAX = 50;
/** Its start computes for half a second, in which packets come first. */
const RESOLVER_NICENESS = 10;
/** Out of the environment, so that a list of processes shows what it is and not all of it. */
const SHELL_COMMAND = `script=$TSWG_STARTER; unset TSWG_STARTER; eval "$script"`;
/**
 * Descriptors of the shell's: 3 the daemon's socket, 4 the control socket (O_PATH), 5 the log, 6 the
 * observing socket (O_PATH), whose name is the other's unless another file was in the way, 7 the
 * resolvers' socket, which becomes their 3. Of the environment for successors, what names the
 * others is taken out. The resolver before has ended by then, or does at once: the daemon has let go
 * of it.
 * Nothing of it may need a right that the service of examples/ lacks, or a shell that is not POSIX;
 * `-ef` is in that standard since 2024, and was in every shell before. A name that ends as the files
 * of others do could make a folder of one: version 0.1.0 kept the state of wg0 as wg0.state.
 */
const SCRIPT = `name=$1 index=$2 sockets=$3 states=$4 tag=$5 observed=$6 observers=$7 remaining=$8
shift 8
child= last= resolver= resolvers=$remaining
trap '' HUP INT QUIT TERM PIPE
is_ours() { [ "$sockets/$1.sock" -ef /proc/self/fd/4 ]; }
is_observed() { [ "$observers" ] && [ "$observers/$1.observe" -ef /proc/self/fd/6 ]; }
start() {
  [ "$remaining" -gt 0 ] || return
  remaining=$((remaining - 1))
  if [ "$child" ]; then wait "$child"; sleep 1; fi
  (trap - HUP INT QUIT TERM PIPE; exec "$@") 5>&- 7>&- &
  child=$!
}
resolve() {
  [ "$resolvers" -gt 0 ] || return
  resolvers=$((resolvers - 1))
  if [ "$resolver" ]; then wait "$resolver"; sleep 1; fi
  (if command -v nice; then set -- nice -n ${RESOLVER_NICENESS} "$@"; fi
    unset ${STARTER_FD_VARIABLE} ${CONTROL_FD_VARIABLE} ${OBSERVE_FD_VARIABLE} ${INTERFACE_INDEX_VARIABLE}
    ${RESOLVER_FD_VARIABLE}=3 exec "$@") </dev/null >/dev/null 2>&1 3<&7 4>&- 5>&- 6>&- 7>&- &
  resolver=$!
}
follow() {
  for file in /sys/class/net/*/ifindex; do
    read -r found <"$file" && [ "$found" = "$index" ] || continue
    new=\${file%/ifindex} new=\${new##*/}
    case $new in *[!a-zA-Z0-9_=+.-]* | *.state | *.sock) return ;; esac
    [ ! -e "$sockets/$new.sock" ] && is_ours "$name" || return
    [ ! "$states" ] || [ ! -e "$states/$new" ] || return
    ln -T "$sockets/$name.sock" "$sockets/$new.sock" || return
    rm -f "$sockets/$name.sock"
    if is_observed "$observed" && ln -T "$observers/$observed.observe" "$observers/$new.observe"; then
      rm -f "$observers/$observed.observe"
      observed=$new
    fi
    [ ! "$states" ] || mv -T "$states/$name" "$states/$new"
    name=$new
    return
  done
} 2>/dev/null
while read -r word <&3; do
  case $word in
    start) start "$@" ;;
    resolve) resolve "$@" ;;
    reap) [ ! "$resolver" ] || wait "$resolver" ;;
    rename) follow ;;
    left | end) last=$word ;;
  esac
done
[ "$last" != left ] || exit 0
if is_observed "$observed"; then rm -f "$observers/$observed.observe"; fi
if is_ours "$name"; then rm -f "$sockets/$name.sock"; fi
[ ! "$states" ] || rmdir "$states/$name" 2>/dev/null
[ "$last" ] || printf '%s\\n' "\${tag}ERROR: ($name) $(date -u '+%Y/%m/%d %H:%M:%S') \
Process $PPID has ended without a word: it was killed, or the engine has crashed" >&5`;
/** As which the shell gives the socket to the program. */
const SOCKET_FD = 3;
/** As which it gives the control socket. */
const CONTROL_FD = 4;
/** And the observing socket. */
const OBSERVE_FD = 6;
const SEND_TIMEOUT_MS = 1_000;

/** What outlives the daemon by a moment, for the shell to clear up. */
export interface Remains {
  /** The interface's name, and its number, by which it is found under another. */
  readonly name: string;
  readonly index: number;
  /** The folder with control sockets, and a descriptor of ours (O_PATH), which stays the caller's. */
  readonly socketDirectory: string;
  readonly controlFd: number;
  /** The same of the observing socket, which may have kept an older name of the interface's. */
  readonly observing?:
    | { readonly name: string; readonly directory: string; readonly fd: number }
    | undefined;
  /** The folder with the states of all interfaces, for one whose daemon is persistent. */
  readonly stateDirectory: string | undefined;
  /** Where the log's lines go, and what comes before each; undefined for a log that is silent. */
  readonly log: { readonly fd: number; readonly tag: string } | undefined;
}

export interface StarterOptions {
  /** The program that is to be our successor, with its arguments. */
  readonly command: readonly string[];
  readonly env: Environment;
  readonly remains?: Remains | undefined;
  /** A program that was started has called: the channel is the receiver's. `knows`: see `call`. */
  readonly onCall: (channel: Channel, knows: number) => void;
  /** A resolver that was started has called: the descriptors are the receiver's. */
  readonly onResolver?: ((fds: readonly number[]) => void) | undefined;
  /** The shell has ended before us, or never began: `why`, once. */
  readonly onGone?: ((why: string) => void) | undefined;
  readonly onBug: (error: unknown) => void;
}

export class Starter {
  readonly #fd: number;
  readonly #watch: Watch;
  readonly #resolversFd: number;
  readonly #resolversWatch: Watch;
  readonly #onGone: StarterOptions['onGone'];
  readonly #word = new Scratch(16);
  /** Why nothing can be started; '' when all is well. */
  #trouble = '';
  #resolversLeft = STARTS_MAX;
  #isClosed = false;

  /** @throws {SystemError} when descriptors are short */
  constructor(options: StarterOptions) {
    const { onCall, onResolver, onBug } = options;
    this.#onGone = options.onGone;
    const [[fd, theirs], [resolversFd, resolversEnd]] = pairsForShell();
    this.#fd = fd;
    this.#resolversFd = resolversFd;
    // The shell would take "try again" for the end.
    fcntl(theirs, F_SETFL, 0);
    const shell = spawnShell(options, theirs, resolversEnd);
    close(theirs);
    close(resolversEnd);
    shell.unref();
    shell.on('error', (error) => this.#gone(`${SHELL} cannot be started: ${error.message}`));
    shell.on('exit', () => this.#gone('the starter (tswgd-starter) has ended'));
    this.#watch = watch(
      fd,
      () => {
        const call = receiveDescriptors(fd, 0);
        if (call.kind === 'message')
          for (const end of call.fds) onCall(new Channel(end), call.length);
        else if (call.kind === 'closed') this.#watch.close();
      },
      onBug,
    );
    this.#resolversWatch = watch(
      resolversFd,
      () => {
        const call = receiveDescriptors(resolversFd, 0);
        if (call.kind === 'closed') this.#resolversWatch.close();
        else if (call.kind !== 'message') return;
        else if (onResolver !== undefined) onResolver(call.fds);
        else for (const end of call.fds) close(end);
      },
      onBug,
    );
  }

  #fail(why: string): void {
    if (this.#trouble === '') this.#trouble = why;
  }

  /** At our own end it goes, too. */
  #gone(why: string): void {
    if (this.#isClosed) return;
    this.#fail(why);
    this.#onGone?.(this.#trouble);
  }

  /** Starts the program, which calls when it is there. Returns why that cannot be, or ''. */
  start(): string {
    if (this.#trouble === '' && !this.#say('start')) {
      this.#fail(`the ${SHELL} that would start it does not answer (send: ${errnoName(errno())})`);
    }
    return this.#trouble;
  }

  /** Starts a resolver, which calls when it is there. Returns why that cannot be, or ''. */
  resolve(): string {
    if (this.#trouble !== '') return this.#trouble;
    if (this.#resolversLeft === 0) {
      return `${STARTS_MAX} resolvers have been started; \`tswg INTERFACE upgrade\` permits as many again`;
    }
    this.#resolversLeft--;
    return this.#say('resolve') ? '' : `the starter does not answer (send: ${errnoName(errno())})`;
  }

  /** The daemon has let go of the resolver, which has ended and shall not be left in the list of processes. */
  reapResolver(): void {
    this.#say('reap');
  }

  /** The interface has another name. */
  rename(): void {
    this.#say('rename');
  }

  /** The daemon ends; `isSucceeded`: its successor has all that would be cleared up. */
  close(isSucceeded: boolean): void {
    this.#isClosed = true;
    this.#say(isSucceeded ? 'left' : 'end');
    this.#watch.close();
    this.#resolversWatch.close();
    close(this.#fd);
    close(this.#resolversFd);
  }

  #say(word: 'start' | 'resolve' | 'reap' | 'rename' | 'left' | 'end'): boolean {
    const { written } = new TextEncoder().encodeInto(`${word}\n`, this.#word.bytes);
    return send(this.#fd, this.#word.address, written, MSG_DONTWAIT) === written;
  }
}

/** Of each, our end and the shell's: for words, and for resolvers' calls. @throws {SystemError} */
function pairsForShell(): [words: readonly [number, number], resolvers: readonly [number, number]] {
  const words = streamPair();
  try {
    return [words, socketPair()];
  } catch (error) {
    for (const fd of words) close(fd);
    throw error;
  }
}

function spawnShell(
  { command, env, remains }: StarterOptions,
  socketFd: number,
  resolversFd: number,
) {
  const { name = '', index = 0, socketDirectory = '', stateDirectory = '', log } = remains ?? {};
  const observing = remains?.observing;
  const held = [
    ...[name, `${index}`, socketDirectory, stateDirectory, log?.tag ?? ''],
    ...[observing?.name ?? '', observing?.directory ?? ''],
  ];
  return spawn(
    SHELL,
    ['-c', SHELL_COMMAND, 'tswgd-starter', ...held, `${STARTS_MAX}`, ...command],
    {
      cwd: '/',
      env: {
        ...env,
        TSWG_STARTER: SCRIPT,
        [STARTER_FD_VARIABLE]: `${SOCKET_FD}`,
        ...(remains === undefined
          ? {}
          : { [CONTROL_FD_VARIABLE]: `${CONTROL_FD}`, [INTERFACE_INDEX_VARIABLE]: `${index}` }),
        ...(observing === undefined ? {} : { [OBSERVE_FD_VARIABLE]: `${OBSERVE_FD}` }),
      },
      stdio: [
        ...(['ignore', 'inherit', 'inherit', socketFd] as const),
        ...[remains?.controlFd ?? ('ignore' as const), log?.fd ?? ('ignore' as const)],
        ...[observing?.fd ?? ('ignore' as const), resolversFd],
      ],
    },
  );
}

/**
 * Calls the daemon that had us started, over the starter's socket.
 *
 * @param knows a number that tells the daemon what the caller knows; 0 from an earlier version
 * @throws {SystemError}
 */
export function call(socketFd: number, knows = 0): Channel {
  const [ours, theirs] = socketPair();
  // It goes to a process that may be in other hands, and has confined itself before.
  nameSocket(theirs);
  const isSent = sendDescriptors(socketFd, knows, [theirs], SEND_TIMEOUT_MS);
  const error = errno();
  close(theirs);
  close(socketFd);
  if (isSent) return new Channel(ours);
  close(ours);
  throw new SystemError('call the daemon that is to be followed', 'sendmsg', error);
}
