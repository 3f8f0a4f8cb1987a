/**
 * What the two programs say on a Node.js that is too old for them: one line, before anything is
 * loaded that such a version could not load.
 */

import { execFile } from 'node:child_process';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { nodeMistake } from '../../src/version.ts';
import { programEnvironment, REPOSITORY } from '../lab/repository.ts';

describe('a version of Node.js', () => {
  it.each([
    ['18.19.0', false],
    ['20.18.3', false],
    ['20.19.0', true],
    ['20.20.1', true],
    ['21.0.0', true],
    ['22.1.0', true],
    ['100.0.0', true],
  ])('%s is enough: %s', (version, isEnough) => {
    const expected = 'expected 20.19 or newer (https://nodejs.org)';
    expect(nodeMistake(version)).toBe(isEnough ? null : `this is Node.js ${version}: ${expected}`);
  });

  /** Makes this Node.js call itself an older one, and fail where a program or a package is loaded. */
  function pretend(version: string): string {
    const preload = `
      import Module from 'node:module';
      const load = Module._load;
      Module._load = (name, ...rest) => {
        if (/^[.@]/.test(name) && !name.endsWith('/start.cjs')) throw new Error('loaded: ' + name);
        return load(name, ...rest);
      };
      const versions = { ...process.versions, node: '${version}' };
      Object.defineProperty(process, 'versions', { value: versions });`;
    return `--import ${dataUrl(preload)}`;
  }

  const dataUrl = (source: string) => `data:text/javascript,${encodeURIComponent(source)}`;

  function run(program: string, nodeOptions: string): Promise<{ status: number; stderr: string }> {
    return new Promise((resolve) => {
      const env = programEnvironment({ NODE_OPTIONS: nodeOptions });
      execFile(path.join(REPOSITORY, 'bin', program), ['--version'], { env }, (error, _, stderr) =>
        resolve({ status: Number(error?.code ?? 0), stderr }),
      );
    });
  }

  it.each(['tswg', 'tswgd'])(
    'that is too old is named by %s, which loads nothing',
    async (program) => {
      expect(await run(program, pretend('18.19.0'))).toEqual({
        status: 1,
        stderr: `${program}: ${nodeMistake('18.19.0')}\n`,
      });
      // That the pretence would have seen something loaded.
      const { stderr } = await run(program, pretend('20.19.0'));
      expect(stderr).toContain('loaded: ../dist/program/code.cjs');
    },
  );
});
