#!/bin/sh
# /etc/wg/telephone.sh of the gateway: adds the telephone, and shows its configuration as a QR code.
# In the telephone's WireGuard app: "+", "Scan from QR code". With a name it is written into that
# file instead: sh /etc/wg/telephone.sh picture.png
#
# The private key is in the picture and nowhere else, also not on a command line, which ps shows.
# To remove the telephone: delete its line in /etc/hostname.wg0 and telephone.pub, and
#   tswg wg0 -wgpeer PUBLICKEY
set -eu
umask 077
if [ -e /etc/wg/telephone.pub ]; then
	echo "$0: there is a telephone: /etc/wg/telephone.pub" >&2
	exit 1
fi
key=$(tswg genkey)
public=$(echo "$key" | tswg pubkey)

# First: what cannot be shown is not added.
npx --yes qrcode@1.5.4 ${1:+--output "$1"} ${1:---small} <<END
[Interface]
PrivateKey = $key
Address = 10.99.0.14/32, 2001:db8:99::14/128
DNS = 10.99.0.1, 2001:db8:99::1

[Peer]
PublicKey = $(tswg pubkey </etc/wg/private.key)
Endpoint = 203.0.113.10:51820
AllowedIPs = 0.0.0.0/0, ::/0
PersistentKeepalive = 25
END

echo "$public" >/etc/wg/telephone.pub
peer="wgpeer $public wgdescr telephone wgaip 10.99.0.14/32 wgaip 2001:db8:99::14/128"
echo "$peer" >>/etc/hostname.wg0
tswg wg0 $peer
