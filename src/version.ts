/**
 * The version of this package, as `--version` and the control socket tell it, and what has to be
 * under it. Loads nothing: it is read by every Node.js (cli/start.ts).
 */

export const VERSION = '0.1.0';

/** As in package.json, `engines`: the first whose libuv and OpenSSL have what is used. */
const NODE_MIN = [20, 19] as const;

/** What is wrong with a Node.js of this version (process.versions.node), or null. */
export function nodeMistake(version: string): string | null {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isEnough = major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1]);
  return isEnough
    ? null
    : `this is Node.js ${version}: expected ${NODE_MIN.join('.')} or newer (https://nodejs.org)`;
}

/** What is wrong with this system (process.platform) for the two programs, or null. */
export function platformMistake(platform: string): string | null {
  return platform === 'linux' ? null : 'Linux only';
}
