/**
 * The network namespace of the calling thread, which decides where sockets are opened. A socket
 * stays where it was opened, and a namespace stays while it has sockets.
 */

import { close, errno, open, SystemError, setns, unshare } from './libc.ts';
import { CLONE_NEWNET, O_CLOEXEC, O_RDONLY } from './linux.ts';

/**
 * Enters a new namespace, in which even the loopback interface is down. Returns the way back,
 * which must be taken before anything else runs, and which throws where it fails: sockets opened
 * later would be in the wrong network.
 *
 * @throws {SystemError} when it is not permitted; the thread is where it was then
 */
export function enterNewNamespace(): () => void {
  const home = open('/proc/thread-self/ns/net', O_RDONLY | O_CLOEXEC);
  if (home < 0) throw new SystemError('find the network namespace', 'open', errno());
  if (unshare(CLONE_NEWNET) < 0) {
    const error = errno();
    close(home);
    throw new SystemError('enter a new network namespace', 'unshare', error);
  }
  return () => {
    const error = setns(home, CLONE_NEWNET) < 0 ? errno() : 0;
    close(home);
    if (error !== 0) throw new SystemError('return to the network namespace', 'setns', error);
  };
}
