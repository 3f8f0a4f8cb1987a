/** What sysfs says of interfaces, as a shell beside the daemon sees it. */

import { readFileSync } from 'node:fs';
import { interfaceIndex } from './netlink.ts';

/** No interface's. */
const NO_INDEX = 0;

/**
 * An interface's number, if sysfs knows it under that number: where it shows another network
 * (nsenter(1) without a sysfs of its own), another device may have the number, and NO_INDEX is
 * returned.
 */
export function numberInSysfs(name: string): number {
  const index = interfaceIndex(name);
  try {
    const shown = Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'));
    return shown === index ? index : NO_INDEX;
  } catch {
    return NO_INDEX;
  }
}
