/** The daemon's command line and the values in its environment. */

import { parseDaemonCommand, parseLogLevel } from '../../../src/cli/tswgd.ts';
import { isInterfaceName } from '../../../src/cli/values.ts';
import { keepsOutput, parseDescriptor } from '../../../src/host/launch.ts';
import type { Dice } from '../../packet/trains.ts';
import { mutateWords } from '../mutator.ts';
import { holds, type Input, type RunningTarget, type Target } from '../target.ts';

const CORPUS = [
  ...[['wg0'], ['-f', 'wg0'], ['--foreground', 'office'], ['--version'], ['--help'], ['wg0', '3']],
  ...[['verbose', 'debug', 'error', 'silent'], ['2147483647'], ['-x', 'wg0'], ['wg0', 'wg1']],
];
const VOCABULARY = [...CORPUS.flat(), '-h', '--', '-', '=', '.', '..', 'a'.repeat(16)];

class DaemonWords implements RunningTarget {
  generate(dice: Dice): readonly string[] {
    return mutateWords(dice.pick(CORPUS), CORPUS, VOCABULARY, dice);
  }

  run(input: Input): string {
    const words = input as readonly string[];
    for (const word of words) checkEnvironment(word);
    const command = parseDaemonCommand(words);
    if (command.kind === 'run') {
      holds(isInterfaceName(command.name) && words.includes(command.name), 'a name from nowhere');
      return command.foreground ? 'foreground' : 'background';
    }
    if (command.kind !== 'mistake') return command.kind;
    const { text } = command;
    holds(text !== '' && text.length <= 200 && !/\p{Cc}/u.test(text), 'a mistake in many lines');
    return `mistake: ${text.replace(/^.*: /, '').slice(0, 24)}`;
  }
}

function checkEnvironment(text: string): void {
  const level = parseLogLevel(text);
  holds(level === 'debug' || level === 'silent' || level === 'error', 'a level of no name');
  keepsOutput({ LOG_LEVEL: text });
  try {
    const descriptor = parseDescriptor('WG_TUN_FD', text);
    holds((descriptor === undefined) === (text === ''), 'a descriptor of no text');
    holds(descriptor === undefined || descriptor >= 0, 'a descriptor below zero');
  } catch (error) {
    const { message } = error as Error;
    holds(message.startsWith('WG_TUN_FD: '), 'a descriptor refused by another exception');
  }
}

export const daemonWords: Target = {
  name: 'daemonwords',
  sources: ['cli/tswgd'],
  create: () => new DaemonWords(),
};
