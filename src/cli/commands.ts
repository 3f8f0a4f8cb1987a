/**
 * The words of tswg that stand alone, without an interface before them, as data: the parser, the help
 * and the completion read this table, as they do that of words.ts.
 */

import { METRICS_OPTIONS, NETSTART_OPTIONS } from './options.ts';
import type { Row } from './words.ts';

/** In the order in which they are listed. */
export const COMMANDS: readonly Omit<Row, 'place'>[] = [
  {
    word: 'genkey',
    args: [],
    summary: 'print a new private key',
    example: '(umask 077; tswg genkey > /etc/wg/private.key)',
  },
  {
    word: 'pubkey',
    args: [],
    summary: 'read a private key from standard input, print its public key',
    example: 'tswg pubkey < /etc/wg/private.key',
  },
  {
    word: 'genpsk',
    args: [],
    summary: 'print a new secret for wgpskfile',
    example: '(umask 077; tswg genpsk > /etc/wg/berlin.psk)',
  },
  {
    word: 'netstart',
    args: ['[-n | --keep | --install]', '[INTERFACE ...]'],
    options: NETSTART_OPTIONS,
    summary: 'configure interfaces from their files /etc/hostname.INTERFACE',
    detail:
      'The format is that of OpenBSD, hostname.if(5): each line holds words as after `tswg INTERFACE`, or `!` and a command for the shell. A `\\` at its end continues a line, a `#` begins a comment. Without a name all files are used.',
    example: 'tswg netstart -n wg0',
  },
  {
    word: 'metrics',
    args: ['[--openmetrics]', '[INTERFACE ...]'],
    options: METRICS_OPTIONS,
    summary: 'print metrics for Prometheus, of all interfaces or of those that are named',
    detail:
      'In Prometheus text format 0.0.4, unless an option says otherwise. A daemon that does not answer within 5 seconds is told by wireguard_up 0, and by a line on standard error; the exit code is 0 then, too, since all others are told. Root is not needed by members of the group _tswg.',
    example: 'tswg metrics wg0',
  },
  {
    word: 'help',
    args: ['[WORD | all | tswgd]'],
    summary: 'list the words, or explain one or all of them, or the daemon',
    example: 'tswg help wgaip',
  },
  {
    word: 'completion',
    args: ['[bash | zsh | fish]'],
    summary: 'print the completion script for a shell, yours unless one is named',
    detail:
      'A package installs these scripts where each shell looks for them. Otherwise put `source <(tswg completion bash)` into ~/.bashrc, write the script of zsh into a file _tswg in a folder of $fpath, or that of fish into ~/.config/fish/completions/tswg.fish.',
    example: 'tswg completion fish > ~/.config/fish/completions/tswg.fish',
  },
];
