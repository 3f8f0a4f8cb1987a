/**
 * The house's rules, so that nobody needs to remember them: who may import whom, what is banned
 * where and what to use instead, and how long a file or a function may be. Works on the text of
 * the files, which Biome has formatted; a rule that is in the way is changed here, with a reason.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FILE_LINES_MAX = 450;
const FUNCTION_LINES_MAX = 80;

/** Room, or file, of `src` -> rooms and files whose values, or types only, it may import. */
const MAY_IMPORT: Record<string, { values: string[]; types?: string[] }> = {
  'arena.ts': { values: [] },
  'bytes.ts': { values: [] },
  'counted.ts': { values: [] },
  'keytext.ts': { values: [] },
  'version.ts': { values: [] },
  'quotation.ts': { values: [] },
  // The core: bytes and `now` in, bytes out.
  crypto: { values: [] },
  noise: { values: ['crypto'] },
  packet: { values: [] },
  // A packet's length on the wire, and so the layout of what it is sealed into.
  'packet/padding.ts': { values: ['packet', 'noise/messages.ts'] },
  device: { values: ['crypto', 'noise', 'packet'] },
  uapi: {
    values: [
      ...['packet/address.ts', 'packet/hostname.ts', 'device/endpoint.ts', 'device/ways.ts'],
      ...['device/near.ts', 'crypto/bytes.ts', 'crypto/suite.ts', 'events/record.ts'],
    ],
    types: ['device/configuration.ts', 'device/metric.ts'],
  },
  'log.ts': { values: ['device', 'uapi'] },
  events: { values: ['device/endpoint.ts'], types: ['device'] },
  // Linux, a room for each of its parts. Of the Device only the plain values: what is named there
  // never calls back into it.
  sys: { values: [] },
  'crypto/openssl': { values: ['crypto', 'sys'] },
  netlink: { values: ['sys'], types: ['device'] },
  tun: {
    values: ['sys', 'netlink', 'packet', 'device/drops.ts'],
    types: ['datapath/interface.ts'],
  },
  gate: {
    // What a message looks like from outside, for the filter before a socket, and which counters a
    // session has done with.
    values: [
      ...['sys', 'noise/messages.ts', 'noise/replay.ts'],
      ...['device/endpoint.ts', 'device/drops.ts'],
    ],
    types: ['device', 'datapath/guard.ts'],
  },
  udp: {
    values: [
      ...['sys', 'netlink', 'gate'],
      ...['device/endpoint.ts', 'device/near.ts', 'device/drops.ts'],
    ],
    types: ['datapath/transport.ts', 'datapath/guard.ts', 'device/lead.ts', 'device/ways.ts'],
  },
  control: { values: ['sys', 'uapi'] },
  sandbox: { values: ['sys', 'crypto/openssl'] },
  host: { values: ['sys'], types: ['tun'] },
  // What joins the Device with an interface and a transport, of whatever kind: it owns what these
  // are (interface.ts, transport.ts, guard.ts), and knows none that is.
  datapath: { values: ['device', 'crypto/openssl', 'sys'], types: ['crypto'] },
  state: {
    values: [
      ...['sys', 'uapi', 'crypto/suite.ts', 'noise/tai64n.ts', 'device/configuration.ts'],
      // What names of hosts were is text of the state's own.
      ...['packet/address.ts', 'packet/hostname.ts'],
    ],
    types: ['device', 'events', 'log.ts', 'netlink', 'sandbox'],
  },
  // Looking names up: the daemon's side, and the process that does it.
  resolver: {
    values: [
      ...['sys', 'sandbox', 'host', 'packet/address.ts', 'packet/hostname.ts'],
      // How descriptors are sent.
      'handover/channel.ts',
    ],
    types: ['device/ways.ts'],
  },
  handover: {
    values: [
      ...['sys', 'host', 'state', 'uapi', 'crypto/bytes.ts', 'crypto/suite.ts', 'device'],
      // Which of two listening sockets is the one that others than root may open.
      'control/place.ts',
    ],
    types: ['control', 'datapath', 'events', 'log.ts', 'udp'],
  },
  daemon: {
    values: [
      ...['sys', 'crypto/openssl', 'netlink', 'tun', 'gate', 'udp', 'control', 'sandbox', 'host'],
      ...['datapath', 'state', 'handover', 'resolver', 'log.ts', 'packet', 'uapi', 'events'],
      ...['device/configuration.ts', 'device/endpoint.ts', 'device/metric.ts'],
      ...['device/near.ts', 'device/nearmistake.ts'],
    ],
    types: ['crypto', 'device'],
  },
  // Evidence, and what follows from it: plain values and pure functions of them.
  doctor: { values: ['packet', 'uapi/key.ts', 'crypto/suite.ts'] },
  // Who looks for it: on the machine, in the network, and never at what runs the tunnel.
  'doctor/gather': {
    values: [
      ...['doctor', 'sys', 'netlink', 'packet', 'uapi', 'control', 'host', 'noise', 'crypto'],
      ...['state/statefile.ts', 'device/near.ts'],
    ],
    types: ['device', 'events'],
  },
  // The two programs.
  cli: {
    values: [
      ...['packet', 'uapi', 'events', 'control', 'host', 'netlink', 'state'],
      ...['doctor', 'doctor/gather'],
      ...['crypto/bytes.ts', 'crypto/suite.ts', 'sys/interfacename.ts', 'sys/environment.ts'],
      ...['sys/publickey.ts', 'sys/senderrors.ts', 'sys/nodecrypto.ts'],
      ...['device/configuration.ts', 'device/endpoint.ts', 'device/drops.ts', 'device/metric.ts'],
      // The tables, which tell names, units and help of what a daemon reads by them.
      ...['device/metrics.ts', 'daemon/metrics.ts'],
      ...['device/ways.ts', 'device/near.ts', 'device/nearmistake.ts'],
    ],
    // Of the daemon, for which troubles there have to be words.
    types: ['device', 'daemon/troubles.ts'],
  },
  // The daemon's own command line, which is the one that starts it.
  'cli/tswgd.ts': {
    values: ['cli', 'sys', 'host', 'state', 'handover', 'resolver', 'daemon', 'log.ts'],
  },
  // The manual pages, written at the build out of what the programs say of themselves.
  manual: {
    values: [
      ...['cli/commands.ts', 'cli/words.ts', 'cli/options.ts', 'cli/daemonwords.ts'],
      ...['cli/shells.ts', 'cli/shellscripts.ts', 'device/drops.ts', 'events/kinds.ts'],
      'cli/fold.ts',
    ],
  },
  'index.ts': { values: ['crypto', 'device', 'packet', 'uapi'] },
};
/** The ground floor: anybody may stand on it. */
const GROUND = [
  ...['arena.ts', 'bytes.ts', 'counted.ts', 'keytext.ts', 'quotation.ts', 'version.ts'],
];

