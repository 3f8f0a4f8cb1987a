/**
 * `npm run demo`: builds the handbook's two sites out of network namespaces, runs their boot
 * scripts word for word, and checks that the two LANs talk through the tunnel and that nothing
 * else passes between them. Needs root, or a system that allows user namespaces. Removes all
 * of it at the end, also when it is interrupted.
 */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { waitFor } from '../test/lab/command.ts';
import { buildHandbook, type HandbookNetwork, type Site } from '../test/lab/handbook.ts';
import type { Host } from '../test/lab/host.ts';
import { Lab } from '../test/lab/lab.ts';
import { ping } from '../test/lab/probes.ts';
import { REPOSITORY } from '../test/lab/repository.ts';
import { namespacePrivilege, unmet } from '../test/lab/requirements.ts';
import { readTally, startTally } from '../test/lab/tally.ts';
import { transfer } from '../test/lab/transfer.ts';
import { TUNNEL_PORT } from '../test/lab/tunnel.ts';

const FILE_BYTES = 20_000_000;
const BYTES_PER_MB = 1_000_000;
const MS_PER_S = 1000;
const TITLE_WIDTH = 56;
const INTERRUPTED_STATUS = 130;

let passed = 0;
let failed = 0;
let isInterrupted = false;

/** Runs one step, prints what came of it and returns its answer. A step that fails throws on. */
async function check<T>(title: string, step: () => Promise<T>): Promise<T> {
  const start = performance.now();
  try {
    const answer = await step();
    passed++;
    const seconds = ((performance.now() - start) / MS_PER_S).toFixed(2);
    console.log(`  ok    ${title.padEnd(TITLE_WIDTH)} ${seconds.padStart(6)} s`);
    return answer;
  } catch (error) {
    failed++;
    if (!isInterrupted) console.log(`  FAIL  ${title}: ${(error as Error).message}`);
    throw error;
  }
}

/** Prints, below a step, what it found. */
function detail(text: string): void {
  console.log(text.trimEnd().replaceAll(/^/gm, '        '));
}

function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

async function demonstrate(lab: Lab): Promise<void> {
  const network = await check('two offices and the Internet between them', () =>
    buildHandbook(lab),
  );
  const { siteA, siteB } = network;
  await check('gateway reaches gateway over the Internet', () =>
    expectAnswer(siteA.gateway, siteB.wanAddress),
  );
  await check('office does not reach office without a tunnel', () =>
    expectSilence(siteA.host, siteB.hostAddress),
  );
  await check('keys made, public keys exchanged', () => exchangeKeys(siteA, siteB));
  await check('examples/site-a.sh has run', () => boot(siteA, 'site-a.sh'));
  await check('examples/site-b.sh has run', () => boot(siteB, 'site-b.sh'));
  await check(`ping from ${siteA.hostAddress} to ${siteB.hostAddress}`, () =>
    expectAnswer(siteA.host, siteB.hostAddress),
  );
  await check(`ping from ${siteB.hostAddress} to ${siteA.hostAddress}`, () =>
    expectAnswer(siteB.host, siteA.hostAddress),
  );
  await transferUnderWatch(network);
  for (const site of [siteA, siteB]) {
    detail(await check(`tswg wg0 on ${site.gateway.name}`, () => show(site)));
  }
}

/** What an operator does by hand: each site learns the other's public key, and only that. */
async function exchangeKeys(siteA: Site, siteB: Site): Promise<void> {
  const [publicA, publicB] = await Promise.all([siteA, siteB].map(makeKey));
  await siteA.gateway.writeFile('/etc/wg/site-b.pub', publicB, '644');
  await siteB.gateway.writeFile('/etc/wg/site-a.pub', publicA, '644');
}

async function makeKey(site: Site): Promise<string> {
  const privateKey = await site.gateway.run('tswg', ['genkey']);
  await site.gateway.writeFile('/etc/wg/private.key', privateKey);
  return site.gateway.run('tswg', ['pubkey'], { input: privateKey });
}

async function boot(site: Site, script: string): Promise<void> {
  await site.gateway.run('sh', [path.join(REPOSITORY, 'examples', script)]);
}

async function expectAnswer(host: Host, address: string): Promise<void> {
  const report = await ping(host, address, { count: 3, intervalMs: 100, deadlineMs: 2000 });
  expect(report.received === 3, `${report.received} of 3 answers\n${report.text}`);
}

async function expectSilence(host: Host, address: string): Promise<void> {
  const report = await ping(host, address, { deadlineMs: 500 });
  expect(report.received === 0, `an answer came without a tunnel\n${report.text}`);
}

async function transferUnderWatch({ siteA, siteB, router, routerInterfaces }: HandbookNetwork) {
  const title = `${FILE_BYTES / BYTES_PER_MB} MB by HTTP between the offices, same SHA-256`;
  await check(title, async () => {
    await startTally(router, routerInterfaces, TUNNEL_PORT);
    const report = await transfer(siteA.host, siteB.host, siteA.hostAddress, FILE_BYTES);
    expect(report.bytes === FILE_BYTES, `${report.bytes} bytes arrived`);
    expect(report.receivedDigest === report.sentDigest, 'the SHA-256 differ');
  });
  const wire = await check(`on the wire nothing but UDP ${TUNNEL_PORT}`, async () => {
    const tally = await readTally(router);
    expect(tally.others.packets === 0, `${tally.others.packets} other packets`);
    expect(tally.tunnel.bytes > FILE_BYTES, `only ${tally.tunnel.bytes} bytes in the tunnel`);
    return tally;
  });
  const { tunnel, neighbours, others } = wire;
  detail(`UDP ${TUNNEL_PORT}: ${tunnel.packets} packets, ${tunnel.bytes} bytes`);
  detail(`other packets: ${others.packets}; ARP: ${neighbours.packets}`);
}

async function show(site: Site): Promise<string> {
  const shown = await site.gateway.run('tswg', ['wg0']);
  expect(shown.includes(site.tunnelAddress), `no ${site.tunnelAddress} in:\n${shown}`);
  expect(/last handshake: /.test(shown), `no handshake in:\n${shown}`);
  return shown;
}

async function main(): Promise<number> {
  const reason = unmet('unshare', 'nsenter', 'ip', 'ping', 'nft');
  if (reason !== null) {
    console.log(`demo: ${reason}`);
    return 1;
  }
  const start = performance.now();
  const where = namespacePrivilege() === 'root' ? 'as root' : 'inside a user namespace';
  console.log(`demo: two offices, one tunnel, built out of network namespaces ${where}`);
  const lab = await Lab.open();
  const interrupt = async () => {
    isInterrupted = true;
    console.log('demo: interrupted; cleaning up');
    await lab.close();
    process.exit(INTERRUPTED_STATUS);
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt).on('SIGHUP', interrupt);
  const isWhole = await demonstrate(lab).then(
    () => true,
    () => false,
  );
  if (isInterrupted) return INTERRUPTED_STATUS;
  const pids = lab.pids;
  await lab.close();
  await check('everything is cleaned up', () =>
    waitFor(() => pids.every((pid) => !existsSync(`/proc/${pid}`)), 'the end of all hosts'),
  ).catch(() => false);
  const seconds = ((performance.now() - start) / MS_PER_S).toFixed(1);
  console.log(`demo: ${passed} checks passed, ${failed} failed in ${seconds} s`);
  return isWhole && failed === 0 ? 0 : 1;
}

process.exitCode = await main();
