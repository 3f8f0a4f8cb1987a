import { expect, it } from 'vitest';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { withLab } from '../lab/suite.ts';
import { describeExample, type Example } from './example.ts';
import { Internet } from './internet.ts';
import { SeenSources } from './seensources.ts';

const ALICE = '4711';
const TARGET = { 4: '198.51.100.80', 6: '2001:db8:80::80' } as const;
/** What the target sees of what came over the line of the machine, and out of the tunnel. */
const OUTSIDE = { 4: '192.0.2.10', 6: '2001:db8:a::10' } as const;
const TUNNEL = { 4: '203.0.113.10', 6: '2001:db8:b::10' } as const;
const FAMILIES = [4, 6] as const;
type Family = (typeof FAMILIES)[number];
/** The bridge of the example, and one of other containers, each with its first three parts. */
const BRIDGES = [
  { ifname: 'tunnelbr0', four: '172.30.77', six: 'fd00:77:' },
  { ifname: 'otherbr0', four: '172.30.78', six: 'fd00:78:' },
] as const;
/**
 * Stands for a container's image: the programs of this machine in a root of their own. What makes the
 * difference for the rules is the namespace and its bridge, and these are as an engine makes them.
 */
const MAKE_ROOT = `
mkdir -p /run/image/usr /run/image/proc /run/image/dev
mount --bind /usr /run/image/usr
for folder in bin sbin lib lib64; do ln -s usr/$folder /run/image/$folder; done
`;

interface Machine {
  readonly machine: Host;
  readonly seen: SeenSources;
  /** Of the bridge of the example, and of the other one. */
  readonly containers: readonly [Host, Host];
}

async function build(lab: Lab, example: Example): Promise<Machine> {
  const names = ['machine', 'server', 'target', 'container', 'other-container'] as const;
  const [machine, server, target, container, other] = await lab.hosts(...names);
  const internet = await Internet.open(lab);
  await internet.connect(machine, 'eth0', `${OUTSIDE[4]}/24`, `${OUTSIDE[6]}/64`);
  await internet.connect(server, 'wan', `${TUNNEL[4]}/24`, `${TUNNEL[6]}/64`);
  await internet.connect(target, 'eth0', `${TARGET[4]}/24`, `${TARGET[6]}/64`);
  await machine.sh(`cp /etc/passwd /etc/passwd.new && mv -T /etc/passwd.new /etc/passwd
    echo 'alice:x:${ALICE}:${ALICE}::/:/bin/sh' >>/etc/passwd`);
  // As strict as a kernel may be, so that the example has to say what it needs.
  await machine.sysctl('net.ipv4.conf.default.rp_filter', 1);
  await example.install(machine, server);
  await example.boot(server);
  await example.boot(machine);
  await addContainers(machine, container, other);
  return { machine, seen: await SeenSources.watch(target), containers: [container, other] };
}

/** Bridges, forwarding and the masquerade of the line, as a container engine sets them up. */
async function addContainers(machine: Host, ...containers: readonly Host[]): Promise<void> {
  await machine.forward();
  for (const [i, container] of containers.entries()) {
    const { ifname, four, six } = BRIDGES[i]!;
    await machine.ip(`link add ${ifname} type bridge`);
    await machine.configure(ifname, `${four}.1/24`, `${six}:1/64`);
    await machine.connect(`port${i}`, container, 'eth0');
    await machine.ip(`link set port${i} master ${ifname} up`);
    await container.configure('eth0', `${four}.2/24`, `${six}:2/64`);
    await container.ip(`route add default via ${four}.1`);
    await container.ip(`-6 route add default via ${six}:1`);
    await container.run('sh', ['-euc', MAKE_ROOT]);
  }
  const engine = `table inet engine { chain postrouting {
    type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }; }`;
  await machine.run('nft', ['-f', '-'], { input: engine });
}

/** @param waitS for the answer; less where none is expected */
const pingWords = (family: Family, waitS = 10): string[] => {
  return ['-n', '-c', '1', '-w', `${waitS}`, TARGET[family]];
};
const asAlice = (machine: Host, family: Family) =>
  machine.exec('setpriv', [
    ...['--reuid', ALICE, '--regid', ALICE, '--clear-groups', 'ping'],
    ...pingWords(family),
  ]);
const asRoot = (machine: Host, family: Family) => machine.exec('ping', pingWords(family));
const withMark = (machine: Host, family: Family) =>
  machine.exec('ping', ['-m', '119', ...pingWords(family)]);
const inContainer = (container: Host, family: Family, waitS?: number) =>
  container.exec('chroot', ['/run/image', 'ping', ...pingWords(family, waitS)]);
/** Nobody listens, and the refusal proves that answers come back. */
const connect = (machine: Host, family: Family, port: number, waitS = 10) =>
  machine.exec('timeout', [`${waitS}`, 'bash', '-c', `exec 3<>/dev/tcp/${TARGET[family]}/${port}`]);

describeExample('policy-routing', ['nft', 'setpriv', 'chroot'], (example) => {
  it('sends a user, a mark and a container through the tunnel, and the rest not', () =>
    withLab({}, async (lab) => {
      const { machine, seen, containers } = await build(lab, example);
      const [container, other] = containers;
      for (const family of FAMILIES) {
        const ways: readonly [what: string, from: string, () => ReturnType<Host['exec']>][] = [
          ['root', OUTSIDE[family], () => asRoot(machine, family)],
          ['alice', TUNNEL[family], () => asAlice(machine, family)],
          ['a mark', TUNNEL[family], () => withMark(machine, family)],
          ['the container', TUNNEL[family], () => inContainer(container, family)],
          ['another container', OUTSIDE[family], () => inContainer(other, family)],
        ];
        for (const [what, from, send] of ways) {
          const sources = await seen.during(async () => {
            const { status, stdout, stderr } = await send();
            expect(status, `${what}: ${stdout}${stderr}`).toBe(0);
          });
          expect([what, sources]).toEqual([what, [from]]);
        }
        for (const [port, from] of [
          [873, TUNNEL[family]],
          [80, OUTSIDE[family]],
        ] as const) {
          const sources = await seen.during(async () => {
            expect((await connect(machine, family, port)).stderr).toContain('Connection refused');
          });
          expect([port, sources]).toEqual([port, [from]]);
        }
      }
      // The router of the line is in a network of the machine itself.
      expect(await machine.ip(`route get 192.0.2.1 uid ${ALICE}`)).toContain('dev eth0');
      const doctor = await machine.exec('tswg', ['wg0', 'doctor']);
      expect(doctor.status, doctor.stdout).toBe(0);
    }));

  it('sends nothing of them in the clear while the tunnel is gone, and again through it after', () =>
    withLab({}, async (lab) => {
      const { machine, seen, containers } = await build(lab, example);
      await machine.run('tswg', ['wg0', 'destroy']);
      for (const family of FAMILIES) {
        const sources = await seen.during(async () => {
          expect((await asAlice(machine, family)).status).not.toBe(0);
          expect((await withMark(machine, family)).status).not.toBe(0);
          expect((await inContainer(containers[0], family, 1)).status).not.toBe(0);
          expect((await connect(machine, family, 873, 1)).status).not.toBe(0);
        });
        expect(sources).toEqual([]);
      }
      const rules = await machine.ip('rule');
      await example.startTunnels(machine);
      await example.startTunnels(machine);
      expect(await machine.ip('rule')).toBe(rules);
      expect(await seen.during(() => asAlice(machine, 4))).toEqual([TUNNEL[4]]);
    }));
});
