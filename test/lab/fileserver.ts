/**
 * A program of the lab, run as `node fileserver.js` on a host: serves or fetches one file by HTTP.
 *
 *     serve ADDRESS PORT BYTES    random bytes; prints "serving SHA256" and answers until killed
 *     fetch URL                   prints "fetched BYTES SHA256"
 */

import { createHash, randomBytes } from 'node:crypto';
import { createServer, get, type IncomingMessage } from 'node:http';

const [mode, ...words] = process.argv.slice(2);
if (mode === 'serve') serve(words[0], Number(words[1]), Number(words[2]));
else if (mode === 'fetch') fetchFile(words[0]);
else throw new Error(`fileserver: ${mode}: expected serve or fetch`);

function serve(address: string, port: number, length: number): void {
  const file = randomBytes(length);
  const digest = createHash('sha256').update(file).digest('hex');
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-length': file.length });
    response.end(file);
  });
  server.listen(port, address, () => console.log(`serving ${digest}`));
}

function fetchFile(url: string): void {
  get(url, (response: IncomingMessage) => {
    const hash = createHash('sha256');
    let length = 0;
    response.on('data', (bytes: Buffer) => {
      length += bytes.length;
      hash.update(bytes);
    });
    response.on('end', () => console.log(`fetched ${length} ${hash.digest('hex')}`));
    // Without a listener a connection that breaks off ends the program with the error.
  });
}
