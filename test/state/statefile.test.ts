import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { hasState, removeState, StateFile } from '../../src/state/statefile.ts';
import { StateKeeper } from '../../src/state/statekeeper.ts';

const TEXT = 'set=1\nprivate_key=secret\n\n';
let root: string;
/** Of all interfaces, and of this one. */
let states: string;
let directory: string;
let path: string;
let files: StateFile[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tswg-state-'));
  states = join(root, 'states');
  directory = join(states, 'wg0');
  path = join(directory, 'state');
  files = [];
});
afterEach(() => {
  for (const file of files) file.close();
  rmSync(root, { recursive: true });
});

function open(): StateFile {
  const file = new StateFile('wg0', states);
  files.push(file);
  return file;
}

const modeOf = (of: string) => statSync(of).mode & 0o7777;
const isRoot = process.getuid?.() === 0;

describe('the state file', () => {
  it('reads back what was written, in a folder and with a mode of its owner alone', async () => {
    const before = process.umask(0);
    await open().write(TEXT);
    process.umask(before);
    expect(modeOf(path)).toBe(0o600);
    expect([modeOf(states), modeOf(directory)]).toEqual([0o700, 0o700]);
    expect(open().read()).toEqual({ kind: 'text', text: TEXT });
    expect(readdirSync(directory)).toEqual(['state']);
  });

  it('begins with its version and a checksum', async () => {
    await open().write(TEXT);
    const [head, ...rest] = readFileSync(path, 'utf8').split('\n');
    expect(head).toMatch(/^tswg-state 1 sha256=[0-9a-f]{64}$/);
    expect(rest.join('\n')).toBe(TEXT);
  });

  it('is nothing before the first write and after the last', async () => {
    const file = open();
    expect(file.read()).toEqual({ kind: 'nothing' });
    await file.write(TEXT);
    file.remove();
    expect(file.read()).toEqual({ kind: 'nothing' });
    file.remove();
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is replaced, never rewritten: who has the old one open still reads all of it', async () => {
    const file = open();
    await file.write(TEXT);
    linkSync(path, `${path}.old`);
    await file.write('another');
    expect(readFileSync(`${path}.old`, 'utf8')).toContain(TEXT);
    expect(file.read()).toEqual({ kind: 'text', text: 'another' });
  });

  it('is written though a crash left half a file behind, which others may have made', async () => {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(join(directory, '.state.new'), 'half', { mode: 0o666 });
    await open().write(TEXT);
    expect(modeOf(path)).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['state']);
  });

  it('is written by way of the folder’s descriptor, whatever becomes of its path', async () => {
    const file = open();
    renameSync(directory, `${directory}.moved`);
    await file.write(TEXT);
    expect(readdirSync(`${directory}.moved`)).toEqual(['state']);
    expect(existsSync(directory)).toBe(false);
    file.remove();
    expect(readdirSync(`${directory}.moved`)).toEqual([]);
  });

  it.each<[what: string, damage: () => void, why: RegExp]>([
    ['cut off', () => truncateSync(path, statSync(path).size - 1), /checksum is wrong/],
    ['cut off to nothing', () => truncateSync(path, 0), /does not begin like/],
    ['changed by a bit', () => flipBit(100), /checksum is wrong/],
    ['changed in its checksum', () => flipBit(30), /checksum is wrong|does not begin/],
    ['of another version', () => replace('tswg-state 1', 'tswg-state 2'), /of version 2, and/],
    ['another program’s', () => writeFileSync(path, 'hello\n'), /does not begin like/],
    ['readable for others', () => chmodSync(path, 0o644), /mode is 0644, expected 0600/],
    ['a folder', () => inItsPlace(() => mkdirSync(path, 0o700)), /not a regular file/],
    ['a link', () => inItsPlace(() => symlinkSync('nowhere', path)), /a symbolic link/],
    ['known by another name, too', () => linkSync(path, join(root, 'another')), /second name/],
    ...(isRoot ? [foreignOwner()] : []),
  ])('that is %s is refused and kept aside', async (_, damage, why) => {
    await open().write(TEXT);
    damage();
    const aside = `${path}.corrupt`;
    const found = open().read();
    expect(found).toMatchObject({ kind: 'refused', keptAs: aside });
    expect(found.kind === 'refused' && found.why).toMatch(why);
    expect(open().read()).toEqual({ kind: 'nothing' });
    expect(readdirSync(directory)).toEqual(['state.corrupt']);
    if (lstatSync(aside).isFile()) expect(modeOf(aside)).toBe(0o600);
  });

  it('kept aside takes nobody’s place', async () => {
    for (const name of ['corrupt', 'corrupt.1', 'corrupt.2']) {
      await open().write(name);
      expect(open().refuse('a reason')).toMatchObject({ keptAs: `${path}.${name}` });
    }
    expect(readFileSync(`${path}.corrupt`, 'utf8')).toMatch(/\ncorrupt$/);
  });

  it('is not kept where others may exchange it', () => {
    mkdirSync(directory, { recursive: true });
    for (const folder of [directory, states]) {
      chmodSync(folder, 0o777);
      expect(open).toThrow(/other users may write there; `chmod 700` fixes it/);
      chmodSync(folder, 0o700);
    }
  });

  it('is not kept where there is no folder to be had, and says so', () => {
    mkdirSync(states);
    writeFileSync(directory, '');
    expect(open).toThrow(`keep the state in ${directory}: it exists already (mkdir: EEXIST)`);
  });
});

