/** Which names are asked for, how often, and what their asker hears: with a resolver that is told. */

import { beforeEach, describe, expect, it } from 'vitest';
import type { NameAnswer } from '../../src/device/ways.ts';
import {
  ASKED_MAX,
  FAILED_MAX,
  FRESH_MS,
  PATIENCE_MS,
  Questions,
  SILENT_DOMAIN_MAX,
} from '../../src/resolver/questions.ts';

const HOST = 'gw.example.net';
const FOUND: NameAnswer = { addresses: [Uint8Array.of(192, 0, 2, 1)] };
const OTHER: NameAnswer = { addresses: [Uint8Array.of(192, 0, 2, 2)] };
const FAILED: NameAnswer = { error: 'EAI_AGAIN' };

let asked: (readonly [id: number, host: string])[];
let forgotten: number[];
let heard: (readonly [host: string, answer: NameAnswer])[];
let questions: Questions;

beforeEach(() => {
  [asked, forgotten, heard] = [[], [], []];
  const resolver = {
    state: { word: 'self', text: '' } as const,
    trouble: '',
    ask: (id: number, host: string) => void asked.push([id, host]),
    forget: (id: number) => void forgotten.push(id),
    rest: () => {},
    close: () => {},
  };
  questions = new Questions({ resolver, onAnswer: (...words) => void heard.push(words) });
});

/** Has them looked up, and found. */
function find(names: readonly string[]): void {
  for (const name of names) {
    questions.ask(0, name);
    questions.answered(0, asked.at(-1)![0], FOUND);
  }
  [asked, heard] = [[], []];
}

