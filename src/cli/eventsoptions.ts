/** What may follow `tswg INTERFACE events`. Pure. */

import { EVENT_KINDS, isEventKind } from '../events/kinds.ts';
import type { EventKind } from '../events/record.ts';
import { parseDecimal } from '../packet/address.ts';
import { visible } from '../quotation.ts';
import { type Command, type EventsOptions, type Mistake, mistake } from './command.ts';
import { nearest } from './nearest.ts';
import { EVENTS_OPTIONS } from './options.ts';

const TIMEOUT_SECONDS = 60;
const TIMEOUT_MAX = 86_400;

/** @param words those after `events` */
export function parseEvents(name: string, words: readonly string[]): Command | Mistake {
  const said = new Map<string, string>();
  for (let at = 0; at < words.length; at++) {
    const option = words[at];
    const row = Object.hasOwn(EVENTS_OPTIONS, option) ? EVENTS_OPTIONS[option] : undefined;
    if (row === undefined) return mistake(`events: ${unknown(option)}`);
    if (said.has(option)) return mistake(`events: ${option}: expected once`);
    if (row.argument === null) said.set(option, '');
    else if (at + 1 >= words.length)
      return mistake(`events: ${option}: expected ${row.argument} after it`);
    else said.set(option, words[++at]);
    const wrong = option === '--on' ? wrongKind(words[at]) : null;
    if (wrong !== null) return mistake(wrong);
  }
  const on = said.get('--on')?.split(',') ?? null;
  const since = numberOf(said.get('--since'), Number.MAX_SAFE_INTEGER);
  if (since === undefined) {
    return mistake(
      `events: --since: ${visible(said.get('--since')!)}: expected the number of an event`,
    );
  }
  const timeout = numberOf(said.get('--timeout'), TIMEOUT_MAX);
  if (timeout === undefined || timeout === 0) {
    return mistake(
      `events: --timeout: ${visible(said.get('--timeout')!)}: expected 1 to ${TIMEOUT_MAX} seconds`,
    );
  }
  const exec = said.get('--exec') ?? null;
  if (exec !== null && exec.trim() === '') return mistake('events: --exec: expected a command');
  if (exec === null && timeout !== null)
    return mistake('events: --timeout: expected --exec with it');
  if (exec !== null && said.has('--json')) {
    return mistake('events: --exec, --json: expected one of them: the command reads JSON anyway');
  }
  const options: EventsOptions = {
    json: said.has('--json'),
    // Nobody runs a command for what is long past, unless --since asks for it.
    follow: said.has('--follow') || exec !== null,
    since,
    peer: said.get('--peer') ?? null,
    on: on as EventKind[] | null,
    exec,
    timeout: timeout ?? TIMEOUT_SECONDS,
  };
  return { kind: 'events', name, options };
}

function wrongKind(kinds: string): string | null {
  const wrong = kinds.split(',').find((kind) => !isEventKind(kind));
  if (wrong === undefined) return null;
  const hint = nearest(wrong, Object.keys(EVENT_KINDS));
  const expected = hint === null ? 'the kind of an event, such as connected' : hint;
  return `events: --on: ${visible(wrong)}: expected ${expected}`;
}

function unknown(option: string): string {
  const hint = nearest(option, Object.keys(EVENTS_OPTIONS));
  const expected = Object.keys(EVENTS_OPTIONS).join(', ');
  return hint === null
    ? `${visible(option)}: unknown option; expected one of ${expected}`
    : `${visible(option)}: unknown option; did you mean ${hint}?`;
}

/** null when it was not said, undefined when it is none. */
function numberOf(text: string | undefined, max: number): number | null | undefined {
  return text === undefined ? null : (parseDecimal(text, max) ?? undefined);
}
