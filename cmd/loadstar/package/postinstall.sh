#!/bin/sh
# A user of its own; then a running service goes over to the new program without
# losing a connection. Nothing is started that was not running, and nothing is
# stopped: where the new program cannot serve, such as for a word of the
# configuration that it refuses, the old one goes on.
set -e
[ "$1" = configure ] || exit 0
getent group loadstar >/dev/null || groupadd --system loadstar
getent passwd loadstar >/dev/null || useradd --system --gid loadstar --no-create-home \
	--home-dir /var/lib/loadstar --shell /usr/sbin/nologin loadstar
chgrp loadstar /etc/loadstar /etc/loadstar/Lbfile
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	if [ -n "$2" ] && systemctl --quiet is-active loadstar.service; then
		loadstar upgrade --config /etc/loadstar/Lbfile ||
			echo "loadstar: the service goes on with the old program; when the cause is mended: loadstar upgrade --config /etc/loadstar/Lbfile" >&2
	fi
fi
