/** What a process can still do with the terminal that it was started from. */

import { execFileSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';

const MODULE = pathToFileURL('dist/src/sandbox/terminal.js').href;
/** Also of what Node has opened by itself; says on the terminal what can be read. */
const PROGRAM = `
  import { closeSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
  import { isatty } from 'node:tty';
  import { stopReadingTerminals } from '${MODULE}';
  void process.stdout; void process.stderr;
  const terminals = () => readdirSync('/proc/self/fd').map(Number).filter((fd) => isatty(fd));
  const before = terminals();
  const error = stopReadingTerminals();
  const readable = terminals().filter(
    (fd) => !/^flags:\\s+[0-7]*1$/m.test(readFileSync('/proc/self/fdinfo/' + fd, 'latin1')));
  console.log(JSON.stringify({ hadInput: before.includes(0), error, readable,
    input: readlinkSync('/proc/self/fd/0'), output: [1, 2].every((fd) => isatty(fd)) }));
`.replaceAll('\n', ' ');

it('is write to it, not read from it', () => {
  const command = `"$NODE" --input-type=module -e "$PROGRAM"`;
  const said = execFileSync('script', ['-qec', command, '/dev/null'], {
    encoding: 'utf8',
    env: { ...process.env, NODE: process.execPath, PROGRAM, SHELL: '/bin/sh' },
    timeout: 30_000,
  });
  expect(JSON.parse(said.slice(said.indexOf('{')))).toEqual({
    ...{ hadInput: true, error: 0, readable: [] },
    ...{ input: '/dev/null', output: true },
  });
});
