/**
 * `tswg metrics` of a live tunnel, judged by those it is for: promtool finds nothing to complain of,
 * and a Prometheus that scrapes it, in either format, gives every series back.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { seriesName } from '../../src/cli/exposition.ts';
import { familyKind, familyName, type MetricRow, SERIES_TABLES } from '../../src/cli/series.ts';
import { mustExecute, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { firstPing } from '../lab/probes.ts';
import { compiledProgram, REPOSITORY } from '../lab/repository.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { buildPair, createKeyPair, INNER, type Pair } from '../lab/tunnel.ts';

/** All that a `wgdescr` may hold and a label has to escape; newlines it may not. */
const NAME = 'Anna "Büro" \\n C:\\ {x="y"} ünïcødé 👩‍💻';
const BRIDGE_PORT = 9_586;
const PROMETHEUS = '127.0.0.1:9090';
const UNREACHABLE = '192.0.2.77:9';

type Series = Readonly<Record<string, string>>;

/** A tunnel with a session, and on its left side a peer that never answers. */
async function nameAndPing({ left, right }: Pair): Promise<void> {
  const { publicKey } = right.keys;
  await left.host.run('tswg', ['wg0', 'wgpeer', publicKey, 'wgdescr', NAME]);
  await left.addPeer({
    publicKey: createKeyPair().publicKey,
    allowedIps: ['10.9.1.0/24'],
    endpoint: UNREACHABLE,
  });
  await firstPing(left.host, INNER[4][1]);
}

/** The series of an exposition, each by its labels; its name is the label `__name__`. */
function seriesOf(text: string): Series[] {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const [, name, labels] = /^(\w+)\{(.*)\} \S+$/.exec(line)!;
    const pairs = [...labels!.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)/g)];
    // What was matched is all there is.
    expect(pairs.map(([whole]) => whole).join('')).toBe(labels);
    return Object.fromEntries([['__name__', name!], ...pairs.map(([, k, v]) => [k!, plain(v!)])]);
  });
}

function plain(text: string): string {
  return text.replace(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one));
}

const spell = (series: Series): string => JSON.stringify(Object.entries(series).sort());

async function query(host: Host, expression: string): Promise<{ metric: Series; value: string }[]> {
  const words = ['query', 'instant', '-o', 'json', `http://${PROMETHEUS}`, expression];
  const { stdout, status } = await host.exec('promtool', words);
  if (status !== 0) return [];
  const samples = JSON.parse(stdout) as { metric: Series; value: [number, string] }[];
  return samples.map(({ metric, value }) => ({ metric, value: value[1] }));
}

/** As it does in a second; without an alert, a rule or an outside address. */
const configuration = (interval: string): string => `
global: { scrape_interval: ${interval}, scrape_timeout: ${interval} }
scrape_configs:
${['metrics', 'openmetrics']
  .map(
    (name) => `  - job_name: ${name}
    metrics_path: /${name}
    static_configs: [{ targets: ['127.0.0.1:${BRIDGE_PORT}'] }]
`,
  )
  .join('')}`;

