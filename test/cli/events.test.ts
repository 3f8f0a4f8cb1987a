/** `tswg wg0 events`: what may be asked, what it reads like, and how one stays with a daemon. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventsOptions } from '../../src/cli/command.ts';
import { complete } from '../../src/cli/completion.ts';
import { events } from '../../src/cli/events.ts';
import { wordEvent, wordLost } from '../../src/cli/eventwords.ts';
import { environmentOf, Hooks } from '../../src/cli/hooks.ts';
import { parse } from '../../src/cli/parse.ts';
import type { System } from '../../src/cli/system.ts';
import { EVENT_KINDS } from '../../src/events/kinds.ts';
import type { EventBody, EventRecord } from '../../src/events/record.ts';
import { formatEvent, formatEventsHead, formatLost } from '../../src/uapi/events.ts';
import { answer, EBUSY, refuseGet } from '../../src/uapi/response.ts';
import { waitFor } from '../lab/command.ts';

const KEY = 'fE/wdxzl0klVp/IR8UcaoGUMjqaWi3jAd7KzHKFS6Ds=';
const PLAIN: EventsOptions = {
  ...{ json: false, follow: false, since: null, peer: null, on: null, exec: null, timeout: 60 },
};
const about = { peer: KEY, name: 'laptop' };

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function record(seq: number, body: EventBody): EventRecord {
  return { seq, timeMs: new Date(2026, 10, 28, 9, 5, 7).getTime(), monotonicMs: 1, ...body };
}

describe('what may be asked', () => {
  it.each<[string, Partial<EventsOptions>]>([
    ['events', {}],
    ['events --json --follow', { json: true, follow: true }],
    ['--json events --follow', { json: true, follow: true }],
    [`events --peer ${KEY} --since 12`, { peer: KEY, since: 12 }],
    ['events --on connected,disconnected', { on: ['connected', 'disconnected'] }],
    ['events --exec date', { exec: 'date', follow: true }],
    ['events --exec date --timeout 5', { exec: 'date', follow: true, timeout: 5 }],
  ])('%s', (line, options) => {
    const [first, ...rest] = line.split(' ');
    const argv = first === '--json' ? [first, 'wg0', ...rest] : ['wg0', first, ...rest];
    expect(parse(argv)).toEqual({ kind: 'events', name: 'wg0', options: { ...PLAIN, ...options } });
  });

  it.each([
    ['events up', 'events: up: unknown option; expected one of --json, --follow, '],
    ['events --folow', 'events: --folow: unknown option; did you mean --follow?'],
    ['events --follow --follow', 'events: --follow: expected once'],
    ['events --peer', 'events: --peer: expected PEER after it'],
    ['events --on conected', 'events: --on: conected: expected connected'],
    ['events --on x', 'events: --on: x: expected the kind of an event, such as connected'],
    ['events --on toString', 'events: --on: toString: expected '],
    ['events --since -1', 'events: --since: -1: expected the number of an event'],
    ['events --timeout 5', 'events: --timeout: expected --exec with it'],
    ['events --exec x --timeout 0', 'events: --timeout: 0: expected 1 to 86400 seconds'],
    ['events --exec x --json', 'events: --exec, --json: expected one of them'],
    ['up events', 'events: expected as the first word after the interface'],
  ])('%s is a mistake', (line, text) => {
    const found = parse(['wg0', ...line.split(' ')]);
    expect(found.kind).toBe('mistake');
    expect((found as { text: string }).text).toContain(text);
  });

  it('is completed', () => {
    const facts = {
      ...{ interfaces: () => ['wg0'], files: () => [], links: () => [] },
      peers: () => [{ key: KEY, description: 'laptop', allowedIps: [] }],
    };
    const suggest = (...words: string[]) =>
      complete(['wg0', 'events', ...words], facts).words.map(({ text }) => text);
    expect(suggest('--f')).toEqual(['--follow']);
    expect(suggest('--follow', '--')).not.toContain('--follow');
    expect(suggest('--on', 'conn')).toEqual(['connected']);
    expect(suggest('--on', 'connected,disc')).toEqual(['connected,disconnected']);
    expect(suggest('--on', 'connected,conn')).toEqual([]);
    expect(suggest('--peer', '')).toEqual(['laptop']);
    expect(suggest('--peer', KEY.slice(0, 4))).toEqual([KEY]);
    expect(suggest('--exec', '')).toEqual([]);
  });
});

describe('an event reads like', () => {
  it.each<[EventBody, string]>([
    [{ kind: 'connected', ...about }, 'laptop: connected'],
    [{ kind: 'connected', peer: KEY, name: '' }, `${KEY}: connected`],
    [
      { kind: 'disconnected', ...about, cause: 'dataUnanswered', trouble: null },
      'laptop: lost: data is not answered',
    ],
    [
      { kind: 'disconnected', ...about, cause: 'initiationUnanswered', trouble: 'undecipherable' },
      'laptop: lost: handshake initiations are not answered (its answers do not decrypt; the preshared keys may differ)',
    ],
    [
      { kind: 'handshakeBegun', ...about, by: 'peer', endpoint: '192.0.2.1:7' },
      'laptop: handshake begun by the peer, from 192.0.2.1:7',
    ],
    [{ kind: 'rekeyed', ...about, by: 'us', session: 3 }, 'laptop: rekeyed: session 3'],
    [
      { kind: 'handshakeFailed', ...about, attempts: 20, cause: 'noAnswer' },
      'laptop: handshake given up after 20 initiations: no answer',
    ],
    [
      { kind: 'configured', by: 'set', fields: ['listenPort'], peers: 1 },
      'configured over the control socket: listenPort, 1 peer',
    ],
    [{ kind: 'linkUp', port: 0 }, 'interface up, but there is no socket'],
    [
      { kind: 'upgraded', from: '0.1.0', version: '0.2.0' },
      'tswgd 0.2.0 continues in place of 0.1.0',
    ],
    [
      { kind: 'stateRefused', why: 'a \u001b[31mred\u001b[0m one' },
      'the saved state was not used: a ?[31mred?[0m one',
    ],
    [
      { kind: 'suppressed', peer: null, name: '', events: 9 },
      '9 events more came too fast and were not kept',
    ],
  ])('%o', (body, text) => {
    expect(wordEvent(record(1, body))).toBe(`2026-11-28 09:05:07 ${text}`);
  });

  it('of another version: its kind and values, whatever they are', () => {
    const strange = { ...record(1, { kind: 'linkDown' }), kind: 'flew', ...about, height: 7 };
    expect(wordEvent(strange as never)).toBe('2026-11-28 09:05:07 laptop: flew height=7');
    const bare = { ...record(1, { kind: 'linkDown' }), kind: 'configured' };
    expect(wordEvent(bare as never)).toBe('2026-11-28 09:05:07 configured');
    expect(wordLost(1)).toBe('(1 event was lost: they came faster than they were read)');
  });

  it('each has words, and a row in docs/events.md', () => {
    const page = readFileSync('docs/events.md', 'utf8');
    const rows = [...page.matchAll(/^\| `(\w+)` \| .* \| (.*) \|$/gm)].map(([, kind, text]) => [
      ...[kind, text],
    ]);
    expect(rows).toEqual(Object.entries(EVENT_KINDS));
  });
});

/** A daemon that answers one conversation after the other; then none. */
function system(conversations: readonly (readonly string[] | { code: string })[]) {
  const asked: string[] = [];
  const left = [...conversations];
  const fake = {
    links: () => [{ name: 'wg0', kind: 'tun', isPersistent: false }],
    sleep: async () => {},
    async *converse(_name: string, text: string): AsyncGenerator<string> {
      asked.push(text.replaceAll('\n', ' ').trim());
      const next = left.shift() ?? { code: 'ECONNREFUSED' };
      if ('code' in next) throw Object.assign(new Error(next.code), next);
      yield* next;
    },
  };
  return { asked, system: fake as unknown as System };
}

