/**
 * Two sites with a healthy tunnel between their gateways, made with tswg's own words. What an
 * injection breaks is one thing in here.
 *
 *     host A ---- gateway A ---- router ---- gateway B ---- host B
 *     10.0.0.5    10.0.0.1                   10.20.0.1      10.20.0.5
 *     fd00:a::5   fd00:a::1                  fd00:b::1      fd00:b::5
 *                 198.51.100.10  .1      .1  203.0.113.10
 *                 2001:db8:a::10 ::1    ::1  2001:db8:b::10
 *
 * Inside the tunnel the gateways are 10.99.0.1 and 10.99.0.2, fd00:99::1 and fd00:99::2.
 */

import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { createKeyPair, type KeyPair } from '../lab/tunnel.ts';

export const IFNAME = 'wg0';
export const PORT = 51820;
const KEY_FILE = '/etc/wg/private.key';
const PRESHARED_KEY_FILE = '/etc/wg/preshared.key';

export interface Plan {
  /** The family of the tunnel's own packets. */
  readonly outer?: 4 | 6;
  /** The router hides site A behind its own address on B's side, and only A knows where B is. */
  readonly nat?: boolean;
  /** Only A knows where B is. */
  readonly isOneWay?: boolean;
  /** Machines in the LANs, which are allowed and routed. */
  readonly lans?: boolean;
  readonly presharedKey?: string;
  /** Seconds, on A. */
  readonly keepalive?: number;
  /** More of tswg's words, before the peer's. */
  readonly words?: string;
}

/** What the two sites differ in. */
interface Numbers {
  readonly letter: 'a' | 'b';
  readonly wan: Readonly<Record<4 | 6, string>>;
  readonly routerWan: Readonly<Record<4 | 6, string>>;
  readonly inner: Readonly<Record<4 | 6, string>>;
  readonly lan: Readonly<Record<4 | 6, string>>;
}

const A: Numbers = {
  letter: 'a',
  wan: { 4: '198.51.100.10', 6: '2001:db8:a::10' },
  routerWan: { 4: '198.51.100.1', 6: '2001:db8:a::1' },
  inner: { 4: '10.99.0.1', 6: 'fd00:99::1' },
  lan: { 4: '10.0.0', 6: 'fd00:a:' },
};
const B: Numbers = {
  letter: 'b',
  wan: { 4: '203.0.113.10', 6: '2001:db8:b::10' },
  routerWan: { 4: '203.0.113.1', 6: '2001:db8:b::1' },
  inner: { 4: '10.99.0.2', 6: 'fd00:99::2' },
  lan: { 4: '10.20.0', 6: 'fd00:b:' },
};

export interface Site extends Numbers {
  /** Of the site's gateway, where the tunnel ends. */
  readonly host: Host;
  readonly keys: KeyPair;
  /** In the LAN; null when the plan has none. */
  readonly behind: Host | null;
}

export class Sites {
  readonly lab: Lab;
  readonly plan: Plan;
  readonly router: Host;
  readonly a: Site;
  readonly b: Site;

  private constructor(lab: Lab, plan: Plan, router: Host, a: Site, b: Site) {
    this.lab = lab;
    this.plan = plan;
    this.router = router;
    this.a = a;
    this.b = b;
  }

  /** The network and, on both sides, the tunnel. */
  static async build(lab: Lab, plan: Plan): Promise<Sites> {
    const router = await lab.host('router');
    const [a, b] = await Promise.all([
      buildSite(lab, router, A, plan),
      buildSite(lab, router, B, plan),
    ]);
    await router.forward();
    if (plan.nat) await router.nft(MASQUERADE);
    const sites = new Sites(lab, plan, router, a, b);
    await Promise.all([sites.configure(a), sites.configure(b)]);
    return sites;
  }

