/** The daemon's side of a resolver's process, with the other ends of its sockets in the test's hands. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NameAnswer } from '../../src/device/ways.ts';
import {
  formatAnswer,
  formatEnd,
  formatReport,
  parseQuestion,
  type Question,
} from '../../src/resolver/messages.ts';
import { RemoteResolver } from '../../src/resolver/remoteresolver.ts';
import { close, fcntl, recv, Scratch, send, socketPair } from '../../src/sys/libc.ts';
import { F_GETFD, MSG_DONTWAIT } from '../../src/sys/linux.ts';
import { eventually, openDescriptors } from '../lab/namespace.ts';

const HOST = 'gw.example.net';
const FOUND: NameAnswer = { addresses: [Uint8Array.of(192, 0, 2, 1)] };

let starts: number;
let reaps: number;
let why: string;
let answers: (readonly [id: number, answer: NameAnswer])[];
let notes: string[];
let resolver: RemoteResolver;
/** The resolver's own ends: messages, lifeline. */
let ends: number[];
const memory = new Scratch(2_000);

beforeEach(() => {
  [starts, reaps, why, answers, notes, ends] = [0, 0, '', [], [], []];
  resolver = new RemoteResolver({
    start: () => {
      if (why === '') starts++;
      return why;
    },
    reap: () => void reaps++,
    onAnswer: (...words) => void answers.push(words),
    onNote: (line) => void notes.push(line),
    onBug: (error) => {
      throw error;
    },
  });
});
afterEach(() => {
  resolver.close();
  for (const fd of ends) close(fd);
});

/** A resolver calls. */
function call(): void {
  const [fd, lifeline] = [socketPair(), socketPair()];
  ends = [fd[1], lifeline[1]];
  resolver.connect([fd[0], lifeline[0]]);
}

function say(bytes: Uint8Array): void {
  memory.bytes.set(bytes);
  expect(send(ends[0], memory.address, bytes.length, MSG_DONTWAIT)).toBe(bytes.length);
}

/** The next question; null when there is none. */
function heard(): Question | null {
  const length = recv(ends[0], memory.address, 2_000, MSG_DONTWAIT);
  return length <= 0 ? null : parseQuestion(memory.bytes.slice(0, length));
}

function hangUp(): void {
  for (const fd of ends.splice(0)) close(fd);
}

/** Whether the daemon has let go of a resolver: the kernel kills it then. */
function isLetGo(): boolean {
  return recv(ends[1], memory.address, 1, MSG_DONTWAIT) === 0;
}

