/** A NAT that forgets, and two machines with one key. */

import { sleep } from '../../lab/command.ts';
import { firstPing, PingTrain } from '../../lab/probes.ts';
import type { Case } from '../case.ts';
import { IFNAME, PORT, type Sites } from '../sites.ts';

/** Until a session's silence is one: 15 s until it is noticed, 5 s until a call of ours is old. */
const SILENCE_MS = 26_000;
/** After it nobody owes a keepalive for what was last received: 10 s, and once more 10 s. */
const KEEPALIVE_MS = 25_000;

export const MAPPINGS: readonly Case[] = [
  {
    id: 'natMappingLost',
    code: 'natMappingLost',
    plan: { nat: true },
    inject: async ({ a, b, router }) => {
      await firstPing(a.host, b.inner[4]);
      await sleep(KEEPALIVE_MS);
      // Seconds that it remembers a flow, from its next packet on.
      for (const kind of ['udp_timeout', 'udp_timeout_stream']) {
        await router.sysctl(`net.netfilter.nf_conntrack_${kind}`, 1);
      }
      await router.run('conntrack', ['-F']);
    },
    talks: ['b'],
    talkMs: SILENCE_MS,
    side: 'b',
    says: /wgpka 25/,
  },
  {
    id: 'keyShared',
    code: 'keyShared',
    plan: { isOneWay: true },
    inject: shareKey,
    talkMs: 12_000,
    side: 'b',
    says: /198\.51\.100\.10:51820.*192\.0\.2\.10:51820|192\.0\.2\.10:51820.*198\.51\.100\.10:51820/,
  },
];

/** A third site with a copy of A's key file. */
async function shareKey(sites: Sites): Promise<undefined> {
  const { a, b, router } = sites;
  const copy = await sites.lab.host('gateway c');
  await copy.connect('wan', router, 'wan-c');
  await router.configure('wan-c', '192.0.2.1/24');
  await copy.configure('wan', '192.0.2.10/24');
  await copy.ip('route add default via 192.0.2.1');
  await copy.writeFile('/etc/wg/private.key', `${a.keys.privateKey}\n`);
  const words = `create wgkeyfile /etc/wg/private.key wgport ${PORT} inet ${a.inner[4]}/24 wgpeer ${b.keys.publicKey} wgendpoint ${b.wan[4]} ${PORT} wgaip ${b.inner[4]}/32`;
  await copy.run('tswg', [IFNAME, ...words.split(' ')]);
  // Ends with the host.
  new PingTrain(copy, b.inner[4], 700);
}