async function listen(
  conversations: Parameters<typeof system>[0],
  options: Partial<EventsOptions> = {},
) {
  const [printed, notes]: [string[], string[]] = [[], []];
  const { system: fake, asked } = system(conversations);
  const audience = {
    print: async (line: string) => void printed.push(line),
    note: (line: string) => void notes.push(line),
    hooks: null,
  };
  const code = await events('wg0', { ...PLAIN, ...options }, fake, audience);
  return { printed, notes, asked, code };
}

const head = (seq: number, stream = 's') => formatEventsHead(stream, seq);
const event = (seq: number, body: EventBody = { kind: 'linkDown' }) =>
  formatEvent(record(seq, body));

describe('who reads', () => {
  it('what is kept has it all, once', async () => {
    const { printed, notes, asked, code } = await listen([
      [head(2), event(1), event(2, { kind: 'connected', ...about }), answer('')],
    ]);
    expect([code, notes, asked]).toEqual([0, [], ['events=1']]);
    expect(printed).toEqual([
      '2026-11-28 09:05:07 interface down',
      '2026-11-28 09:05:07 laptop: connected',
    ]);
  });

  it('chooses by peer and kind', async () => {
    const text = [
      head(4),
      event(1),
      event(2, { kind: 'connected', ...about }),
      event(3, { kind: 'keysErased', ...about }),
      event(4, { kind: 'connected', peer: 'other', name: '' }),
      answer(''),
    ];
    for (const peer of [KEY, 'laptop']) {
      const { printed } = await listen([text], { peer, on: ['connected'], json: true });
      expect(printed.map((line) => JSON.parse(line).seq)).toEqual([2]);
    }
  });

  it.each([
    [[[]], 'the WireGuard that serves it is not tswgd, or one of a version that tells no events'],
    [[[head(0)]], 'its daemon has ended in the midst of the answer'],
    [[[refuseGet(EBUSY)]], 'as many as may already follow its events'],
    [[{ code: 'EACCES' }], 'only root may query its daemon, or a member of the group _tswg'],
  ])('is told in one line what is wrong: %j', async (conversations, text) => {
    await expect(listen(conversations)).rejects.toThrow(text);
  });
});