  /** The words that make the tunnel on this side. */
  words(side: Site): string {
    const { plan } = this;
    const other = side === this.a ? this.b : this.a;
    const inner = [`inet ${side.inner[4]}/24`, `inet6 ${side.inner[6]}/64`];
    const knowsEndpoint = side === this.a || !(plan.nat || plan.isOneWay);
    const peer = [
      `wgpeer ${other.keys.publicKey}`,
      ...(knowsEndpoint ? [`wgendpoint ${other.wan[plan.outer ?? 4]} ${PORT}`] : []),
      ...(plan.presharedKey === undefined ? [] : [`wgpskfile ${PRESHARED_KEY_FILE}`]),
      ...(plan.keepalive === undefined || side === this.b ? [] : [`wgpka ${plan.keepalive}`]),
      `wgaip ${other.inner[4]}/32 wgaip ${other.inner[6]}/128`,
      ...(plan.lans ? [`wgaip ${other.lan[4]}.0/24 wgaip ${other.lan[6]}:/64`] : []),
    ];
    const key = `wgkeyfile ${KEY_FILE} wgport ${PORT}`;
    return [key, ...inner, ...(plan.words === undefined ? [] : [plan.words]), ...peer].join(' ');
  }

  /** Makes the tunnel on one side, which has none. */
  async configure(side: Site): Promise<void> {
    await side.host.writeFile(KEY_FILE, `${side.keys.privateKey}\n`);
    if (this.plan.presharedKey !== undefined) {
      await side.host.writeFile(PRESHARED_KEY_FILE, `${this.plan.presharedKey}\n`);
    }
    await tswg(side, `create ${this.words(side)}`);
    if (!this.plan.lans) return;
    const other = side === this.a ? this.b : this.a;
    await side.host.ip(`route add ${other.lan[4]}.0/24 dev ${IFNAME}`);
    await side.host.ip(`route add ${other.lan[6]}:/64 dev ${IFNAME}`);
  }
}

/** `tswg wg0` with these words; rejects unless it succeeded. */
export function tswg(side: Site, words: string): Promise<string> {
  return side.host.run('tswg', [IFNAME, ...words.split(' ')]);
}

/** What netstart and the next boot are to do. */
export async function writeHostnameFile({ host }: Site, lines: string): Promise<void> {
  const file = `/etc/hostname.${IFNAME}`;
  // A host's /etc is full of links to the files of the machine that the tests run on.
  await host.run('rm', ['-f', file]);
  await host.writeFile(file, `${lines}\n`);
}

/** Of the daemon, as its host sees it. */
export async function daemonPid(side: Site): Promise<number> {
  const shown = JSON.parse(await tswg(side, '--json'));
  return Number(shown.wireguard.facts.pid);
}

/** Gives `at` a preshared key for `of`. */
export async function givePresharedKey(at: Site, of: Site, key: string): Promise<void> {
  await at.host.writeFile(PRESHARED_KEY_FILE, `${key}\n`);
  await tswg(at, `wgpeer ${of.keys.publicKey} wgpskfile ${PRESHARED_KEY_FILE}`);
}

/** By hand, since the router's own address is what a mapping is bound to. */
const MASQUERADE = `
table inet nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "wan-b" masquerade
  }
}`;

async function buildSite(lab: Lab, router: Host, numbers: Numbers, plan: Plan): Promise<Site> {
  const { letter, wan, routerWan, lan } = numbers;
  const host = await lab.host(`gateway ${letter}`);
  await host.connect('wan', router, `wan-${letter}`);
  await router.configure(`wan-${letter}`, `${routerWan[4]}/24`, `${routerWan[6]}/64`);
  await host.configure('wan', `${wan[4]}/24`, `${wan[6]}/64`);
  await host.ip(`route add default via ${routerWan[4]}`);
  await host.ip(`route add default via ${routerWan[6]}`);
  const site = { ...numbers, host, keys: createKeyPair(), behind: null };
  if (!plan.lans) return site;
  const behind = await lab.host(`host ${letter}`);
  await host.connect('lan', behind, 'lan');
  await host.configure('lan', `${lan[4]}.1/24`, `${lan[6]}:1/64`);
  await behind.configure('lan', `${lan[4]}.5/24`, `${lan[6]}:5/64`);
  await behind.ip(`route add default via ${lan[4]}.1`);
  await behind.ip(`route add default via ${lan[6]}:1`);
  await host.forward();
  return { ...site, behind };
}