describeInLab('the metrics of a live tunnel', ['wg', 'promtool', 'prometheus'], () => {
  it('are found right by promtool', () =>
    withLab({}, async (lab) => {
      const pair = await buildPair(lab);
      await nameAndPing(pair);
      for (const { host } of [pair.left, pair.right]) {
        const input = await host.run('tswg', ['metrics']);
        expect(input).toMatch(/^wireguard_up\{interface="wg0"\} 1$/m);
        const checked = await host.exec('promtool', ['check', 'metrics'], { input });
        expect(checked).toEqual({ status: 0, stdout: '', stderr: '' });
      }
      // It would have said so.
      const wrong = 'x_total{a="\n"} 1\n';
      const { status } = await pair.left.host.exec('promtool', ['check', 'metrics'], {
        input: wrong,
      });
      expect(status).not.toBe(0);
      const newline = ['wg0', 'wgpeer', pair.right.keys.publicKey, 'wgdescr', 'two\nlines'];
      expect(await pair.left.host.exec('tswg', newline)).toMatchObject({
        status: 1,
        stderr: 'tswg: wgdescr: two?lines: expected one line of plain text\n',
      });
    }));

  it('come back from a Prometheus that scrapes them, each series with all its labels', () =>
    withLab({}, async (lab) => {
      const folder = mkdtempSync(join(tmpdir(), 'tswg-prometheus-'));
      try {
        const pair = await buildPair(lab);
        const { host } = pair.left;
        await nameAndPing(pair);
        const program = compiledProgram('test/lab/metricsbridge.ts');
        const bridge = host.spawn('node', [program, String(BRIDGE_PORT)]);
        await bridge.waitForOutput(/serving/);
        writeFileSync(join(folder, 'prometheus.yml'), configuration('5s'));
        const prometheus = host.spawn('prometheus', [
          ...[`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`],
          `--web.listen-address=${PROMETHEUS}`,
        ]);
        const told = await Promise.all(
          [[], ['--openmetrics']].map(async (words) =>
            seriesOf(await host.run('tswg', ['metrics', ...words])),
          ),
        );
        for (const [i, job] of ['metrics', 'openmetrics'].entries()) {
          let missing: string[] = [];
          await waitFor(async () => {
            if (prometheus.status !== null) throw new Error(prometheus.stderr);
            const [up] = await query(host, `up{job="${job}"}`);
            const samples = await query(host, `{job="${job}",__name__=~"wireguard_.*"}`);
            const known = samples.map(({ metric: { job: _job, instance, ...own } }) => spell(own));
            missing = told[i]!.map(spell).filter((one) => !known.includes(one));
            return up?.value === '1' && missing.length === 0;
          }, `every series of ${job} in Prometheus`).catch((error: Error) => {
            throw new Error(`${error.message}, without ${missing}\n${prometheus.stderr}`);
          });
          expect(told[i]!.length).toBeGreaterThan(60);
          const ofPeer = `job="${job}",public_key="${pair.right.keys.publicKey}"`;
          const numberOf = async (selector: string): Promise<number> =>
            Number((await query(host, selector))[0]?.value);
          const [named] = await query(host, `wireguard_sent_bytes_total{${ofPeer}}`);
          expect(named!.metric.friendly_name).toBe(NAME);
          expect(Number(named!.value)).toBeGreaterThan(148);
          // What alerts are made of: each finds the peer with a session, and the other one.
          const never = await query(host, `wireguard_latest_handshake_seconds{job="${job}"} == 0`);
          expect(never).toHaveLength(1);
          const age = `time() - wireguard_latest_handshake_seconds{${ofPeer}}`;
          expect(await numberOf(age)).toBeGreaterThanOrEqual(0);
          const roundTrip = `wireguard_peer_handshake_round_trip_seconds{${ofPeer}}`;
          expect(await numberOf(roundTrip)).toBeGreaterThan(0);
          const memory = `wireguard_daemon_memory_bytes{job="${job}"}`;
          expect(await numberOf(memory)).toBeGreaterThan(1e7);
          const filtered = `wireguard_daemon_sandbox_info{job="${job}",step="seccomp",state="yes"}`;
          expect(await numberOf(filtered)).toBe(1);
        }
        prometheus.kill();
        bridge.kill();
        await prometheus.exited;
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }));
});

describeInLab('the example of a service', ['wg', 'promtool'], () => {
  /** What the unit runs, as systemd hands it to the shell. */
  const unit = readFileSync(join(REPOSITORY, 'examples/tswg-metrics.service'), 'utf8');
  const [, script] = /^ExecStart=\/bin\/sh -euc '([\s\S]*?)'$/m.exec(unit)!;
  const shell = script!.replaceAll('\\\n', '').replaceAll('$$', '$');

  it('writes a whole file, and leaves the old one where tswg fails', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await host.run('mkdir', ['/run/collector']);
      const env = { DIRECTORY: '/run/collector' };
      await host.run('tswg', ['wg0', 'create']);
      await host.run('sh', ['-euc', shell], { env });
      const file = await host.run('cat', ['/run/collector/tswg.prom']);
      expect(file).toContain('wireguard_up{interface="wg0"} 1\n');
      const failing = await host.exec('sh', ['-euc', `tswg() { echo half; return 1; }; ${shell}`], {
        env,
      });
      expect(failing.status).not.toBe(0);
      expect(await host.run('cat', ['/run/collector/tswg.prom'])).toBe(file);
      // A daemon that has left only its socket is no failure.
      await host.run('sh', ['-euc', 'pkill -KILL -f [t]swgd-starter; pkill -KILL tswgd']);
      await waitFor(async () => (await host.exec('pgrep', ['tswgd'])).status !== 0, 'its end');
      await host.run('sh', ['-euc', shell], { env });
      expect(await host.run('cat', ['/run/collector/tswg.prom'])).toBe(
        '# HELP wireguard_up whether the daemon of the interface answered: 1 or 0\n' +
          '# TYPE wireguard_up gauge\nwireguard_up{interface="wg0"} 0\n',
      );
    }));

  it('of alerts is found right by promtool, and names series that there are', async () => {
    const path = join(REPOSITORY, 'examples/tswg-alerts.yml');
    expect(await mustExecute(['promtool', 'check', 'rules', path])).toMatch(/SUCCESS: 7 rules/);
    const rows = SERIES_TABLES.flatMap(({ scope, rows: some }) =>
      some.map((row: MetricRow) => {
        const name = familyName(row, scope);
        return name === null ? '' : seriesName({ name, kind: familyKind(row) });
      }),
    );
    const named = readFileSync(path, 'utf8').match(/\bwireguard_\w+/g)!;
    expect(named.filter((name) => !rows.includes(name))).toEqual([]);
  });
});

describeInLab('a daemon that hangs', ['wg'], () => {
  it('is told as not up, and keeps no other back', () =>
    withLab({}, async (lab) => {
      const host = await lab.host('host');
      await host.run('tswg', ['wg0', 'create']);
      // One that takes connections in, and does nothing else any more.
      const listen = `require('net').createServer().listen('/run/wireguard/wg1.sock', () => console.log('hangs'))`;
      await host.spawn('node', ['-e', listen]).waitForOutput(/hangs/);
      const { status, stdout, stderr } = await host.exec('tswg', ['metrics']);
      expect(status).toBe(0);
      expect(stderr).toMatch(/^tswg: wg1: its daemon does not answer: .*\n$/);
      expect(stdout).toContain(
        'wireguard_up{interface="wg0"} 1\nwireguard_up{interface="wg1"} 0\n',
      );
      expect(stdout).toContain('wireguard_daemon_memory_bytes{interface="wg0"}');
      expect(stdout.match(/interface="wg1"/g)).toHaveLength(1);
    }));
});
