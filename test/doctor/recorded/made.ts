/**
 * Records that doctor itself has made (`npm run doctortest -- --record FOLDER`) of the tunnels that
 * its cases break. The keys in them were made for that and thrown away.
 */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseRecording } from '../../../src/doctor/recording.ts';
import { CASES } from '../table.ts';
import type { Recorded } from './record.ts';

/** Ids of cases; each record is the file of its name, with `-` for `/` and blanks. */
const MADE: readonly string[] = [
  ...['noInterface/destroyed', 'daemonGone', 'noPrivateKey', 'portTaken'],
  ...['interfaceDown', 'noPeer', 'sameKey', 'peerIsOurself/file'],
  ...['peerIsOurself/copied', 'wrongKeyOfOurs/calls', 'wrongKeyOfPeer/calls'],
  ...['unknownKeyCalls', 'presharedKeyOneSided/there'],
  ...['presharedKeysDiffer/orOneSided', 'nothingListens/port'],
  ...['hostUnreachable/there', 'hostUnreachable/here', 'networkUnreachable'],
  ...['prohibited/router', 'prohibited/portUnreachable', 'forbiddenHere/counted'],
  ...['forbiddenHere/uncounted', 'inboundFirewall/counted', 'silence/there'],
  ...['filteredBeyond/there', 'answersLost', 'wrongPort/other', 'wrongPort/heard'],
  ...['nameUnresolved', 'nameElsewhere', 'nameFamilyUnroutable', 'noEndpoint'],
  ...['routingLoop/route', 'endpointNoRoute/prohibit'],
  ...['endpointRouteUnexpected/neighbour', 'natMappingLost', 'keyShared'],
  ...['noAllowedIps', 'allowedIpsTaken/equal', 'allowedIpsTaken/longer'],
  ...['allowedIpsLackAddress/received', 'allowedIpsLackNetwork/received'],
  ...['noRoute/4', 'routeShadowed/table', 'routeShadowed/LAN', 'addressMissing/4'],
  ...['wrongPrefixLength/host', 'sameInnerAddress/seen', 'otherLacksAllowedIps'],
  ...['nothingComesBack/one family', 'allowedIpsLackAddress/sent', 'allowedIpsLackNetwork/routed'],
  ...['forwardingOff/4', 'reversePathEndpoint', 'reversePathTunnel', 'firewallForward/rule'],
  ...['masquerade/all links', 'mtuBlackHole', 'fragmentsDropped', 'mtuTooLarge/router'],
  ...['tooBigFiltered', 'mssTooLarge', 'timestampsRefused', 'clockSetBack'],
  ...['nothingListens/session', 'prohibited/session'],
  ...['peerUnderLoad/again', 'peerUnderLoad/first call', 'rateLimited/address'],
  ...['rateLimited/peer', 'processorSaturated/starved', 'receiveOverflow'],
  ...['queueOverflow', 'managerTook/NetworkManager'],
  ...['daemonSilent/stopped', 'noSocket/descriptors', 'noSocket/privileged port'],
  ...['keyNotPrivate/is called', 'answersUnconfirmed/nobody to ping'],
  ...['twoDaemons/interface lost', 'twoManagers'],
  ...['healthy/plain', 'healthy/a hub', 'healthy/full tunnel with a mark', 'healthy/behind NAT'],
  ...['healthy/IPv6 only', 'healthy/two LANs', 'healthy/answers the second call'],
  ...['silence/at once', 'noAnswerYet/quick', 'noAnswerYet/it calls'],
];

export const MADE_RECORDS: readonly Recorded[] = MADE.map((id) => {
  const one = CASES.find((each) => each.id === id);
  if (one === undefined) throw new Error(`${id}: expected a case of this id`);
  const file = fileURLToPath(new URL(`${id.replaceAll(/[/ ]/g, '-')}.json`, import.meta.url));
  const evidence = parseRecording(readFileSync(file, 'utf8'));
  const codes = one.code === null ? [] : [one.code];
  return {
    id: `made: ${id}`,
    codes,
    evidence,
    ...(one.says === undefined ? {} : { says: one.says }),
  };
});
