/**
 * Names resolved by the process itself, on the threads of Node's pool, so that its loop never waits:
 * for a program that embeds a daemon and is not confined.
 */

import { lookUp } from './lookup.ts';
import type { AnswerTaker, Resolver, ResolverState } from './resolver.ts';

export class LocalResolver implements Resolver {
  readonly state: ResolverState = { word: 'self', text: 'this process' };
  readonly trouble = '';
  readonly #onAnswer: AnswerTaker;
  readonly #look: typeof lookUp;
  readonly #asked = new Set<number>();

  constructor(onAnswer: AnswerTaker, look = lookUp) {
    this.#onAnswer = onAnswer;
    this.#look = look;
  }

  ask(id: number, host: string): void {
    this.#asked.add(id);
    this.#look(host, (answer) => {
      if (this.#asked.delete(id)) this.#onAnswer(id, answer);
    });
  }

  forget(id: number): void {
    this.#asked.delete(id);
  }

  rest(): void {}

  close(): void {
    this.#asked.clear();
  }
}
