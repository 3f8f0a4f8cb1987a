/** More than one that configures or serves the interface: what one sets, the other takes back. Pure. */

import { printable } from '../../quotation.ts';
import type { Cause } from '../cause.ts';
import type { Evidence, Manager, ServingProcess } from '../evidence.ts';
import { known } from '../evidence.ts';
import type { Finding } from '../finding.ts';
import { daemonsHere, isStopped, nameProcess } from '../serving.ts';

export const MANAGERS: readonly Cause[] = [
  { code: 'twoDaemons', weight: 'some', find: findDaemons },
  { code: 'twoManagers', weight: 'some', find: findManagers },
  { code: 'managerTook', weight: 'some', find: findTaken },
];

function findDaemons(evidence: Evidence): Finding[] {
  const { name } = evidence.run;
  const here = daemonsHere(evidence);
  // A TUN device is one process's: a second that has one of this name has it in another network.
  const idle = here.filter(({ descriptors }) => descriptors?.interfaces.length === 0);
  const isSeen = here.every(({ descriptors }) => descriptors !== null);
  if (here.length < 2 || (isSeen && idle.length === 0)) return [];
  const others = here.filter(({ program }) => program !== 'tswgd');
  const foreign = others.length > 0 ? others : here.slice(1);
  const leaving = idle.length > 0 ? idle : foreign;
  return [
    {
      code: 'twoDaemons',
      peer: null,
      sentence: `${here.length} daemons run for ${name}, and only one of them has its packets: ${here.map(nameProcess).join(' and ')}`,
      proof: here.map(
        (one) =>
          `process ${one.pid} is \`${printable([one.program, ...one.arguments].join(' '))}\`${saysHeld(one, name)}`,
      ),
      // One that is stopped takes no other signal.
      commands: leaving.map((one) => `kill ${isStopped(one) ? '-KILL ' : ''}${one.pid}`),
      ...(isSeen
        ? {}
        : {
            undecided: [
              'one of them serves an interface that has been renamed or moved since: as root, doctor sees what each has open',
            ],
          }),
    },
  ];
}

function saysHeld({ descriptors }: ServingProcess, name: string): string {
  if (descriptors === null) return '';
  return descriptors.interfaces.length === 0
    ? ', and has no interface'
    : `, and has ${printable(name)} open`;
}

function activeManagers(evidence: Evidence): readonly Manager[] {
  return (known(evidence.files)?.managers ?? []).filter(({ isActive }) => isActive);
}

function saysManager({ kind, path, line }: Manager): string {
  const what = line === '' ? '' : `, which says \`${printable(line)}\``;
  return `${kind} does so by ${printable(path)}${what}`;
}

/** The two that make the interface themselves. */
function findManagers(evidence: Evidence): Finding[] {
  const { name } = evidence.run;
  const active = activeManagers(evidence);
  const quick = active.find(({ kind }) => kind === 'wg-quick');
  const ours = active.find(({ kind }) => kind === 'tswg');
  if (quick === undefined || ours === undefined) return [];
  return [
    {
      code: 'twoManagers',
      peer: null,
      sentence: `wg-quick and tswg are both to make ${name} at a boot: one of them does, the other changes it or fails, and wg-quick takes it away when it stops`,
      proof: [saysManager(quick), saysManager(ours)],
      commands: [`systemctl disable wg-quick@${name}`],
    },
  ];
}

/** The two that take any interface that they are not told to leave alone. */
function findTaken(evidence: Evidence): Finding[] {
  const { name } = evidence.run;
  return activeManagers(evidence).flatMap((manager): Finding[] => {
    const { kind } = manager;
    if (kind !== 'NetworkManager' && kind !== 'systemd-networkd') return [];
    return [
      {
        code: 'managerTook',
        peer: null,
        sentence: `${kind} manages ${name}, too: it takes away addresses and routes that it did not set itself`,
        proof: [saysManager(manager)],
        commands: RELEASE[kind](name),
      },
    ];
  });
}

const RELEASE = {
  NetworkManager: (name: string) => [
    `nmcli device set ${name} managed no`,
    `printf '[keyfile]\\nunmanaged-devices=interface-name:${name}\\n' >/etc/NetworkManager/conf.d/${name}.conf`,
  ],
  'systemd-networkd': (name: string) => [
    `printf '[Match]\\nName=${name}\\n\\n[Link]\\nUnmanaged=yes\\n' >/etc/systemd/network/10-${name}.network`,
    'networkctl reload',
  ],
} as const;
