/** The page tswg(8), out of the tables of words and of docs/words.md. Pure. */

import { COMMANDS } from '../cli/commands.ts';
import type { Options } from '../cli/options.ts';
import { PLACES, type Place, type Row, USAGE, WORDS } from '../cli/words.ts';
import { DROP_REASONS } from '../device/drops.ts';
import { EVENT_KINDS } from '../events/kinds.ts';
import {
  type Block,
  type Page,
  paragraph,
  sentence,
  type Tagged,
  type TermPart,
} from './blocks.ts';
import { sectionOf } from './markdown.ts';
import { STANDARDS } from './standards.ts';

/** @param docs the pages of docs/, by their names */
export function tswgPage(docs: (name: string) => string): Page {
  const [title, ...description] = USAGE.description;
  const words = docs('words.md');
  return {
    name: 'tswg',
    section: 8,
    summary: 'show and configure WireGuard interfaces',
    synopsis: [
      ['.Nm', '.Op Ar INTERFACE', '.Op Ar WORD Oo Ar ARGUMENT ... Oc ...'],
      ...COMMANDS.map((row) => ['.Nm', `.Cm ${row.word}`, ...row.args.map(synopsisOf)]),
    ].flat(),
    sections: [
      {
        title: 'DESCRIPTION',
        blocks: [
          ...[title, ...description].map(paragraph),
          ...(Object.keys(PLACES) as Place[]).flatMap((place) => wordsOf(place)),
          { kind: 'heading', text: 'Without an interface' },
          { kind: 'tags', rows: COMMANDS.map((row) => entryOf(row)) },
        ],
      },
      { title: 'ENVIRONMENT', blocks: ENVIRONMENT },
      { title: 'FILES', blocks: [{ kind: 'tags', rows: FILES.map(fileOf) }] },
      { title: 'EXIT STATUS', blocks: EXIT_STATUS },
      { title: 'EXAMPLES', blocks: EXAMPLES },
      {
        title: 'DIAGNOSTICS',
        blocks: [
          ...sectionOf(words, 'One call, whole or not at all'),
          paragraph('This is refused:'),
          ...sectionOf(words, 'What is refused'),
          ...sectionOf(words, 'What is carried out with a warning'),
          { kind: 'heading', text: 'Dropped packets' },
          paragraph('The counters of `stats` have these names:'),
          { kind: 'tags', isCompact: true, rows: literals(DROP_REASONS) },
        ],
      },
    ],
    seeAlso: [
      ...['wg(8)', 'wg-quick(8)', 'hostname.wg(5)', 'ip(8)', 'ip-rule(8)', 'nft(8)'],
      ...['systemd.network(5)', 'tcpdump(8)', 'tswgd(8)'],
    ].sort(bySectionAndName),
    standards: STANDARDS,
    lastSections: [{ title: 'CAVEATS', blocks: CAVEATS }],
  };
}

const CAVEATS: readonly Block[] = [
  paragraph(
    'Unlike those of `ifconfig` on OpenBSD, the words `inet` and `inet6` without a length set a single host and a /64, an interface has no link-local address unless it is given one, and there are neither groups, priorities nor routing domains: the message about such a word names what Linux has instead.',
  ),
];

function wordsOf(place: Place): Block[] {
  const rows = WORDS.filter((row) => row.place === place);
  return [
    { kind: 'heading', text: PLACES[place] },
    { kind: 'tags', rows: rows.map((row) => entryOf(row)) },
  ];
}

function entryOf(row: Omit<Row, 'place'>): Tagged {
  const { word, aliases = [], args, follows, summary, detail, options } = row;
  const isEvents = word === 'events';
  const others = aliases.map((one) => `\`${one}\``).join(', ');
  return {
    term: [
      { macro: 'Cm', text: word },
      ...[...args, ...(follows === undefined ? [] : [follows])].map(
        (text): TermPart => ({ macro: 'Ar', text }),
      ),
    ],
    text: [
      sentence(summary),
      ...(detail === undefined ? [] : [detail]),
      ...(others === '' ? [] : [`Also spelled ${others}.`]),
    ].join(' '),
    blocks: [
      ...(options === undefined ? [] : [optionsBlock(options)]),
      ...((isEvents
        ? [
            paragraph('The kinds are:'),
            { kind: 'tags', isCompact: true, rows: literals(EVENT_KINDS) },
          ]
        : []) as Block[]),
    ],
  };
}

