import { afterEach, beforeEach, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import type { Near } from '../../src/device/ways.ts';
import { interfaceIndex, Netlink } from '../../src/netlink/netlink.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { openTun } from '../../src/tun/tun.ts';
import { Routes } from '../../src/udp/routes.ts';
import { describeInNamespace, enterNamespace, eventually, ip, sysctl } from '../lab/namespace.ts';

const SERVER = { 4: '203.0.113.7', 6: '2001:db8:7::7' } as const;
const PORT = 51820;
const OUT = 'out';

let open: { close(): void }[] = [];

/** Three cables, of which `tunnel` stands for the tunnel's own interface; the far ends are up. */
beforeEach(async () => {
  enterNamespace();
  for (const [i, name] of ['tunnel', 'one', 'two'].entries()) {
    ip('link', 'add', 'name', name, 'type', 'veth', 'peer', 'name', `${name}-far`);
    ip('link', 'set', `${name}-far`, 'up');
    ip('address', 'add', `10.0.${i}.1/24`, 'dev', name);
    ip('link', 'set', name, 'up');
    ip('address', 'add', `2001:db8:${i}::1/64`, 'dev', name, 'nodad');
    await plug(name, 'up');
  }
});

afterEach(() => {
  for (const one of open) one.close();
  open = [];
});

function openRoutes(near: Near | null = null, fwmark = 0): Routes {
  const routes = new Routes({ port: PORT, fwmark, near });
  open.push(routes);
  return routes;
}

/** Plugged in as long as it is open. */
function openTestTun(name: string): void {
  const ignore = (): void => {};
  const arena = new Arena(1 << 20);
  const answers = { onDrop: ignore, onNote: ignore, onGone: ignore };
  open.push(openTun({ name, mtu: 1420, offload: false, arena, ...answers }));
}

const bytes = (text: string): Uint8Array => parseAddress(text)!;
const server = (family: 4 | 6 = 4) => new Endpoint(bytes(SERVER[family]), PORT);
const pinned = (source: string | null, link = 0, to: string = SERVER[4]) =>
  new Endpoint(bytes(to), PORT, 0, source === null ? null : bytes(source), link, true);
const index = interfaceIndex;

/** Default routes over the named links, the best first, of both families. */
function defaults(...names: string[]): void {
  for (const [metric, name] of names.entries()) {
    const i = ['tunnel', 'one', 'two'].indexOf(name);
    const rest = (gateway: string) =>
      name === 'tunnel' ? ['dev', name] : ['via', gateway, 'dev', name];
    ip('route', 'add', 'default', ...rest(`10.0.${i}.2`), 'metric', `${metric + 1}`);
    ip('-6', 'route', 'add', 'default', ...rest(`2001:db8:${i}::2`), 'metric', `${metric + 1}`);
  }
}

/** Pulls a cable out at its other end, or plugs it in: the kernel tells of it a little later. */
function plug(name: string, state: 'up' | 'down'): Promise<void> {
  ip('link', 'set', `${name}-far`, state);
  const isTold = () =>
    /LOWER_UP.* state UP /.test(ip('-o', 'link', 'show', name)) === (state === 'up');
  return eventually(isTold, `the carrier of ${name} to be ${state}`);
}

/** Over which link datagrams go that name one. */
function linkNamed({ exit }: Endpoint): number | undefined {
  return exit?.link;
}

describeInNamespace('a route into the tunnel', () => {
  it.each([4, 6] as const)('is got around over the best of the others: IPv%i', async (family) => {
    defaults('tunnel', 'one', 'two');
    const routes = openRoutes();
    const endpoint = server(family);
    const lead = (): [string, number | undefined] => {
      routes.forget();
      return [routes.lead(endpoint, index('tunnel')), linkNamed(endpoint)];
    };
    expect(lead()).toEqual([OUT, index('one')]);
    const v = `-${family}`;
    const prefix = family === 4 ? '203.0.113.0/24' : '2001:db8:7::/48';
    const gateway = family === 4 ? '10.0.2.2' : '2001:db8:2::2';
    // A longer prefix is better, whatever its metric.
    ip(v, 'route', 'add', prefix, 'via', gateway, 'dev', 'two', 'metric', '999');
    ip(v, 'route', 'add', prefix, 'dev', 'tunnel', 'metric', '1');
    expect(lead()).toEqual([OUT, index('two')]);
    // But not over a cable that is pulled out, nor over an interface that is down.
    await plug('two', 'down');
    expect(lead()).toEqual([OUT, index('one')]);
    ip('link', 'set', 'one', 'down');
    expect(lead()).toEqual([OUT, index('two')]);
    ip('link', 'set', 'two', 'down');
    expect(lead()[0]).toBe('inside');
  });

  it('is none for who leads elsewhere, and then nothing is named', () => {
    defaults('one', 'tunnel');
    const endpoint = server();
    const routes = openRoutes();
    expect(routes.lead(endpoint, index('tunnel'))).toBe(OUT);
    expect(endpoint.exit).toBeNull();
    // In another network its number is another link's.
    ip('route', 'add', SERVER[4], 'dev', 'tunnel');
    expect(routes.lead(endpoint, 0)).toBe(OUT);
    expect(endpoint.exit).toBeNull();
  });

  it('ends where it did with a mark, whose rules are the operator’s', () => {
    defaults('tunnel', 'one');
    const endpoint = server();
    expect(openRoutes(null, 7).lead(endpoint, index('tunnel'))).toBe('inside');
    expect(openRoutes().lead(endpoint, index('tunnel'))).toBe(OUT);
  });

  it('is not left for another tunnel while there is something else', () => {
    defaults('tunnel', 'one');
    openTestTun('tun9');
    ip('address', 'add', '10.9.9.1/32', 'dev', 'tun9');
    ip('link', 'set', 'tun9', 'up');
    ip('route', 'add', `${SERVER[4]}/32`, 'dev', 'tun9', 'metric', '5');
    ip('route', 'add', `${SERVER[4]}/32`, 'dev', 'tunnel');
    const endpoint = server();
    expect(openRoutes().lead(endpoint, index('tunnel'))).toBe(OUT);
    expect(linkNamed(endpoint)).toBe(index('one'));
  });

  it('is got around by a rule that is for one source only, which is then named', () => {
    defaults('tunnel');
    ip('route', 'add', 'default', 'via', '10.0.2.2', 'dev', 'two', 'table', '72');
    ip('rule', 'add', 'from', '10.0.2.1', 'table', '72');
    const endpoint = server();
    expect(openRoutes().lead(endpoint, index('tunnel'))).toBe(OUT);
    expect(endpoint.exit).toEqual({ link: index('two'), source: bytes('10.0.2.1') });
  });

  it.each([
    [4, '10.0.1.1', '10.0.2.1'],
    [6, '2001:db8:1::1', '2001:db8:2::1'],
  ] as const)(
    'takes no learnt source away, which would be learnt again with each datagram: IPv%i',
    (family, own, others) => {
      defaults('tunnel', 'one', 'two');
      const routes = openRoutes();
      const heard = (source: string, name: string) =>
        new Endpoint(bytes(SERVER[family]), PORT, 0, bytes(source), index(name));
      const here = heard(own, 'one');
      expect(routes.lead(here, index('tunnel'))).toBe(OUT);
      expect(here.source).toEqual(bytes(own));
      expect(linkNamed(here)).toBe(index('one'));
      // IPv6 would take the tunnel's route, which is better, for who names a source.
      expect(here.exit?.source).toEqual(family === 4 ? bytes(own) : null);
      const there = heard(others, 'two');
      expect(routes.lead(there, index('tunnel'))).toBe(OUT);
      expect(there.source).toEqual(bytes(others));
      expect(there.exit).toEqual({ link: index('one'), source: null });
      expect(routes.isSourceCurrent(there)).toBe(true);
    },
  );
});

describeInNamespace('an endpoint with a near end', () => {
  it('leaves over its interface, whatever the others have', () => {
    defaults('one', 'two');
    const routes = openRoutes();
    const endpoint = pinned(null, index('two'));
    expect(routes.lead(endpoint, index('tunnel'))).toBe(OUT);
    expect(endpoint.exit).toEqual({ link: index('two'), source: null });
    const there = pinned(null, index('two'), SERVER[6]);
    expect(routes.lead(there, index('tunnel'))).toBe(OUT);
    expect(linkNamed(there)).toBe(index('two'));
  });

  it('leaves from its address, over the interface that has it', () => {
    defaults('one', 'two');
    const routes = openRoutes();
    const first = pinned('10.0.1.1');
    expect(routes.lead(first, index('tunnel'))).toBe(OUT);
    expect(first.exit).toBeNull();
    const second = pinned('10.0.2.1');
    expect(routes.lead(second, index('tunnel'))).toBe(OUT);
    expect(second.exit).toEqual({ link: index('two'), source: bytes('10.0.2.1') });
    // A rule for this source is the operator's word.
    ip('route', 'add', 'default', 'via', '10.0.1.2', 'dev', 'one', 'table', '71');
    ip('rule', 'add', 'from', '10.0.2.1', 'table', '71');
    ip('route', 'replace', 'default', 'via', '10.0.0.2', 'dev', 'tunnel', 'metric', '1');
    expect(routes.lead(second, 0)).toBe(OUT);
    expect(second.exit).toBeNull();
  });

  it('leaves from an address of no line by the routes alone', () => {
    defaults('one', 'two');
    ip('address', 'add', '192.0.2.99/32', 'dev', 'lo');
    const endpoint = pinned('192.0.2.99');
    expect(openRoutes().lead(endpoint, index('tunnel'))).toBe(OUT);
    expect(endpoint.exit).toBeNull();
  });

  it('is closed with the reason, and opens when that is gone', async () => {
    defaults('one', 'two');
    const routes = openRoutes();
    const NOWHERE = 0x7fff_ffff;
    const lead = (endpoint: Endpoint) => {
      routes.forget();
      return [routes.lead(endpoint, index('tunnel')), linkNamed(endpoint) === NOWHERE];
    };
    const byAddress = pinned('10.0.2.1');
    const byLink = pinned(null, index('two'));
    const both = () => [lead(byAddress), lead(byLink)];
    const CLOSED = true;
    expect(lead(pinned('10.0.2.1', 0, SERVER[6]))).toEqual(['otherFamily', CLOSED]);
    expect(lead(pinned('192.0.2.1'))).toEqual(['noAddress', CLOSED]);
    expect(lead(pinned(null, 4_711))).toEqual(['noInterface', CLOSED]);
    expect(lead(pinned(null, index('tunnel')))).toEqual(['inside', CLOSED]);
    await plug('two', 'down');
    expect(both()).toEqual([
      ['noCarrier', !CLOSED],
      ['noCarrier', !CLOSED],
    ]);
    ip('link', 'set', 'two', 'down');
    expect(both()).toEqual([
      ['down', CLOSED],
      ['down', CLOSED],
    ]);
    ip('link', 'set', 'two', 'up');
    await plug('two', 'up');
    // Its routes went with it: a cable has no one other end that all of it goes to.
    expect(lead(byLink)).toEqual(['nowhere', CLOSED]);
    ip('route', 'add', 'default', 'via', '10.0.2.2', 'dev', 'two', 'metric', '9');
    expect(both()).toEqual([
      [OUT, !CLOSED],
      [OUT, !CLOSED],
    ]);
    ip('address', 'delete', '10.0.2.1/24', 'dev', 'two');
    expect(lead(byAddress)).toEqual(['noAddress', CLOSED]);
    // Whatever is closed keeps what the operator has fixed.
    expect([byAddress.source, byLink.sourceInterface]).toEqual([bytes('10.0.2.1'), index('two')]);
  });

  it('needs no route over a link with one other end', () => {
    defaults('one');
    openTestTun('modem');
    ip('link', 'set', 'modem', 'up');
    const endpoint = pinned(null, index('modem'));
    expect(openRoutes().lead(endpoint, index('tunnel'))).toBe(OUT);
    expect(linkNamed(endpoint)).toBe(index('modem'));
  });

  it('is that of all endpoints which have none of their own', () => {
    defaults('one', 'two');
    const endpoint = server();
    const byLink = openRoutes({ kind: 'interface', name: 'two' });
    expect(byLink.lead(endpoint, index('tunnel'))).toBe(OUT);
    expect(linkNamed(endpoint)).toBe(index('two'));
    expect(byLink.fault).toBeNull();
    const byAddress = openRoutes({ kind: 'address', address: bytes('10.0.2.1') });
    expect(byAddress.lead(endpoint, index('tunnel'))).toBe(OUT);
    expect(endpoint.exit).toEqual({ link: index('two'), source: bytes('10.0.2.1') });
    expect(byAddress.lead(server(6), index('tunnel'))).toBe('otherFamily');
    ip('link', 'set', 'two', 'down');
    byLink.forget();
    expect(byLink.fault).toBe('down');
  });
});

describeInNamespace('strict reverse path filters', () => {
  it('are told for the links over which answers come against the routes, and no others', () => {
    defaults('tunnel', 'one', 'two');
    for (const name of ['all', 'one', 'two']) sysctl(`net/ipv4/conf/${name}/rp_filter`, '0');
    const routes = openRoutes();
    const endpoint = server();
    routes.lead(endpoint, index('tunnel'));
    expect(routes.strictFilters()).toEqual([]);
    sysctl('net/ipv4/conf/two/rp_filter', '1');
    expect(routes.strictFilters()).toEqual([]);
    sysctl('net/ipv4/conf/one/rp_filter', '1');
    expect(routes.strictFilters()).toEqual(['one']);
    sysctl('net/ipv4/conf/all/rp_filter', '2');
    expect(routes.strictFilters()).toEqual([]);
    sysctl('net/ipv4/conf/all/rp_filter', '1');
    sysctl('net/ipv4/conf/one/rp_filter', '0');
    expect(routes.strictFilters()).toEqual(['one']);
    // A route that leads there by itself takes none off.
    ip('route', 'add', `${SERVER[4]}/32`, 'via', '10.0.1.2');
    routes.forget();
    routes.lead(endpoint, index('tunnel'));
    expect(routes.strictFilters()).toEqual([]);
    const netlink = new Netlink();
    expect(netlink.filtersStrictly(4_711)).toBe(true);
    netlink.close();
  });
});
