#!/bin/sh
# Deploy hook of certbot for mtls-min.service: restarts the server when its certificate was renewed.
#   install -m 0755 certbot-hook.sh /etc/letsencrypt/renewal-hooks/deploy/mtls-min
#
# The unit reads the files of certbot over links, once:
#   ln -s /etc/letsencrypt/live/example.org/fullchain.pem /etc/mtls-min/server-crt.pem
#   ln -s /etc/letsencrypt/live/example.org/privkey.pem   /etc/mtls-min/server-key.pem
# Only root can read them. systemd, which can, passes copies to the server at its start: that is why a restart is needed. The
# socket stays open, so no connection is refused.
#
# A server that can itself read /etc/letsencrypt/live and archive needs no hook: it notices the new certificate within a second.
set -eu

if [ -z "${RENEWED_LINEAGE:-}" ]; then
    echo "certbot-hook.sh: RENEWED_LINEAGE is not set; certbot sets it when it runs a deploy hook" >&2
    exit 1
fi
ours=${MTLS_MIN_CERTIFICATE:-/etc/mtls-min/server-crt.pem}
# Another certificate of this host.
[ "$(readlink -f "$ours")" = "$(readlink -f "$RENEWED_LINEAGE/fullchain.pem")" ] || exit 0
exec systemctl try-restart mtls-min.service
