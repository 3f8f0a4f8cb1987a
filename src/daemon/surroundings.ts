/**
 * What the machine around the tunnel is like, told to the Device and the transport: where the
 * interface is, which addresses are our own, and that what was learnt of routes may not hold any
 * more. The kernel's side of it is tun/linkmonitor.ts and netlink/ownaddresses.ts.
 */

import type { Datapath } from '../datapath/datapath.ts';
import { LocalRoutes } from '../netlink/localroutes.ts';
import { Netlink } from '../netlink/netlink.ts';
import { gatherOwnAddresses } from '../netlink/ownaddresses.ts';
import { type Monitor, type Place, watchRoutes } from '../tun/linkmonitor.ts';

export class Surroundings implements Monitor {
  readonly #path: Datapath;
  readonly #netlink: Netlink;
  readonly #routes: Monitor;
  readonly #localRoutes: LocalRoutes;
  readonly #onChange: (now: number) => void;

  /**
   * @param onChange told first, in a turn of the path at `now`: what is under the tunnel may have to be
   * opened again
   * @param onBug gets what goes wrong in following them
   * @throws {SystemError} when the kernel gives no events
   */
  constructor(path: Datapath, onChange: (now: number) => void, onBug: (error: unknown) => void) {
    this.#path = path;
    this.#onChange = onChange;
    this.#netlink = new Netlink();
    this.#localRoutes = new LocalRoutes({
      ask: () => this.#netlink.localRoutes(),
      onDue: () => {
        try {
          this.#follow();
        } catch (error) {
          onBug(error);
        }
      },
    });
    this.#routes = watchRoutes(this.#follow, { onBug });
  }

  /** The interface is in another place; see `watchLink`, which tells of the first one at once. */
  readonly followPlace = ({ index, isHome }: Place): void => {
    this.#path.setLink(isHome ? index : 0);
    this.#follow();
  };

  /** Routes, rules, addresses or links changed: paths are looked up again when they are next used. */
  readonly #follow = (): void => {
    this.#path.turn(() => {
      this.#onChange(this.#path.now);
      const { device, link, now, transport } = this.#path;
      transport?.forgetPaths?.(device.endpoints());
      device.pathsChanged(now);
      const addresses = gatherOwnAddresses(this.#netlink, link, this.#localRoutes.get());
      if (addresses !== null) device.setOwnAddresses(addresses);
    });
  };

  close(): void {
    this.#routes.close();
    this.#localRoutes.close();
    this.#netlink.close();
  }
}
