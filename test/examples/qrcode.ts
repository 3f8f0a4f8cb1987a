/**
 * The picture of a QR code that a program printed to a terminal, two modules a character, as a file
 * that a decoder of pictures reads.
 */

/** Pixels a module: a decoder wants more than one. */
const SCALE = 4;
const WHITE = 255;
const BLACK = 0;
/** An SGR sequence, or a character. */
const TOKEN = new RegExp(`${String.fromCharCode(27)}\\[(\\d+)m|.`, 'gu');
/** SGR: what is set to white and to black. */
const COLOURS: Readonly<Record<string, { readonly ground: boolean; readonly value: number }>> = {
  37: { ground: false, value: WHITE },
  30: { ground: false, value: BLACK },
  47: { ground: true, value: WHITE },
  40: { ground: true, value: BLACK },
};

/** @returns a portable graymap (PGM) in text */
export function pictureOfTerminal(text: string): string {
  const rows = text
    .split('\n')
    .flatMap(readLine)
    .filter((row) => row.length > 0);
  const width = Math.max(...rows.map((row) => row.length));
  const lines = rows.flatMap((row) => {
    const whole = [...row, ...Array<number>(width - row.length).fill(WHITE)];
    const line = whole.flatMap((value) => Array<number>(SCALE).fill(value)).join(' ');
    return Array<string>(SCALE).fill(line);
  });
  return ['P2', `${width * SCALE} ${lines.length}`, WHITE, ...lines, ''].join('\n');
}

/** A line of characters -> its upper and its lower row of modules. */
function readLine(line: string): [number[], number[]] {
  const upper: number[] = [];
  const lower: number[] = [];
  let ink = BLACK;
  let ground = WHITE;
  for (const [token, code] of line.matchAll(TOKEN)) {
    if (code === '0') [ink, ground] = [BLACK, WHITE];
    else if (code !== undefined) {
      const { ground: isGround, value } = COLOURS[code];
      if (isGround) ground = value;
      else ink = value;
    } else {
      upper.push(token === '▀' || token === '█' ? ink : ground);
      lower.push(token === '▄' || token === '█' ? ink : ground);
    }
  }
  return [upper, lower];
}
