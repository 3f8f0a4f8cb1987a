/**
 * A program of the lab, run as `node metricsbridge.js PORT` on a host: answers each request by HTTP on
 * 127.0.0.1 with what `tswg metrics` prints then, or `tswg metrics --openmetrics` for a path of that
 * name. Prints "serving" and answers until killed.
 */

import { execFile } from 'node:child_process';
import { createServer } from 'node:http';

const TYPES = {
  '/metrics': 'text/plain; version=0.0.4; charset=utf-8',
  '/openmetrics': 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

const server = createServer(({ url }, response) => {
  if (url !== '/metrics' && url !== '/openmetrics') {
    response.writeHead(404).end();
    return;
  }
  const words = url === '/metrics' ? ['metrics'] : ['metrics', '--openmetrics'];
  execFile('tswg', words, (error, stdout) => {
    response.writeHead(error === null ? 200 : 500, { 'content-type': TYPES[url] });
    response.end(stdout);
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('serving'));
