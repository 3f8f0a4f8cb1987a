import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHostnameFile } from '../src/cli/hostnamefile.ts';
import { keyIn } from '../src/cli/keyfiles.ts';
import { formatKey as formatBase64 } from '../src/cli/keys.ts';
import { parse } from '../src/cli/parse.ts';
import { parseDaemonCommand } from '../src/cli/tswgd.ts';
import { wordNames } from '../src/cli/words.ts';
import { couldHoldKey, HIDDEN, hideKeys, visible } from '../src/quotation.ts';
import { formatKey as formatHex } from '../src/uapi/key.ts';
import { parseSet } from '../src/uapi/set.ts';

const KEY = 'yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=';
const HEX = 'c809f3e5317e9575c9b5ed78b638b7ce530dabe85ddab6142202418019df0669';

describe('a text in a message', () => {
  it.each([
    ['a key', KEY, HIDDEN],
    ['one in hexadecimal', HEX, HIDDEN],
    ['in capitals', HEX.toUpperCase(), HIDDEN],
    ['without its last character', KEY.slice(0, 43), HIDDEN],
    ['cut', KEY.slice(0, 40), HIDDEN],
    ['in blanks', ` ${KEY}\t`, HIDDEN],
    ['broken by a blank', `${KEY.slice(0, 20)} ${KEY.slice(20)}`, HIDDEN],
    ['broken by a line end', `${KEY.slice(0, 20)}\r\n${KEY.slice(20)}`, HIDDEN],
    ['among other words', `route via ${KEY}, please`, `route via ${HIDDEN}, please`],
    ['behind a name', `private.key:${KEY}`, `private.key:${HIDDEN}`],
    ['two of them', `${KEY} ${HEX}`, `${HIDDEN} ${HIDDEN}`],
    ['base64url', KEY.replaceAll('+', '-'), HIDDEN],
  ])('does not show %s', (_what, text, shown) => {
    expect(hideKeys(text)).toBe(shown);
    expect(visible(text)).toBe(shown);
  });

  it.each([
    'wgendpiont',
    'vpn.a-rather-long-name-of-a-company.example.net',
    '/etc/wireguard/tunnels/site-2/berlin/private_key',
    'ip route replace 10.20.0.0/24 dev wg0 && echo done',
    'fd00:1111:2222:3333:4444:5555:6666:7777/128',
    'to the Berlin office, and from there to Rome',
  ])('shows %s', (text) => {
    expect(couldHoldKey(text)).toBe(false);
    expect(visible(text)).toBe(text);
  });

  it('is short, and steers no terminal', () => {
    expect(visible('\u001b[2J\u202ea\u0000')).toBe('?[2J?a?');
    expect(visible('')).toBe('""');
    expect(visible('ö'.repeat(61))).toBe(`${'ö'.repeat(57)}...`);
  });
});

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
/** A key as it is mistyped: cut, broken, embedded. */
const mistyped = fc
  .tuple(
    key,
    fc.constantFrom(formatBase64, formatHex, (one: Uint8Array) => formatHex(one).toUpperCase()),
    fc.constantFrom('', ' ', '\t', '=', 'PrivateKey = ', 'private_key=', 'wgkey:', "'", '\u001b'),
    fc.constantFrom('', ' ', '\n', '\r', ',', '/32', ':51820', '='),
    fc.nat(4),
    fc.constantFrom('', '\n', '\u0000'),
    fc.integer({ min: 1, max: 39 }),
  )
  .map(([bytes, format, before, after, cut, gap, at]) => {
    const text = format(bytes);
    const left = text.slice(0, Math.max(40, text.length - cut));
    return { bytes, text: `${before}${left.slice(0, at)}${gap}${left.slice(at)}${after}` };
  });

/** Whether 40 characters in a row of the key are there, however its pieces are parted. */
function shows(output: string, bytes: Uint8Array): boolean {
  const plain = output.replace(/[\s?\p{C}]/gu, '');
  return [formatBase64(bytes), formatHex(bytes)].some((text) => {
    for (let at = 0; at + 40 <= text.length; at++) {
      const run = text.slice(at, at + 40);
      if (plain.includes(run) || plain.toLowerCase().includes(run)) return true;
    }
    return false;
  });
}

const RUNS = { numRuns: 3000 };

describe('no key of the input is in the output', () => {
  const words = fc.array(
    fc.oneof(fc.constantFrom(...wordNames(), '51820', '10.0.0.1/24', 'nonsense', KEY), fc.nat(9)),
    { maxLength: 6 },
  );

  it('of the command line', () => {
    fc.assert(
      fc.property(words, fc.nat(), mistyped, (list, at, { bytes, text }) => {
        const argv = list.map(String);
        argv.splice(at % (argv.length + 1), 0, text);
        for (const line of [['wg0', ...argv], argv, ['help', ...argv], ['netstart', ...argv]]) {
          const command = parse(line);
          if (command.kind === 'mistake') expect(shows(command.text, bytes)).toBe(false);
        }
      }),
      RUNS,
    );
  });

  it("of tswgd's", () => {
    fc.assert(
      fc.property(mistyped, fc.constantFrom('', '-', '--'), ({ bytes, text }, dash) => {
        for (const argv of [[dash + text], ['wg0', text]]) {
          const command = parseDaemonCommand(argv);
          if (command.kind === 'mistake') expect(shows(command.text, bytes)).toBe(false);
        }
      }),
      RUNS,
    );
  });

  it('of a hostname file', () => {
    fc.assert(
      fc.property(words, fc.nat(), mistyped, (list, at, { bytes, text }) => {
        const line = list.map(String);
        line.splice(at % (line.length + 1), 0, text);
        const parsed = parseHostnameFile('wg0', `up\n${line.join(' ')}\n`);
        if ('mistakes' in parsed) expect(shows(parsed.mistakes.join('\n'), bytes)).toBe(false);
      }),
      RUNS,
    );
  });

  it('of a `set`', () => {
    const names = fc.constantFrom(
      ...['private_key', 'privatekey', 'private_key ', 'public_key', 'preshared_key', 'endpoint'],
      ...['allowed_ip', 'description', 'listen_port', 'peer', '', 'fwmark', 'nonsense'],
    );
    fc.assert(
      fc.property(
        names,
        fc.constantFrom('=', ' ', ''),
        fc.boolean(),
        mistyped,
        (name, sign, isPeer, one) => {
          const lines = `${name}${sign}${one.text}`.split('\n');
          const { error } = parseSet([...(isPeer ? [`public_key=${HEX}`] : []), ...lines]);
          if (error !== undefined) {
            // Apart, or the end of a piece and the beginning of a sentence may make a key of zeros.
            expect(shows(error.line, one.bytes)).toBe(false);
            expect(shows(error.expected, one.bytes)).toBe(false);
            expect(error.line).not.toMatch(/\p{Cc}/u);
          }
        },
      ),
      RUNS,
    );
  });

  it('of a key file', () => {
    fc.assert(
      fc.property(mistyped, ({ bytes, text }) => {
        let line = '';
        try {
          keyIn(text, 'wgkeyfile', '/etc/wg/private.key');
        } catch (error) {
          line = (error as Error).message;
        }
        expect(shows(line, bytes)).toBe(false);
      }),
      RUNS,
    );
  });
});
