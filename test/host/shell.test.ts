import { expect, it } from 'vitest';
import { runShell } from '../../src/host/shell.ts';

it.each([
  ['true', null],
  ['exit 3', 'exit code 3'],
  ['kill -9 $$', 'ended by SIGKILL'],
])('says how a command went: %s', async (command, expected) => {
  expect(await runShell(command, process.env)).toBe(expected);
});

it('ends a command that hangs', async () => {
  const options = { isSilent: true, timeoutMs: 100 };
  expect(await runShell('exec sleep 60', process.env, options)).toBe(
    'not finished after 0.1 seconds',
  );
});
