/**
 * tswg's own flow: parse, then load what the command needs and nothing else. Loading yargs, koffi
 * or a curve library takes longer than most commands do.
 */

import { once } from 'node:events';
import { getSystemErrorMap } from 'node:util';
import { VERSION } from '../version.ts';
import type { Command, DoctorRequest, EventsOptions } from './command.ts';
import { isRefusal } from './refusal.ts';

/** What the scripts of shellscripts.ts ask with, and then the words of the command line so far. */
const COMPLETION_REQUEST = '--complete';
/** As doctorwords.ts has it, which is not loaded for everything. */
const CANNOT_LOOK = 2;

/**
 * Resolves to the exit code. Mistakes and refusals are one line on standard error.
 *
 * @param keepCode has what the engine has compiled kept for the next time (code.ts)
 */
export async function main(
  argv: readonly string[],
  env: Record<string, string | undefined>,
  keepCode: () => void = () => {},
): Promise<number> {
  const exitCode = await answer(argv, env);
  keepCode();
  return exitCode;
}

async function answer(
  argv: readonly string[],
  env: Record<string, string | undefined>,
): Promise<number> {
  // Of doctor, 1 would say that something is wrong with the tunnel.
  endWhereNothingIsTaken(argv[1] === 'doctor' ? CANNOT_LOOK : 1);
  // The kernel shows the arguments in `ps` from the start; this takes them out as soon as we can.
  if (argv.includes('wgkey') || argv.includes('wgpsk')) process.title = 'tswg';
  try {
    if (argv[0] === COMPLETION_REQUEST) return await answerCompletion(argv.slice(1));
    const { parse } = await import('./parse.ts');
    const command = parse(argv);
    if (command.kind === 'mistake') return fail(command.text, command.exitCode);
    return await run(command, env);
  } catch (error) {
    if (isRefusal(error)) return fail(error.message);
    throw error;
  }
}

function fail(line: string, exitCode = 1): number {
  process.stderr.write(`tswg: ${line}\n`);
  return exitCode;
}

/** Of what was carried out all the same. */
function warn(line: string): void {
  process.stderr.write(`tswg: warning: ${line}\n`);
}

/**
 * `tswg | head` closes the pipe before all is written, which is its right. A file system that is full
 * is no bug either, but what was asked for is not there.
 */
function endWhereNothingIsTaken(exitCode: number): void {
  process.stdout.on('error', ({ code, errno = 0 }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') process.exit(0);
    const [, reason = 'unknown error'] = getSystemErrorMap().get(errno) ?? [];
    process.exit(fail(`standard output: ${reason} (${code})`, exitCode));
  });
}

async function run(command: Command, env: Record<string, string | undefined>): Promise<number> {
  switch (command.kind) {
    case 'version':
      process.stdout.write(`tswg ${VERSION}\n`);
      return 0;
    case 'help': {
      const { formatHelp, formatTopic } = await import('./help.ts');
      const { topic } = command;
      process.stdout.write(topic === null ? await formatHelp() : await formatTopic(topic));
      return 0;
    }
    case 'completion': {
      const { completionScript, shellOf } = await import('./shellscripts.ts');
      process.stdout.write(completionScript(command.shell ?? shellOf(env)));
      return 0;
    }
    case 'genkey':
    case 'pubkey':
    case 'genpsk':
      return runKeys(command.kind);
    case 'list':
      return runShow(null, command.json, env);
    case 'show':
      return runShow(command.name, command.json, env);
    case 'stats':
      return runStats(command.name, env);
    case 'events':
      return runEvents(command.name, command.options, env);
    case 'doctor':
      return runDoctor(command.request, env);
    case 'configure': {
      const [{ configure }, { warnOfOpenKeys }, system] = await Promise.all([
        import('./apply.ts'),
        import('./keyfiles.ts'),
        openSystem(env),
      ]);
      const warnings = await configure(command.name, command.draft, system);
      const shown = warnOfOpenKeys(command.draft);
      for (const text of [...shown, ...warnings.map((one) => one.text)]) warn(text);
      return 0;
    }
    case 'netstart': {
      const [{ netstart }, { openBoot }] = await Promise.all([
        import('./netstart.ts'),
        import('./boot.ts'),
      ]);
      return netstart(command, openBoot(await openSystem(env), env, command.mode === 'keep'));
    }
    case 'metrics': {
      const [{ expose }, system] = await Promise.all([import('./metrics.ts'), openSystem(env)]);
      const { text, notes } = await expose(command.names, command.format, system);
      process.stdout.write(text);
      for (const note of notes) process.stderr.write(`tswg: ${note}\n`);
      return 0;
    }
    case 'destroy': {
      const [{ destroy }, system] = await Promise.all([import('./apply.ts'), openSystem(env)]);
      await destroy(command.name, system);
      return 0;
    }
    case 'upgrade': {
      const [{ upgrade }, system] = await Promise.all([import('./upgrade.ts'), openSystem(env)]);
      process.stdout.write(`${await upgrade(command.name, system)}\n`);
      return 0;
    }
  }
}

