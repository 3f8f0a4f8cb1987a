import { expect, it } from 'vitest';
import type { Result } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { REPOSITORY } from '../lab/repository.ts';
import { withLab } from '../lab/suite.ts';
import { TunnelEnd } from '../lab/tunnel.ts';
import { describeExample } from './example.ts';
import { pictureOfTerminal } from './qrcode.ts';
import { buildNetwork, expectReached, OFFICE } from './roadwarriors.ts';

const PROGRAMS = ['wg', 'wg-quick', 'wireguard-go', 'zbarimg', 'npx'];

describeExample('road-warriors', PROGRAMS, (example) => {
  it('a telephone reads its file from the QR code, in the terminal and in a picture', () =>
    withLab({}, async (lab) => {
      const { internet, gateway } = await buildNetwork(lab, example);
      const shown = await addTelephone(gateway);
      expect(shown.stderr).toBe('');
      await gateway.writeFile('/run/shown.pgm', pictureOfTerminal(shown.stdout));
      const first = await decode(gateway, '/run/shown.pgm');
      expect(await addTelephone(gateway)).toEqual({
        status: 1,
        stdout: '',
        stderr: '/etc/wg/telephone.sh: there is a telephone: /etc/wg/telephone.pub\n',
      });
      await removeTelephone(gateway);

      expect(await addTelephone(gateway, '/run/picture.png')).toMatchObject({ stderr: '' });
      const file = await decode(gateway, '/run/picture.png');
      const withoutKey = (text: string): string => text.replace(/^PrivateKey = .*$/m, '');
      expect(withoutKey(file)).toBe(withoutKey(first));
      expect(file).not.toBe(first);

      // Not of ours: what the file says is what the others understand.
      const telephone = await lab.host('telephone');
      await internet.connect(telephone, 'wan', '192.0.2.99/24');
      const daemon = 'wireguard-go';
      await TunnelEnd.start(telephone, ['10.99.0.14/32', '2001:db8:99::14/128'], { daemon });
      await telephone.writeFile('/etc/wireguard/wg0.conf', file);
      await telephone.run('sh', [
        ...['-euc', 'wg-quick strip wg0 >/run/wg0.conf; wg setconf wg0 /run/wg0.conf'],
      ]);
      for (const address of [OFFICE[4], OFFICE[6]]) {
        await telephone.ip(`route add ${address} dev wg0`);
        await expectReached(telephone, address);
      }
      expect(await gateway.run('tswg', ['wg0'])).toContain('wgdescr: telephone\n');
    }));

  it('is not added when it cannot be shown, and is when the key of a laptop is missing', () =>
    withLab({}, async (lab) => {
      const { gateway } = await buildNetwork(lab, example);
      const stateOf = async (): Promise<readonly string[]> => [
        await gateway.run('cat', ['/etc/hostname.wg0']),
        await gateway.run('ls', ['/etc/wg']),
        await gateway.run('wg', ['show', 'wg0', 'peers']),
      ];
      const before = await stateOf();
      const withoutEncoder = await gateway.sh(`mkdir /run/bin
        printf '#!/bin/sh\\nexit 3\\n' >/run/bin/npx
        chmod +x /run/bin/npx
        PATH=/run/bin:$PATH sh /etc/wg/telephone.sh`);
      expect(withoutEncoder.status).toBe(3);
      expect(await stateOf()).toEqual(before);

      await gateway.run('rm', ['/etc/wg/laptop-split.pub']);
      expect(await addTelephone(gateway)).toMatchObject({ status: 0, stderr: '' });
      const added = (await gateway.run('cat', ['/etc/wg/telephone.pub'])).trim();
      expect(await gateway.run('wg', ['show', 'wg0', 'peers'])).toContain(added);
      expect(await gateway.run('tail', ['-n', '1', '/etc/hostname.wg0'])).toContain(added);
    }));
});

/** Runs the script from the repository, where npx finds the encoder without a network. */
function addTelephone(gateway: Host, ...words: readonly string[]): Promise<Result> {
  const command = 'cd "$1"; shift; exec sh /etc/wg/telephone.sh "$@"';
  return gateway.exec('sh', ['-euc', command, 'sh', REPOSITORY, ...words]);
}

/** As the script says how. */
async function removeTelephone(gateway: Host): Promise<void> {
  await gateway.run('sh', [
    '-euc',
    `tswg wg0 -wgpeer "$(cat /etc/wg/telephone.pub)"
    rm /etc/wg/telephone.pub
    sed -i '/wgdescr telephone/d' /etc/hostname.wg0`,
  ]);
}

/** What a camera reads. */
function decode(host: Host, picture: string): Promise<string> {
  return host.run('zbarimg', ['--quiet', '--raw', '-Sdisable', '-Sqrcode.enable', picture]);
}
