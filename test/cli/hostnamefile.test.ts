import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHostnameFile } from '../../src/cli/hostnamefile.ts';
import { parse } from '../../src/cli/parse.ts';

const KEY = `${'A'.repeat(42)}E=`;

/** `LINE: words` or `LINE: !command`, with KEY spelled out in `text`; mistakes as they are. */
function read(text: string): string[] {
  const parsed = parseHostnameFile('wg0', text.replaceAll('KEY', KEY));
  if (parsed.mistakes.length > 0) return parsed.mistakes;
  return parsed.lines.map(({ label, action }) => {
    const [, number] = label.split(':');
    if (action.kind === 'command') return `${number}: !${action.text}`;
    expect({ kind: 'configure', name: 'wg0', draft: action.draft }).toEqual(
      parse(['wg0', ...action.words]),
    );
    return `${number}: ${action.words.join('|').replaceAll(KEY, 'KEY')}`;
  });
}

describe('a file of hostname.if', () => {
  it.each([
    ['nothing', '', []],
    ['comments and blank lines', '# a\n\n  \t\n  # b\n', []],
    ['a line each', 'wgport 51820\nup', ['1: wgport|51820', '2: up']],
    ['blanks before and behind', '\t up  \n', ['1: up']],
    ['quotes', `descr 'to Berlin' # a comment`, ['1: descr|to Berlin']],
    [
      'continued lines',
      'wgpeer KEY \\\n\twgaip 10.0.0.0/8 \\\n wgpka 5\nup',
      ['1: wgpeer|KEY|wgaip|10.0.0.0/8|wgpka|5', '4: up'],
    ],
    ['a line continued by nothing', 'up \\\n\ndebug\\', ['1: up', '3: debug']],
    ['a comment that is continued', '# wgpeer KEY \\\n wgpka 5\nup', ['3: up']],
    ['backslashes that speak for each other', `descr a\\\\\nup`, ['1: descr|a\\', '2: up']],
    [
      'commands',
      '!ip route add 10.0.0.0/8 dev $if; echo $iface "$if" # x',
      ['1: !ip route add 10.0.0.0/8 dev wg0; echo $iface "wg0" # x'],
    ],
    ['commands over several lines', ' ! echo a \\\n  b', ['1: !echo a   b']],
    ['create, which netstart does first', 'create\ncreate up', ['2: up']],
  ])('holds %s', (_, text, expected) => {
    expect(read(text)).toEqual(expected);
  });

  it.each([
    ['inet 10.0.0.1/30', 'inet|10.0.0.1/30'],
    ['inet 10.0.0.1 255.255.255.252', 'inet|10.0.0.1|netmask|255.255.255.252'],
    ['inet 10.0.0.1 0xfffffffc NONE', 'inet|10.0.0.1|netmask|0xfffffffc'],
    ['inet alias 10.0.0.1 255.255.255.0 NONE', 'inet|alias|10.0.0.1|netmask|255.255.255.0'],
    ['inet 10.0.0.1 255.255.255.0 NONE descr x', 'inet|10.0.0.1|netmask|255.255.255.0|descr|x'],
    ['inet 10.0.0.1 255.255.255.0 mtu 1400', 'inet|10.0.0.1|netmask|255.255.255.0|mtu|1400'],
    ['inet 10.0.0.1 netmask 255.255.255.0', 'inet|10.0.0.1|netmask|255.255.255.0'],
    ['inet 10.0.0.1/24 up', 'inet|10.0.0.1/24|up'],
    ['inet6 fd00::1 64', 'inet6|fd00::1|prefixlen|64'],
    ['inet6 alias fd00::1 64 up', 'inet6|alias|fd00::1|prefixlen|64|up'],
    ['inet6 fd00::1/64', 'inet6|fd00::1/64'],
    ['inet6 fd00::1', 'inet6|fd00::1'],
    [
      'inet 10.0.0.1 255.255.255.255 NONE\ndest 10.0.0.2',
      'inet|10.0.0.1|10.0.0.2|netmask|255.255.255.255',
    ],
    ['inet alias 10.0.0.1/32\ndest 10.0.0.2', 'inet|alias|10.0.0.1/32|10.0.0.2'],
  ])('has the columns of: %s', (line, expected) => {
    expect(read(line)).toEqual([`1: ${expected}`]);
  });
});