describe('who follows', () => {
  it('begins with what is new, and continues after an upgrade where it was', async () => {
    const { printed, notes, asked, code } = await listen(
      [
        [head(7), event(8), event(9)],
        // The predecessor is asked while it ends.
        [],
        { code: 'ECONNREFUSED' },
        [head(12), event(10), event(11), event(12)],
      ],
      { follow: true, json: true },
    );
    expect(printed.map((line) => JSON.parse(line).seq)).toEqual([8, 9, 10, 11, 12]);
    const again = 'events=1 since=9 stream=s follow=true';
    expect(asked.slice(0, 4)).toEqual(['events=1 follow=true', again, again, again]);
    expect([code, notes]).toEqual([1, ['wg0: its daemon has ended']]);
  });

  it('of events that were lost is told how many, and does not ask for them again', async () => {
    const { printed, asked } = await listen(
      [
        [head(7), event(8), formatLost(20)],
        [head(30), event(30)],
      ],
      {
        ...{ follow: true, json: true },
      },
    );
    expect(printed[1]).toBe('{"kind":"lost","events":20}');
    expect(asked[1]).toContain('since=28');
  });

  it('is told that another daemon serves it, whose events are all new', async () => {
    const { printed, notes } = await listen(
      [
        [head(7), event(8)],
        [head(2, 'other'), event(1), event(2)],
      ],
      {
        ...{ follow: true, json: true },
      },
    );
    expect(printed.map((line) => JSON.parse(line).seq)).toEqual([8, 1, 2]);
    expect(notes[0]).toBe('wg0: another daemon serves it now, whose events are numbered from 1');
  });
});

