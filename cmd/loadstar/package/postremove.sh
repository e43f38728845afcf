#!/bin/sh
# What the service has kept goes only when it is purged.
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
if [ "$1" = purge ]; then
	rm -rf /var/lib/loadstar /var/log/loadstar
	rmdir --ignore-fail-on-non-empty /etc/loadstar 2>/dev/null || true
fi