async function openSystem(
  env: Record<string, string | undefined>,
): Promise<import('./system.ts').System> {
  const { openMachine } = await import('./machine.ts');
  return openMachine(env);
}

async function runKeys(kind: 'genkey' | 'pubkey' | 'genpsk'): Promise<number> {
  const keys = await import('./keys.ts');
  if (kind !== 'pubkey') {
    const { warnOfLooseOutput } = await import('./keyfiles.ts');
    warnOfLooseOutput();
    const key = kind === 'genkey' ? keys.createPrivateKeyBytes() : keys.createPresharedKeyBytes();
    process.stdout.write(`${keys.formatKey(key)}\n`);
    return 0;
  }
  const { readStandardInput } = await import('./keyfiles.ts');
  const text = (await readStandardInput()).trim();
  const privateKey = keys.parseKey(text);
  if (privateKey === null)
    return fail(`pubkey: standard input: ${keys.keyMistake('pubkey', text)}`);
  process.stdout.write(`${keys.formatKey(keys.publicKeyOf(privateKey))}\n`);
  return 0;
}

async function runShow(
  name: string | null,
  json: boolean,
  env: Record<string, string | undefined>,
): Promise<number> {
  const [{ gather }, { describeInterface }, { formatInterface }, { fold }, system] =
    await Promise.all([
      import('./gather.ts'),
      import('./json.ts'),
      import('./show.ts'),
      import('./fold.ts'),
      openSystem(env),
    ]);
  const { views, named, isUnanswered, notes } = await gather(name, system);
  const nowMs = system.now();
  if (json) {
    const described = views.map((view) => describeInterface(view, nowMs));
    process.stdout.write(`${JSON.stringify(named ? described[0] : described, null, 2)}\n`);
  } else {
    const options = { peers: named, nowMs };
    const text = views.map((view) => formatInterface(view, options)).join('');
    process.stdout.write(fold(text, process.stdout.columns));
  }
  for (const note of notes) process.stderr.write(`tswg: ${note}\n`);
  // A program that asked for one interface is not to take what is missing for what is not there.
  return json && isUnanswered ? 1 : 0;
}

async function runStats(name: string, env: Record<string, string | undefined>): Promise<number> {
  const [{ gather }, { formatStats }, { fold }, system] = await Promise.all([
    import('./gather.ts'),
    import('./stats.ts'),
    import('./fold.ts'),
    openSystem(env),
  ]);
  const { views, named, notes } = await gather(name, system);
  if (!named) return fail(`${name}: stats: expected one interface, such as ${views[0].name}`);
  const { wireguard } = views[0];
  if (wireguard === null) {
    return fail(notes[0] ?? `${name}: stats: not a WireGuard interface`);
  }
  if (wireguard.stats === null) {
    return fail(
      `${name}: stats: the WireGuard that serves it is not tswgd and keeps no statistics`,
    );
  }
  process.stdout.write(fold(formatStats(name, wireguard.stats), process.stdout.columns));
  return 0;
}

async function runEvents(
  name: string,
  options: EventsOptions,
  env: Record<string, string | undefined>,
): Promise<number> {
  const [{ events }, { Hooks }, system] = await Promise.all([
    import('./events.ts'),
    import('./hooks.ts'),
    openSystem(env),
  ]);
  const { exec, timeout } = options;
  const note = (line: string): void => void process.stderr.write(`tswg: ${line}\n`);
  const hooks =
    exec === null
      ? null
      : new Hooks({
          ...{ command: exec, name, env, timeoutMs: 1_000 * timeout },
          warn: (line) => note(`${name}: events: ${line}`),
        });
  if (hooks === null && options.follow) await endWithReader();
  return events(name, options, system, { print, note, hooks });
}

/** How often is looked whether anybody still reads. */
const READER_MS = 1_000;

/** `tswg wg0 events --follow | head` would learn only with the next event that nobody reads. */
async function endWithReader(): Promise<void> {
  const { isReadNoMore } = await import('../host/reader.ts');
  const look = (): void => void (isReadNoMore(process.stdout.fd) && process.exit(0));
  setInterval(look, READER_MS).unref();
}

/** Resolves when there is room for another line. */
async function print(line: string): Promise<void> {
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain');
}

/** Whatever keeps it from looking is not what is wrong with the tunnel. */
async function runDoctor(
  request: DoctorRequest,
  env: Record<string, string | undefined>,
): Promise<number> {
  const { giveWay } = await import('../host/giveway.ts');
  giveWay();
  const [{ doctor }, { CANNOT_LOOK }, system] = await Promise.all([
    import('./doctor.ts'),
    import('./doctorwords.ts'),
    openSystem(env),
  ]);
  try {
    return await doctor(request, system, env);
  } catch (error) {
    if (isRefusal(error)) return fail(error.message, CANNOT_LOOK);
    throw error;
  }
}

/** Somebody waits at the keyboard: nothing else is loaded. */
async function answerCompletion(words: readonly string[]): Promise<number> {
  const { answerHere } = await import('./completionfacts.ts');
  process.stdout.write(await answerHere(words));
  return 0;
}
