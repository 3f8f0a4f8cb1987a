/**
 * A program of the lab, run as `node nameserverprogram.js ADDRESS...` on a host: a name server on
 * port 53 of these addresses, over UDP and TCP. It prints "serving" once it is there, and a line
 * "query udp|tcp NAME TYPE" for each question. Each line of its standard input is a JSON object with
 * all that it knows from then on: a Zone of nameserver.ts.
 */

import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { parseAddress } from '../../src/packet/address.ts';
import { type Answer, formatAnswer, parseQuestion, type Question, RCODE } from './dnsmessage.ts';
import type { Zone } from './nameserver.ts';

type Protocol = 'udp' | 'tcp';

let zone: Zone = {};

/** null where nothing is to be sent. */
function answerTo(question: Question, protocol: Protocol): Answer | null {
  const entry = zone[question.name] ?? zone['*'];
  const none: readonly Uint8Array[] = [];
  if (entry === undefined) return { rcode: RCODE.noSuchName, addresses: none };
  if (entry === 'silent') return null;
  if (entry === 'failing') return { rcode: RCODE.serverFailure, addresses: none };
  if (entry === 'refused') return { rcode: RCODE.refused, addresses: none };
  const length = question.type === 'A' ? 4 : 16;
  const addresses = entry.addresses.map((text) => parseAddress(text)!);
  return {
    rcode: RCODE.noError,
    addresses: question.type === null ? none : addresses.filter((one) => one.length === length),
    isTruncated: protocol === 'udp' && entry.overTcp === true,
  };
}

function serve(message: Buffer, protocol: Protocol, send: (answer: Buffer) => void): void {
  const question = parseQuestion(message);
  if (question === null) return;
  console.log(`query ${protocol} ${question.name} ${question.type ?? 'other'}`);
  const answer = answerTo(question, protocol);
  if (answer === null) return;
  const entry = zone[question.name] ?? zone['*'];
  const delayMs = typeof entry === 'object' ? (entry.delayMs ?? 0) : 0;
  setTimeout(() => send(formatAnswer(question, answer)), delayMs);
}

function listen(address: string): Promise<unknown> {
  const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  udp.on('message', (message, { address: to, port }) =>
    serve(message, 'udp', (answer) => udp.send(answer, port, to)),
  );
  const tcp = createServer((socket) => {
    let received = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        serve(received.subarray(2, end), 'tcp', (answer) => {
          const length = Buffer.alloc(2);
          length.writeUInt16BE(answer.length);
          socket.write(Buffer.concat([length, answer]));
        });
        received = received.subarray(end);
      }
    });
  });
  return Promise.all([
    new Promise((resolve) => udp.bind(53, address, () => resolve(undefined))),
    new Promise((resolve) => tcp.listen(53, address, () => resolve(undefined))),
  ]);
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    zone = JSON.parse(line);
    console.log('known');
  })
  .on('close', () => process.exit());
await Promise.all(process.argv.slice(2).map(listen));
console.log('serving');
