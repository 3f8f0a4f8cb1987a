import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { Host } from './host.ts';
import { NameServer, useNameServers } from './nameserver.ts';
import { describeInLab, withLab } from './suite.ts';

/** What the system's own name service says, as every program hears it. */
async function addressesOf(host: Host, name: string): Promise<string[]> {
  const { stdout } = await host.exec('getent', ['ahosts', name]);
  return [...stdout.matchAll(/^(\S+) +STREAM/gm)].map(([, address]) => address).sort();
}

describeInLab('a name server of the lab', ['getent'], () => {
  it('answers as it is told to, over UDP and TCP', () =>
    withLab({}, async (lab) => {
      const [host] = await lab.hosts('host');
      const machines = readFileSync('/etc/resolv.conf', 'utf8');
      const server = await NameServer.start(host, ['127.0.0.1']);
      await useNameServers(host, ['127.0.0.1']);
      expect(readFileSync('/etc/resolv.conf', 'utf8')).toBe(machines);
      expect(await addressesOf(host, 'gw.example.net')).toEqual([]);
      await server.set('gw.example.net', ['192.0.2.1', '2001:db8::1']);
      expect(await addressesOf(host, 'gw.example.net')).toEqual(['192.0.2.1', '2001:db8::1']);
      await server.set('gw.example.net', { addresses: ['192.0.2.9'], overTcp: true });
      expect(await addressesOf(host, 'gw.example.net')).toEqual(['192.0.2.9']);
      expect(server.queries('gw.example.net')).toContain('tcp A');
      for (const fate of ['silent', 'failing', 'refused'] as const) {
        await server.set('gw.example.net', fate);
        expect(await addressesOf(host, 'gw.example.net'), fate).toEqual([]);
      }
      await server.set('gw.example.net', ['192.0.2.2']);
      expect(await addressesOf(host, 'gw.example.net')).toEqual(['192.0.2.2']);
      await server.stop();
      expect(await addressesOf(host, 'gw.example.net')).toEqual([]);
    }));
});
