/**
 * The package as its users have it: packed, unpacked into a folder of its own, imported, compiled
 * against, and run. Of other packages it gets those that this repository has installed.
 */

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REPOSITORY } from '../lab/repository.ts';
import { unpackPackage } from './packed.ts';

const execute = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'tswg-package-'));
const installed = join(folder, 'node_modules', 'tswg');
/** Of it what is used: its part for this processor. */
const KOFFI = `@koromix/koffi-linux-${process.arch}`;
const PAGE = readFileSync(join(REPOSITORY, 'docs', 'library.md'), 'utf8');

beforeAll(async () => {
  await unpackPackage(folder, installed);
  for (const name of ['@noble/ciphers', '@noble/curves', '@types/node']) install(name);
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
});
afterAll(() => rmSync(folder, { recursive: true }));

function install(name: string): void {
  const link = join(folder, 'node_modules', name);
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(join(REPOSITORY, 'node_modules', name), link);
}

function uninstall(name: string): void {
  rmSync(join(folder, 'node_modules', name));
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function node(...args: readonly string[]): Promise<Ran> {
  try {
    return { code: 0, ...(await execute(process.execPath, args, { cwd: folder })) };
  } catch (error) {
    return error as Ran;
  }
}

/** A module that refuses every other module whose name is not a path or one of these. */
function allowOnly(...names: readonly string[]): string {
  const hooks = `export async function resolve(name, context, next) {
    const allowed = ${JSON.stringify(names)};
    if (/^(\\.|file:|data:)/.test(name) || allowed.some((one) => name.startsWith(one))) {
      return next(name, context);
    }
    throw new Error('imports ' + name);
  }`;
  const url = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;
  return url(`import { register } from 'node:module';
    register(${JSON.stringify(url(hooks))});`);
}

describe('the library', () => {
  it('loads nothing of the system, and no native code, when it is imported', async () => {
    const code = `import('tswg').then(({ Device }) => console.log(typeof Device));`;
    const only = allowOnly('tswg', '@noble/');
    expect(await node('--import', only, '-e', code)).toMatchObject({
      code: 0,
      stdout: 'function\n',
      stderr: '',
    });
    const other = await node('--import', only, '-e', code.replace('tswg', 'tswg/daemon'));
    expect(other.stderr).toMatch(/imports node:/);
  });

  it('gives the daemon under a name of its own', async () => {
    install(KOFFI);
    const code = `import('tswg/daemon').then((all) => console.log(Object.keys(all).join()));`;
    const ran = await node('-e', code);
    uninstall(KOFFI);
    expect(ran).toMatchObject({ code: 0, stdout: 'runDaemon\n', stderr: '' });
  });

  it('says in one line where the daemon cannot run', async () => {
    const run = `const { runDaemon } = await import('tswg/daemon');
      await runDaemon({ name: 'wg0', logLevel: 'error', writeLog() {}, onReady() {} })
        .catch((error) => console.log(error.message));`;
    // Neither system has koffi's part for this one.
    const other = `Object.defineProperty(process, 'platform', { value: 'darwin' }); ${run}`;
    expect(await node('--input-type=module', '-e', other)).toMatchObject({
      code: 0,
      stdout: 'tswg/daemon: Linux only\n',
    });
    writeFileSync(join(folder, 'worker.mjs'), run);
    const worker = `import { Worker } from 'node:worker_threads'; new Worker('./worker.mjs');`;
    writeFileSync(join(folder, 'starter.mjs'), worker);
    expect((await node('starter.mjs')).stdout).toMatch(
      /^tswg\/daemon: expected the main thread of a process: .*\n$/,
    );
  });

  it('names every type that its signatures name', () => {
    for (const entry of ['index.d.ts', 'daemon/index.d.ts']) {
      expect(unnamedTypes(join(installed, 'dist', 'library', entry)), entry).toEqual([]);
    }
  });
});

/** Types of ours that the exported declarations of an entry use and the entry does not export. */
function unnamedTypes(entry: string): string[] {
  const exported = new Map<string, string>([...ownDeclarations(entry)].map(([n]) => [n, entry]));
  for (const { names, file } of clausesOf(entry, 'export')) {
    for (const name of names) exported.set(name, file);
  }
  const missing = [...exported].flatMap(([name, file]) => {
    const declarations = ownDeclarations(file);
    const imported = clausesOf(file, 'import').flatMap(({ names }) => names);
    const known = new Set([...declarations.keys(), ...imported]);
    const words = declarations.get(name)?.match(/\b[A-Z]\w*\b/g);
    if (words === undefined || words === null) return [];
    return words
      .filter((word) => known.has(word) && /[a-z]/.test(word) && !exported.has(word))
      .map((word) => `${name} uses ${word}`);
  });
  return [...new Set(missing)];
}

/** The names that are imported, or passed on, by `import { ... } from` or `export { ... } from`. */
function clausesOf(file: string, verb: 'import' | 'export'): { names: string[]; file: string }[] {
  const pattern = new RegExp(`^${verb} (?:type )?\\{([^}]*)\\} from '([^']+)';`, 'gm');
  return [...readFileSync(file, 'utf8').matchAll(pattern)].map(([, names, from]) => ({
    names: names!.split(',').map((name) => name.trim().replace(/^type /, '')),
    file: join(dirname(file), from!.replace(/\.[jt]s$/, '.d.ts')),
  }));
}

/** What a file declares at its top, by name, without comments. */
function ownDeclarations(file: string): Map<string, string> {
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  const parts = text.split(
    /^(?=(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type|function|const) )/m,
  );
  return new Map(
    parts.flatMap((part) => {
      const name = /^[\w\s]*?(?:class|interface|type|function|const) (\w+)/.exec(part)?.[1];
      return name === undefined ? [] : [[name, part] as const];
    }),
  );
}

describe('the programs of docs/library.md', () => {
  const programs = [...PAGE.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, text]) => text!);

  it('compile, strictly, against the declarations of the package alone', async () => {
    expect(programs).toHaveLength(3);
    for (const [i, text] of programs.entries()) writeFileSync(join(folder, `${i}.ts`), text);
    for (const lib of [['es2023', 'dom'], ['es2023']]) {
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(compilerOptions(lib)));
      const compiler = join(REPOSITORY, 'node_modules', 'typescript', 'bin', 'tsc');
      const { code, stdout } = await node(compiler, '-p', folder);
      expect([code, stdout], lib.join()).toEqual([0, '']);
    }
  });

  it('pass a packet from one end of a tunnel to the other', async () => {
    expect(await node(join(folder, '0.js'))).toMatchObject({ stdout: 'hello\n', stderr: '' });
  });

  function compilerOptions(lib: readonly string[]): object {
    return {
      compilerOptions: {
        ...{ target: 'es2023', lib, module: 'nodenext', types: ['node'], strict: true },
        ...{ exactOptionalPropertyTypes: true, noImplicitOverride: true, skipLibCheck: false },
        ...{ noUnusedLocals: true, noUnusedParameters: true, verbatimModuleSyntax: true },
      },
      files: ['0.ts', '1.ts', '2.ts'],
    };
  }
});

describe('the programs of the package', () => {
  const ELSEWHERE = `data:text/javascript,Object.defineProperty(process, 'platform', { value: 'darwin' })`;

  it.each(['tswg', 'tswgd'])('%s says in one line that koffi is missing', async (name) => {
    const args = name === 'tswg' ? ['wg0'] : ['-f', 'wg0'];
    const { code, stdout, stderr } = await node(join(installed, 'bin', name), ...args);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(new RegExp(`^${name}: koffi could not be installed[^\\n]*\\n$`));
  });

  it.each(['tswg', 'tswgd'])('%s says in one line that it is for Linux only', async (name) => {
    const program = join(installed, 'bin', name);
    expect(await node('--import', ELSEWHERE, program, 'wg0')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `${name}: Linux only\n`,
    });
  });
});
