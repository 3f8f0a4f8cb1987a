/**
 * The command line of tswgd, as data: its help and its manual page read this table. Each word is
 * carried out in tswgd.ts, each variable by whoever reads it.
 */

/** The two ways in which it is called, after its name. */
export const DAEMON_USAGES = ['[-f | --foreground] [--persist] INTERFACE', '--version | --help'];

export interface DaemonWord {
  readonly word: string;
  readonly summary: string;
}

/** Paragraphs. */
export const DAEMON_DESCRIPTION: readonly string[] = [
  'tswgd creates the interface and serves WireGuard on it until the interface or its control socket /var/run/wireguard/INTERFACE.sock is removed, or SIGTERM or SIGINT arrives. It goes to the background once `wg` works, unless -f is given.',
  'With --persist the interface, its addresses and its routes outlive a daemon that is killed or stopped, and its state is kept in /var/lib/tswg/INTERFACE: started again, the daemon takes both over. Deleting the interface or the control socket removes them.',
  'Members of the group _tswg, if there is one, may read what `tswg INTERFACE` and `tswg INTERFACE stats` show, but no key, over /run/tswg/INTERFACE.observe.',
  'SIGUSR2, or `tswg INTERFACE upgrade`, starts the program that is on disk now and hands the running tunnel over to it, sessions and all; if that fails, this one continues.',
];

export const DAEMON_OPTIONS: readonly DaemonWord[] = [
  { word: '-f, --foreground', summary: 'stay in the foreground' },
  { word: '--persist', summary: 'let the interface and its state outlive the daemon' },
  { word: '-v, -V, --version', summary: 'print the version' },
  { word: '-h, --help', summary: 'print this' },
];

export const DAEMON_ENVIRONMENT: readonly DaemonWord[] = [
  {
    word: 'LOG_LEVEL=LEVEL',
    summary:
      "what is logged: verbose, debug, error (the default) or silent; in the background without it, the log goes to the kernel's (dmesg)",
  },
  { word: 'WG_PROCESS_FOREGROUND=1', summary: 'the same as -f' },
  { word: 'TSWG_PERSIST=1', summary: 'the same as --persist' },
  {
    word: 'STATE_DIRECTORY=PATH',
    summary: 'where states are kept, instead of /var/lib/tswg',
  },
  { word: 'WG_TUN_FD=N', summary: 'use this open TUN descriptor' },
  { word: 'WG_UAPI_FD=N', summary: 'use this listening control socket' },
  {
    word: 'NOTIFY_SOCKET=/PATH|@NAME',
    summary:
      "in the foreground, told READY=1 once `wg` works and STOPPING=1 at the end (systemd's Type=notify)",
  },
  {
    word: 'JOURNAL_STREAM=DEV:INODE',
    summary:
      "if that is standard error, the log's lines begin with their priority (systemd's journal)",
  },
  {
    word: 'TSWG_CRYPTO=NAME',
    summary: 'which cryptography is used: auto (the default), openssl or portable',
  },
  {
    word: 'TSWG_NO_OFFLOAD=1',
    summary: 'move packets one by one, without segmentation offloads',
  },
  {
    word: 'TSWG_WARM=0',
    summary:
      'do not keep caches warm: no rehearsal at the start, no work in the pauses of a session',
  },
  {
    word: 'TSWG_USER=NAME',
    summary: 'become this user once everything is open (_tswg, tswg, or else unused ids)',
  },
  { word: 'TSWG_SANDBOX=off', summary: 'keep root and every right, for debugging' },
];
