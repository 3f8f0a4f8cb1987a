/**
 * Tells systemd, or another manager that speaks its protocol, how far we are: sd_notify(3), for a
 * service of `Type=notify`. The words go as one datagram to the UNIX socket that $NOTIFY_SOCKET
 * names, which Node's own modules cannot send.
 */

import { close, connect, ERRNO, errno, Scratch, SystemError, send, socket } from '../sys/libc.ts';
import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM } from '../sys/linux.ts';
import { putUnixAddress } from '../sys/unixaddress.ts';

const VARIABLE = 'NOTIFY_SOCKET';

/** What systemd shows of a STATUS= is cut by a terminal long before. */
const MESSAGE_BYTES_MAX = 1024;
const STATE_SHOWN = 24;

const address = new Scratch(128);
const message = new Scratch(MESSAGE_BYTES_MAX);

export interface ServiceNotifier {
  /** Of the socket, which is connected by the first word; undefined when there is none. */
  readonly fd: number | undefined;
  /** What the service is for can be had from now on. */
  ready(): void;
  /** It can be had already, by a process before us: says nothing, but opens the way for later. */
  goOn(): void;
  /** How it stands, in a line that `systemctl status` shows; a long one is cut. */
  status(text: string): void;
  /** It has begun to end. */
  stopping(): void;
  /** The process of this number continues with it. */
  succeeded(pid: number): void;
}

/**
 * Takes the socket's name out of `env`, so that no program of ours speaks in our name. Without one
 * nothing is sent. The first word opens the connection, and the last goes over it: by then the
 * daemon has given up the right to open another (sandbox.ts).
 *
 * @param onNote gets a line for the log when the service manager cannot be told
 */
export function takeServiceNotifier(
  env: Record<string, string | undefined>,
  onNote: (note: string) => void,
): ServiceNotifier {
  const name = env[VARIABLE] ?? '';
  delete env[VARIABLE];
  let fd: number | undefined;
  const tell = (state: string): void => {
    if (name === '') return;
    try {
      const what = `tell the service manager ${state.slice(0, STATE_SHOWN)} (${VARIABLE}=${name})`;
      fd ??= connectTo(name, what);
      if (state === '') return;
      const { written } = new TextEncoder().encodeInto(state, message.bytes);
      if (send(fd, message.address, written, 0) < 0) throw new SystemError(what, 'send', errno());
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      onNote(error.message);
    }
  };
  return {
    get fd() {
      return fd;
    },
    ready: () => tell('READY=1'),
    goOn: () => tell(''),
    // A newline would begin another word of the protocol.
    status: (text) => tell(`STATUS=${text.replaceAll(/\p{Cc}/gu, ' ')}`),
    stopping: () => tell('STOPPING=1'),
    succeeded: (pid) => tell(`MAINPID=${pid}`),
  };
}

function connectTo(name: string, what: string): number {
  // Whoever listens elsewhere, as a virtual machine's host does on AF_VSOCK, is not of our kind.
  if (!/^[/@]./.test(name)) {
    throw new SystemError(what, 'connect', ERRNO.EAFNOSUPPORT, 'expected /PATH or @NAME');
  }
  const length = putUnixAddress(address, name);
  if (length === null) throw new SystemError(what, 'connect', ERRNO.ENAMETOOLONG, 'path too long');
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new SystemError(what, 'socket', errno());
  if (connect(fd, address.address, length) === 0) return fd;
  const error = errno();
  close(fd);
  throw new SystemError(what, 'connect', error);
}
