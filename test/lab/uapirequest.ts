/**
 * A program of the lab: sends its standard input to the control socket named by its argument and
 * prints the answer up to the `errno=` line, byte for byte, as no wg(8) would show it.
 */

import { createConnection } from 'node:net';

const socket = createConnection(process.argv[2]);
let answer = '';
process.stdin.on('data', (bytes) => socket.write(bytes));
socket.on('data', (bytes) => {
  answer += bytes.toString();
  if (/^errno=.*\n\n/m.test(answer)) socket.end();
});
socket.on('close', () => process.stdout.write(answer, () => process.exit()));
