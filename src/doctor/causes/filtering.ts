/** What a packet filter here does to packets between the tunnel and others. Pure. */

import { counted } from '../../counted.ts';
import { printable } from '../../quotation.ts';
import type { Cause } from '../cause.ts';
import type { Chain, Connection, Evidence, Firewall, FirewallRule } from '../evidence.ts';
import { known } from '../evidence.ts';
import {
  acceptCommands,
  deleteCommand,
  iptablesOf,
  isAbout,
  isDropping,
  isOfOtherLinks,
  nameChain,
  nameRule,
  pathAt,
  rulesOf,
} from '../filterpath.ts';
import type { Finding } from '../finding.ts';
import { unansweredForOthers } from '../innerflows.ts';
import { daemonOf, peersOf } from '../peer.ts';
import { covers, familyOf, isCovered, isHost, overlap } from '../prefix.ts';
import { innerAddresses } from '../tunnelroutes.ts';
import { unforwarded } from './forwarding.ts';

export const FILTERING: readonly Cause[] = [
  { code: 'firewallForward', weight: 'traffic', find: findForward },
  { code: 'masquerade', weight: 'some', find: findMasquerade },
];

const SANE_FAMILIES: Readonly<Record<4 | 6, readonly string[]>> = {
  4: ['ip', 'inet'],
  6: ['ip6', 'inet'],
};

function findForward(evidence: Evidence): Finding[] {
  const firewall = known(evidence.firewall);
  if (firewall === null) return [];
  const { name } = evidence.run;
  const { chains, rules } = pathAt(firewall, 'forward', 'filter');
  const guilty = rules.filter((rule) => isGuilty(evidence, rule));
  if (guilty.length > 0) return guilty.map((rule) => ruleFinding(evidence, rule));
  const unmet = findUnmet(evidence, firewall, chains);
  if (unmet.length > 0) return unmet;
  const off = unforwarded(evidence);
  // What is not forwarded meets no filter; and nothing is known to be where that cannot be looked at.
  const [flow] = unansweredForOthers(evidence).filter(
    ({ destination }) => evidence.sysctls.ok && !off.includes(familyOf(destination)),
  );
  if (flow === undefined) return [];
  const family = SANE_FAMILIES[familyOf(flow.destination)];
  const chain = chains.find((one) => {
    const isOpen = rulesOf(firewall, one).some(
      (rule) => rule.verdict.toLowerCase() === 'accept' && isAbout(rule, name),
    );
    return family.includes(one.family) && one.policy === 'drop' && !isOpen;
  });
  const mute = rules.find(
    (rule) => isDropping(rule) && rule.packets === null && family.includes(rule.family),
  );
  if (chain === undefined && mute === undefined) return [];
  const proof = `over the run, ${counted(flow.packets, 'packet')} from ${flow.source} came out of the tunnel for ${flow.destination}, and no answer went into it`;
  return [placeFinding(evidence, chain, mute, proof, flow.destination)];
}

/**
 * Where nothing is forwarded, no rule counts anything: then it is told by what it says. Only of such as
 * leave no doubt: it drops whatever comes out of the tunnel, and nothing before it accepts any of that.
 */
function findUnmet(evidence: Evidence, firewall: Firewall, chains: readonly Chain[]): Finding[] {
  const { name } = evidence.run;
  const off = unforwarded(evidence);
  const found = chains.flatMap((chain): Finding[] => {
    const family = off.find((one) => SANE_FAMILIES[one].includes(chain.family));
    if (family === undefined) return [];
    const rules = rulesOf(firewall, chain).filter((rule) => !isFromOthers(rule, name));
    const at = rules.findIndex((rule) => !isOfKnown(rule));
    const first = at < 0 ? undefined : rules[at];
    if (first === undefined)
      return chain.policy === 'drop' ? [unmetFinding(name, family, chain)] : [];
    return isDropOfAll(first, name) ? [unmetFinding(name, family, first)] : [];
  });
  return found.slice(0, 1);
}

