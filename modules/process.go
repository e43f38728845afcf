package modules

import (
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/handler"
)

// processWords are what sites have by default, and what the process gives up once it
// has what only root can have: cmd/loadstar does so (privileges.go).
func processWords() []spec.Word {
	name := func(arg, doc string) []spec.Arg { return []spec.Arg{{Name: arg, Kind: spec.String, Doc: doc}} }
	return []spec.Word{
		handler.DefaultErrorWord(),
		{
			Name: "user", In: spec.InProcess, Example: "user www-data", Args: name("USER", "a name, or a number"),
			Doc: "As whom the process goes on, once its sockets are bound and its logs are open",
			Long: "It must be started by root. Of root's rights it keeps the one to bind ports below 1024 (CAP_NET_BIND_SERVICE), so that a reload can, unlike HAProxy's (and CAP_NET_RAW where `source client` needs it), " +
				"and as nginx's, whose master process stays root. Everything that a reload reads again (this file, certificates, error pages) must be readable " +
				"for the user, and directories of log files writable, so that they can be opened anew: where that is not so, the start says so. " +
				"Under systemd `User=` and `AmbientCapabilities=CAP_NET_BIND_SERVICE` do the same, from the start. It is read at the start only.",
		},
		{
			Name: "group", In: spec.InProcess, Example: "group www-data", Args: name("GROUP", "a name, or a number"),
			Doc:  "As which group the process goes on; without it, the user's own ones",
			Long: "With it the process is in this group only. It is read at the start only.",
		},
		{
			Name: "chroot", In: spec.InProcess, Example: "chroot /var/lib/loadstar",
			Args: []spec.Arg{{Name: "DIRECTORY", Kind: spec.File, Doc: "a directory that root alone may write"}},
			Doc:  "Below which directory the process sees files, once its sockets are bound and its logs are open",
			Long: "From then on every name of a file is meant below it, also those of this file: a reload finds certificates, error pages and log files only where they are there by the same name, " +
				"and the same goes for /etc/resolv.conf and /etc/hosts. A configuration file that is not below it is sent by `loadstar reload --config FILE`. `loadstar upgrade` needs the program below it. " +
				"It needs `user`: root can leave such a directory. It is read at the start only. Under systemd, its sandbox protects more and hinders less.",
		},
	}
}