/** Package or module -> where it may be imported. Others of Node's are for the impure rooms. */
const PACKAGE_PLACES: Record<string, string[]> = {
  // Of its types only: what is loaded of it is that file's to say.
  koffi: ['sys/koffi.ts'],
  yargs: ['cli'],
  '@noble/ciphers': ['crypto'],
  '@noble/curves': ['crypto'],
  '@noble/hashes': ['crypto'],
};

/** Where the machine is: these may ask for time, randomness and the process. */
const IMPURE = [
  ...['sys', 'crypto/openssl', 'netlink', 'tun', 'gate', 'udp', 'control', 'sandbox', 'host'],
  ...['state', 'handover', 'resolver', 'daemon', 'doctor/gather', 'cli', 'manual/main.ts'],
];
const CLOCK = 'the `now` of the call, or the wallClock handed in';
const DEADLINE = 'a deadline that nextTimeout() tells (device/deadlines.ts)';
const RANDOM = 'the `random` handed in';
const BANS: { word: RegExp; instead: string; allowed: string[] }[] = [
  { word: /\bDate\.now\b/, instead: CLOCK, allowed: IMPURE },
  { word: /\bnew Date\(/, instead: CLOCK, allowed: IMPURE },
  { word: /\bperformance\./, instead: CLOCK, allowed: IMPURE },
  {
    word: /\bset(Timeout|Interval|Immediate)\b/,
    instead: DEADLINE,
    allowed: IMPURE,
  },
  { word: /\bMath\.random\b/, instead: RANDOM, allowed: IMPURE },
  { word: /\b(getRandomValues|randomUUID)\b/, instead: RANDOM, allowed: IMPURE },
  { word: /(?<![.\w])process\./, instead: 'an option handed in', allowed: IMPURE },
  { word: /\bconsole\./, instead: 'an event, or the Log handed in', allowed: IMPURE },
  { word: /\benum\s+\w+/, instead: 'a union of literals, or an object `as const`', allowed: [] },
  { word: /\bexport\s+default\b/, instead: 'a named export', allowed: [] },
  // Of an array's element the compiler asks for none; elsewhere it is a name of its own, checked.
  { word: /\]!(?!=)/, instead: 'the element as it is', allowed: [] },
];