/** What comes in by other links alone: no packet of ours meets it. */
function isFromOthers(rule: FirewallRule, link: string): boolean {
  return isFromOtherLinks(rule) && !isAbout(rule, link);
}

/** For packets of connections that there are already; or it says nothing of what becomes of them. */
function isOfKnown({ text, verdict }: FirewallRule): boolean {
  const isEstablished = /\bestablished\b/i.test(text) && !/\bnew\b/i.test(text);
  return isEstablished || verdict === 'none';
}

/** `iifname "wg0" counter drop`, `-A FORWARD -i wg0 -j DROP`: with no condition but the link. */
function isDropOfAll(rule: FirewallRule, link: string): boolean {
  if (!isDropping(rule)) return false;
  const rest = rule.text
    .replace(/^-A \S+/, '')
    .replace(/(?:\biif(?:name)?|(?<!! )-i) "?([^\s"]+)"?/, (all, name) =>
      name === link ? '' : all,
    )
    .replace(/\bcounter\b( packets \d+ bytes \d+)?|\bcomment "[^"]*"/g, '')
    .replace(/-m comment --comment ("[^"]*"|\S+)/, '')
    .replace(/\bdrop\b|\breject\b.*|-j (DROP\b|REJECT\b.*)/, '');
  return rest.trim() === '';
}

function unmetFinding(link: string, family: 4 | 6, place: FirewallRule | Chain): Finding {
  const isRule = 'chain' in place;
  const what = isRule
    ? `${nameRule(place)}, \`${printable(place.text)}\``
    : `the policy of ${nameChain(place)} at the hook forward`;
  return {
    code: 'firewallForward',
    peer: null,
    sentence: `the firewall of this machine drops what comes out of ${link} for others, as soon as it is forwarded: ${what}`,
    proof: [
      isRule
        ? `the rule is for all that comes in by ${link}, and none before it accepts any of it`
        : `no rule of the chain accepts what comes in by ${link}, and its policy is drop`,
      `over the run no packet can have met it, since IPv${family} is not forwarded`,
    ],
    commands: isRule ? [deleteCommand(place)] : acceptCommands(place, link),
  };
}

