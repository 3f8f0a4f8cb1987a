/** `tswg wg0 doctor` on tunnels that work and that do not: what it prints, and that it changes nothing. */

import { expect, it } from 'vitest';
import { parseRecording } from '../../src/doctor/recording.ts';
import type { Lab } from '../lab/lab.ts';
import { describeInLab, withLab } from '../lab/suite.ts';
import { TunnelEnd } from '../lab/tunnel.ts';

async function tunnel(lab: Lab): Promise<[TunnelEnd, TunnelEnd]> {
  const [near, far] = [await lab.host('near'), await lab.host('far')];
  await near.connect('out0', far, 'out0');
  await near.configure('out0', '198.51.100.10/24');
  await far.configure('out0', '198.51.100.20/24');
  const one = await TunnelEnd.start(near, ['10.99.0.1/30']);
  const other = await TunnelEnd.start(far, ['10.99.0.2/30']);
  await one.addPeer({
    ...{ publicKey: other.keys.publicKey, endpoint: '198.51.100.20:51820' },
    allowedIps: ['10.99.0.2/32'],
  });
  await other.addPeer({ publicKey: one.keys.publicKey, allowedIps: ['10.99.0.1/32'] });
  return [one, other];
}

describeInLab('tswg wg0 doctor', ['wg', 'nft'], () => {
  it('says in one line that nothing is wrong, and changes nothing', async () => {
    await withLab({}, async (lab) => {
      const [one] = await tunnel(lab);
      const { host } = one;
      await host.nft('table inet t {\nchain o {\ntype filter hook output priority 0\n}\n}\n');
      const settings =
        'ip address; ip route show table all; ip rule; nft list ruleset; wg showconf wg0';
      const before = await host.run('sh', ['-euc', settings]);
      const said = await host.exec('tswg', ['wg0', 'doctor']);
      expect(said).toMatchObject({ status: 0, stderr: '' });
      expect(said.stdout).toMatch(/^wg0: healthy: 1 peer, routes, firewall, .*\(\d+\.\d s\)\n/);
      expect(said.stdout.split('\n')[0].length).toBeLessThanOrEqual(80);
      expect(await host.run('sh', ['-euc', settings])).toEqual(before);
    });
  });

  it('waits for the next call to a peer that was called a moment ago, and says so', async () => {
    await withLab({}, async (lab) => {
      const [{ host }, other] = await tunnel(lab);
      await other.host.nft(
        'table inet t {\nchain i {\ntype filter hook input priority 0\nudp dport 51820 drop\n}\n}\n',
      );
      await host.exec('ping', ['-n', '-c', '1', '-W', '1', '10.99.0.2']);
      const quick = await host.exec('tswg', ['wg0', 'doctor', '--quick']);
      expect(quick).toMatchObject({ status: 1, stderr: '' });
      expect(quick.stdout).toContain('too early');
      const said = await host.exec('tswg', ['wg0', 'doctor']);
      expect(said.status).toBe(1);
      expect(said.stdout).toContain('nothing comes back');
      expect(said.stderr).toBe(
        'tswg: wg0: 1 peer has not answered: waiting for the next call, at most 6 seconds (--quick does not wait)\n',
      );
      const json = await host.exec('tswg', ['wg0', 'doctor', '--json']);
      expect(json).toMatchObject({ status: 1, stderr: '' });
    });
  });

  it('records what it saw, without the private key, and judges it again without the tunnel', async () => {
    await withLab({}, async (lab) => {
      const [one, other] = await tunnel(lab);
      const { host } = one;
      await host.exec('tswg', ['wg0', 'doctor', '--record', '/tmp/seen.json']);
      const text = await host.run('cat', ['/tmp/seen.json']);
      expect((await host.run('stat', ['-c', '%a', '/tmp/seen.json'])).trim()).toBe('600');
      expect(text).not.toContain(one.keys.privateKey);
      const evidence = parseRecording(text);
      expect(evidence.daemon).toMatchObject({
        ok: true,
        value: { kind: 'answers', key: 'clamped', publicKey: one.keys.publicKey },
      });
      expect(evidence.pings).toMatchObject({ ok: true, value: [{ destination: '10.99.0.2' }] });
      expect(evidence.events.ok && evidence.events.value.length).toBeGreaterThan(0);
      const { host: far } = other;
      await far.writeFile('/tmp/seen.json', text);
      const again = await far.exec('tswg', [
        'wg0',
        'doctor',
        '--json',
        '--evidence',
        '/tmp/seen.json',
      ]);
      expect(JSON.parse(again.stdout)).toMatchObject({
        name: 'wg0',
        isHealthy: true,
        findings: [],
      });
    });
  });

  it('has what the network says of a wrong port, and compares with the other end', async () => {
    await withLab({}, async (lab) => {
      const [one, other] = await tunnel(lab);
      const { host } = one;
      await one.set(`peer ${other.keys.publicKey} endpoint 198.51.100.20:9`);
      const json = await other.host.run('tswg', ['wg0', '--json']);
      await host.writeFile('/tmp/far.json', json);
      await host.exec('tswg', [
        ...['wg0', 'doctor', '--other', '/tmp/far.json', '--record', '/tmp/seen.json'],
      ]);
      const evidence = parseRecording(await host.run('cat', ['/tmp/seen.json']));
      const { icmp, probes, wire, other: far } = evidence;
      expect(
        icmp.ok && icmp.value.map(({ about, meaning, from }) => [about, meaning, from]),
      ).toContainEqual(['daemon', 'portUnreachable', '198.51.100.20']);
      expect(probes.ok && probes.value[0].errors).toContainEqual(
        expect.objectContaining({ meaning: 'portUnreachable', from: '198.51.100.20' }),
      );
      expect(wire).toMatchObject({
        value: [{ direction: 'out', message: 'initiation', link: 'out0' }],
      });
      expect(far).toMatchObject({ ok: true, value: { publicKey: other.keys.publicKey } });
    });
  });

  it('cannot look where there is nothing, or nothing of ours', async () => {
    await withLab({}, async (lab) => {
      const host = await lab.host('host');
      const ask = (...words: string[]) => host.exec('tswg', words);
      expect(await ask('wg7', 'doctor')).toMatchObject({
        ...{ status: 2, stdout: '', stderr: 'tswg: wg7: no such interface\n' },
      });
      expect(await ask('lo', 'doctor')).toMatchObject({
        ...{ status: 2, stderr: 'tswg: lo: not a WireGuard interface: expected one\n' },
      });
      expect(await ask('wg7', 'doctor', '--evidence', '/nowhere')).toMatchObject({ status: 2 });
      expect((await ask('wg7', 'doctor', '--quickly')).status).toBe(2);
    });
  });
});
