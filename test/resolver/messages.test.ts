import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatAnswer,
  formatEnd,
  formatQuestion,
  formatReport,
  MESSAGE_BYTES_MAX,
  parseQuestion,
  parseWord,
} from '../../src/resolver/messages.ts';

const HOST = 'gw.example.net';
const LONGEST = `${'a'.repeat(49)}.`.repeat(5).slice(0, 249).concat('.net').slice(-253);
const ADDRESSES = [Uint8Array.of(192, 0, 2, 1), new Uint8Array(16).fill(0xfe)];
const answerBytes = (answer = ADDRESSES) =>
  formatAnswer({ id: 7, host: HOST }, { addresses: answer });

/** The same message with something changed. */
function altered(bytes: Uint8Array, change: (copy: Uint8Array) => void): Uint8Array {
  const copy = bytes.slice();
  change(copy);
  return copy;
}

describe('a question', () => {
  it.each([HOST, 'a', LONGEST])('arrives as it was asked: %s', (host) => {
    const question = { id: 0xffff_fffe, host };
    const bytes = formatQuestion(question);
    expect(bytes.length).toBeLessThanOrEqual(MESSAGE_BYTES_MAX);
    expect(parseQuestion(bytes)).toEqual(question);
  });

  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['a header alone', formatQuestion({ id: 1, host: '' })],
    ['another version', altered(formatQuestion({ id: 1, host: HOST }), (one) => one.fill(2, 0, 1))],
    ['another kind', altered(formatQuestion({ id: 1, host: HOST }), (one) => one.fill(1, 1, 2))],
    ['a byte that ends a string in C', formatQuestion({ id: 1, host: 'gw\0.example.net' })],
    ['a path', formatQuestion({ id: 1, host: '../../etc/passwd' })],
    ['a blank', formatQuestion({ id: 1, host: 'gw example' })],
    ['a name that is too long', formatQuestion({ id: 1, host: `${LONGEST}a` })],
  ])('is none with %s', (_, bytes) => {
    expect(parseQuestion(bytes)).toBeNull();
  });
});

describe('an answer', () => {
  it('arrives as it was given', () => {
    expect(parseWord(answerBytes())).toEqual({
      kind: 'answer',
      question: { id: 7, host: HOST },
      answer: { addresses: ADDRESSES },
    });
    const failure = formatAnswer({ id: 7, host: HOST }, { error: 'EAI_AGAIN' });
    expect(parseWord(failure)).toMatchObject({ answer: { error: 'EAI_AGAIN' } });
  });

  it('has as many addresses as a message takes, and owns them', () => {
    const many = Array.from({ length: 40 }, (_, i) => new Uint8Array(16).fill(i));
    const bytes = formatAnswer({ id: 1, host: LONGEST }, { addresses: many });
    expect(bytes.length).toBe(MESSAGE_BYTES_MAX);
    const word = parseWord(bytes);
    bytes.fill(0);
    expect(word).toMatchObject({ answer: { addresses: many.slice(0, 32) } });
  });

  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['another version', altered(answerBytes(), (one) => one.fill(9, 0, 1))],
    ['an unknown kind', altered(answerBytes(), (one) => one.fill(9, 1, 2))],
    ['a question', formatQuestion({ id: 7, host: HOST })],
    ['a name longer than the message', altered(answerBytes(), (one) => one.fill(255, 6, 7))],
    ['no name', altered(answerBytes(), (one) => one.fill(0, 6, 7))],
    ['an address of 5 bytes', altered(answerBytes(), (one) => one.fill(5, 21, 22))],
    ['half an address', answerBytes().subarray(0, -1)],
    [
      'a 33rd address',
      Uint8Array.from([...answerBytes(Array(32).fill(ADDRESSES[0])), 4, 1, 1, 1, 1]),
    ],
    ['more than a message takes', new Uint8Array(MESSAGE_BYTES_MAX + 1).fill(1)],
    ['another error than getaddrinfo’s', formatAnswer({ id: 7, host: HOST }, { error: 'rm -rf' })],
    // Each has a counter of its own: a resolver in other hands could make up one after the other.
    ['an error that there is not', formatAnswer({ id: 7, host: HOST }, { error: 'EAI_QXZ' })],
    ['bytes that are no text', altered(answerBytes(), (one) => one.fill(0xff, 8, 12))],
  ])('is none with %s', (_, bytes) => {
    expect(parseWord(bytes)).toBeNull();
  });
});

describe('what a resolver says of itself', () => {
  it('arrives, as text of one line each', () => {
    const steps = new Map([
      ['user', '64038, group 64038'],
      ['seccomp', 'all threads'],
    ]);
    expect(parseWord(formatReport(steps))).toEqual({ kind: 'report', steps });
    expect(parseWord(formatEnd('bug\n\x1b[2J: it'))).toEqual({ kind: 'end', why: 'bug [2J: it' });
    expect(formatEnd('long'.repeat(1_000)).length).toBe(MESSAGE_BYTES_MAX);
  });

  it.each([
    ['a step without a name', 'all is well'],
    ['what steers a terminal', 'user: \x1b[2J'],
    ['more lines than there are steps', Array(17).fill('user: root').join('\n')],
  ])('is nothing with %s', (_, text) => {
    const bytes = Uint8Array.from([1, 3, ...new TextEncoder().encode(text)]);
    expect(parseWord(bytes)).toBeNull();
  });
});

it('takes any bytes at all without an exception, and no more addresses than fit', () => {
  const bytes = fc.uint8Array({ maxLength: MESSAGE_BYTES_MAX + 2 });
  const begun = fc.tuple(fc.integer({ min: 0, max: 4 }), bytes);
  fc.assert(
    fc.property(begun, ([kind, rest]) => {
      const message = Uint8Array.from([1, kind, ...rest]);
      parseQuestion(message);
      const word = parseWord(message);
      if (word?.kind !== 'answer' || word.answer.addresses === undefined) return;
      expect(word.answer.addresses.length).toBeLessThanOrEqual(32);
      for (const { length } of word.answer.addresses) expect([4, 16]).toContain(length);
    }),
  );
});