/** It counted packets over the run, and they were of the tunnel. */
function isGuilty(evidence: Evidence, rule: FirewallRule): boolean {
  const gained = rule.gainedPackets ?? 0;
  if (!isDropping(rule) || gained === 0) return false;
  if (isAbout(rule, evidence.run.name)) return true;
  if (isFromOtherLinks(rule)) return false;
  const prefixes = rule.text.split(/[\s",{}]+/).filter((word) => /^[\da-f:.]+(\/\d+)?$/.test(word));
  const allowed = peersOf(evidence).flatMap(({ allowedIps }) => allowedIps);
  const named = prefixes.filter((one) => /[.:]/.test(one));
  if (named.some((one) => allowed.some((prefix) => overlap(one, prefix)))) return true;
  return named.length === 0 && unansweredForOthers(evidence).length > 0;
}

/** For packets that come in by a link that it names: not by ours, which it does not. */
function isFromOtherLinks({ text }: FirewallRule): boolean {
  return /\biif(?:name)? (?!!=)|(?<!! )-i /.test(text);
}

function ruleFinding(evidence: Evidence, rule: FirewallRule): Finding {
  const { name } = evidence.run;
  const isOurs = isAbout(rule, name);
  return {
    code: 'firewallForward',
    peer: null,
    sentence: `the firewall of this machine drops packets between ${name} and others: ${nameRule(rule)}, \`${printable(rule.text)}\``,
    proof: [
      `over the run, this rule dropped ${counted(rule.gainedPackets ?? 0, 'packet')}, ${rule.packets} since it is there`,
      ...unansweredForOthers(evidence)
        .slice(0, 1)
        .map(
          ({ packets, source, destination }) =>
            `${counted(packets, 'packet')} from ${source} came out of the tunnel for ${destination}, and no answer went into it`,
        ),
    ],
    commands: isOurs ? [deleteCommand(rule)] : acceptCommands(rule, name),
  };
}

/** Nobody counts there: what can drop is named, and that it is not known to. */
function placeFinding(
  evidence: Evidence,
  chain: Chain | undefined,
  rule: FirewallRule | undefined,
  proof: string,
  destination: string,
): Finding {
  const { name } = evidence.run;
  const dropped = chain?.gainedPolicyPackets ?? 0;
  const what =
    chain === undefined
      ? `${nameRule(rule!)}, \`${printable(rule!.text)}\``
      : `the policy of ${nameChain(chain)} at the hook forward`;
  const finding = {
    code: 'firewallForward',
    peer: null,
    sentence: `the firewall of this machine can drop packets between ${name} and others: ${what} does so without accepting ${name}`,
    proof: [
      proof,
      dropped > 0
        ? `over the run, ${counted(dropped, 'packet')} met this policy`
        : `nothing counts there: how many it was cannot be seen`,
    ],
    commands: acceptCommands(chain ?? rule!, name),
  };
  if (dropped > 0) return finding;
  return {
    ...finding,
    undecided: [
      `${destination} itself does not answer, or has no route back: \`tcpdump -ni any host ${destination}\` on this machine shows whether the packets leave`,
    ],
  };
}

/**
 * A rule that was made for another link hides who is behind us. One that names the tunnel is meant
 * to, unless the other end knows our network.
 */
function findMasquerade(evidence: Evidence): Finding[] {
  const firewall = known(evidence.firewall);
  if (firewall === null) return [];
  const { name } = evidence.run;
  const { rules } = pathAt(firewall, 'postrouting', 'nat');
  const hidden = hiddenConnections(evidence);
  const expected = expectedNetworks(evidence);
  const culprits = rules.filter(
    (rule) =>
      ['masquerade', 'snat'].includes(rule.verdict.toLowerCase()) &&
      !isOfOtherLinks(rule, name) &&
      (!isDeliberate(rule, name) || expected.length > 0),
  );
  const [rule] = culprits;
  const [connection] = hidden;
  if (rule === undefined || connection === undefined) return [];
  const { original, reply } = connection;
  return [
    {
      code: 'masquerade',
      peer: null,
      sentence: `${nameRule(rule)}, \`${printable(rule.text)}\`, translates what goes into ${name}: the other end sees ${reply.destination} in place of ${original.source}`,
      proof: [
        `${counted(hidden.length, 'connection is', 'connections are')} translated now, as that from ${original.source} to ${original.destination} into ${reply.destination}`,
        ...(rule.packets === null ? [] : [`the rule counted ${counted(rule.packets, 'packet')}`]),
        ...expected.map((network) => `the other end allows us ${network} as it is`),
      ],
      commands: exceptCommands(rule, name),
    },
  ];
}

function isDeliberate(rule: FirewallRule, link: string): boolean {
  return isAbout(rule, link) && !/!=|(^|\s)!\s/.test(rule.text);
}

/** Connections of others whose answers come to the tunnel's own address. */
function hiddenConnections(evidence: Evidence): readonly Connection[] {
  const inner = innerAddresses(evidence);
  const allowed = peersOf(evidence).flatMap(({ allowedIps }) => allowedIps);
  return (known(evidence.conntrack) ?? []).filter(
    ({ original, reply }) =>
      inner.includes(reply.destination) &&
      !inner.includes(original.source) &&
      isCovered(original.destination, allowed),
  );
}

function expectedNetworks(evidence: Evidence): readonly string[] {
  const own = daemonOf(evidence)?.publicKey;
  const us = known(evidence.other)?.peers.find(({ publicKey }) => publicKey === own);
  const inner = innerAddresses(evidence);
  return (us?.allowedIps ?? []).filter(
    (one) => !isHost(one) && !inner.some((address) => covers(one, address)),
  );
}

function exceptCommands(rule: FirewallRule, link: string): readonly string[] {
  const { tool, family, table, chain } = rule;
  if (tool === 'nft') {
    return [`nft insert rule ${family} ${table} ${chain} oifname "${link}" accept`];
  }
  return [`${iptablesOf(rule)} -t ${table} -I ${chain} -o ${link} -j ACCEPT`];
}