describe('the state of version 0.1.0, which was in the folder of all', () => {
  const old = () => join(states, 'wg0.state');
  /** What a file of this text has as a whole. */
  const whole = async (text: string): Promise<string> => {
    await open().write(text);
    const written = readFileSync(path, 'utf8');
    rmSync(path);
    return written;
  };

  it('is taken over', async () => {
    writeFileSync(old(), await whole('old'), { mode: 0o600 });
    expect(hasState('wg0', states)).toBe(true);
    expect(open().read()).toEqual({ kind: 'text', text: 'old' });
    expect(readdirSync(states)).toEqual(['wg0']);
    expect(hasState('wg0', states)).toBe(true);
  });

  it.each([
    ['later than ours', 1, 'old'],
    ['earlier', -1, 'new'],
  ])('is taken over, or removed, when it is %s', async (_, seconds, kept) => {
    writeFileSync(old(), await whole('old'), { mode: 0o600 });
    const file = new StateFile('wg1', states);
    files.push(file);
    await file.write('new');
    renameSync(join(states, 'wg1', 'state'), path);
    const time = statSync(path).mtimeMs / 1_000 + seconds;
    utimesSync(old(), time, time);
    expect(open().read()).toEqual({ kind: 'text', text: kept });
    expect(existsSync(old())).toBe(false);
  });

  it('is removed with the interface', async () => {
    writeFileSync(old(), await whole('old'), { mode: 0o600 });
    removeState('wg0', states);
    expect(readdirSync(states)).toEqual([]);
    expect(hasState('wg0', states)).toBe(false);
  });
});

function flipBit(at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = bytes[at] ^ 1;
  writeFileSync(path, bytes);
}

function replace(what: string, by: string): void {
  writeFileSync(path, readFileSync(path, 'utf8').replace(what, by));
}

function inItsPlace(make: () => void): void {
  rmSync(path);
  make();
}

function foreignOwner(): [string, () => void, RegExp] {
  return ['somebody else’s', () => chownSync(path, 12345, 0), /user with the id 12345/];
}