describe('a resolver', () => {
  it('is started when the first name is asked for, and asked once it has called', async () => {
    expect(starts).toBe(0);
    resolver.ask(1, HOST);
    resolver.ask(2, 'other.example.net');
    expect(starts).toBe(1);
    call();
    expect(heard()).toEqual({ id: 1, host: HOST });
    expect(heard()).toEqual({ id: 2, host: 'other.example.net' });
    resolver.ask(3, HOST);
    expect(heard()).toEqual({ id: 3, host: HOST });
    expect(starts).toBe(1);
    say(formatReport(new Map([['user', '64038']])));
    say(formatAnswer({ id: 1, host: HOST }, FOUND));
    await eventually(() => answers.length === 1, 'the answer');
    expect(answers).toEqual([[1, FOUND]]);
    expect(resolver.steps).toEqual(new Map([['user', '64038']]));
    expect([resolver.trouble, notes]).toEqual(['', []]);
  });

  it('that has ended is replaced, asked again, and answers', async () => {
    resolver.ask(1, HOST);
    call();
    expect(heard()?.id).toBe(1);
    say(formatEnd('no lookup comes to an end'));
    hangUp();
    await eventually(() => starts === 2, 'another one');
    expect(notes[0]).toMatch(/has ended: no lookup comes to an end/);
    expect(resolver.trouble).toMatch(/has ended/);
    call();
    expect(heard()).toEqual({ id: 1, host: HOST });
    say(formatAnswer({ id: 1, host: HOST }, FOUND));
    await eventually(() => answers.length === 1, 'the answer');
    expect(resolver.trouble).toBe('');
  });

  it('ends twice with one question, which then fails and costs no third', async () => {
    resolver.ask(1, HOST);
    for (let i = 1; i <= 2; i++) {
      await eventually(() => starts === i, 'it');
      call();
      heard();
      hangUp();
    }
    await eventually(() => answers.length === 1, 'the answer');
    expect(answers).toEqual([[1, { error: 'EAI_FAIL' }]]);
    expect(starts).toBe(2);
  });

  it.each<[string, Uint8Array]>([
    ['what no resolver says', Uint8Array.of(1, 9)],
    ['a message that is too long', new Uint8Array(1_500).fill(1)],
    ['an answer that nobody asked for', formatAnswer({ id: 2, host: HOST }, FOUND)],
    ['an answer for another name', formatAnswer({ id: 1, host: 'x.example.net' }, FOUND)],
    ['an answer numbered 0', formatAnswer({ id: 0, host: HOST }, FOUND)],
  ])('is let go of when it says %s', async (_, bytes) => {
    resolver.ask(1, HOST);
    call();
    heard();
    say(bytes);
    await eventually(isLetGo, 'its end');
    expect(answers).toEqual([]);
    expect(notes).toEqual([
      'The resolver, tswgd-resolver in `ps`, is replaced: it said what no resolver says',
    ]);
  });

  it('may answer what nobody waits for any more', async () => {
    resolver.ask(1, HOST);
    resolver.ask(2, HOST);
    call();
    resolver.forget(1);
    say(formatAnswer({ id: 1, host: HOST }, FOUND));
    say(formatAnswer({ id: 2, host: HOST }, FOUND));
    await eventually(() => answers.length === 1, 'the answer');
    expect(answers).toEqual([[2, FOUND]]);
    expect(notes).toEqual([]);
  });

  it('that calls when none is expected ends at once', () => {
    call();
    expect(isLetGo()).toBe(true);
  });

  it('that calls with other descriptors than two leaves none open', () => {
    resolver.ask(1, HOST);
    const before = openDescriptors();
    const [a, b] = socketPair();
    resolver.connect([a]);
    expect(fcntl(a, F_GETFD, 0)).toBe(-1);
    close(b);
    expect(openDescriptors()).toBe(before);
  });

  it('that cannot be started makes every question fail, in one line', async () => {
    why = 'the starter (tswgd-starter) has ended';
    resolver.ask(1, HOST);
    resolver.ask(2, HOST);
    expect(answers).toEqual([]);
    await eventually(() => answers.length === 2, 'the answers');
    expect(answers).toEqual([1, 2].map((id) => [id, { error: 'EAI_SYSTEM' }]));
    expect(notes).toEqual([`No name is looked up any more: ${why}`]);
    expect(resolver.trouble).toBe(why);
  });

  it('ends with the daemon', () => {
    resolver.ask(1, HOST);
    call();
    resolver.close();
    expect(isLetGo()).toBe(true);
    resolver.ask(2, HOST);
    expect(starts).toBe(1);
  });
});

describe('a resolver that nobody needs', () => {
  it('is let go of, unless something is asked, and another one is started for the next name', () => {
    resolver.ask(1, HOST);
    call();
    resolver.rest();
    expect([isLetGo(), reaps]).toEqual([false, 0]);
    say(formatAnswer(heard()!, FOUND));
    return eventually(() => answers.length === 1, 'the answer').then(() => {
      resolver.rest();
      expect([isLetGo(), reaps, resolver.state.word, resolver.trouble]).toEqual([
        true,
        1,
        'none',
        '',
      ]);
      resolver.ask(2, HOST);
      expect(starts).toBe(2);
    });
  });

  it('that has not called yet is let go of when it does', () => {
    resolver.ask(1, HOST);
    resolver.forget(1);
    resolver.rest();
    call();
    expect([isLetGo(), starts, reaps]).toEqual([true, 1, 1]);
  });

  it('stays after it has been let go of often: those that can be started are counted', () => {
    for (let id = 1; id < 100; id++) {
      resolver.ask(id, HOST);
      if (resolver.state.word === 'starting') call();
      resolver.forget(id);
      resolver.rest();
      if (resolver.state.word === 'none') hangUp();
    }
    expect([starts, reaps, resolver.state.word]).toEqual([21, 20, 'running']);
  });
});