/** `path` is from the repository's root, `place` from `src`. */
type File = { readonly path: string; readonly place: string; readonly text: string };

/** All files that are not ignored (.gitignore names whole paths and folders here). */
function filesUnder(folder: string): File[] {
  const ignored = readFileSync(join(ROOT, '.gitignore'), 'utf8').split('\n');
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry): File[] => {
    const path = join(folder, entry.name);
    if (entry.name === '.git' || ignored.includes(path)) return [];
    if (entry.isDirectory()) return ignored.includes(`${entry.name}/`) ? [] : filesUnder(path);
    if (!entry.isFile() || path.endsWith('.tsbuildinfo')) return [];
    return [{ path, place: relative('src', path), text: readFileSync(join(ROOT, path), 'utf8') }];
  });
}

const COMMENT_OR_STRING =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;

/** The text without comments and, if asked for, without what stands in quotes; lines stay. */
function strip(text: string, alsoQuoted: boolean): string {
  return text.replace(COMMENT_OR_STRING, (found) => {
    const isQuoted = found.startsWith("'") || found.startsWith('"');
    const isGone = found.startsWith('/') || (isQuoted && alsoQuoted);
    return isGone ? found.replace(/[^\n]/g, ' ') : found;
  });
}

type Import = { readonly from: string; readonly isType: boolean };

