/**
 * What a fuzz target is: real inputs of one kind, a way to make hostile ones of them, and what must
 * hold when the shipping code takes one. run.ts feeds it, minimise.ts cuts down what it fails on.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Dice } from '../packet/trains.ts';

/** A datagram or a file, a text, or the words of a command line. */
export type Input = Uint8Array | string | readonly string[];

export interface Target {
  readonly name: string;
  /** Files of src whose coverage counts, without their extensions. */
  readonly sources: readonly string[];
  /** Inputs after which a running target begins a new epoch. Without it inputs stand alone. */
  readonly epoch?: number;
  /** A new one, with everything in it in its first state. The same for the same seed. */
  create(seed: number): RunningTarget | Promise<RunningTarget>;
}

export interface RunningTarget {
  /** Called before input number `epoch * target.epoch`: what follows depends on nothing before. */
  begin?(epoch: number): void;
  /** Input number `number`, drawn from the dice. */
  generate(dice: Dice, number: number): Input;
  /**
   * Hands the input to the shipping code. The outcome in a word or two, which is counted.
   *
   * @throws whatever the code throws, and Broken when something does not hold
   */
  run(input: Input): string | Promise<string>;
  /** What only shows at the end: that the totals agree. */
  finish?(): void;
}

/** Something that must hold did not. */
class Broken extends Error {}

export function holds(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Broken(what);
}

/** As `holds`, for two values that are deeply equal. */
export function holdsEqual(actual: unknown, expected: unknown, what: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  const [a, b] = [stringify(actual), stringify(expected)];
  throw new Broken(`${what}: ${shorten(a)} instead of ${shorten(b)}`);
}

function stringify(value: unknown): string {
  return JSON.stringify(value, (_, part) =>
    part instanceof Uint8Array ? Buffer.from(part).toString('hex') : part,
  );
}

const SHOWN_CHARACTERS = 300;

function shorten(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text;
}

/** An input as it can be given back to `--input`: hex for bytes, JSON for text and words. */
export function formatInput(input: Input): string {
  return input instanceof Uint8Array ? Buffer.from(input).toString('hex') : JSON.stringify(input);
}

/** The inverse of formatInput. @throws SyntaxError when it is neither hex nor JSON */
export function parseInput(text: string): Input {
  if (/^([0-9a-f]{2})*$/i.test(text)) return new Uint8Array(Buffer.from(text, 'hex'));
  const value: unknown = JSON.parse(text);
  const isWords = Array.isArray(value) && value.every((word) => typeof word === 'string');
  if (typeof value === 'string' || isWords) return value;
  throw new SyntaxError('expected hex, or a string or an array of strings as JSON');
}
