/** What an error of sending a datagram means, in words; `sendmsg` and its like return them. */

const MEANINGS: Readonly<Record<string, string>> = {
  EPERM: 'a firewall of this machine forbids it',
  EACCES: 'a route of this machine prohibits it',
  ENETUNREACH: 'no route leads there',
  EHOSTUNREACH: 'a route of this machine says that the host is unreachable',
  EADDRNOTAVAIL: 'this machine has no address to send from',
  EAFNOSUPPORT: 'this machine had no such family when the port was opened',
  EMSGSIZE: 'the datagram is too large',
  EAGAIN: 'the buffer of the socket is full',
  ENODEV: 'there is no way out, or the interface is gone',
  ENOBUFS: 'the kernel is out of buffer space',
};

/** `name`: of the error, as in errno(3). */
export function sendErrorMeaning(name: string): string {
  return Object.hasOwn(MEANINGS, name) ? MEANINGS[name] : 'refused by the system';
}
