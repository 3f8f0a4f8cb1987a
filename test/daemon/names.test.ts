/** Names looked up for a Device: by the process itself, and by one that a starter starts. */

import { afterEach, describe, expect, it } from 'vitest';
import { Names } from '../../src/daemon/names.ts';
import type { NameAnswer } from '../../src/device/ways.ts';
import { LocalResolver } from '../../src/resolver/localresolver.ts';
import { eventually } from '../lab/namespace.ts';

let names: Names | undefined;
afterEach(() => names?.stop());

function create(startResolver?: () => string) {
  const answers: (readonly [string, NameAnswer])[] = [];
  const notes: string[] = [];
  const bugs: unknown[] = [];
  names = new Names({
    startResolver,
    onAnswer: (...words) => {
      answers.push(words);
      if (words[0] === 'broken.invalid') throw new Error('a bug');
    },
    onNote: (line) => void notes.push(line),
    onBug: (error) => void bugs.push(error),
  });
  return { names, answers, notes, bugs };
}

function begin(startResolver?: () => string) {
  const created = create(startResolver);
  created.names.begin();
  return created;
}

describe('a program that is not confined', () => {
  it('looks names up itself, later, and says so', async () => {
    const { names, answers } = begin();
    expect(names.state).toBeNull();
    names.lookUp('localhost');
    expect(answers).toEqual([]);
    await eventually(() => answers.length === 1, 'the answer');
    const [[host, answer]] = answers;
    expect(host).toBe('localhost');
    const loopback = [Uint8Array.of(127, 0, 0, 1), Uint8Array.of(...Array(15).fill(0), 1)];
    expect(loopback).toContainEqual(answer.addresses?.[0]);
    expect(names.state?.word).toBe('self');
    expect(names.outcomes).toEqual(new Map([['answered', 1]]));
    expect([names.troubles(), [...names.steps]]).toEqual([[], []]);
  });

  it('surfaces what goes wrong with an answer', async () => {
    const { names, bugs } = begin();
    names.lookUp('broken.invalid');
    await eventually(() => bugs.length === 1, 'the bug');
  });

  it('hears nothing after the end', async () => {
    const { names, answers } = begin();
    names.lookUp('localhost');
    names.lookUp('no name');
    names.stop();
    names.lookUp('localhost');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(answers).toEqual([]);
  });
});

describe('a daemon that restores names from its state', () => {
  it('has nobody started for them before there is a starter', () => {
    let started = 0;
    const { names, notes } = create(() => {
      started++;
      return '';
    });
    names.lookUp('gw.example.net');
    expect(started).toBe(0);
    names.begin();
    expect(started).toBe(1);
    expect([notes, names.troubles()]).toEqual([[], []]);
  });
});

describe('a daemon without anybody to look names up', () => {
  it('has every lookup fail, and is in trouble', async () => {
    const why = 'the daemon was started without a starter';
    const { names, answers, notes } = begin(() => why);
    names.lookUp('gw.example.net');
    await eventually(() => answers.length === 1, 'the answer');
    expect(answers).toEqual([['gw.example.net', { error: 'EAI_SYSTEM' }]]);
    expect(notes).toHaveLength(1);
    expect(names.troubles()).toEqual([{ code: 'resolverLost', why }]);
  });
});

describe('a resolver of the process’s own', () => {
  it('forgets what nobody waits for', () => {
    const answers: number[] = [];
    const waiting: ((answer: NameAnswer) => void)[] = [];
    const resolver = new LocalResolver(
      (id) => void answers.push(id),
      (_host, onAnswer) => void waiting.push(onAnswer),
    );
    for (const id of [1, 2, 3]) resolver.ask(id, 'gw.example.net');
    resolver.forget(2);
    waiting[1]({ addresses: [] });
    waiting[0]({ addresses: [] });
    resolver.close();
    waiting[2]({ addresses: [] });
    expect(answers).toEqual([1]);
  });
});
