#!/bin/sh
# A user of its own; then a running service goes over to the new program without
# losing a connection. Nothing is started that was not running.
set -e
[ "$1" = configure ] || exit 0
getent group loadstar >/dev/null || groupadd --system loadstar
getent passwd loadstar >/dev/null || useradd --system --gid loadstar --no-create-home \
	--home-dir /var/lib/loadstar --shell /usr/sbin/nologin loadstar
chgrp loadstar /etc/loadstar /etc/loadstar/Lbfile
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	if [ -n "$2" ] && systemctl --quiet is-active loadstar.service; then
		loadstar upgrade --admin unix//run/loadstar/admin.sock || systemctl restart loadstar.service || true
	fi
fi
