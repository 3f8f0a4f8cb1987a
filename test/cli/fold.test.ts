import { afterEach, describe, expect, it, vi } from 'vitest';
import { fold } from '../../src/cli/fold.ts';
import { main } from '../../src/cli/main.ts';
import { main as daemonMain } from '../../src/cli/tswgd.ts';

const HANDSHAKE =
  '\t\ttrouble: handshake: no answer to 7 initiations in 35 seconds: check wgendpoint, the firewalls on the way\n';

/** Columns that a line takes; tabs are at its beginning. */
const widthOf = (line: string) => line.replaceAll('\t', ' '.repeat(8)).length;

async function written(action: () => Promise<unknown>): Promise<string> {
  let text = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text += chunk;
    return true;
  });
  await action();
  vi.restoreAllMocks();
  return text;
}

const { columns } = process.stdout;
afterEach(() => {
  vi.restoreAllMocks();
  process.stdout.columns = columns;
});

describe('a line wider than the terminal', () => {
  it('is broken at blanks, a tab deeper', () => {
    expect(fold(`\twgport 1\n${HANDSHAKE}`, 80)).toBe(
      '\twgport 1\n' +
        '\t\ttrouble: handshake: no answer to 7 initiations in 35 seconds:\n' +
        '\t\t\tcheck wgendpoint, the firewalls on the way\n',
    );
  });

  it('of a table keeps its columns', () => {
    const row = `\t\t  12  ownSource    ${'a packet from a peer with an address of ours '.repeat(2)}`;
    const lines = fold(row.trimEnd(), 80).split('\n');
    expect(lines[0]).toBe('\t\t  12  ownSource    a packet from a peer with an address of ours');
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(80);
  });

  it('stays whole where it has no blank, and for programs', () => {
    const key = `\twgpubkey ${'a'.repeat(100)}\n`;
    expect(fold(key, 80)).toBe(`\twgpubkey\n\t\t${'a'.repeat(100)}\n`);
    expect(fold(HANDSHAKE, undefined)).toBe(HANDSHAKE);
  });

  it('is what a terminal gets of an interface', async () => {
    process.stdout.columns = 40;
    const narrow = await written(() => main(['lo'], {}));
    for (const line of narrow.split('\n')) expect(widthOf(line), line).toBeLessThanOrEqual(40);
    expect(narrow).toContain('\tinet 127.0.0.1 netmask\n\t\t0xff000000\n');
    process.stdout.columns = 200;
    const wide = await written(() => main(['lo'], {}));
    expect(narrow.split(/\s+/)).toEqual(wide.split(/\s+/));
  });

  it('is none of the daemon’s help', async () => {
    const help = await written(() => daemonMain(['--help'], {}));
    for (const line of help.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(help).toContain('TSWG_SANDBOX=off');
  });
});