function importsOf(text: string): Import[] {
  const code = strip(text, false);
  const named = /^(?:import|export)\s+(?<what>[^;'"]*?)\s*from\s*['"](?<from>[^'"]+)['"]/gm;
  const bare = /^import\s*['"](?<from>[^'"]+)['"]|\bimport\(\s*['"](?<also>[^'"]+)['"]\s*\)/gm;
  const found = [...code.matchAll(named)].map(({ groups }) => {
    const what = groups!.what;
    const members = /^\{(.*)\}$/s
      .exec(what)?.[1]
      .split(',')
      .map((member) => member.trim());
    const allTypes = members?.every((member) => member === '' || member.startsWith('type '));
    return { from: groups!.from, isType: /^type\b/.test(what) || allTypes === true };
  });
  const others = [...code.matchAll(bare)].map(({ groups }) => groups!.from ?? groups!.also);
  return [...found, ...others.map((from) => ({ from, isType: false }))];
}

/** Whether a path of `src` is one of the named files or in one of the named folders. */
function isIn(place: string, names: readonly string[]): boolean {
  return names.some((name) => place === name || place.startsWith(`${name}/`));
}

/** The room a file is in: of two that lie in each other, the inner one. */
function roomOf(place: string): string {
  const rooms = Object.keys(MAY_IMPORT).filter((name) => !name.endsWith('.ts'));
  const around = rooms.filter((name) => place.startsWith(`${name}/`));
  return around.sort((a, b) => b.length - a.length)[0] ?? place;
}

const packageOf = (from: string) => from.split('/', from.startsWith('@') ? 2 : 1).join('/');

function importMistake(file: File, { from, isType }: Import): string | null {
  if (!from.startsWith('.')) {
    const places = PACKAGE_PLACES[packageOf(from)] ?? (from.startsWith('node:') ? IMPURE : []);
    return isIn(file.place, places) ? null : `${from} belongs to ${places.join(', ') || 'nobody'}`;
  }
  const target = join(dirname(file.place), from);
  const room = roomOf(file.place);
  const rule = MAY_IMPORT[file.place] ?? MAY_IMPORT[room];
  if (rule === undefined) return 'has no place in the house: give it one in MAY_IMPORT';
  if (roomOf(target) === room || isIn(target, GROUND)) return null;
  if (isIn(roomOf(target), rule.values) || rule.values.includes(target)) return null;
  if (isIn(target, rule.types ?? [])) return isType ? null : `${target} may give it types only`;
  return `${target} is none of ${[...rule.values, ...(rule.types ?? [])].join(', ') || 'its own'}`;
}

/** Of every circle of imports one way round, from file to file. */
function circlesOf(files: readonly File[]): string[] {
  const targets = new Map(
    files.map(({ place, text }) => {
      const relatives = importsOf(text).filter(({ from }) => from.startsWith('.'));
      return [place, relatives.map(({ from }) => join(dirname(place), from))];
    }),
  );
  const circles: string[] = [];
  const done = new Set<string>();
  const follow = (place: string, way: readonly string[]): void => {
    const start = way.indexOf(place);
    if (start >= 0) circles.push([...way.slice(start), place].join(' -> '));
    if (start >= 0 || done.has(place)) return;
    for (const target of targets.get(place) ?? []) follow(target, [...way, place]);
    done.add(place);
  };
  for (const { place } of files) follow(place, []);
  return circles;
}

/**
 * Names of files in the comments of a file that are none's, or more than one's. A name is meant from
 * the file's own folder, from `src` or from the root; else it is that of the only file so called.
 */
function lostNames({ path, text }: File, known: readonly string[]): string[] {
  const named = [...text.matchAll(COMMENT_OR_STRING)].flatMap(([found]) =>
    found.startsWith('/') ? (found.match(/(?<![\w@/.-])[\w./-]*\w\.(?:ts|mjs)\b/g) ?? []) : [],
  );
  return named.filter((name) => {
    const places = [join(dirname(path), name), join('src', name), name];
    if (places.some((place) => known.includes(place))) return false;
    return known.filter((place) => place.endsWith(`/${name}`)).length !== 1;
  });
}

/** First line (from 1) and length of every function that begins and ends on lines of its own. */
function functionsOf(text: string): { line: number; length: number }[] {
  const lines = strip(text, true).split('\n');
  const notFunctions = /^\s*(\} )?(if|else|for|while|do|switch|try|catch|finally|return|class)\b/;
  return lines.flatMap((head, index) => {
    if (!/(\)(: [^=]+)?|=>) \{\s*$/.test(head)) return [];
    const indent = /^\s*/.exec(head)![0];
    const isAt = (line: string, closing: RegExp) =>
      line.startsWith(indent) && closing.test(line.slice(indent.length));
    // A long signature is broken, its end stands under its beginning.
    let first = index;
    while (first > 0 && !isAt(lines[first], /^[^\s)\]}]/)) first--;
    if (notFunctions.test(lines[first])) return [];
    const length = lines.slice(index).findIndex((line, i) => i > 0 && isAt(line, /^\}/));
    return [{ line: first + 1, length: index - first + length + 1 }];
  });
}

const repository = filesUnder('');
const sources = repository.filter(({ path }) => path.startsWith('src/') && path.endsWith('.ts'));
/** AssemblyScript is another language: other imports, and no globals of Node's. */
const typescript = sources.filter(
  ({ place }) => !/^(packet\/kernels|crypto\/simd)\/assembly\//.test(place),
);

describe('every file of src', () => {
  it('imports only what its place in the house allows', () => {
    const mistakes = typescript.flatMap((file) =>
      importsOf(file.text).map((one) => [file.path, importMistake(file, one)] as const),
    );
    expect(mistakes.filter(([, mistake]) => mistake !== null)).toEqual([]);
  });

  it('is in no circle of imports, types included', () => {
    expect(circlesOf(typescript)).toEqual([]);
  });

  it.each(BANS)('does not say $word but uses $instead', ({ word, allowed }) => {
    const found = typescript
      .filter(({ place }) => !isIn(place, allowed))
      .flatMap(({ path, text }) =>
        strip(text, true)
          .split('\n')
          .flatMap((line, i) => (word.test(line) ? [`${path}:${i + 1}:${line}`] : [])),
      );
    expect(found).toEqual([]);
  });

  it('begins with what it owns and what it must not know', () => {
    const bare = sources.filter(({ text }) => !text.startsWith('/**'));
    expect(bare.map(({ path }) => path)).toEqual([]);
  });

  it(`has at most ${FILE_LINES_MAX} lines, and functions of at most ${FUNCTION_LINES_MAX}`, () => {
    const big = sources.filter(({ text }) => text.trimEnd().split('\n').length > FILE_LINES_MAX);
    expect(big.map(({ path }) => path)).toEqual([]);
    // AssemblyScript's functions return one value: what shares many has to stand in one.
    const long = typescript.flatMap(({ path, text }) =>
      functionsOf(text)
        .filter(({ length }) => length > FUNCTION_LINES_MAX)
        .map(({ line, length }) => `${path}:${line}: ${length} lines`),
    );
    expect(long).toEqual([]);
  });
});

