#!/bin/sh
# Boot script of site B's gateway: WAN 203.0.113.10, LAN 10.20.0.0/24, tunnel 10.99.0.2.
# Run it as root once the WAN interface is up, and again after any change. It reads
#
#   /etc/wg/private.key   our private key; made at the first boot
#   /etc/wg/site-a.pub    site A's public key, which you put there: `tswg pubkey </etc/wg/private.key`
#                         prints it on site A
set -eu

[ -s /etc/wg/private.key ] || (umask 077 && mkdir -p /etc/wg && tswg genkey >/etc/wg/private.key)

tswg wg0 inet 10.99.0.2/30
tswg wg0 wgkeyfile /etc/wg/private.key wgport 51820
ip route replace 10.0.0.0/24 dev wg0
echo 1 >/proc/sys/net/ipv4/ip_forward

if ! [ -s /etc/wg/site-a.pub ]; then
  echo "$0: /etc/wg/site-a.pub is missing: put site A's public key there and run this again" >&2
  exit 1
fi
tswg wg0 wgpeer "$(cat /etc/wg/site-a.pub)" \
  wgdescr 'site A' \
  wgendpoint 198.51.100.10 51820 \
  wgaip 10.99.0.1/32 wgaip 10.0.0.0/24
