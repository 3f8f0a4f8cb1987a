import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Capture } from './capture.ts';
import { waitFor } from './command.ts';
import { buildHandbook, type HandbookNetwork } from './handbook.ts';
import { Lab } from './lab.ts';
import { ping } from './probes.ts';
import { describeInLab } from './suite.ts';

describeInLab('the lab', ['tcpdump', 'nft'], () => {
  let lab: Lab;
  let network: HandbookNetwork;

  beforeAll(async () => {
    lab = await Lab.open({ env: { OF_THE_LAB: 'yes' } });
    network = await buildHandbook(lab);
  });
  afterAll(() => lab.close());

  it('connects the gateways through the router', async () => {
    const report = await ping(network.siteA.gateway, '203.0.113.10', { count: 2 });
    expect(report.received, report.text).toBe(2);
  });

  it('has a router that knows no private networks', async () => {
    await network.siteA.gateway.forward();
    const capture = await Capture.start(network.router, 'wan-a', 'icmp');
    const report = await ping(network.siteA.host, '10.20.0.5', { deadlineMs: 300 });
    expect(report.received).toBe(0);
    expect(await capture.stop()).toMatchObject([{ source: '10.0.0.5', destination: '10.20.0.5' }]);
  });

  it('gives every host its own interfaces, /run/wireguard and /etc/wg', async () => {
    const { siteA, siteB } = network;
    await siteA.gateway.writeFile('/etc/wg/private.key', 'secret\n');
    await siteA.gateway.run('touch', ['/run/wireguard/wg0.sock']);
    expect(await siteA.gateway.run('cat', ['/etc/wg/private.key'])).toBe('secret\n');
    expect(await siteA.gateway.run('stat', ['-c', '%a', '/etc/wg/private.key'])).toBe('600\n');
    expect((await siteB.gateway.sh('ls /etc/wg /var/run/wireguard')).stdout).not.toMatch(
      /key|sock/,
    );
    expect(existsSync('/etc/wg/private.key')).toBe(false);
    expect(await siteA.host.run('ls', ['/sys/class/net'])).toBe('lan\nlo\n');
    expect(await siteA.host.run('cat', ['/etc/debian_version'])).not.toBe('');
  });

  it('captures what passes on an interface', async () => {
    const capture = await Capture.start(network.router, 'wan-a', 'icmp');
    await ping(network.siteA.gateway, '203.0.113.10', { size: 100 });
    await waitFor(() => capture.packets.length >= 2, 'two packets');
    const packets = await capture.stop();
    expect(packets).toMatchObject([
      { family: 4, protocol: 1, source: '198.51.100.10', destination: '203.0.113.10', length: 142 },
      { family: 4, protocol: 1, source: '203.0.113.10', destination: '198.51.100.10', length: 142 },
    ]);
  });

  it('reports status, output and environment of a program', async () => {
    const result = await network.router.sh('echo out; echo "$OF_THE_LAB" >&2; exit 7');
    expect(result).toEqual({ stdout: 'out\n', stderr: 'yes\n', status: 7 });
    await expect(network.router.exec('sleep', ['9'], { timeoutMs: 50 })).rejects.toThrow(/50 ms/);
  });

  it('signals the program, not nsenter, and reports how it ended', async () => {
    const script = "trap 'echo ended; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
    const child = network.router.spawn('sh', ['-c', script]);
    await child.waitForOutput(/ready/);
    expect(await child.stop()).toBe(3);
    expect(child.stdout).toBe('ready\nended\n');
  });

  it('leaves no zombie behind a daemon that ended', async () => {
    const pid = Number((await network.router.sh('setsid sleep 0.2 >&- 2>&- & echo $!')).stdout);
    await network.router.sh(`kill -0 ${pid}`);
    await network.router.waitForExit(pid);
  });
});

describeInLab('the end of a lab', [], () => {
  const holderOf = (marker: string) =>
    readdirSync('/proc').filter((name) => /^\d+$/.test(name) && environmentHas(name, marker));

  it('takes daemons along that left their process group', async () => {
    const marker = `LAB_MARKER_${process.pid}`;
    const lab = await Lab.open({ env: { [marker]: '1' } });
    const host = await lab.host('short-lived');
    await host.sh('setsid sh -c "sleep 60 & sleep 60" >/dev/null 2>&1 &');
    await waitFor(() => holderOf(marker).length >= 2, 'the daemons');
    await lab.close();
    expect(holderOf(marker)).toEqual([]);
  });

  it('comes with the SIGKILL of whoever opened it', async () => {
    const marker = `LAB_KILLED_${process.pid}`;
    const program = `
      const { Lab } = await import(${JSON.stringify(compiledLab())});
      const lab = await Lab.open({ env: { ${marker}: '1' } });
      const host = await lab.host('orphan');
      await host.sh('setsid sleep 60 >/dev/null 2>&1 &');
      console.log('up');
      setInterval(() => {}, 1000);`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => owner.stdout.once('data', resolve));
    expect(holderOf(marker).length).toBe(1);
    owner.kill('SIGKILL');
    await waitFor(() => holderOf(marker).length === 0, 'the end of all processes');
  });

  it('does not touch the interfaces of the machine', async () => {
    const before = execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' });
    const lab = await Lab.open();
    const [left, right] = await lab.hosts('left', 'right');
    await left.connect('cable', right, 'cable');
    expect(execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' })).toBe(before);
    await lab.close();
  });
});

function compiledLab(): string {
  return new URL('../../dist/test/lab/lab.js', import.meta.url).href;
}

function environmentHas(pid: string, marker: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(marker);
  } catch {
    return false;
  }
}
