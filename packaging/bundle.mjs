/**
 * Makes the two programs in dist/program, one main file each and beside it the parts that it loads when
 * they are needed (src/cli/code.ts), from the sources and from the packages that they import. To be read, so not minified.
 *
 *     node packaging/bundle.mjs                      run by `npm run build`
 *     node packaging/bundle.mjs NAME INPUT FOLDER    another program in the same way, for a test
 *
 * They are CommonJS: Node starts such faster, and no search for modules is left in it. Only koffi stays
 * outside (src/sys/koffi.ts). What a package asks of who copies it stands in dist/program/licenses.txt.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));
const OUTPUT = join(REPOSITORY, 'dist', 'program');
const PACKAGE = /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//;

/**
 * What is made of one first module: a file of that name, and parts of which each begins with it.
 *
 * `target` is the language that it is written in, if that is to be an older one.
 */
const PROGRAMS = [
  { name: 'start', input: 'src/cli/start.ts', target: 'es2017' },
  { name: 'code', input: 'src/cli/code.ts' },
  { name: 'tswg', input: 'src/cli/main.ts' },
  { name: 'tswgd', input: 'src/cli/tswgd.ts' },
];

/** Returns the folders of the packages that are in it. */
async function bundle({ name, input, target = 'es2023' }, dir) {
  const isOurs = dir === OUTPUT;
  const build = await rolldown({
    cwd: REPOSITORY,
    input: { [name]: input },
    platform: 'node',
    external: /^node:/,
    transform: {
      target,
      // yargs would resolve the `extends` of settings by it; there are none.
      define: { 'import.meta.resolve': 'undefined' },
    },
    onLog: (level, log) => {
      // A test's program has already loaded what ours loads later.
      const isHarmless = log.code === 'INEFFECTIVE_DYNAMIC_IMPORT' && !isOurs;
      if (level !== 'debug' && !isHarmless) throw new Error(`${level}: ${log.message}`);
    },
  });
  const { output } = await build.write({
    dir,
    format: 'cjs',
    entryFileNames: '[name].cjs',
    chunkFileNames: `${name}-[name].cjs`,
    minify: false,
  });
  await build.close();
  for (const { fileName } of output) writeInAscii(join(dir, fileName));
  const modules = output.flatMap(({ moduleIds = [] }) => moduleIds);
  return modules.flatMap((path) => PACKAGE.exec(path)?.[0] ?? []);
}

/**
 * One other character, in a comment of a package, makes a text of twice the size for the engine, which
 * takes twice as long to be read. In strings it means the same so, and our own code has none elsewhere.
 */
function writeInAscii(path) {
  const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  writeFileSync(path, readFileSync(path, 'utf8').replace(/[^\0-\x7f]/g, escaped));
}

function licenseOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  if (file === undefined) throw new Error(`${relative(REPOSITORY, folder)}: no licence in it`);
  return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
}

async function bundlePrograms() {
  rmSync(OUTPUT, { recursive: true, force: true });
  mkdirSync(OUTPUT, { recursive: true });
  const folders = new Set();
  for (const program of PROGRAMS) {
    for (const folder of await bundle(program, OUTPUT)) folders.add(folder);
  }
  const licenses = [...new Set([...folders].sort().map(licenseOf))];
  writeFileSync(join(OUTPUT, 'licenses.txt'), licenses.join(`\n${'-'.repeat(72)}\n\n`));
}

const [name, input, folder] = process.argv.slice(2);
if (name === undefined) await bundlePrograms();
else await bundle({ name, input }, folder);