describe('a command for each event', () => {
  let folder: string;
  let warnings: string[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tswg-hooks-'));
    warnings = [];
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const hooks = (command: string, timeoutMs = 60_000, queueMax = 1_000): Hooks =>
    new Hooks({
      queueMax,
      ...{
        command,
        name: 'wg0',
        timeoutMs,
        env: { PATH: process.env.PATH, OUT: join(folder, 'out') },
      },
      warn: (line) => warnings.push(line),
    });
  const output = () => readIfThere(join(folder, 'out'));

  it('is run in their order, one at a time', async () => {
    const one = hooks(
      'read -r json; echo "+$TSWG_SEQ" >>"$OUT"; sleep 0.05; echo "-$json" >>"$OUT"',
    );
    for (let seq = 1; seq <= 4; seq++) one.push(record(seq, { kind: 'linkDown' }));
    await one.finish();
    expect(output().replace(/^-(.*)$/gm, (_, json) => `-${JSON.parse(json).seq}`)).toBe(
      '+1\n-1\n+2\n-2\n+3\n-3\n+4\n-4\n',
    );
    expect(warnings).toEqual([]);
  });

  it('that fails, or reads nothing, or is not there, is said, and the next one has its turn', async () => {
    const one = hooks(
      '[ "$TSWG_SEQ" = 2 ] && exit 7; [ "$TSWG_SEQ" = 3 ] && kill -9 $$; echo "$TSWG_SEQ" >>"$OUT"',
    );
    const large = { kind: 'stateRefused', why: 'x'.repeat(100_000) } as const;
    for (let seq = 1; seq <= 4; seq++) one.push(record(seq, large));
    one.push(record(5, { ...large, why: 'x'.repeat(200_000) }));
    one.push(record(6, large));
    await one.finish();
    expect(output()).toBe('1\n4\n6\n');
    expect(warnings).toEqual([
      'the command for event 2 (stateRefused) has failed with exit code 7',
      'the command for event 3 (stateRefused) was ended by SIGKILL',
      'the command for event 5 (stateRefused) could not be started: spawn E2BIG',
    ]);
  });

  it('that hangs is ended with all it has started, even if it will not', async () => {
    const one = hooks(
      'trap "" TERM; sleep 1000 & echo "$TSWG_SEQ $!" >>"$OUT"; [ "$TSWG_SEQ" = 2 ] || wait',
      2_000,
    );
    one.push(record(1, { kind: 'linkDown' }));
    one.push(record(2, { kind: 'linkDown' }));
    await one.finish();
    expect(output()).toMatch(/^1 \d+\n2 \d+\n$/);
    expect(warnings).toEqual([
      'the command for event 1 (linkDown) was still running after 2 s: it is ended',
    ]);
    const [started, last] = [...output().matchAll(/ (\d+)/g)].map(([, pid]) => Number(pid));
    // Dead, whether anybody has asked how or not.
    const state = /\) (.)/.exec(readIfThere(`/proc/${started}/stat`))?.[1] ?? 'gone';
    expect(['gone', 'Z', 'X']).toContain(state);
    process.kill(last, 'SIGKILL');
  });

  it('is told how many events were lost before it', async () => {
    const one = hooks('echo "$TSWG_SEQ $TSWG_LOST" >>"$OUT"', 60_000, 10);
    for (let seq = 1; seq <= 21; seq++) one.push(record(seq, { kind: 'linkDown' }));
    one.lose(5);
    // Until half of those that wait have had their turn, no more of them do.
    const lines = () => output().trimEnd().split('\n');
    await waitFor(() => lines().length >= 8, 'the eighth of eleven');
    one.push(record(27, { kind: 'linkDown' }));
    for (let seq = 28; seq <= 50; seq++) one.push(record(seq, { kind: 'linkDown' }));
    await one.finish();
    expect(lines().slice(0, 11)).toEqual(Array.from({ length: 11 }, (_, i) => `${i + 1} 0`));
    expect(lines()[11]).toBe('27 15');
    const later = lines().length - 12;
    expect(warnings).toEqual([
      '15 events were lost: the command is slower than events come',
      `${23 - later} events were lost: the command is slower than events come`,
    ]);
  });

  it('has the event in its environment, whatever is in it', () => {
    const body = { kind: 'peerConfigured', peer: KEY, name: 'a"\0$b', fields: ['x', 'y'] } as const;
    expect(environmentOf(record(3, body), 'wg0', 2)).toEqual({
      ...{ TSWG_INTERFACE: 'wg0', TSWG_EVENT: 'peerConfigured', TSWG_LOST: '2' },
      ...{ TSWG_SEQ: '3', TSWG_TIME_MS: expect.any(String), TSWG_MONOTONIC_MS: '1' },
      ...{ TSWG_PEER: KEY, TSWG_NAME: 'a"$b', TSWG_FIELDS: 'x,y' },
    });
    const lost = {
      kind: 'disconnected',
      ...about,
      cause: 'dataUnanswered',
      trouble: null,
    } as const;
    expect(environmentOf(record(3, lost), 'wg0', 0)).toMatchObject({ TSWG_TROUBLE: '' });
  });
});