function optionsBlock(options: Options): Block {
  const rows = Object.entries(options).map(([option, { argument, summary }]): Tagged => {
    const taken: TermPart[] = argument === null ? [] : [{ macro: 'Ar', text: argument }];
    return { term: [{ macro: 'Cm', text: option }, ...taken], text: sentence(summary) };
  });
  return { kind: 'tags', isCompact: true, rows };
}

function literals(table: Readonly<Record<string, string>>): Tagged[] {
  return Object.entries(table).map(([name, text]) => ({
    term: [{ macro: 'Li', text: name }],
    text: sentence(text),
  }));
}

/** An argument of a command, which the help writes in brackets of its own. */
function synopsisOf(argument: string): string {
  const words = argument.replace(/^\[|\]$/g, '').split(' ');
  const marked = words.map((word) => {
    if (/^[A-Z]+$/.test(word)) return `Ar ${word}`;
    return /^[a-z-]/.test(word) ? `Cm ${word.replaceAll('-', '\\-')}` : word;
  });
  return `.Op ${marked.join(' ')}`;
}

/** As mdoc(7) wants them: by section, then by name. */
export function bySectionAndName(a: string, b: string): number {
  const [one, other] = [a, b].map((page) => `${page.at(-2)}${page.slice(0, -3)}`);
  return one < other ? -1 : 1;
}

function fileOf([path, text]: readonly [string, string]): Tagged {
  return { term: [{ macro: 'Pa', text: path }], text: sentence(text) };
}

export const FILES: readonly (readonly [string, string])[] = [
  ['/etc/hostname.INTERFACE', 'what `netstart` sets up: hostname.wg(5)'],
  ['/var/run/wireguard/INTERFACE.sock', 'the control socket, for root'],
  ['/run/tswg/INTERFACE.observe', 'the socket for the members of the group _tswg'],
  ['/var/lib/tswg/INTERFACE/state', 'what a persistent daemon continues from'],
];

const ENVIRONMENT: readonly Block[] = [
  paragraph(
    'A daemon that is started gets the environment of the command, with what tswgd(8) reads from it.',
  ),
  {
    kind: 'tags',
    rows: [
      {
        term: [{ macro: 'Ev', text: 'SHELL' }],
        text: 'The shell for which `completion` prints a script, if none is named.',
      },
      {
        term: [{ macro: 'Ev', text: 'STATE_DIRECTORY' }],
        text: 'As for tswgd(8), where the state of a daemon that is gone is looked for.',
      },
    ],
  },
];

const EXIT_STATUS: readonly Block[] = [
  paragraph(
    '0 when all was carried out, with or without a warning; 1 when anything was refused, and one line on standard error says what. Of `doctor`, 0 when the tunnel is well, 1 when it is not, and 2 when that cannot be said.',
  ),
];

const EXAMPLES: readonly Block[] = [
  paragraph('Make a private key, and show its public key to the other site:'),
  {
    kind: 'literal',
    lines: [
      '# (umask 077; tswg genkey > /etc/wg/private.key)',
      '# tswg pubkey < /etc/wg/private.key',
    ],
  },
  paragraph(
    'A tunnel between two sites, here with its own key, one peer and the route to its LAN:',
  ),
  {
    kind: 'literal',
    lines: [
      '# tswg wg0 create',
      '# tswg wg0 inet 10.99.0.1/30',
      '# tswg wg0 wgkeyfile /etc/wg/private.key wgport 51820',
      '# tswg wg0 wgpeer "$(cat /etc/wg/site-b.pub)" \\',
      "      wgdescr 'site B' wgendpoint 203.0.113.10 51820 \\",
      '      wgaip 10.99.0.2/32 wgaip 10.20.0.0/24',
      '# ip route add 10.20.0.0/24 dev wg0',
    ],
  },
  paragraph('Why does nothing arrive?'),
  { kind: 'literal', lines: ['# tswg wg0 doctor', '# tswg wg0 events', '# tswg wg0 stats'] },
  paragraph('A command for each peer that comes or is lost:'),
  {
    kind: 'literal',
    lines: [
      '# tswg wg0 events --on connected,disconnected \\',
      '      --exec \'logger "$TSWG_NAME: $TSWG_EVENT"\'',
    ],
  },
];