describe('a name', () => {
  it('is looked up once for all who ask within a moment, and answered once', () => {
    questions.ask(0, HOST);
    questions.ask(FRESH_MS - 1, HOST);
    expect(asked).toEqual([[1, HOST]]);
    questions.answered(10, 1, FOUND);
    expect(heard).toEqual([[HOST, FOUND]]);
    questions.ask(20, HOST);
    expect(asked).toHaveLength(2);
  });

  it('is looked up a second time beside the first when that takes long, and no third time', () => {
    questions.ask(0, HOST);
    questions.ask(FRESH_MS, HOST);
    questions.ask(3 * FRESH_MS, HOST);
    expect(asked).toEqual([
      [1, HOST],
      [2, HOST],
    ]);
    questions.answered(9_000, 2, FOUND);
    expect(heard).toEqual([[HOST, FOUND]]);
    expect(forgotten).toEqual([1]);
    // Of the network as it was.
    questions.answered(9_001, 1, OTHER);
    expect(heard).toHaveLength(1);
    expect(questions.outcomes.get('late')).toBe(1);
  });

  it('fails only when nothing else is on its way', () => {
    questions.ask(0, HOST);
    questions.ask(FRESH_MS, HOST);
    questions.answered(9_000, 1, FAILED);
    expect(heard).toEqual([]);
    questions.answered(9_001, 2, FAILED);
    expect(heard).toEqual([[HOST, FAILED]]);
    expect(questions.outcomes.get('EAI_AGAIN')).toBe(1);
  });

  it('is given up after a time', () => {
    expect(questions.deadline).toBe(Number.POSITIVE_INFINITY);
    questions.ask(5, HOST);
    expect(questions.deadline).toBe(5 + PATIENCE_MS);
    questions.expire(4 + PATIENCE_MS);
    expect(heard).toEqual([]);
    questions.expire(5 + PATIENCE_MS);
    expect(heard).toEqual([[HOST, FAILED]]);
    expect(forgotten).toEqual([1]);
  });

  it('that cannot be one is answered later, and not asked for', async () => {
    questions.ask(0, 'gw example');
    expect([asked, heard]).toEqual([[], []]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toEqual([['gw example', { error: 'EAI_NONAME' }]]);
  });
});

describe('many names', () => {
  it('wait their turn, each once, in their order', () => {
    const names = Array.from({ length: ASKED_MAX + 3 }, (_, i) => `n${i}.example.net`);
    find(names);
    for (const name of [...names, ...names]) questions.ask(0, name);
    expect(asked).toHaveLength(ASKED_MAX);
    const [[first]] = asked;
    questions.answered(1, first, FOUND);
    questions.answered(1, first + 1, FAILED);
    expect(asked.slice(ASKED_MAX).map(([, host]) => host)).toEqual(names.slice(-3, -1));
    for (const [id] of [...asked]) questions.answered(2, id, FOUND);
    questions.answered(2, first + ASKED_MAX + 2, FOUND);
    expect(heard.map(([host]) => host).sort()).toEqual([...names].sort());
  });

  it('whose name servers are silent do not keep those that are found, or new, from their turn', () => {
    find([HOST]);
    const silent = Array.from({ length: 40 }, (_, i) => `gw.silent${i % 20}.example`);
    for (const name of silent) questions.ask(0, name);
    expect(asked).toHaveLength(20);
    questions.ask(1, 'new.example.com');
    expect(asked.at(-1)![1]).toBe('new.example.com');
    questions.ask(1, HOST);
    expect(asked.at(-1)![1]).toBe(HOST);
    // All of them fail, and are asked for again.
    for (let at = 0; at < asked.length; at++) questions.answered(2, asked[at][0], FAILED);
    asked = [];
    for (const name of silent) questions.ask(3, name);
    expect(asked).toHaveLength(FAILED_MAX);
    questions.ask(4, 'new.example.net');
    expect(asked.at(-1)![1]).toBe('new.example.net');
    expect(asked).toHaveLength(FAILED_MAX + 1);
  });

  it('of a domain that is silent take few places, so that those of another need not wait', () => {
    const silent = Array.from({ length: 20 }, (_, i) => `n${i}.silent.example`);
    for (const name of silent) questions.ask(0, name);
    expect(asked).toHaveLength(SILENT_DOMAIN_MAX);
    questions.ask(0, 'good.example.net');
    expect(asked.at(-1)).toEqual([SILENT_DOMAIN_MAX + 1, 'good.example.net']);
    // The network has changed: some are asked for beside those of before.
    for (const name of silent) questions.ask(FRESH_MS, name);
    expect(asked).toHaveLength(2 * SILENT_DOMAIN_MAX + 1);
    // That there is no such name is an answer, and all the others have their turn.
    questions.answered(FRESH_MS + 1, asked.at(-1)![0], { error: 'EAI_NONAME' });
    questions.answered(FRESH_MS + 1, 3, { error: 'EAI_NONAME' });
    expect(asked.length).toBeGreaterThan(20);
  });

  it('are all forgotten when nobody wants to know any more', () => {
    for (let i = 0; i < 5; i++) questions.ask(0, `n${i}.example.net`);
    questions.rest();
    expect(forgotten).toEqual(asked.map(([id]) => id));
    expect(questions.deadline).toBe(Number.POSITIVE_INFINITY);
    questions.answered(1, 1, FOUND);
    expect(heard).toEqual([]);
    expect(asked).toHaveLength(SILENT_DOMAIN_MAX);
  });

  it('may ask for the next in the midst of an answer', () => {
    let next = 0;
    const resolver = {
      ...{
        state: { word: 'self', text: '' } as const,
        trouble: '',
        forget: () => {},
        rest: () => {},
        close: () => {},
      },
      ask: (id: number, host: string) => void asked.push([id, host]),
    };
    questions = new Questions({
      resolver,
      onAnswer: () => questions.ask(0, `next${next++}.example.net`),
    });
    questions.ask(0, HOST);
    questions.answered(0, 1, FOUND);
    questions.answered(0, 2, FOUND);
    expect(asked.map(([, host]) => host)).toEqual([HOST, 'next0.example.net', 'next1.example.net']);
  });
});
