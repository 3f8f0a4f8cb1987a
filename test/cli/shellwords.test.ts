import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONTINUED, quoteShellWord, splitShellWords } from '../../src/cli/shellwords.ts';

describe('a line', () => {
  it.each([
    ['up', ['up']],
    [' \t up   down\t', ['up', 'down']],
    ['', []],
    ['# a comment', []],
    ['up # a comment', ['up']],
    [`up#5 'a'#b`, ['up#5', 'a#b']],
    [`descr 'site B' x`, ['descr', 'site B', 'x']],
    [`a'b c'"d e"\\ f`, ['ab cd e f']],
    [`'' ""`, ['', '']],
    [`"a\\"b\\\\c\\$d\\\`e\\f"`, ['a"b\\c$d`e\\f']],
    [`'$HOME \`x\` ; & | < > ( )'`, ['$HOME `x` ; & | < > ( )']],
    [`\\# \\'`, ['#', "'"]],
    [`wg${CONTINUED}port ${CONTINUED} 7${CONTINUED}`, ['wgport', '7']],
    [`'a${CONTINUED}b' "c${CONTINUED}d"`, ['ab', 'cd']],
    ['k/+= fe80::1%eth0 [::1] ~ *?', ['k/+=', 'fe80::1%eth0', '[::1]', '~', '*?']],
  ])('%j is split as a shell does', (line, expected) => {
    expect(splitShellWords(line)).toEqual(expected);
  });

  it.each([
    [`descr Anna's`, `': expected another ' that ends the text`],
    [`descr "site B"'s x`, `': expected another ' that ends the text`],
    [`descr "to Berlin`, `": expected another " that ends the text`],
    [`descr "a\\"`, `": expected another " that ends the text`],
    ['up \\', '\\: expected a character after it'],
    ['wgkey $(cat x)', `$: no shell reads this line: quote it as '$', or begin the line with !`],
    ['wgkey "$(cat x)"', `$: no shell reads this line: quote it as '$', or begin the line with !`],
    ['wgkey "a`cat x`"', '`: no shell reads this line'],
    ['up; down', ';: no shell reads this line'],
    ['up >x', '>: no shell reads this line'],
    ['up && down', '&: no shell reads this line'],
    [`up # site B${CONTINUED} down`, '#: the comment would hide the lines that continue this one'],
    [`up ${CONTINUED}# site B${CONTINUED} down`, '#: the comment would hide the lines'],
  ])('%j is a mistake', (line, expected) => {
    expect(splitShellWords(line)).toMatchObject({ text: expect.stringContaining(expected) });
  });

  it('is never something else than words or a mistake', () => {
    const signs = [...`ab '"\\$#;\`( \t`, CONTINUED];
    const lines = fc.array(fc.constantFrom(...signs)).map((some) => some.join(''));
    fc.assert(
      fc.property(lines, (line) => {
        const words = splitShellWords(line);
        if (!Array.isArray(words)) expect(words.kind).toBe('mistake');
        else expect(words.join('')).not.toContain(CONTINUED);
      }),
    );
  });
});

describe('a quoted word', () => {
  const text = fc.string({ unit: fc.constantFrom(...` '"\\$#;\`()*?[]~-=ab/é`), maxLength: 8 });

  it('comes back as it was', () => {
    fc.assert(
      fc.property(fc.array(text), (words) => {
        expect(splitShellWords(words.map(quoteShellWord).join(' '))).toEqual(words);
      }),
    );
  });

  it('comes back as it was from a shell', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1 }), (words) => {
        const script = `printf '%s\\n' ${words.map(quoteShellWord).join(' ')}`;
        const out = execFileSync('sh', ['-c', script], { encoding: 'utf8' });
        expect(out).toBe(words.map((word) => `${word}\n`).join(''));
      }),
      { numRuns: 30 },
    );
  });

  it('has no control characters', () => {
    expect(quoteShellWord('a\u001bb')).toBe("'a?b'");
  });
});
