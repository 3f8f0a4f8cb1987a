/** What is counted of a peer's packets, and how much of it was data: all that is no keepalive. */

/** As PeerCounts has it. */
export interface Traffic {
  readonly txPackets: number;
  readonly rxPackets: number;
  readonly keepalivesSent: number;
  readonly keepalivesReceived: number;
}

export function dataSent({ txPackets, keepalivesSent }: Traffic): number {
  return txPackets - keepalivesSent;
}

export function dataReceived({ rxPackets, keepalivesReceived }: Traffic): number {
  return rxPackets - keepalivesReceived;
}