describe('the keeper of the state', () => {
  let state = '';
  let notes: string[] = [];
  let rendered = 0;
  let keeper: StateKeeper;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    [state, notes, rendered] = ['', [], 0];
    keeper = new StateKeeper({
      name: 'wg0',
      directory: states,
      render: async () => {
        rendered++;
        return state;
      },
      onNote: (note) => notes.push(note),
    });
  });
  afterEach(async () => {
    await keeper.abandon();
    vi.useRealTimers();
  });

  /** Lets time pass, and then the disk do its work. */
  async function pass(ms: number): Promise<void> {
    vi.advanceTimersByTime(ms);
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  }
  const saved = () => (existsSync(path) ? readFileSync(path, 'utf8').split('\n')[1] : undefined);

  it('saves at once when it begins, and what changes right after it a second later', async () => {
    state = 'begun';
    keeper.begun();
    await pass(0);
    await vi.waitFor(() => expect(saved()).toBe('begun'));
    state = 'changed';
    keeper.changed();
    await pass(990);
    expect(saved()).toBe('begun');
    await pass(20);
    await vi.waitFor(() => expect(saved()).toBe('changed'));
  });

  it('saves a second after a change, and many changes once', async () => {
    for (const change of ['a', 'b', 'c']) {
      state = change;
      keeper.changed();
      await pass(300);
    }
    expect(saved()).toBeUndefined();
    await pass(100);
    await vi.waitFor(() => expect(saved()).toBe('c'));
    expect(rendered).toBe(1);
    expect(keeper.trouble).toBeNull();
  });

  it('saves what changes by itself a minute later, or along with a change', async () => {
    keeper.drifted();
    await pass(59_000);
    expect(rendered).toBe(0);
    await pass(1_000);
    expect(rendered).toBe(1);
    keeper.drifted();
    keeper.changed();
    keeper.drifted();
    await pass(1_100);
    await vi.waitFor(() => expect(rendered).toBe(2));
    await pass(120_000);
    expect(rendered).toBe(2);
  });

  it('saves where a peer has moved to after five seconds', async () => {
    keeper.drifted();
    keeper.moved();
    await pass(4_900);
    expect(rendered).toBe(0);
    await pass(200);
    await vi.waitFor(() => expect(rendered).toBe(1));
  });

  it('leaves a file alone that says the same', async () => {
    state = 'a';
    keeper.changed();
    await pass(1_000);
    await vi.waitFor(() => expect(saved()).toBe('a'));
    // A second name keeps the number of the file from being given to another.
    linkSync(path, `${path}.same`);
    keeper.changed();
    await pass(2_000);
    await vi.waitFor(() => expect(rendered).toBe(2));
    await keeper.close();
    expect(statSync(path).ino).toBe(statSync(`${path}.same`).ino);
  });

  it('saves at the end what no second was left for', async () => {
    state = 'last';
    keeper.changed();
    await keeper.close();
    expect(saved()).toBe('last');
    keeper.changed();
    await pass(100_000);
    expect(rendered).toBe(1);
  });

  it('says once that it cannot, in stats as long as that is so, and tries again', async () => {
    mkdirSync(states);
    writeFileSync(directory, 'in the way');
    state = 'a';
    keeper.changed();
    await pass(1_000);
    expect(notes).toEqual([`keep the state in ${directory}: it exists already (mkdir: EEXIST)`]);
    expect(keeper.trouble).toEqual({
      ...{ code: 'stateUnsaved', why: notes[0], call: 'mkdir', error: 'EEXIST' },
      isRetried: false,
    });
    expect(keeper.remedy).toMatch(/^; once that is fixed, /);
    await pass(10_000);
    await pass(10_000);
    expect(rendered).toBe(3);
    expect(notes).toHaveLength(1);
    rmSync(directory);
    await pass(10_000);
    await vi.waitFor(() => expect(saved()).toBe('a'));
    // The file is there a moment before that has been made to last.
    await vi.waitFor(() => expect(notes[1]).toBe('The state is saved again'));
    expect(keeper.trouble).toBeNull();
  });

  it('removes the file at the end of the interface', async () => {
    state = 'a';
    keeper.changed();
    await pass(1_000);
    await vi.waitFor(() => expect(saved()).toBe('a'));
    keeper.changed();
    await keeper.remove();
    expect(readdirSync(directory)).toEqual([]);
  });
});