describe('a mistake', () => {
  it.each([
    ['rdomain 1', 'rdomain: expected none: Linux has `ip netns` and `ip vrf` for it'],
    ['rtlabel office', 'rtlabel: expected none: on Linux a route has `protocol` and `realm`'],
    ['wgrtable 1', 'wgrtable: 1: expected wgfwmark, its counterpart on Linux'],
    ['inet autoconf', 'autoconf: expected an address: a tunnel gets none by itself'],
    ['wgport 70000', 'wgport: 70000: expected 0 to 65535'],
    ['wgpor 7', 'wgpor: unknown word; did you mean wgport?'],
    ['wgaip 10.0.0.0/8', 'wgaip: expected wgpeer PUBLICKEY before it on the same line; a \\ at'],
    ['inet 10.0.0.1 255.0.255.0', 'netmask: 255.0.255.0: expected a mask'],
    ['inet 10.0.0.1/24 10.0.0.2', 'netmask: 10.0.0.2: expected a mask'],
    ['inet 10.0.0.1 255.255.255.0 10.0.0.255', 'inet: 10.0.0.255: expected NONE'],
    ['inet6 fd00::1 129', 'prefixlen: 129: expected 0 to 32, or 0 to 128 for IPv6'],
    ['inet', 'inet: expected an IPv4 address after it'],
    ['dest 10.0.0.2', 'dest: expected an inet or inet6 line right before it'],
    ['up\ndest 10.0.0.2', 'dest: expected an inet or inet6 line right before it', 2],
    ['inet 10.0.0.1/32\ndest', 'dest: expected one address after it', 2],
    ['inet 10.0.0.1/32\ndest office', 'office: unknown word', 1],
    ['up create', 'create: expected as the first word after the interface'],
    ['destroy', 'destroy: expected words that configure the interface'],
    ['upgrade', 'upgrade: expected words that configure the interface'],
    ['stats', 'stats: expected words that configure the interface'],
    ['--json', '--json: expected words that configure the interface'],
    ['-h', '-h: expected words that configure the interface'],
    [`descr Anna's`, `': expected another ' that ends the text`],
    ['!', '!: expected a command after it'],
    ['up\r', 'expected plain text, without carriage returns'],
    ['!echo \0', 'expected plain text, without carriage returns'],
    ['wgpeer KEY \\\n wgpka 5 \\\n wgpka x', 'wgpka: x: expected 0 to 43200 seconds', 1],
  ])('in %j is told with its file and line', (text, expected, line = 1) => {
    const mistakes = read(`up\n${text}\nup`);
    expect(mistakes).toEqual([expect.stringContaining(`hostname.wg0:${line + 1}: ${expected}`)]);
  });

  it.each([
    ['wgaip', 'wgaip 10.1.0.0/16', 'wgaip 10.2.0.0/16'],
    ['wgendpoint', 'wgendpoint a.example 5', '-wgendpoint wgaip 10.2.0.0/16'],
    ['wgpka', 'wgpka 5 wgdescr x', 'wgaip 10.1.0.0/16 wgpka 25'],
  ])('in two lines that say %s of one peer is told', (word, first, second) => {
    expect(read(`wgpeer KEY ${first}\nup\nwgpeer KEY ${second}`)).toEqual([
      `hostname.wg0:3: ${word}: hostname.wg0:1 gives it for the same wgpeer: expected it once`,
    ]);
  });

  it.each([
    ['wgpeer KEY wgdescr x', 'wgpeer KEY wgaip 10.1.0.0/16'],
    ['wgpeer KEY wgaip 10.1.0.0/16', '-wgpeer KEY\nwgpeer KEY wgaip 10.2.0.0/16'],
    ['wgpeer KEY wgaip 10.1.0.0/16', '-wgpeerall\nwgpeer KEY wgaip 10.2.0.0/16'],
  ])('is none in two lines that say different things of it: %s', (first, second) => {
    for (const line of read(`${first}\n${second}`)) expect(line).not.toContain('expected');
  });

  it('of each line is told, in their order', () => {
    const file = 'wgport x\ndest 1.2.3.4\nup\nmtu 1\n"';
    expect(read(file).map((one) => one.slice(0, 22))).toEqual([
      'hostname.wg0:1: wgport',
      'hostname.wg0:2: dest: ',
      'hostname.wg0:4: mtu: 1',
      'hostname.wg0:5: ": exp',
    ]);
  });

  it('is all that no text can become otherwise', () => {
    const pieces = [
      'up',
      'inet',
      'inet6',
      'alias',
      'dest',
      '10.0.0.1',
      'NONE',
      'create',
      'wgpeer',
      KEY,
    ];
    const signs = [...pieces, '!', '#', '\\', '\\\n', '\n', ' ', '\t', '"', "'", '$if', '\0', '64'];
    const text = fc.array(fc.constantFrom(...signs)).map((some) => some.join(' '));
    fc.assert(
      fc.property(fc.oneof(text, fc.string()), (some) => {
        const parsed = parseHostnameFile('wg0', some);
        const labels = [...parsed.lines.map((one) => one.label), ...parsed.mistakes];
        for (const label of labels) expect(label).toMatch(/^hostname\.wg0:\d+/);
        for (const label of labels) expect(label).not.toContain('\n');
      }),
    );
  });
});