describe('the repository', () => {
  const read = (name: string) => repository.find(({ path }) => path === name)!.text;
  const manifest = JSON.parse(read('package.json'));
  const shipped = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies });
  const development: string[] = Object.keys(manifest.devDependencies);
  const isScript = ({ path }: File) => /\.(ts|mts|mjs|js)$/.test(path) || path.startsWith('bin/');
  const packagesOf = (files: readonly File[]) =>
    files.flatMap(({ text }) => importsOf(text).map(({ from }) => packageOf(from)));
  const isForeign = (name: string) => !name.startsWith('.') && !name.startsWith('node:');

  it('imports every package it depends on, and depends on every package it imports', () => {
    const bySource = new Set(packagesOf(typescript).filter(isForeign));
    // The library's; the programs have theirs in them (packaging/bundle.mjs), but for what is compiled.
    const bundled = ['yargs'];
    const compiled = shipped.filter((name) => name.startsWith('@koromix/koffi-'));
    const others = shipped.filter((name) => !compiled.includes(name));
    expect([...bySource].sort()).toEqual([...others, ...bundled, 'koffi'].sort());
    expect(compiled.sort()).toEqual(
      ['arm64', 'x64'].map((processor) => `@koromix/koffi-linux-${processor}`),
    );
    const byAll = new Set(packagesOf(repository.filter(isScript)).filter(isForeign));
    // The package's own name is what its users import.
    const known = [manifest.name, ...shipped, ...development];
    expect([...byAll].filter((name) => !known.includes(name))).toEqual([]);
    // What is run and not imported stands in the scripts or in an example; types belong to a package.
    const commands: Record<string, string> = { '@biomejs/biome': 'biome', typescript: 'tsc' };
    const examples = repository.filter(({ path }) => path.startsWith('examples/'));
    const scripts = [
      ...Object.values<string>(manifest.scripts),
      ...examples.map(({ text }) => text),
    ].join('\n');
    const unused = development.filter((name) => {
      if (name.startsWith('@types/'))
        return !['node', ...shipped, ...bundled].includes(name.slice(7));
      return !byAll.has(name) && !new RegExp(`\\b${commands[name] ?? name}\\b`).test(scripts);
    });
    expect(unused).toEqual([]);
  });

  it('names in its comments only files that there are, with the folder where two are called so', () => {
    // What the build writes is named, too, and stands in .gitignore.
    const known = [...repository.map(({ path }) => path), ...read('.gitignore').split('\n')];
    const lost = repository
      .filter(({ path }) => /^(src|test)\/.*\.(ts|mjs)$/.test(path))
      .flatMap((file) => lostNames(file, known).map((name) => `${file.path}: ${name}`));
    expect(lost).toEqual([]);
  });

  it('names no address of a package registry in its lock file', () => {
    expect(read('package-lock.json')).not.toMatch(/"resolved"|https?:\/\/[^"]*registry/);
  });

  it('names no path of one machine', () => {
    const foreign = ['work', 'tmp'].map((name) => new RegExp(`(?<![\\w.$}])/${name}/`));
    const found = repository
      .filter(({ path }) => !path.startsWith('test/'))
      .flatMap(({ path, text }) =>
        text
          .split('\n')
          .flatMap((line, i) =>
            foreign.some((one) => one.test(line)) ? [`${path}:${i + 1}: ${line.trim()}`] : [],
          ),
      );
    expect(found).toEqual([]);
  });
});
