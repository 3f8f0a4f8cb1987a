import { fstatSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openJournal } from '../../src/host/journal.ts';

const { dev, ino } = fstatSync(2, { bigint: true });

describe('the priority of a line', () => {
  it('stands before it where standard error is the journal', () => {
    const prefix = openJournal({ JOURNAL_STREAM: `${dev}:${ino}` });
    expect([prefix('error'), prefix('info'), prefix('debug')]).toEqual(['<3>', '<6>', '<7>']);
  });

  it.each([
    ['there is no journal', undefined],
    ['standard error was sent elsewhere', `${dev}:${ino + 1n}`],
    ['what names it is of another device', `${dev + 1n}:${ino}`],
    ['what names it is no DEV:INODE', 'journal'],
  ])('does not where %s', (_, stream) => {
    expect(openJournal({ JOURNAL_STREAM: stream })('error')).toBe('');
  });
});
