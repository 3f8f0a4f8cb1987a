/**
 * What a compromised resolver can still do, seen from inside (resolverprobe.ts): everything that it
 * tries is possible where it is not confined, and nothing but what SECURITY.md names where it is.
 */

import { chmodSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import type { Child } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { NameServer, useNameServers } from '../lab/nameserver.ts';
import { probedProgram } from '../lab/probedprogram.ts';
import { compiledProgram } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { RESOLVER_PERMITTED, RESOLVER_VICTIMS, type ResolverReport } from './resolverprobe.ts';

const { folder, program } = probedProgram();
const HOST = 'gw.example.net';
const PERMITTED = [...RESOLVER_PERMITTED].sort();

/** What belongs to others on this host; its variables for the code inside. */
async function placeVictims(host: Host): Promise<Record<string, string>> {
  const { service, control, state, tcpPort } = RESOLVER_VICTIMS;
  await host.run('sh', [
    '-euc',
    `mount -t tmpfs -o mode=755 tmpfs /var/lib; chmod 700 /run/wireguard
    mkdir -p -m 700 ${path.dirname(state)}; echo key >${state}`,
  ]);
  const listening = `const net = require('net');
    const listen = (where) => new Promise((done) => net.createServer((one) => one.on('error', () => {}))
      .listen(where, done));
    (async () => {
      await listen('${service}'); await listen('${control}'); await listen(${tcpPort}, '127.0.0.1');
      require('fs').chmodSync('${service}', 0o666);
      console.log('listening as ' + process.pid);
    })();`;
  const victim = host.spawn('node', ['-e', listening]);
  const [, pid] = await victim.waitForOutput(/listening as (\d+)/);
  return { [RESOLVER_VICTIMS.process]: pid };
}

let fifos = 0;

/** Has a resolver with code inside try everything once, and answer before and after. */
async function probe(host: Host, env: Readonly<Record<string, string>>): Promise<ResolverReport> {
  const fifo = path.join(folder, `reports${fifos++}`);
  await host.run('mkfifo', [fifo]);
  chmodSync(fifo, 0o666);
  const reader = host.spawn('cat', [fifo]);
  const server = await NameServer.start(host, ['127.0.0.1']);
  await server.set(HOST, ['192.0.2.1']);
  await useNameServers(host, ['127.0.0.1']);
  const victims = await placeVictims(host);
  const asker: Child = host.spawn('node', [compiledProgram('test/lab/asker.ts'), program], {
    env: { TSWG_PROBE_OUTPUT: fifo, ...victims, ...env },
  });
  asker.writeInput(`${HOST}\n`);
  await asker.waitForOutput(/^answer \d+ \S+ 192\.0\.2\.1$/m);
  await host.run('pkill', ['-HUP', '-x', 'tswgd-resolver']);
  const [, report] = await reader.waitForOutput(/^probe (\{.*\})$/m);
  const answer: ResolverReport = JSON.parse(report);
  if (answer.main['own lifeline'] === 'done') return answer;
  // It lives, and works as before; and ends with its daemon, even if it does nothing for that.
  await server.set(HOST, ['192.0.2.2']);
  asker.writeInput(`${HOST}\n`);
  await asker.waitForOutput(/^answer \d+ \S+ 192\.0\.2\.2$/m);
  await host.run('kill', ['-STOP', `${answer.pid}`]);
  asker.signal('SIGKILL');
  await host.waitForExit(answer.pid);
  return answer;
}

function successes(outcomes: Readonly<Record<string, string>>): string[] {
  return Object.keys(outcomes)
    .filter((what) => outcomes[what] === 'done')
    .sort();
}

/** What an ordinary user without files may. */
const WITHOUT_SECCOMP = [
  ...['unix socket', 'unix datagrams', 'service', 'port', 'listen', 'device', 'double'],
  // TCP without Landlock's being asked.
  ...['tcp by a datagram’s call', 'tcp by message', 'tcp by messages'],
  // The kernel asks whose the memory is when there is something to be read, and whose the process is
  // when the signal is sent.
  ...['another’s memory by call', 'signal by owner'],
  // Of its own.
  ...['limits again', 'dumps again', 'lifeline loosened', 'own lifeline'],
];
const CIRCUMSTANCES = [
  { name: 'an ordinary one', env: {}, left: [] },
  {
    name: 'one without Landlock',
    env: { TSWG_PROBE_WITHOUT: 'landlock_create_ruleset' },
    left: ['tcp elsewhere'],
  },
  {
    name: 'one without seccomp',
    env: { TSWG_PROBE_WITHOUT: 'seccomp' },
    left: WITHOUT_SECCOMP,
  },
];

describeInLab('code inside a resolver', ['pkill', 'mkfifo'], () => {
  it('tries what is possible where nothing is confined', () =>
    withLab({}, async (lab) => {
      const { main, pool } = await probe(await lab.host('host'), { TSWG_SANDBOX: 'off' });
      for (const outcomes of [main, pool]) {
        expect(Object.entries(outcomes).filter(([, outcome]) => outcome !== 'done')).toEqual([]);
      }
      expect(Object.keys(main).length).toBeGreaterThan(40);
    }));

  it.each(CIRCUMSTANCES)('reaches nothing but name servers: $name', ({ env, left }) =>
    withLab({}, async (lab) => {
      const { main, pool } = await probe(await lab.host('host'), env);
      expect(successes(main)).toEqual([...PERMITTED, ...left].sort());
      expect(successes(pool)).toEqual([...PERMITTED, ...left].sort());
    }),
  );

  it('reaches services that let everybody in, and no control socket, where nscd runs', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await host.run('sh', ['-euc', 'mkdir /run/nscd; : >/run/nscd/socket']);
      const { main, pool } = await probe(host, {});
      expect(successes(main)).toEqual([...PERMITTED, 'service', 'unix socket'].sort());
      expect(successes(pool)).toEqual([...PERMITTED, 'service', 'unix socket'].sort());
    }));
});
