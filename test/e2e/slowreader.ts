/**
 * Follows the events of a daemon, but reads nothing until it is told to: then all, up to the last
 * event that there is; and says how many events it got, and how many it was told to have missed.
 */

import { connect } from 'node:net';
import { EventsAnswer, formatEventsRequest } from '../../src/uapi/events.ts';

const [path] = process.argv.slice(2);
const answer = new EventsAnswer();
const socket = connect(path);
socket.setEncoding('utf8');
let [told, lost, first, last] = [0, 0, 0, 0];

socket.write(formatEventsRequest({ since: null, stream: '', follow: true }));
socket.once('data', (text: string) => {
  for (const item of answer.push(text)) if (item.kind === 'head') first = item.seq + 1;
  socket.pause();
  process.stdout.write('following\n');
  process.stdin.once('data', () => {
    socket.on('data', take);
    socket.resume();
  });
});

function take(text: string): void {
  for (const item of answer.push(text)) {
    if (item.kind === 'lost') lost += item.events;
    if (item.kind !== 'event') continue;
    told++;
    last = item.record.seq;
    const { kind, fields } = item.record as { kind: string; fields?: readonly string[] };
    if (kind !== 'peerConfigured' || !fields?.includes('persistentKeepalive')) continue;
    process.stdout.write(`told ${told} lost ${lost} from ${first} to ${last}\n`);
    process.exit(0);
  }
}
