/**
 * Whether anything leaves a host in the clear: programs on it that want to reach the internet all the
 * time, in every way that an ordinary one has, and what of it is seen on the wire.
 */

import { Capture, type CapturedPacket } from '../lab/capture.ts';
import { type Child, waitFor } from '../lab/command.ts';
import type { Host } from '../lab/host.ts';
import { TUNNEL_PORT } from '../lab/tunnel.ts';

const PROTOCOL_HOP_BY_HOP = 0;
const PROTOCOL_UDP = 17;
const PROTOCOL_ICMP6 = 58;
/** Of a line itself: neighbours and routers (RFC 4861), and who listens to which group (RFC 3810). */
const ICMP6_OF_LINE = { first: 133, last: 137 } as const;
const LISTENER_REPORTS_TO = 'ff02:0:0:0:0:0:0:16';
/** Of one phase: each program has tried it that often. */
const ROUNDS = 3;

/** Tries it by ICMP, UDP, TCP and the names of the C library, over and over. */
const PROGRAMS = `
shopt -s nullglob
for ((;;)); do
  for address in "$1" "$2"; do
    ping -n -c 1 -W 0.1 $3 "$address"
    echo x >"/dev/udp/$address/53"
    timeout 0.1 bash -c 'echo x >"/dev/tcp/$1/80"' bash "$address"
  done
  timeout 0.2 getent ahosts www.example.net
  echo "round"
done
`;

/** The other end of a host's only cable. */
export interface Wire {
  readonly host: Host;
  readonly ifname: string;
}

export class LeakWatch {
  readonly #capture: Capture;
  readonly #programs: Child;
  readonly #gateways: readonly string[];

  private constructor(capture: Capture, programs: Child, gateways: readonly string[]) {
    this.#capture = capture;
    this.#programs = programs;
    this.#gateways = gateways;
  }

  /**
   * @param wanted addresses of the internet, of IPv4 and of IPv6
   * @param gateways the tunnel's other ends, as Capture writes addresses
   * @param bound whether a program also binds itself to the interface
   */
  static async start(
    host: Host,
    wire: Wire,
    wanted: readonly [string, string],
    gateways: readonly string[],
    bound: boolean,
  ): Promise<LeakWatch> {
    const capture = await Capture.start(wire.host, wire.ifname);
    const words = [...wanted, bound ? '-I wan' : ''];
    const programs = host.spawn('bash', ['-c', PROGRAMS, 'bash', ...words]);
    return new LeakWatch(capture, programs, gateways);
  }

  /** Waits until all programs have tried it in what is the state now. */
  async tryAll(): Promise<void> {
    const wanted = this.#rounds + ROUNDS;
    await waitFor(() => this.#rounds >= wanted, 'programs that want to reach the internet');
  }

  /** Ends the programs; what was on the wire in the clear, each once, and whether a tunnel was. */
  async stop(): Promise<{ readonly leaks: readonly string[]; readonly tunnelled: number }> {
    this.#programs.kill();
    await this.#programs.exited;
    const packets = await this.#capture.stop();
    const leaks = packets.filter((one) => !this.#isTunnel(one) && !isOfLine(one));
    const tunnelled = packets.filter((one) => this.#isTunnel(one)).length;
    return { leaks: [...new Set(leaks.map(describePacket))], tunnelled };
  }

  get #rounds(): number {
    return [...this.#programs.stdout.matchAll(/^round$/gm)].length;
  }

  #isTunnel(packet: CapturedPacket): boolean {
    if (packet.protocol !== PROTOCOL_UDP) return false;
    const { source, sourcePort, destination, destinationPort } = packet;
    const isAt = (address: string, port: number): boolean =>
      this.#gateways.includes(address) && port === TUNNEL_PORT;
    return isAt(source, sourcePort) || isAt(destination, destinationPort);
  }
}

/** ARP, and what IPv6 has in its place. */
function isOfLine({ family, protocol, destination, payload }: CapturedPacket): boolean {
  if (family === 0) return true;
  if (family === 4) return false;
  if (protocol === PROTOCOL_HOP_BY_HOP) return destination === LISTENER_REPORTS_TO;
  const type = payload[0];
  const isKnown = type >= ICMP6_OF_LINE.first && type <= ICMP6_OF_LINE.last;
  return protocol === PROTOCOL_ICMP6 && isKnown;
}

function describePacket({
  protocol,
  source,
  destination,
  destinationPort,
}: CapturedPacket): string {
  return `protocol ${protocol}: ${source} -> ${destination} port ${destinationPort}`;
}
