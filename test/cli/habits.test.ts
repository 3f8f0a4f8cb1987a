/** Words typed by habit: each is understood, or answered by a line with the one that is meant. */

import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { habit } from '../../src/cli/habits.ts';
import { parse } from '../../src/cli/parse.ts';
import { splitShellWords } from '../../src/cli/shellwords.ts';
import { parseDaemonCommand } from '../../src/cli/tswgd.ts';

describe('tswg', () => {
  const VERSION = { kind: 'version' };
  const HELP = { kind: 'help', topic: null };
  const UNDERSTOOD: readonly [line: string, command: object][] = [
    ['-v', VERSION],
    ['-V', VERSION],
    ['--version', VERSION],
    ['version', VERSION],
    ['help', HELP],
    ['-h', HELP],
    ['--help', HELP],
    ['wg0 help', HELP],
    ['wg0 --help', HELP],
    ['wg0 up -h', HELP],
    ['help all', { kind: 'help', topic: 'all' }],
    ['help tswgd', { kind: 'help', topic: 'tswgd' }],
    ['help tswg', HELP],
    ['wg0 help wgaip', { kind: 'help', topic: 'wgaip' }],
    ['genkey --help', { kind: 'help', topic: 'genkey' }],
    ['netstart -h', { kind: 'help', topic: 'netstart' }],
    ['netstart --install --help', { kind: 'help', topic: 'netstart' }],
    ['metrics --help', { kind: 'help', topic: 'metrics' }],
    ['completion --help', { kind: 'help', topic: 'completion' }],
    ['wg0 events --help', { kind: 'help', topic: 'events' }],
    ['wg0 events --follow -h', { kind: 'help', topic: 'events' }],
    ['wg0 doctor --help', { kind: 'help', topic: 'doctor' }],
    ['genkey', { kind: 'genkey' }],
    ['pubkey', { kind: 'pubkey' }],
    ['genpsk', { kind: 'genpsk' }],
  ];
  it.each(UNDERSTOOD)('%s is understood', (line, command) => {
    expect(parse(line.split(' '))).toEqual(command);
  });

  it.each([
    ['show', 'show: `tswg` alone shows all interfaces, `tswg wg0` one of them'],
    ['show wg7', 'show: `tswg` alone shows all interfaces, `tswg wg7` one of them'],
    ['wg0 show', 'show: `tswg wg0` alone shows the interface, `tswg` all of them'],
    ['-a', '-a: `tswg` alone shows all interfaces, `tswg wg0` one of them'],
    ['-4 addr', '-4: unknown option; expected --json, --help, --version'],
    ['up wg0', 'up: expected an interface before it, as in `tswg wg0 up`'],
    ['set wg7 mtu 1', 'set: expected the interface first, as in `tswg wg7 wgport 51820`'],
    ['link set wg1 up', 'link: expected the interface first, as in `tswg wg1 up`'],
    [
      'addr add 10.0.0.1/24 dev wg1',
      'addr: expected the interface first, as in `tswg wg1 inet 10.99.0.1/30`',
    ],
    ['strip wg1', 'strip: `wg-quick strip wg1` prints a file for `wg setconf wg1`'],
    ['stop wg1', 'stop: `tswg wg1 down` stops it, `tswg wg1 destroy` removes it'],
    ['del wg1', 'del: `tswg wg1 destroy` removes it'],
    ['delete wg1', 'delete: `tswg wg1 destroy` removes it'],
    ['delete', 'delete: expected an interface before it, as in `tswg wg0 delete`'],
    ['remove wg1', 'remove: `tswg wg1 destroy` removes it'],
    ['rm wg1', 'rm: `tswg wg1 destroy` removes it'],
    ['wg0 genkey', 'genkey: expected no interface before it, as in `tswg genkey`'],
    ['wg0 version', 'version: expected no interface before it, as in `tswg version`'],
    ['wg0 -v', '-v: expected no interface before it, as in `tswg -v`'],
    ['wg0 monitor', 'monitor: `tswg wg0 events --follow` shows what happens'],
    ['help wgquick', 'help: wgquick: unknown word; `tswg help` lists them all'],
  ])('%s is answered with what is meant', (line, text) => {
    expect(parse(line.split(' '))).toEqual({ kind: 'mistake', text });
  });

  it.each(['link', 'route', 'start', 'addr', 'wg'])(
    '%s alone is the name of an interface',
    (name) => {
      expect(parse([name])).toEqual({ kind: 'show', name, json: false });
    },
  );

  it.each([
    ...['start', 'stop', 'restart', 'reload', 'list', 'status', 'log', 'ping', 'rename', 'json'],
    ...['peer', 'AllowedIPs', 'allowed-ips', 'endpoint=', 'privatekey', 'show', 'dump', '-v', '-j'],
    ...['address', 'dns', 'postup', 'dev', 'link', 'route', 'txqueuelen', 'group', 'rdomain'],
  ])('answers wg0 %s with commands that there are', (typed) => {
    const text = habit(typed);
    expect(text).not.toBeNull();
    const commands = [...text!.matchAll(/`tswg ?([^`]*)`/g)].map(([, words]) => words);
    for (const command of commands) {
      const words = splitShellWords(command) as string[];
      expect(parse(words), command).not.toMatchObject({ kind: 'mistake' });
    }
  });

  it.each(COMMANDS)('knows $word where it is expected', ({ word }) => {
    expect(parse(['wg0', word, 'x'])).toMatchObject({
      kind: expect.stringMatching(/mistake|help/),
    });
  });
});

it.each(['-v', '-V', '--version'])('tswgd %s tells the version', (option) => {
  expect(parseDaemonCommand([option])).toEqual({ kind: 'version' });
});

it('tswgd help and tswgd version make no interface of that name', () => {
  expect(parseDaemonCommand(['help'])).toEqual({ kind: 'help' });
  expect(parseDaemonCommand(['version'])).toEqual({ kind: 'version' });
});
