/**
 * What an interface loses when it is taken down, kept until it is up again: the kernel removes the
 * routes over it, and its IPv6 addresses unless keep_addr_on_down is set. As the kernel told them,
 * messages of rtnetlink are kept and played back, as `ip route save` and `restore` do.
 */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Link, Netlink } from '../netlink/netlink.ts';
import { ERRNO, SystemError, systemErrorOf } from '../sys/libc.ts';

/** Gone after a boot, as the routes are. */
const DIRECTORY = '/run/tswg';
const PRIVATE_MODE = 0o600;

export class Downtime {
  readonly #netlink: Netlink;
  readonly #directory: string;

  constructor(netlink: Netlink, directory = DIRECTORY) {
    this.#netlink = netlink;
    this.#directory = directory;
  }

  /** Takes the interface down. @throws {SystemError} */
  begin(link: Link): void {
    keepAddresses(link.name);
    const before = this.#list(link);
    this.#netlink.setLink(link.index, { isUp: false });
    // One that was down has lost its own before.
    if (!link.isUp) return;
    const left = new Set(this.#list(link).map(({ key }) => key));
    const lost = before.filter(({ key }) => !left.has(key)).map(({ text }) => text);
    if (lost.length > 0) this.#save(link, lost);
    else this.forget(link.name);
  }

  /**
   * Takes it up, and gives it back what `begin` took, unless that has come back already.
   *
   * @throws {SystemError} also when a route cannot be, with the interface up
   */
  end(link: Link): void {
    this.#netlink.setLink(link.index, { isUp: true });
    if (link.isUp) return;
    let lost = this.#read(link);
    this.forget(link.name);
    // One route may lead over another.
    for (let before = Number.POSITIVE_INFINITY; lost.length > 0 && lost.length < before; ) {
      before = lost.length;
      lost = lost.filter((text) => !this.#giveBack(text));
    }
    if (lost.length > 0) {
      const hint = `of the routes it had before it was taken down, ${lost.length} cannot be put back`;
      throw new SystemError(`set up ${link.name}`, 'netlink', ERRNO.EINVAL!, hint);
    }
  }

  forget(name: string): void {
    rmSync(this.#path(name), { force: true });
  }

  #giveBack(text: string): boolean {
    try {
      this.#netlink.playBack(Buffer.from(text, 'hex'));
      return true;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return error.errno === ERRNO.EEXIST;
    }
  }

  #list(link: Link): { key: string; text: string }[] {
    return this.#netlink.recordings(link.index).map(({ key, bytes }) => ({
      key,
      text: Buffer.from(bytes).toString('hex'),
    }));
  }

  #save({ name, index }: Link, lost: readonly string[]): void {
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o755 });
      this.forget(name);
      writeFileSync(this.#path(name), `${[index, ...lost].join('\n')}\n`, {
        flag: 'wx',
        mode: PRIVATE_MODE,
      });
    } catch (error) {
      throw systemErrorOf('keep the routes for `up`', 'write', error);
    }
  }

  /** Nothing of another interface that had this name. */
  #read({ name, index }: Link): string[] {
    try {
      const [of, ...lost] = readFileSync(this.#path(name), 'utf8').trimEnd().split('\n');
      return of === String(index) ? lost : [];
    } catch {
      return [];
    }
  }

  #path(name: string): string {
    return `${this.#directory}/${name}.down`;
  }
}

/**
 * Has the kernel keep the IPv6 addresses of an interface that goes down, by whomever; where it
 * cannot be told, as in a container, only what `begin` takes comes back.
 */
export function keepAddresses(name: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/keep_addr_on_down`, '1');
  } catch {
    // Read-only, or without IPv6.
  }
}
