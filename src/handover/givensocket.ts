/** What a descriptor of somebody else's is, whatever was said of it. */

import { getIntOption } from '../sys/libc.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SO_ACCEPTCONN,
  SO_DOMAIN,
  SO_PROTOCOL,
  SO_TYPE,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../sys/linux.ts';

const IPPROTO_UDP = 17;

export function isListeningUnixStream(fd: number): boolean {
  return (
    getIntOption(fd, SOL_SOCKET, SO_DOMAIN) === AF_UNIX &&
    getIntOption(fd, SOL_SOCKET, SO_TYPE) === SOCK_STREAM &&
    getIntOption(fd, SOL_SOCKET, SO_ACCEPTCONN) === 1
  );
}

export function isUdpSocket(fd: number, family: 4 | 6): boolean {
  return (
    getIntOption(fd, SOL_SOCKET, SO_DOMAIN) === (family === 4 ? AF_INET : AF_INET6) &&
    getIntOption(fd, SOL_SOCKET, SO_TYPE) === SOCK_DGRAM &&
    getIntOption(fd, SOL_SOCKET, SO_PROTOCOL) === IPPROTO_UDP
  );
}
