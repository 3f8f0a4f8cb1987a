/**
 * `tswgd` with code of ours inside (sandboxprobe.ts), as the program of a daemon and of its
 * successors: a privileged successor loads nothing that its environment asks for.
 *
 *   TSWG_PROBE_OUTPUT=PATH    where it all is written to
 *   TSWG_PROBE_WITHOUT=NAME   the kernel refuses this system call from the beginning, as one does
 *                             that has no such thing
 *   TSWG_PROBE_SOCKET=NAME    hands over another name for the control socket than its own
 *   TSWG_PROBE_WORDS=WORDS    what the starter is told on SIGWINCH
 *
 * On SIGCONT it changes the network (netadminprobe.ts). As the program of a resolver it has other code
 * inside (resolverprobe.ts).
 */

import { main } from '../../src/cli/tswgd.ts';
import { Channel } from '../../src/handover/channel.ts';
import { Takeover } from '../../src/handover/handover.ts';
import { type Instruction, installFilter } from '../../src/sandbox/seccomp.ts';
import { ERRNO } from '../../src/sys/libc.ts';
import { type CallName, callNumber } from '../../src/sys/syscalls.ts';
import { changeNetwork } from './netadminprobe.ts';
import { listenInResolver } from './resolverprobe.ts';
import { listen, say, tryNow } from './sandboxprobe.ts';

function refuse(call: CallName): void {
  const step = (operation: number, constant: number, ifTrue = 0, ifFalse = 0): Instruction => ({
    ...{ operation, constant, ifTrue, ifFalse },
  });
  const error = installFilter([
    step(0x20, 0),
    step(0x15, callNumber(call)!, 0, 1),
    step(0x06, 0x50000 | ERRNO.ENOSYS!),
    step(0x06, 0x7fff0000),
  ]);
  // ENOSYS: by a filter of the daemon's that this is the resolver of, which has been refused the same.
  if (error !== 0 && error !== ERRNO.ENOSYS) throw new Error(`${call} cannot be refused: ${error}`);
}

/** What goes over the channel is contents with this name in it. */
function lieAboutSocket(name: string): void {
  const send = Channel.prototype.send;
  Channel.prototype.send = function (bytes, fds, timeoutMs) {
    const end = bytes.length > 4 ? 4 + new DataView(bytes.buffer).getUint32(0, true) : 0;
    const json = end <= bytes.length ? new TextDecoder().decode(bytes.subarray(4, end)) : '';
    if (!json.includes('"socketName"')) return send.call(this, bytes, fds, timeoutMs);
    const lie = json.replace(/"socketName":"[^"]*"/, `"socketName":${JSON.stringify(name)}`);
    const body = new TextEncoder().encode(lie);
    const changed = new Uint8Array(4 + body.length + bytes.length - end);
    new DataView(changed.buffer).setUint32(0, body.length, true);
    changed.set(body, 4);
    changed.set(bytes.subarray(end), 4 + body.length);
    say(`handed over as ${name}`);
    return send.call(this, changed, fds, timeoutMs);
  };
}

function tryBefore(method: 'take' | 'begin', when: 'before it takes' | 'before it goes'): void {
  const original = Takeover.prototype[method] as (...args: unknown[]) => unknown;
  Object.assign(Takeover.prototype, {
    [method]: function (this: Takeover, ...args: unknown[]) {
      tryNow(when);
      return original.apply(this, args);
    },
  });
}

const { TSWG_PROBE_WITHOUT: missing, TSWG_PROBE_SOCKET: lie } = process.env;
const isResolver = process.env.TSWG_RESOLVER_FD !== undefined;
// What is refused stays so in a program that is executed.
const isFirst =
  process.env.TSWG_STARTER_FD === undefined && process.env.TSWG_PROBE_FD === undefined;
if (missing !== undefined && isFirst) refuse(missing as CallName);
if (isResolver) listenInResolver();
else {
  if (lie !== undefined) lieAboutSocket(lie);
  tryBefore('take', 'before it takes');
  tryBefore('begin', 'before it goes');
  listen();
  process.on('SIGCONT', () => say(`network ${JSON.stringify(changeNetwork(process.env))}`));
}
void main(process.argv.slice(2), process.env).then((code) => {
  process.exitCode = code;
});
