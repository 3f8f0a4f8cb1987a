/**
 * What npm runs in a clone to make a package of it, for `npm pack` and for a git URL, and after
 * `npm install` in one: the build. Where the packages that the build needs are not there, as in a bare
 * clone, it installs those, as the lock file has them, and none of what only tests need.
 */

import { execFileSync } from 'node:child_process';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));
const MODULES = join(REPOSITORY, 'node_modules');
/** Of development's packages. */
const BUILDERS = [
  ...['typescript', '@types/node', '@types/yargs', 'assemblyscript', 'rolldown', 'yargs', 'koffi'],
  '@noble/hashes',
];
/** What npm tells programs that it runs of what it was asked for itself, which is not for this. */
const NPMS_OWN = /^npm_config_(global|location|prefix|omit|include|dry_run|ignore_scripts)$/i;

function npm(args, cwd) {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !NPMS_OWN.test(name)),
  );
  const stdio = ['ignore', 'pipe', 'pipe'];
  return execFileSync('npm', args, { cwd, env, encoding: 'utf8', stdio });
}

function hasBuilders() {
  const { resolve } = createRequire(import.meta.url);
  return BUILDERS.every((name) => {
    try {
      resolve(`${name}/package.json`);
      return true;
    } catch (error) {
      return error.code === 'ERR_PACKAGE_PATH_NOT_EXPORTED';
    }
  });
}

/** In a folder of their own first: npm would take what it finds in this one for its own, and remove it. */
function installBuilders() {
  const folder = mkdtempSync(join(REPOSITORY, '.prepare-'));
  try {
    const manifest = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));
    const wanted = Object.entries(manifest.devDependencies).filter(([name]) =>
      BUILDERS.includes(name),
    );
    const reduced = { ...manifest, scripts: {}, devDependencies: Object.fromEntries(wanted) };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(reduced));
    cpSync(join(REPOSITORY, 'package-lock.json'), join(folder, 'package-lock.json'));
    npm(['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save'], folder);
    // Without npm's list: for others these are not the packages of the lock file.
    rmSync(join(folder, 'node_modules', '.package-lock.json'));
    rmSync(MODULES, { recursive: true, force: true });
    renameSync(join(folder, 'node_modules'), MODULES);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * With `npm install -g URL` it takes its own `-g` along: it links the clone to where the package is to
 * be, moves aside what it has put there already, and forgets both, so that in the end there is a link to
 * a clone that has been removed. Here everything is as before.
 */
function undoLink() {
  const folder = join(process.env.npm_config_global_prefix, 'lib', 'node_modules');
  const { name } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));
  const place = join(folder, name);
  if (!lstatSync(place).isSymbolicLink()) return;
  unlinkSync(place);
  const aside = readdirSync(folder).find((one) => one.startsWith(`.${name}-`));
  if (aside === undefined) mkdirSync(place);
  else renameSync(join(folder, aside), place);
}

function fail(line) {
  process.stderr.write(`prepare: ${line}\n`);
  process.exit(1);
}

// test/setup builds itself.
if (process.env.TSWG_SETUP) process.exit(0);
// Of a git URL npm makes a package in a clone. Before that it calls itself there, to install what the
// build needs.
if (process.env._PACOTE_NO_PREPARE_) {
  if (process.env.npm_config_global === 'true') undoLink();
  process.exit(0);
}
if (!hasBuilders()) {
  try {
    installBuilders();
  } catch (error) {
    const line = /^npm error (?!code)(.*)$/m.exec(error.stderr ?? '')?.[1] ?? error.message;
    fail(`the packages that the build needs could not be installed (is there a network?): ${line}`);
  }
}
try {
  for (const script of ['build:kernels', 'build:package'])
    npm(['run', '--silent', script], REPOSITORY);
} catch (error) {
  fail(`the build failed: ${error.stdout}${error.stderr}`);
}
