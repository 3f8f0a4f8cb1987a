/**
 * The words of tswg that stand alone, without an interface before them, as data: the parser, the help
 * and the completion read this table, as they do that of words.ts.
 */

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
    args: ['[-n | --keep | --install]', '[INTERFACE...]'],
    summary: 'configure interfaces from their files /etc/hostname.INTERFACE',
    detail:
      'The format is that of OpenBSD, hostname.if(5): each line holds words as after `tswg INTERFACE`, or `!` and a command for the shell. A `\\` at its end continues a line, a `#` begins a comment. Without a name all files are used. -n prints what would be done. --keep also carries out what it can of a file with mistakes, tries what was refused again after 1 to 60 seconds, and runs until every line has been carried out. --install writes the units of systemd, tswg@.service and tswg-config@.service, to /etc/systemd/system, with the paths of this tswg and its Node.js; it enables nothing.',
    example: 'tswg netstart -n wg0',
  },
  {
    word: 'metrics',
    args: ['[--openmetrics]', '[INTERFACE...]'],
    summary: 'print metrics for Prometheus, of all interfaces or of those that are named',
    detail:
      'In Prometheus text format 0.0.4, or in OpenMetrics 1.0 with --openmetrics. A daemon that does not answer within 5 seconds is told by wireguard_up 0, and by a line on standard error; the exit code is 0 then, too, since all others are told. Root is not needed by members of the group _tswg.',
    example: 'tswg metrics wg0',
  },
  {
    word: 'help',
    args: ['[WORD]'],
    summary: 'explain a word, or list them all',
    example: 'tswg help wgaip',
  },
  {
    word: 'completion',
    args: [],
    summary: 'print the completion script for your shell',
    example: 'tswg completion >> ~/.bashrc',
  },
];
